-- Pupils as the schools report them; a record may be sent again under another record id.
-- Grain: one row per source key (id). Source: education.hocsinh.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['student_key']},
        {'columns': ['enrolment_key']},
        {'columns': ['class_code']},
    ],
) }}

with

versions as ({{ newest_versions('education', 'hocsinh', ['id']) }}
),

typed as (
    select
        {{ staging_columns(['id'], 'daxoa') }},
        id as student_record_id,
        {{ clean_code('mahocsinh') }} as student_code,
        {{ clean_code('matruong') }} as school_code,
        {{ clean_code('malop') }} as class_code,
        {{ clean_code('namhoc') }} as school_year,
        {{ key_of('student', ['mahocsinh']) }} as student_key,
        {{ key_of('enrolment', ['mahocsinh', 'matruong', 'namhoc']) }} as enrolment_key,
        {{ common_code('student_status', 'education', 'matrangthaihientai') }} as status_code,
        {{ common_code('leaving_reason', 'education', 'malydothoihoc') }} as leaving_reason_code,
        hongheo as is_poor_household,
        {{ common_code('policy_group', 'education', 'madienchinhsach') }} as policy_group_code,
        {{ common_code('disability', 'education', 'maloaikhuyettat') }} as disability_code,
        chieucao as height_cm,
        cannang as weight_kg,
        {{ common_code('boarding', 'education', 'mahocbantru') }} as boarding_code,
        {{ clean_code('sodinhdanh') }} as personal_id,
        {{ clean_words('hovaten') }} as full_name,
        {{ common_code('sex', 'education', 'gioitinh') }} as sex,
        ngaythangnamsinh as birth_date,
        coalesce(extract(year from ngaythangnamsinh)::integer, {{ partial_year("thangnamsinh || '00'") }}, namsinh) as birth_year,
        case
            when ngaythangnamsinh is not null then 'day'
            when thangnamsinh is not null then {{ partial_precision("thangnamsinh || '00'") }}
            when namsinh is not null then 'year'
        end as birth_precision,
        {{ common_code('ethnicity', 'education', 'dantoc') }} as ethnicity_code,
        {{ common_code('nationality', 'education', 'quoctich') }} as nationality_code,
        {{ clean_code('noisinh_maxa') }} as birth_commune_code,
        {{ clean_code('noisinh_mahuyen') }} as birth_district_code,
        {{ clean_code('noisinh_matinh') }} as birth_province_code,
        {{ clean_code('noiohientai_maxa') }} as residence_commune_code,
        {{ clean_code('noiohientai_mahuyen') }} as residence_district_code,
        {{ clean_code('noiohientai_matinh') }} as residence_province_code,
        {{ clean_words('noiohientai_diachi') }} as residence_address,
        ngayvaotruong as entered_on
    from versions
    offset 0
),

{{ changed_rows('typed') }}
