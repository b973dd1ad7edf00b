-- Schools.
-- Grain: one row per school (school_key).

with

schools as (
    select
        school.*,
        {{ current_lists() }} as listed_on
    from {{ ref('stg_education__truong') }} as school
    where {{ stands('school') }}
),

placed as ({{ resolve_commune('schools', 'commune_code', 'district_code', 'province_code', 'listed_on') }}
)

select
    {{ key_of('school', ['school_code']) }} as school_key,
    school_code,
    school_name,
    education_level_code as education_level,
    ownership_code as ownership,
    area_code as area,
    commune_unit_key,
    commune_resolution,
    meets_national_standard,
    accreditation_level,
    founded_year
from placed
