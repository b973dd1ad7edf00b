-- Capital assigned to public investment projects.
-- Grain: one row per project, source of funding, budget year and kind of plan (capital_plan_key), as sent last.
{{ config(follows_changes=true) }}

with

{{ affected_keys('capital_plan_key', ref('stg_investment__ke_hoach_von')) }}

published as (
    select
        sent.capital_plan_key,
        {{ key_of('project', ['sent.project_code']) }} as project_key,
        sent.funding_source_code as funding_source,
        sent.budget_year,
        sent.plan_kind_code as plan_kind,
        sent.assigned_on as event_date,
        sent.planned_vnd_million,
        sent._key as _source_key
    from {{ ref('stg_investment__ke_hoach_von') }} as sent
    where
        {{ stands('sent') }}
        and sent.capital_plan_key is not null
        and {{ not_superseded(ref('stg_investment__ke_hoach_von'), 'sent', 'capital_plan_key', 'plan_record_id') }}
        {{ only_affected('sent.capital_plan_key') }}
    offset 0
)
{{- living_rows('published', 'capital_plan_key') }}
