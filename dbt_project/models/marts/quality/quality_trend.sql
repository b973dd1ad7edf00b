-- How the quality of what was sent went, batch by batch: the newest 100 batches of each dataset that were checked.
-- Grain: one row per batch (batch_id).
with

numbered as (
    select
        batch.batch_id,
        batch.sector,
        batch.dataset,
        batch.status,
        coalesce(batch.accepted_at, batch.started_at) as finished_at,
        batch.rows_extracted,
        batch.rows_quarantined,
        row_number() over (partition by batch.sector, batch.dataset order by batch.batch_id desc) as place
    from {{ source('control', 'batch') }} as batch
    where
        batch.status in ('accepted', 'rejected')
        and batch.capture <> 'retry'
        and batch.rows_extracted > coalesce(batch.rows_unchanged, 0)
),

of_dimension as (
    select
        numbered.batch_id,
        result.dimension,
        sum(severity_weight.weight * 100 * (1 - result.failed::numeric / result.checked)) / sum(severity_weight.weight) as score
    from numbered
    inner join {{ source('control', 'expectation_result') }} as result on numbered.batch_id = result.batch_id
    inner join {{ ref('quality_weight') }} as severity_weight
        on severity_weight.kind = 'severity' and result.severity = severity_weight.name
    where numbered.place <= 100 and result.raised is null and result.checked > 0
    group by numbered.batch_id, result.dimension
),

of_batch as (
    select
        of_dimension.batch_id,
        {%- for dimension in quality_dimensions() %}
        max(of_dimension.score) filter (where of_dimension.dimension = '{{ dimension }}') as {{ dimension }},
        {%- endfor %}
        sum(weight.weight * of_dimension.score) / sum(weight.weight) as quality_index
    from of_dimension
    inner join {{ ref('quality_weight') }} as weight
        on weight.kind = 'dimension' and of_dimension.dimension = weight.name
    group by of_dimension.batch_id
)

select
    numbered.batch_id,
    numbered.sector,
    numbered.dataset,
    numbered.status,
    numbered.finished_at,
    numbered.rows_extracted,
    numbered.rows_quarantined,
    {%- for dimension in quality_dimensions() %}
    trunc(of_batch.{{ dimension }}, 2)::numeric(5, 2) as {{ dimension }},
    {%- endfor %}
    trunc(of_batch.quality_index, 2)::numeric(5, 2) as quality_index
from numbered
left join of_batch on numbered.batch_id = of_batch.batch_id
where numbered.place <= 100
