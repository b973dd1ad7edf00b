-- Marriages, as civil registration knows them.
-- Grain: one row per entry in the register of marriages (marriage_key), as the registry sent it last.
{{ config(follows_changes=true) }}

with

{{ affected_keys('marriage_key', ref('stg_civil_registry__ket_hon'), dataset=['civil_registry', 'ket_hon'], role=['husband', 'wife']) }}

entries as (
    select
        sent.*,
        sent.registered_on as event_date
    from {{ ref('stg_civil_registry__ket_hon') }} as sent
    where
        {{ stands('sent') }}
        and sent.marriage_key is not null
        and {{ not_superseded(ref('stg_civil_registry__ket_hon'), 'sent', 'marriage_key', 'marriage_record_id') }}
        {{ only_affected('sent.marriage_key') }}
),

placed as ({{ resolve_commune('entries', 'registration_commune_code', 'registration_district_code', none, 'event_date') }}
),

published as (
    select
        placed.marriage_key,
        husband.citizen_key as husband_citizen_key,
        wife.citizen_key as wife_citizen_key,
        placed.event_date,
        placed.commune_unit_key,
        placed.commune_resolution,
        placed.registration_code as registration_type,
        placed.status_code as marriage_status,
        extract(year from placed.event_date)::integer - placed.husband_birth_year as husband_age_years,
        extract(year from placed.event_date)::integer - placed.wife_birth_year as wife_age_years,
        placed._key as _source_key
    from placed
    {{ join_citizen('husband', ['civil_registry', 'ket_hon'], 'placed._key', 'husband') }}
    {{ join_citizen('wife', ['civil_registry', 'ket_hon'], 'placed._key', 'wife') }}
    offset 0
)
{{- living_rows('published', 'marriage_key') }}
