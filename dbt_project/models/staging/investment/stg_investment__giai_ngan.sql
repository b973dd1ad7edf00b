-- Disbursement by project, source of funding and month; month 13 is January of the next year, counted for this budget year.
-- Grain: one row per source key (id). Source: investment.giai_ngan.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['disbursement_key']},
    ],
) }}

with

versions as ({{ newest_versions('investment', 'giai_ngan', ['id']) }}
),

typed as (
    select
        {{ staging_columns(['id'], 'da_xoa') }},
        id as disbursement_record_id,
        {{ clean_code('ma_du_an') }} as project_code,
        {{ common_code('funding_source', 'investment', 'ma_nguon_von') }} as funding_source_code,
        nam as budget_year,
        thang as budget_month,
        {{ key_of('disbursement', ['ma_du_an', 'ma_nguon_von', 'nam::text', 'thang::text']) }} as disbursement_key,
        so_tien_thang as month_vnd,
        luy_ke_nam as year_to_date_vnd,
        {{ clean_text('so_chung_tu') }} as voucher_number,
        ngay_bao_cao as reported_on,
        {{ common_code('disbursement_status', 'investment', 'trang_thai') }} as status_code
    from versions
    offset 0
),

{{ changed_rows('typed') }}
