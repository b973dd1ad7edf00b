-- Health facilities.
-- Grain: one row per facility (facility_key).

with

facilities as (
    select
        facility.*,
        {{ current_lists() }} as listed_on
    from {{ ref('stg_health__co_so_kcb') }} as facility
    where {{ stands('facility') }}
),

placed as ({{ resolve_commune('facilities', 'commune_code', 'district_code', 'province_code', 'listed_on') }}
)

select
    {{ key_of('facility', ['facility_code']) }} as facility_key,
    facility_code,
    facility_name,
    hospital_class_code as hospital_class,
    former_tier_code as former_tier,
    ownership_code as ownership,
    commune_unit_key,
    commune_resolution,
    planned_beds,
    is_active
from placed
