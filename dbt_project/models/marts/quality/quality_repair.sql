-- How many values cleaning put right among the rows that releases of the last 30 days took in, by agency and column.
-- Grain: one row per sector, dataset, agency and column (quality_repair_key).
with

taken_in as (
    select
        model,
        agency,
        sum(rows) as rows_taken_in
    from {{ ref('int_quality__intake') }}
    group by model, agency
),

repaired as (
    select
        repair.model,
        repair.agency,
        repair.column_name,
        sum(repair.rows) as rows_repaired
    from {{ source('intake', 'repair') }} as repair
    inner join {{ ref('int_quality__intake') }} as intake
        on repair.model = intake.model and repair.release_id = intake.release_id and repair.agency = intake.agency
    group by repair.model, repair.agency, repair.column_name
)

select
    {{ key_of('quality_repair', ['repaired.model', 'repaired.agency', 'repaired.column_name']) }} as quality_repair_key,
    {{ sector_of_model('repaired.model') }} as sector,
    {{ dataset_of_model('repaired.model') }} as dataset,
    nullif(repaired.agency, '') as agency_code,
    repaired.column_name,
    taken_in.rows_taken_in::bigint as rows_taken_in,
    repaired.rows_repaired::bigint as rows_repaired,
    round(100 * repaired.rows_repaired / taken_in.rows_taken_in, 2)::numeric(5, 2) as repaired_percent
from repaired
inner join taken_in on repaired.model = taken_in.model and repaired.agency = taken_in.agency
