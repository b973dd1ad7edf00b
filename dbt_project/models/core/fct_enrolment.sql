-- Pupils in schools, by school year.
-- Grain: one row per pupil, school and school year (enrolment_key), as the school sent it last.
{{ config(follows_changes=true) }}

with

{{ affected_keys(
    'enrolment_key',
    ref('stg_education__hocsinh'),
    dataset=['education', 'hocsinh'],
    role=['self'],
    lookups=[(ref('stg_education__lop'), 'class_code', 'class_code')],
) }}

records as (
    select
        sent.*,
        {{ school_year_date('sent.school_year', 'sent.entered_on') }} as event_date
    from {{ ref('stg_education__hocsinh') }} as sent
    where
        {{ stands('sent') }}
        and sent.enrolment_key is not null
        and {{ not_superseded(ref('stg_education__hocsinh'), 'sent', 'enrolment_key', 'student_record_id') }}
        {{ only_affected('sent.enrolment_key') }}
),

placed as ({{ resolve_commune('records', 'residence_commune_code', 'residence_district_code', 'residence_province_code', 'event_date') }}
),

classes as (
    select * from {{ ref('stg_education__lop') }}
    where {{ stands() }}
),

published as (
    select
        placed.enrolment_key,
        placed.student_key,
        pupil.citizen_key,
        {{ key_of('school', ['placed.school_code']) }} as school_key,
        placed.school_year,
        placed.entered_on,
        placed.event_date,
        placed.commune_unit_key,
        placed.commune_resolution,
        classes.grade_code as grade,
        placed.status_code as enrolment_status,
        placed.leaving_reason_code as leaving_reason,
        placed.sex,
        placed.birth_year,
        placed.is_poor_household,
        placed.boarding_code as boarding,
        placed._key as _source_key
    from placed
    left join classes on placed.class_code = classes.class_code
    {{ join_citizen('pupil', ['education', 'hocsinh'], 'placed._key', 'self') }}
    offset 0
)
{{- living_rows('published', 'enrolment_key') }}
