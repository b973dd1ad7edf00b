-- How good the data of the last 30 days are, from 0 to 100: the province, each sector, dataset and agency, in five dimensions
-- and one index (docs/score.md). Null is what nothing measured: it is not 100.
-- Grain: one row per scope, sector, dataset and agency (quality_score_key).
with

of_rules as (
    select
        sector,
        dataset,
        agency_code,
        dimension,
        sum(weight * score) / sum(weight) as score
    from {{ ref('int_quality__rule_score') }}
    group by sector, dataset, agency_code, dimension
),

rows_checked as (
    select
        sector,
        dataset,
        agency_code,
        max(checked) as rows_checked
    from {{ ref('int_quality__rule_score') }}
    group by sector, dataset, agency_code
),

-- Every dataset of the contracts has a row, checked or not.
dataset_scope as (
    select
        'dataset' as scope,
        promised.sector,
        promised.dataset,
        null::text as agency_code,
        of_rules.dimension,
        of_rules.score
    from {{ source('control', 'release_dataset') }} as promised
    left join of_rules
        on
            promised.sector = of_rules.sector
            and promised.dataset = of_rules.dataset
            and of_rules.agency_code is null
    where promised.release_id = {{ building_release() }}
),

agency_dataset_scope as (
    select
        'agency_dataset' as scope,
        sector,
        dataset,
        agency_code,
        dimension,
        score
    from of_rules
    where agency_code is not null
),

-- A dataset counts as one, however many rows it has: else the largest would speak for all.
sector_scope as (
    select
        'sector' as scope,
        sector,
        null::text as dataset,
        null::text as agency_code,
        dimension,
        avg(score) as score
    from dataset_scope
    group by sector, dimension
),

agency_scope as (
    select
        'agency' as scope,
        sector,
        null::text as dataset,
        agency_code,
        dimension,
        avg(score) as score
    from agency_dataset_scope
    group by sector, agency_code, dimension
),

province_scope as (
    select
        'province' as scope,
        null::text as sector,
        null::text as dataset,
        null::text as agency_code,
        dimension,
        avg(score) as score
    from sector_scope
    group by dimension
),

every_scope as (
    select * from province_scope
    union all
    select * from sector_scope
    union all
    select * from dataset_scope
    union all
    select * from agency_scope
    union all
    select * from agency_dataset_scope
),

in_dimensions as (
    select
        scored.scope,
        scored.sector,
        scored.dataset,
        scored.agency_code,
        {%- for dimension in quality_dimensions() %}
        max(scored.score) filter (where scored.dimension = '{{ dimension }}') as {{ dimension }},
        {%- endfor %}
        sum(weight.weight * scored.score) / sum(weight.weight) filter (where scored.score is not null) as quality_index
    from every_scope as scored
    left join {{ ref('quality_weight') }} as weight
        on weight.kind = 'dimension' and scored.dimension = weight.name
    group by scored.scope, scored.sector, scored.dataset, scored.agency_code
)

select
    {{ key_of('quality_score', ['scope', "coalesce(found.sector, '')", "coalesce(found.dataset, '')", "coalesce(found.agency_code, '')"]) }} as quality_score_key,
    found.scope,
    found.sector,
    found.dataset,
    found.agency_code,
    {%- for dimension in quality_dimensions() %}
    trunc(found.{{ dimension }}, 2)::numeric(5, 2) as {{ dimension }},
    {%- endfor %}
    trunc(found.quality_index, 2)::numeric(5, 2) as quality_index,
    rows_checked.rows_checked::bigint as rows_checked,
    agency.agency_name
from in_dimensions as found
left join {{ ref('int_quality__agency') }} as agency
    on found.sector = agency.sector and found.agency_code = agency.agency_code
left join rows_checked
    on
        found.scope in ('dataset', 'agency_dataset')
        and found.sector = rows_checked.sector
        and found.dataset = rows_checked.dataset
        and found.agency_code is not distinct from rows_checked.agency_code
