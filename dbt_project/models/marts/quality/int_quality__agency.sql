-- What the agencies are called whose codes rows name, as each sector's own list says; of several entries the last name in order.
-- Grain: one row per sector and agency (sector, agency_code).
{{ config(materialized='ephemeral') }}

with

listed as (
    select
        'education' as sector,
        school_code as agency_code,
        school_name as agency_name
    from {{ ref('stg_education__truong') }}
    where {{ stands() }}
    union all
    select
        'health' as sector,
        facility_code as agency_code,
        facility_name as agency_name
    from {{ ref('stg_health__co_so_kcb') }}
    where {{ stands() }}
    union all
    select
        'investment' as sector,
        investor_code as agency_code,
        investor_name as agency_name
    from {{ ref('stg_investment__chu_dau_tu') }}
    where {{ stands() }}
    union all
    select
        'civil_registry' as sector,
        unit_code as agency_code,
        office_name as agency_name
    from {{ ref('stg_civil_registry__noi_dang_ky') }}
    where {{ stands() }}
)

select
    sector,
    agency_code,
    max(agency_name collate "C") as agency_name  -- noqa: RF03
from listed
where agency_code is not null
group by sector, agency_code
