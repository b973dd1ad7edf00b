-- Classes of each school year.
-- Grain: one row per source key (malop). Source: education.lop.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['class_code']},
    ],
) }}

with

versions as ({{ newest_versions('education', 'lop', ['malop']) }}
),

typed as (
    select
        {{ staging_columns(['malop'], 'daxoa') }},
        {{ clean_code('malop') }} as class_code,
        {{ clean_code('matruong') }} as school_code,
        {{ clean_code('namhoc') }} as school_year,
        {{ common_code('grade', 'education', 'makhoi') }} as grade_code,
        {{ clean_text('tenlop') }} as class_name,
        {{ clean_code('magiaoviencn') }} as homeroom_teacher_code,
        lopghep as is_multigrade,
        lopbantru as is_semi_boarding
    from versions
    offset 0
),

{{ changed_rows('typed') }}
