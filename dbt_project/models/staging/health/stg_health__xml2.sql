-- Medicines of the visits (XML2).
-- Grain: one row per source key (ID). Source: health.xml2.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('health', 'xml2', ['ID']) }}
),

typed as (
    select
        {{ staging_columns(['ID'], 'DA_XOA') }},
        "ID" as medicine_record_id,
        {{ clean_code('"MA_LK"') }} as visit_code,
        "STT" as line_number,
        {{ clean_code('"MA_THUOC"') }} as medicine_code,
        {{ clean_text('"TEN_THUOC"') }} as medicine_name,
        {{ clean_text('"DON_VI_TINH"') }} as unit_name,
        {{ clean_code('"SO_DANG_KY"') }} as registration_number,
        "SO_LUONG" as quantity,
        "DON_GIA" as unit_price_vnd,
        "THANH_TIEN_BV" as hospital_amount_vnd,
        "THANH_TIEN_BH" as insured_amount_vnd,
        "MUC_HUONG" as benefit_percent,
        {{ compact_timestamp('"NGAY_YL"') }} as ordered_at
    from versions
    offset 0
),

{{ changed_rows('typed') }}
