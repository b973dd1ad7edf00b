-- Sources of funding (reference, read whole).
-- Grain: one row per source key (ma_nguon_von). Source: investment.nguon_von.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('investment', 'nguon_von', ['ma_nguon_von']) }}
),

typed as (
    select
        {{ staging_columns(['ma_nguon_von']) }},
        {{ common_code('funding_source', 'investment', 'ma_nguon_von') }} as funding_source_code,
        {{ clean_text('ten') }} as funding_source_name,
        {{ common_code('funding_group', 'investment', 'nhom') }} as funding_group_code,
        trong_ngan_sach as is_state_budget
    from versions
    offset 0
),

{{ changed_rows('typed') }}
