-- Services and supplies of the visits (XML3).
-- Grain: one row per source key (ID). Source: health.xml3.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('health', 'xml3', ['ID']) }}
),

typed as (
    select
        {{ staging_columns(['ID'], 'DA_XOA') }},
        "ID" as service_record_id,
        {{ clean_code('"MA_LK"') }} as visit_code,
        "STT" as line_number,
        {{ clean_code('"MA_DICH_VU"') }} as service_code,
        {{ clean_code('"MA_VAT_TU"') }} as supply_code,
        {{ common_code('cost_group', 'health', '"MA_NHOM"') }} as cost_group_code,
        {{ clean_text('"TEN_DICH_VU"') }} as service_name,
        "SO_LUONG" as quantity,
        "DON_GIA_BV" as hospital_unit_price_vnd,
        "DON_GIA_BH" as insured_unit_price_vnd,
        "THANH_TIEN_BV" as hospital_amount_vnd,
        "THANH_TIEN_BH" as insured_amount_vnd,
        "MUC_HUONG" as benefit_percent,
        {{ compact_timestamp('"NGAY_YL"') }} as ordered_at,
        {{ compact_timestamp('"NGAY_TH_YL"') }} as performed_at
    from versions
    offset 0
),

{{ changed_rows('typed') }}
