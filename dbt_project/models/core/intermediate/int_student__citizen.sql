-- Who a student code is: the person whom the student's newest record mentions.
-- Grain: one row per student (student_key).
{{ config(
    materialized='incremental',
    unique_key='student_key',
    indexes=[
        {'columns': ['student_key'], 'unique': true},
        {'columns': ['_source_key']},
        {'columns': ['_release_id']},
    ],
) }}

with

{{ affected_keys('student_key', ref('stg_education__hocsinh'), dataset=['education', 'hocsinh'], role=['self']) }}

records as (
    select distinct on (student.student_key)
        student.student_key,
        student._key
    from {{ ref('stg_education__hocsinh') }} as student
    where
        {{ stands('student') }}
        and student.student_key is not null
        {{ only_affected('student.student_key') }}
    order by student.student_key asc, student.school_year desc, student.entered_on desc, student.student_record_id desc
),

students as (
    select
        records.student_key,
        person.citizen_key,
        records._key as _source_key
    from records
    {{ join_citizen('person', ['education', 'hocsinh'], 'records._key', 'self') }}
    offset 0
),

{{ living_and_removed('students', 'student_key') }}
