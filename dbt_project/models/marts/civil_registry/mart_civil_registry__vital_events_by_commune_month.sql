-- Births, marriages and deaths registered, by month of registration and the commune that stands there today.
-- Grain: one row per commune and month (vital_events_key).
with

events as (
    select
        event_date,
        commune_unit_key,
        'birth' as event_kind,
        coalesce(is_late, false) as is_late
    from {{ ref('fct_birth') }}
    union all
    select
        event_date,
        commune_unit_key,
        'marriage' as event_kind,
        false as is_late
    from {{ ref('fct_marriage') }}
    union all
    select
        event_date,
        commune_unit_key,
        'death' as event_kind,
        false as is_late
    from {{ ref('fct_death') }}
),

units as (
    select * from {{ ref('dim_administrative_unit') }}
)

select
    {{ key_of('vital_events', ["coalesce(units.current_unit_key, '')", "date_trunc('month', events.event_date)::date::text"]) }} as vital_events_key,
    units.current_unit_key as commune_unit_key,
    date_trunc('month', events.event_date)::date as month_start,
    count(*) filter (where events.event_kind = 'birth') as births,
    count(*) filter (where events.event_kind = 'birth' and events.is_late) as late_births,
    count(*) filter (where events.event_kind = 'marriage') as marriages,
    count(*) filter (where events.event_kind = 'death') as deaths
from events
left join units on events.commune_unit_key = units.unit_key
group by units.current_unit_key, date_trunc('month', events.event_date)::date
