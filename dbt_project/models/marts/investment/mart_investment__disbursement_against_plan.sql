-- How much of the year's capital was disbursed, project by project and source by source. Over 100 % is shown, not cut off;
-- money spent without a plan has no percentage.
-- Grain: one row per project, source of funding and budget year (disbursement_against_plan_key).
with

plans as (
    select
        project_key,
        funding_source,
        budget_year,
        sum(planned_vnd_million) as planned_vnd_million
    from {{ ref('fct_capital_plan') }}
    -- The medium-term plan frames several years; what a year may spend is what that year was assigned.
    where plan_kind <> 'medium_term'
    group by project_key, funding_source, budget_year
),

disbursements as (
    select
        project_key,
        funding_source,
        budget_year,
        sum(month_vnd_million) as disbursed_vnd_million,
        max(budget_month) as last_month
    from {{ ref('fct_disbursement') }}
    group by project_key, funding_source, budget_year
),

both_sides as (
    select
        coalesce(plans.project_key, disbursements.project_key) as project_key,
        coalesce(plans.funding_source, disbursements.funding_source) as funding_source,
        coalesce(plans.budget_year, disbursements.budget_year) as budget_year,
        plans.planned_vnd_million,
        disbursements.disbursed_vnd_million,
        disbursements.last_month
    from plans
    full join disbursements
        on
            plans.project_key = disbursements.project_key
            and plans.funding_source = disbursements.funding_source
            and plans.budget_year = disbursements.budget_year
)

select
    {{ key_of('disbursement_against_plan', ['project_key', 'funding_source', 'budget_year::text']) }} as disbursement_against_plan_key,
    project_key,
    funding_source,
    budget_year,
    make_date(budget_year + 1, 1, 31) as closes_on,
    last_month,
    coalesce(planned_vnd_million, 0)::numeric(18, 6) as planned_vnd_million,
    coalesce(disbursed_vnd_million, 0)::numeric(18, 6) as disbursed_vnd_million,
    round(100 * coalesce(disbursed_vnd_million, 0) / nullif(planned_vnd_million, 0), 2)::numeric(12, 2) as disbursed_percent
from both_sides
