-- What the agencies are called whose codes rows name, as each sector's own list says; of several entries the last name in order.
-- Grain: one row per sector and agency (sector, agency_code).
{{ config(materialized='ephemeral') }}

with

listed as (
    {%- for sector, list, code, name in [
        ('education', ref('stg_education__truong'), 'school_code', 'school_name'),
        ('health', ref('stg_health__co_so_kcb'), 'facility_code', 'facility_name'),
        ('investment', ref('stg_investment__chu_dau_tu'), 'investor_code', 'investor_name'),
        ('civil_registry', ref('stg_civil_registry__noi_dang_ky'), 'unit_code', 'office_name'),
    ] %}
    {% if not loop.first %}union all{% endif %}
    select
        '{{ sector }}' as sector,
        {{ code }} as agency_code,
        {{ name }} as agency_name
    from {{ list }}
    where {{ stands() }}
    {%- endfor %}
)

select
    sector,
    agency_code,
    max(agency_name collate "C") as agency_name  -- noqa: RF03
from listed
where agency_code is not null
group by sector, agency_code
