-- Public investment projects.
-- Grain: one row per source key (ma_du_an). Source: investment.du_an.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('investment', 'du_an', ['ma_du_an']) }}
),

typed as (
    select
        {{ staging_columns(['ma_du_an'], 'da_xoa') }},
        {{ clean_code('ma_du_an') }} as project_code,
        {{ clean_text('ten') }} as project_name,
        {{ common_code('project_group', 'investment', 'nhom') }} as project_group_code,
        {{ clean_code('ma_chu_dau_tu') }} as investor_code,
        {{ common_code('decision_level', 'investment', 'cap_quyet_dinh') }} as decision_level_code,
        {{ common_code('project_field', 'investment', 'linh_vuc') }} as field_code,
        dia_diem as commune_codes,
        {{ clean_code('ma_huyen') }} as district_code,
        {{ clean_code('ma_tinh') }} as province_code,
        ngay_phe_duyet as approved_on,
        tong_muc_dau_tu as total_investment_vnd,
        ngay_khoi_cong as started_on,
        ngay_hoan_thanh as due_on,
        {{ common_code('project_status', 'investment', 'trang_thai') }} as status_code
    from versions
    offset 0
),

{{ changed_rows('typed') }}
