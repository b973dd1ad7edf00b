-- Obstacles of projects.
-- Grain: one row per source key (id). Source: investment.vuong_mac.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('investment', 'vuong_mac', ['id']) }}
),

typed as (
    select
        {{ staging_columns(['id'], 'da_xoa') }},
        id as obstacle_record_id,
        {{ clean_code('ma_du_an') }} as project_code,
        {{ common_code('obstacle_kind', 'investment', 'loai') }} as obstacle_kind_code,
        {{ common_code('severity', 'investment', 'muc_do') }} as severity_code,
        {{ clean_text('noi_dung') }} as description,
        {{ clean_text('co_quan_xu_ly') }} as responsible_agency_name,
        ngay_phat_sinh as arisen_on,
        han_giai_quyet as due_on,
        ngay_giai_quyet as resolved_on,
        chi_tiet as details
    from versions
    offset 0
),

{{ changed_rows('typed') }}
