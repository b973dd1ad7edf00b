-- Learning results by term; a result may be sent again under another record id.
-- Grain: one row per source key (id). Source: education.ketquahoctap.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['learning_result_key']},
        {'columns': ['student_key']},
        {'columns': ['class_code']},
    ],
) }}

with

versions as ({{ newest_versions('education', 'ketquahoctap', ['id']) }}
),

typed as (
    select
        {{ staging_columns(['id'], 'daxoa') }},
        id as result_record_id,
        {{ clean_code('mahocsinh') }} as student_code,
        {{ clean_code('malop') }} as class_code,
        {{ clean_code('namhoc') }} as school_year,
        {{ common_code('term', 'education', 'hocky') }} as term_code,
        {{ key_of('student', ['mahocsinh']) }} as student_key,
        {{ key_of('learning_result', ['mahocsinh', 'namhoc', 'hocky']) }} as learning_result_key,
        diemtongket as average_score,
        {{ common_code('rating', 'education', 'xeploai') }} as rating_code,
        colenlop as is_promoted,
        songaynghi as days_absent,
        ngayketthuc as term_ended_on
    from versions
    offset 0
),

{{ changed_rows('typed') }}
