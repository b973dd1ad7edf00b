-- What is held back, by dataset and agency, as it stood when the release was built; and the share that was closed.
-- Grain: one row per sector, dataset and agency (quality_quarantine_key).
with

counted as (
    select
        sector,
        dataset,
        agency as agency_code,
        {%- for state in ['open', 'returned', 'expired', 'waived', 'corrected'] %}
        (count(*) filter (where standing = '{{ state }}'))::integer as {{ state }},
        {%- endfor %}
        min(due_on) filter (where standing in ('open', 'returned', 'expired')) as first_due_on,
        count(*) as records
    from {{ source('quarantine_register', 'standing') }}
    group by sector, dataset, agency
)

select
    {{ key_of('quality_quarantine', ['sector', 'dataset', "coalesce(agency_code, '')"]) }} as quality_quarantine_key,
    sector,
    dataset,
    agency_code,
    open,
    returned,
    expired,
    waived,
    corrected,
    first_due_on,
    round(100.0 * corrected / records, 2)::numeric(5, 2) as closed_percent
from counted
