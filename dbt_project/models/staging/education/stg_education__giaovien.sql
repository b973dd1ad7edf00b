-- Teachers and school managers.
-- Grain: one row per source key (magiaovien). Source: education.giaovien.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('education', 'giaovien', ['magiaovien']) }}
),

typed as (
    select
        {{ staging_columns(['magiaovien'], 'daxoa') }},
        {{ clean_code('magiaovien') }} as teacher_code,
        {{ clean_code('matruong') }} as school_code,
        {{ clean_code('masobhxh') }} as social_insurance_number,
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
        cacmonday as subjects_taught,
        {{ common_code('qualification', 'education', 'matrinhdo') }} as qualification_code,
        {{ common_code('teacher_status', 'education', 'matrangthai') }} as status_code,
        ngayvaonganh as joined_sector_on,
        {{ clean_code('noiohientai_maxa') }} as residence_commune_code,
        {{ clean_code('noiohientai_mahuyen') }} as residence_district_code,
        {{ clean_code('noiohientai_matinh') }} as residence_province_code
    from versions
    offset 0
),

{{ changed_rows('typed') }}
