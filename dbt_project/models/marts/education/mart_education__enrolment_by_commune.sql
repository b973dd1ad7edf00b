-- How many pupils are taught where: by school year, the school's commune, level and ownership.
-- Grain: one row per school year, commune, education level and ownership (enrolment_by_commune_key).
with

enrolments as (
    select * from {{ ref('fct_enrolment') }}
    where enrolment_status in ('enrolled', 'transferred_in')
),

schools as (
    select * from {{ ref('dim_school') }}
)

select
    {{ key_of('enrolment_by_commune', [
        'enrolments.school_year', "coalesce(schools.commune_unit_key, '')", "coalesce(schools.education_level, '')",
        "coalesce(schools.ownership, '')",
    ]) }} as enrolment_by_commune_key,
    enrolments.school_year,
    schools.commune_unit_key,
    schools.education_level,
    schools.ownership,
    count(distinct enrolments.school_key) as schools,
    count(*) as pupils,
    count(*) filter (where enrolments.sex = 'female') as girls,
    count(*) filter (where enrolments.is_poor_household) as poor_household_pupils
from enrolments
left join schools on enrolments.school_key = schools.school_key
group by enrolments.school_year, schools.commune_unit_key, schools.education_level, schools.ownership
