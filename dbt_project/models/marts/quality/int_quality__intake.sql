-- Rows taken in, and rows in which cleaning changed a value, by releases of the last 30 days.
-- Grain: one row per staging model, release and agency.
{{ config(materialized='ephemeral') }}

select
    intake.model,
    intake.release_id,
    intake.agency,
    intake.rows,
    intake.repaired
from {{ source('intake', 'intake') }} as intake
inner join {{ source('control', 'release') }} as begun on intake.release_id = begun.release_id
where
    begun.started_at > (
        select building.started_at - {{ quality_window() }}
        from {{ source('control', 'release') }} as building
        where building.release_id = {{ building_release() }}
    )
