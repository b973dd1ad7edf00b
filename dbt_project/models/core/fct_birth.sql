-- Births, as civil registration knows them.
-- Grain: one row per entry in the register of births (birth_key), as the registry sent it last.
{{ config(follows_changes=true) }}

with

{{ affected_keys('birth_key', ref('stg_civil_registry__khai_sinh'), dataset=['civil_registry', 'khai_sinh'], role=['self', 'mother', 'father']) }}

entries as (
    select
        sent.*,
        sent.registered_on as event_date
    from {{ ref('stg_civil_registry__khai_sinh') }} as sent
    where
        {{ stands('sent') }}
        and sent.birth_key is not null
        and {{ not_superseded(ref('stg_civil_registry__khai_sinh'), 'sent', 'birth_key', 'birth_record_id') }}
        {{ only_affected('sent.birth_key') }}
),

placed as ({{ resolve_commune('entries', 'registration_commune_code', 'registration_district_code', none, 'event_date') }}
),

published as (
    select
        placed.birth_key,
        child.citizen_key,
        mother.citizen_key as mother_citizen_key,
        father.citizen_key as father_citizen_key,
        placed.event_date,
        date_trunc('month', placed.child_birth_date)::date as birth_month,
        placed.child_birth_year as birth_year,
        placed.child_birth_precision as birth_precision,
        placed.commune_unit_key,
        placed.commune_resolution,
        placed.registration_code as registration_type,
        placed.event_date - placed.child_birth_date > 60 as is_late,
        placed.child_sex as sex,
        case when placed.child_birth_year - placed.mother_birth_year between 10 and 70 then placed.child_birth_year - placed.mother_birth_year end as mother_age_years,
        placed.birth_paper_code is not null as has_birth_paper,
        placed._key as _source_key
    from placed
    {{ join_citizen('child', ['civil_registry', 'khai_sinh'], 'placed._key', 'self') }}
    {{ join_citizen('mother', ['civil_registry', 'khai_sinh'], 'placed._key', 'mother') }}
    {{ join_citizen('father', ['civil_registry', 'khai_sinh'], 'placed._key', 'father') }}
    offset 0
)
{{- living_rows('published', 'birth_key') }}
