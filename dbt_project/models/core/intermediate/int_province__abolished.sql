-- Codes of provinces that ceased on 1 July 2025 and that no province has carried since: a record that names one after
-- that day was written by the old lists.
-- Grain: one row per code.
select unit_code
from {{ ref('administrative_unit') }}
where level = 'province'
group by unit_code
having max(coalesce(valid_to, 'infinity'::date)) <= date '2025-07-01'
