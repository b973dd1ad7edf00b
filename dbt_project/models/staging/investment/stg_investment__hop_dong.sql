-- Contracts of projects.
-- Grain: one row per source key (id). Source: investment.hop_dong.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('investment', 'hop_dong', ['id']) }}
),

typed as (
    select
        {{ staging_columns(['id'], 'da_xoa') }},
        id as contract_record_id,
        {{ clean_code('ma_du_an') }} as project_code,
        {{ clean_text('so_hop_dong') }} as contract_number,
        {{ clean_text('ten_goi_thau') }} as package_name,
        {{ common_code('contract_kind', 'investment', 'loai') }} as contract_kind_code,
        {{ common_code('selection_method', 'investment', 'hinh_thuc') }} as selection_code,
        {{ clean_text('nha_thau') }} as contractor_name,
        {{ clean_code('ma_so_thue') }} as contractor_tax_code,
        gia_tri as contract_vnd,
        ngay_ky as signed_on,
        ngay_ket_thuc as ends_on
    from versions
    offset 0
),

{{ changed_rows('typed') }}
