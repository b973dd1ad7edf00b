-- Capital plans by project, source of funding and budget year, in the unit that the row names.
-- Grain: one row per source key (id). Source: investment.ke_hoach_von.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['capital_plan_key']},
    ],
) }}

with

versions as ({{ newest_versions('investment', 'ke_hoach_von', ['id']) }}
),

typed as (
    select
        {{ staging_columns(['id'], 'da_xoa') }},
        id as plan_record_id,
        {{ clean_code('ma_du_an') }} as project_code,
        {{ common_code('funding_source', 'investment', 'ma_nguon_von') }} as funding_source_code,
        nam as budget_year,
        {{ common_code('plan_kind', 'investment', 'loai') }} as plan_kind_code,
        {{ key_of('capital_plan', ['ma_du_an', 'ma_nguon_von', 'nam::text', 'loai']) }} as capital_plan_key,
        so_von as planned_amount,
        {{ clean_text('don_vi_tinh') }} as amount_unit,
        (so_von * {{ unit_factor('don_vi_tinh') }} / 1000000)::numeric(18, 6) as planned_vnd_million,
        {{ clean_text('so_quyet_dinh_giao') }} as decision_number,
        ngay_giao as assigned_on
    from versions
    offset 0
),

{{ changed_rows('typed') }}
