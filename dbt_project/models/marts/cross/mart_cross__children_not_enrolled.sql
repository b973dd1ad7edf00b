-- Children of school age (6 to 14 in the year the school year starts) whose birth is registered, whose death is not, and
-- whom no school has in the newest school year. Only children with a trusted number: without one nobody can tell.
-- Grain: one row per child (citizen_key).
with

newest as (
    select
        max(school_year) as school_year,
        left(max(school_year), 4)::integer as start_year
    from {{ ref('fct_enrolment') }}
),

enrolled as (
    select distinct enrolment.citizen_key
    from {{ ref('fct_enrolment') }} as enrolment
    inner join newest on enrolment.school_year = newest.school_year
    where enrolment.enrolment_status in ('enrolled', 'transferred_in')
),

births as (
    select distinct on (citizen_key)
        citizen_key,
        birth_year,
        commune_unit_key
    from {{ ref('fct_birth') }}
    where citizen_key is not null
    order by citizen_key asc, event_date desc, birth_key asc
),

children as (
    select * from {{ ref('dim_citizen') }}
    where is_identified and has_birth_record and not has_death_record
),

units as (
    select * from {{ ref('dim_administrative_unit') }}
)

select
    births.citizen_key,
    newest.school_year,
    births.birth_year,
    newest.start_year - births.birth_year as age_years,
    children.sex,
    units.current_unit_key as commune_unit_key
from births
inner join children on births.citizen_key = children.citizen_key
cross join newest
left join units on coalesce(children.residence_commune_unit_key, births.commune_unit_key) = units.unit_key
where
    newest.start_year - births.birth_year between 6 and 14
    and not exists (
        select 1
        from enrolled
        where enrolled.citizen_key = births.citizen_key
    )
