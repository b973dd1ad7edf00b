-- Decisions on projects.
-- Grain: one row per source key (id). Source: investment.quyet_dinh.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('investment', 'quyet_dinh', ['id']) }}
),

typed as (
    select
        {{ staging_columns(['id'], 'da_xoa') }},
        id as decision_record_id,
        {{ clean_code('ma_du_an') }} as project_code,
        {{ clean_text('so_quyet_dinh') }} as decision_number,
        {{ common_code('decision_kind', 'investment', 'loai') }} as decision_kind_code,
        ngay_ban_hanh as issued_on,
        {{ clean_text('co_quan_ban_hanh') }} as issuing_agency_name,
        gia_tri as approved_vnd,
        {{ clean_text('trich_yeu') }} as abstract
    from versions
    offset 0
),

{{ changed_rows('typed') }}
