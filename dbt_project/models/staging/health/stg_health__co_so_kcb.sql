-- Health facilities (reference, read whole).
-- Grain: one row per source key (MA_CSKCB). Source: health.co_so_kcb.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('health', 'co_so_kcb', ['MA_CSKCB']) }}
),

typed as (
    select
        {{ staging_columns(['MA_CSKCB']) }},
        {{ clean_code('"MA_CSKCB"') }} as facility_code,
        {{ clean_text('"TEN_CSKCB"') }} as facility_name,
        {{ common_code('hospital_class', 'health', '"HANG"') }} as hospital_class_code,
        {{ common_code('former_tier', 'health', '"TUYEN"') }} as former_tier_code,
        {{ common_code('facility_ownership', 'health', '"LOAI_HINH"') }} as ownership_code,
        {{ clean_code('"MA_XA"') }} as commune_code,
        {{ clean_code('"MA_HUYEN"') }} as district_code,
        {{ clean_code('"MA_TINH"') }} as province_code,
        "SO_GIUONG" as planned_beds,
        "DANG_HOAT_DONG" as is_active
    from versions
    offset 0
),

{{ changed_rows('typed') }}
