-- Where projects are built.
-- Grain: one row per project and commune (project_commune_key), by the commune lists of the day the project was approved.

with

locations as (
    select distinct
        project.project_code,
        project.approved_on,
        project.district_code,
        project.province_code,
        {{ clean_code('site.commune_code') }} as commune_code
    from {{ ref('stg_investment__du_an') }} as project
    cross join lateral unnest(project.commune_codes) as site (commune_code)
    where {{ stands('project') }}
),

placed as ({{ resolve_commune('locations', 'commune_code', 'district_code', 'province_code', 'approved_on') }}
)

select
    {{ key_of('project_commune', ['project_code', 'commune_code']) }} as project_commune_key,
    {{ key_of('project', ['project_code']) }} as project_key,
    commune_unit_key,
    commune_resolution
from placed
where commune_code is not null
