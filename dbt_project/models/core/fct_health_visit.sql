-- Visits to health facilities that health insurance was asked to cover.
-- Grain: one row per visit (visit_key). A visit that was sent again counts once, as sent last.
{{ config(follows_changes=true) }}

with

{{ affected_keys('visit_key', ref('stg_health__xml1'), dataset=['health', 'xml1'], role=['self']) }}

visits as (
    select
        sent.*,
        sent.admitted_at::date as event_date
    from {{ ref('stg_health__xml1') }} as sent
    where
        {{ stands('sent') }}
        and {{ not_superseded(ref('stg_health__xml1'), 'sent', 'visit_key', 'visit_record_id') }}
        {{ only_affected('sent.visit_key') }}
),

placed as ({{ resolve_commune('visits', 'residence_commune_code', 'residence_district_code', 'residence_province_code', 'event_date') }}
),

published as (
    select
        placed.visit_key,
        patient.citizen_key,
        {{ key_of('facility', ['placed.facility_code']) }} as facility_key,
        placed.event_date,
        placed.discharged_at::date as discharged_on,
        placed.commune_unit_key,
        placed.commune_resolution,
        placed.visit_type_code as visit_type,
        placed.admission_route_code as admission_route,
        placed.outcome_code as outcome,
        placed.discharge_code as discharge,
        placed.department_code as department,
        {{ icd10_chapter('placed.main_diagnosis_code') }} as icd10_chapter,
        extract(year from placed.event_date)::integer - placed.birth_year as age_years,
        placed.treatment_days,
        placed.insurance_card_numbers is not null as has_insurance_card,
        placed.hospital_total_vnd,
        placed.insured_total_vnd,
        placed.insurance_paid_vnd,
        placed.patient_copaid_vnd,
        placed.patient_paid_vnd,
        placed.other_paid_vnd,
        placed.medicine_vnd,
        placed.service_vnd,
        placed._key as _source_key
    from placed
    {{ join_citizen('patient', ['health', 'xml1'], 'placed._key', 'self') }}
    offset 0
)
{{- living_rows('published', 'visit_key') }}
