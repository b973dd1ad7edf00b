-- Schools, the whole list (reference, read whole).
-- Grain: one row per source key (matruong). Source: education.truong.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('education', 'truong', ['matruong']) }}
),

typed as (
    select
        {{ staging_columns(['matruong']) }},
        {{ clean_code('matruong') }} as school_code,
        {{ clean_code('maddtc') }} as organization_code,
        {{ clean_text('tentruong') }} as school_name,
        {{ common_code('education_level', 'education', 'manhomcaphoc') }} as education_level_code,
        {{ common_code('school_ownership', 'education', 'maloaihinhtruong') }} as ownership_code,
        {{ common_code('school_area', 'education', 'makhuvuc') }} as area_code,
        {{ clean_code('diachi_maxa') }} as commune_code,
        {{ clean_code('diachi_mahuyen') }} as district_code,
        {{ clean_code('diachi_matinh') }} as province_code,
        datchuanquocgia as meets_national_standard,
        datkiemdinhcapdo as accreditation_level,
        nam_thanhlap as founded_year,
        cackhoi as grades_taught
    from versions
    offset 0
),

{{ changed_rows('typed') }}
