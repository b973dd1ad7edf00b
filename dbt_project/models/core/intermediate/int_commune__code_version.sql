-- Which commune a code names, and when: the communes of all times, and the island districts that had none.
-- Grain: one row per version of a unit (unit_key); unit_code and a date find at most one.
{{ config(indexes=[{'columns': ['unit_key'], 'unique': true}, {'columns': ['unit_code']}]) }}

with

units as (
    select * from {{ ref('administrative_unit') }}
),

default_successors as (
    select * from {{ ref('administrative_unit_mapping') }}
    where is_default and new_level = 'commune'
)

select
    units.unit_key,
    units.unit_code,
    units.province_code,
    case when units.valid_from_is_known then units.valid_from else '-infinity'::date end as valid_from,
    coalesce(units.valid_to, 'infinity'::date) as valid_to,
    default_successors.new_code as successor_code,
    coalesce(default_successors.is_split, false) as is_split
from units
left join default_successors on units.unit_key = default_successors.old_unit_key
where units.level = 'commune' or default_successors.old_unit_key is not null
