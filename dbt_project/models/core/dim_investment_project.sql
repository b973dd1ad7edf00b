-- Public investment projects.
-- Grain: one row per project (project_key). Where it is built: bridge_investment_project__commune.

with

projects as (
    select * from {{ ref('stg_investment__du_an') }} as project
    where {{ stands('project') }}
)

select
    {{ key_of('project', ['project_code']) }} as project_key,
    project_code,
    project_name,
    project_group_code as project_group,
    field_code as field,
    decision_level_code as decision_level,
    status_code as project_status,
    {{ key_of('agency', ["'investor'", 'investor_code', "''"]) }} as investor_agency_key,
    approved_on,
    started_on,
    due_on,
    cardinality(commune_codes) as commune_count,
    (total_investment_vnd / 1000000)::numeric(18, 6) as total_investment_vnd_million
from projects
