-- Visits paid for by health insurance that began after the patient's registered death. Where only the month or the year of
-- death is known, its last possible day counts.
-- Grain: one row per visit (visit_key).
with

deaths as (
    select
        citizen_key,
        max(died_by) as died_by
    from {{ ref('fct_death') }}
    where citizen_key is not null
    group by citizen_key
),

visits as (
    select * from {{ ref('fct_health_visit') }}
    where citizen_key is not null
)

select
    visits.visit_key,
    visits.citizen_key,
    visits.facility_key,
    visits.event_date,
    visits.event_date - deaths.died_by as days_after_death,
    visits.commune_unit_key,
    visits.insurance_paid_vnd
from visits
inner join deaths on visits.citizen_key = deaths.citizen_key
where visits.event_date > deaths.died_by
