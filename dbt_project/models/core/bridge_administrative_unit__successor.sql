-- Which unit took the place of which on 1 July 2025. A unit that was divided has several successors; one is the default.
-- Grain: one row per old and new unit (old_unit_key, new_unit_key).
select
    old_unit_key,
    new_unit_key,
    effective_date,
    is_split,
    is_default,
    target_count as successor_count,
    source_count as predecessor_count
from {{ ref('administrative_unit_mapping') }}
