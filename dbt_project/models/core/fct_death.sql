-- Deaths, as civil registration knows them.
-- Grain: one row per entry in the register of deaths (death_key), as the registry sent it last.
-- `died_by` is the last day on which the death can have happened; it serves other models and no reader sees it.
{{ config(follows_changes=true) }}

with

{{ affected_keys('death_key', ref('stg_civil_registry__khai_tu'), dataset=['civil_registry', 'khai_tu'], role=['self']) }}

entries as (
    select
        sent.*,
        sent.registered_on as event_date
    from {{ ref('stg_civil_registry__khai_tu') }} as sent
    where
        {{ stands('sent') }}
        and sent.death_key is not null
        and {{ not_superseded(ref('stg_civil_registry__khai_tu'), 'sent', 'death_key', 'death_record_id') }}
        {{ only_affected('sent.death_key') }}
),

placed as ({{ resolve_commune('entries', 'registration_commune_code', 'registration_district_code', none, 'event_date') }}
),

published as (
    select
        placed.death_key,
        deceased.citizen_key,
        placed.event_date,
        date_trunc('month', placed.death_date)::date as death_month,
        placed.death_year,
        placed.death_precision,
        placed.commune_unit_key,
        placed.commune_resolution,
        placed.registration_code as registration_type,
        placed.sex,
        placed.death_year - placed.birth_year as age_years,
        placed.death_paper_code is not null as has_death_paper,
        case placed.death_precision
            when 'day' then placed.death_date
            else least(placed.event_date, make_date(placed.death_year, 12, 31))
        end as died_by,
        placed._key as _source_key
    from placed
    {{ join_citizen('deceased', ['civil_registry', 'khai_tu'], 'placed._key', 'self') }}
    offset 0
)
{{- living_rows('published', 'death_key') }}
