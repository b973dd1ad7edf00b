-- Visits covered by health insurance (XML1); a visit may be sent again under another record id.
-- Grain: one row per source key (ID). Source: health.xml1.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['visit_key']},
    ],
) }}

with

versions as ({{ newest_versions('health', 'xml1', ['ID']) }}
),

dated as (
    select
        versions.*,
        {{ compact_date_digits('"NGAY_SINH"') }} as birth_digits
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['ID'], 'DA_XOA') }},
        "ID" as visit_record_id,
        {{ clean_code('"MA_LK"') }} as visit_code,
        {{ key_of('visit', ['"MA_LK"']) }} as visit_key,
        {{ clean_code('"MA_BN"') }} as patient_code,
        {{ clean_words('"HO_TEN"') }} as full_name,
        {{ clean_code('"SO_CCCD"') }} as personal_id,
        {{ partial_date('birth_digits') }} as birth_date,
        {{ partial_year('birth_digits') }} as birth_year,
        {{ partial_precision('birth_digits') }} as birth_precision,
        {{ common_code('sex', 'health', '"GIOI_TINH"') }} as sex,
        {{ common_code('ethnicity', 'health', '"MA_DANTOC"') }} as ethnicity_code,
        {{ clean_words('"DIA_CHI"') }} as residence_address,
        {{ clean_code('"MATINH_CU_TRU"') }} as residence_province_code,
        {{ clean_code('"MAHUYEN_CU_TRU"') }} as residence_district_code,
        {{ clean_code('"MAXA_CU_TRU"') }} as residence_commune_code,
        {{ clean_code('"DIEN_THOAI"') }} as phone,
        {{ clean_code('"MA_THE_BHYT"') }} as insurance_card_numbers,
        {{ clean_code('"MA_DKBD"') }} as registered_facility_code,
        {{ compact_timestamp('"GT_THE_TU"') }} as card_valid_from,
        {{ compact_timestamp('"GT_THE_DEN"') }} as card_valid_to,
        {{ common_code('admission_route', 'health', '"MA_DOITUONG_KCB"') }} as admission_route_code,
        {{ compact_timestamp('"NGAY_VAO"') }} as admitted_at,
        {{ compact_timestamp('"NGAY_RA"') }} as discharged_at,
        {{ compact_timestamp('"NGAY_TTOAN"') }} as settled_at,
        "SO_NGAY_DTRI" as treatment_days,
        {{ clean_code('"MA_BENH_CHINH"') }} as main_diagnosis_code,
        {{ clean_code('"MA_BENH_KT"') }} as other_diagnosis_codes,
        {{ common_code('outcome', 'health', '"KET_QUA_DTRI"') }} as outcome_code,
        {{ common_code('discharge', 'health', '"MA_LOAI_RV"') }} as discharge_code,
        {{ common_code('visit_type', 'health', '"MA_LOAI_KCB"') }} as visit_type_code,
        {{ common_code('department', 'health', '"MA_KHOA"') }} as department_code,
        {{ clean_code('"MA_CSKCB"') }} as facility_code,
        "T_THUOC" as medicine_vnd,
        "T_DICH_VU" as service_vnd,
        "T_TONGCHI_BV" as hospital_total_vnd,
        "T_TONGCHI_BH" as insured_total_vnd,
        "T_BNTT" as patient_paid_vnd,
        "T_BNCCT" as patient_copaid_vnd,
        "T_BHTT" as insurance_paid_vnd,
        "T_NGUONKHAC" as other_paid_vnd
    from dated
    offset 0
),

{{ changed_rows('typed') }}
