-- Investors and project management boards (reference, read whole).
-- Grain: one row per source key (ma_chu_dau_tu). Source: investment.chu_dau_tu.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('investment', 'chu_dau_tu', ['ma_chu_dau_tu']) }}
),

typed as (
    select
        {{ staging_columns(['ma_chu_dau_tu']) }},
        {{ clean_code('ma_chu_dau_tu') }} as investor_code,
        {{ clean_text('ten') }} as investor_name,
        {{ common_code('government_level', 'investment', 'cap') }} as level_code,
        {{ clean_code('ma_xa') }} as commune_code,
        {{ clean_code('ma_huyen') }} as district_code,
        {{ clean_code('ma_tinh') }} as province_code,
        dang_hoat_dong as is_active,
        {{ clean_code('ma_co_quan_ke_thua') }} as successor_code
    from versions
    offset 0
),

{{ changed_rows('typed') }}
