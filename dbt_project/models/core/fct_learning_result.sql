-- Learning results of pupils, by term. The commune is that of the school: dim_school.
-- Grain: one row per pupil, school year and term (learning_result_key), as the school sent it last.
{{ config(follows_changes=true) }}

with

{{ affected_keys(
    'learning_result_key',
    ref('stg_education__ketquahoctap'),
    lookups=[
        (ref('int_student__citizen'), 'student_key', 'student_key'),
        (ref('stg_education__lop'), 'class_code', 'class_code'),
    ],
) }}

results as (
    select sent.*
    from {{ ref('stg_education__ketquahoctap') }} as sent
    where
        {{ stands('sent') }}
        and sent.learning_result_key is not null
        and {{ not_superseded(ref('stg_education__ketquahoctap'), 'sent', 'learning_result_key', 'result_record_id') }}
        {{ only_affected('sent.learning_result_key') }}
),

students as (
    select * from {{ ref('int_student__citizen') }}
    where not _removed
),

classes as (
    select * from {{ ref('stg_education__lop') }}
    where {{ stands() }}
),

published as (
    select
        results.learning_result_key,
        results.student_key,
        students.citizen_key,
        {{ key_of('school', ['classes.school_code']) }} as school_key,
        results.school_year,
        results.term_code as term,
        results.term_ended_on as event_date,
        classes.grade_code as grade,
        results.average_score,
        results.rating_code as rating,
        results.is_promoted,
        results.days_absent,
        results._key as _source_key
    from results
    left join students on results.student_key = students.student_key
    left join classes on results.class_code = classes.class_code
    offset 0
)
{{- living_rows('published', 'learning_result_key') }}
