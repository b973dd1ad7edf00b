-- Capital disbursed for public investment projects, by month of the budget year; month 13 is the January after it, when
-- the budget year closes.
-- Grain: one row per project, source of funding, budget year and month (disbursement_key), as sent last.
{{ config(follows_changes=true) }}

with

{{ affected_keys('disbursement_key', ref('stg_investment__giai_ngan')) }}

published as (
    select
        sent.disbursement_key,
        {{ key_of('project', ['sent.project_code']) }} as project_key,
        sent.funding_source_code as funding_source,
        sent.budget_year,
        sent.budget_month,
        sent.reported_on as event_date,
        sent.status_code as disbursement_status,
        (sent.month_vnd / 1000000)::numeric(18, 6) as month_vnd_million,
        (sent.year_to_date_vnd / 1000000)::numeric(18, 6) as reported_year_to_date_vnd_million,
        sent._key as _source_key
    from {{ ref('stg_investment__giai_ngan') }} as sent
    where
        {{ stands('sent') }}
        and sent.disbursement_key is not null
        and {{ not_superseded(ref('stg_investment__giai_ngan'), 'sent', 'disbursement_key', 'disbursement_record_id') }}
        {{ only_affected('sent.disbursement_key') }}
    offset 0
)
{{- living_rows('published', 'disbursement_key') }}
