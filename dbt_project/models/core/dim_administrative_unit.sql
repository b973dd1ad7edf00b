-- Administrative units of the whole country over time: provinces, districts (until 30 June 2025), communes.
-- Grain: one row per version of a unit (unit_key). A code names a unit only together with a date.

with

units as (
    select * from {{ ref('administrative_unit') }}
),

default_successors as (
    select * from {{ ref('administrative_unit_mapping') }}
    where is_default
),

-- The version of each code that stands today. Codes were reused on 2025-07-01: only versions since then count, and those
-- that the reform left alone.
standing as (
    select * from units
    where valid_to is null
)

select
    units.unit_key,
    units.unit_code,
    units.level,
    units.unit_type,
    units.name_vi,
    units.full_name_vi,
    units.parent_code,
    units.province_code,
    units.valid_from,
    units.valid_to,
    units.valid_from_is_known,
    units.valid_to is null as is_current,
    standing.unit_key as current_unit_key,
    standing.full_name_vi as current_full_name_vi,
    coalesce(default_successors.is_split, false) as is_split
from units
left join default_successors on units.unit_key = default_successors.old_unit_key
-- A unit of before the reform goes on as its default successor; a later one, or one the reform left alone, as its own code.
left join standing
    on
        case
            when units.valid_to is null or units.valid_from >= date '2025-07-01' then units.unit_code
            else default_successors.new_code
        end = standing.unit_code
        and case
            when default_successors.new_level is not null and units.valid_to is not null and units.valid_from < date '2025-07-01'
                then default_successors.new_level
            else units.level
        end = standing.level
