-- The batches that the score looks at: those that brought rows within 30 days before the newest one accepted.
-- Grain: one row per batch (batch_id).
{{ config(materialized='ephemeral') }}

with

looked_on as (
    select max(accepted_at) as newest_at
    from {{ source('control', 'batch') }}
    where status = 'accepted'
)

select
    batch.batch_id,
    batch.sector,
    batch.dataset
from {{ source('control', 'batch') }} as batch
cross join looked_on
where
    batch.status in ('accepted', 'rejected')
    and batch.capture <> 'retry'
    and coalesce(batch.accepted_at, batch.started_at) > looked_on.newest_at - {{ quality_window() }}
