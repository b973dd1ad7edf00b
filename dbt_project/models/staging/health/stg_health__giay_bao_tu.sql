-- Death papers issued by health facilities.
-- Grain: one row per source key (ID). Source: health.giay_bao_tu.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('health', 'giay_bao_tu', ['ID']) }}
),

dated as (
    select
        versions.*,
        {{ compact_date_digits('"NGAY_SINH"') }} as birth_digits,
        {{ compact_date_digits('"NGAY_TU_VONG"') }} as death_digits
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['ID'], 'DA_XOA') }},
        "ID" as death_paper_record_id,
        {{ clean_code('"MA_GBT"') }} as death_paper_code,
        {{ clean_code('"MA_CSKCB"') }} as facility_code,
        {{ clean_words('"HO_TEN"') }} as full_name,
        {{ clean_code('"SO_CCCD"') }} as personal_id,
        {{ partial_date('birth_digits') }} as birth_date,
        {{ partial_year('birth_digits') }} as birth_year,
        {{ partial_precision('birth_digits') }} as birth_precision,
        {{ common_code('sex', 'health', '"GIOI_TINH"') }} as sex,
        {{ common_code('ethnicity', 'health', '"MA_DANTOC"') }} as ethnicity_code,
        {{ clean_code('"MATINH_CU_TRU"') }} as residence_province_code,
        {{ clean_code('"MAHUYEN_CU_TRU"') }} as residence_district_code,
        {{ clean_code('"MAXA_CU_TRU"') }} as residence_commune_code,
        {{ clean_words('"DIA_CHI"') }} as residence_address,
        {{ partial_date('death_digits') }} as death_date,
        {{ partial_year('death_digits') }} as death_year,
        {{ partial_precision('death_digits') }} as death_precision,
        {{ compact_timestamp('"NGAY_TU_VONG"') }} as died_at,
        {{ clean_code('"MA_NGUYEN_NHAN"') }} as cause_code,
        {{ compact_timestamp('"NGAY_CT"') }} as issued_at
    from dated
    offset 0
),

{{ changed_rows('typed') }}
