-- What facilities did and what it cost, by month of admission.
-- Grain: one row per facility, month and type of visit (visits_by_facility_month_key).
with

visits as (
    select
        visit.*,
        date_trunc('month', visit.event_date)::date as month_start
    from {{ ref('fct_health_visit') }} as visit
)

select
    {{ key_of('visits_by_facility_month', ['facility_key', "coalesce(month_start::text, '')", "coalesce(visit_type, '')"]) }} as visits_by_facility_month_key,
    facility_key,
    month_start,
    visit_type,
    count(*) as visits,
    count(distinct citizen_key) as patients,
    sum(treatment_days) as treatment_days,
    count(*) filter (where outcome = 'died') as deaths,
    sum(hospital_total_vnd) as hospital_total_vnd,
    sum(insurance_paid_vnd) as insurance_paid_vnd,
    sum(patient_copaid_vnd + patient_paid_vnd) as patient_vnd
from visits
group by facility_key, month_start, visit_type
