-- Birth papers issued by health facilities.
-- Grain: one row per source key (ID). Source: health.giay_chung_sinh.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('health', 'giay_chung_sinh', ['ID']) }}
),

dated as (
    select
        versions.*,
        {{ compact_date_digits('"NGAY_SINH_ME"') }} as mother_birth_digits
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['ID'], 'DA_XOA') }},
        "ID" as birth_paper_record_id,
        {{ clean_code('"MA_GCS"') }} as birth_paper_code,
        {{ clean_code('"MA_CSKCB"') }} as facility_code,
        {{ clean_words('"HO_TEN_ME"') }} as mother_name,
        {{ partial_date('mother_birth_digits') }} as mother_birth_date,
        {{ partial_year('mother_birth_digits') }} as mother_birth_year,
        {{ partial_precision('mother_birth_digits') }} as mother_birth_precision,
        {{ clean_code('"SO_CCCD_ME"') }} as mother_personal_id,
        {{ common_code('ethnicity', 'health', '"MA_DANTOC_ME"') }} as mother_ethnicity_code,
        {{ clean_code('"MATINH_CU_TRU"') }} as residence_province_code,
        {{ clean_code('"MAHUYEN_CU_TRU"') }} as residence_district_code,
        {{ clean_code('"MAXA_CU_TRU"') }} as residence_commune_code,
        {{ clean_words('"DIA_CHI"') }} as residence_address,
        {{ clean_words('"HO_TEN_CHA"') }} as father_name,
        {{ clean_words('"TEN_CON"') }} as child_name,
        {{ common_code('sex', 'health', '"GIOI_TINH_CON"') }} as child_sex,
        {{ compact_timestamp('"NGAY_SINH_CON"') }} as born_at,
        "CAN_NANG_CON" as birth_weight_g,
        "SO_CON" as children_in_birth,
        "LAN_SINH" as birth_order,
        {{ compact_timestamp('"NGAY_CT"') }} as issued_at
    from dated
    offset 0
),

{{ changed_rows('typed') }}
