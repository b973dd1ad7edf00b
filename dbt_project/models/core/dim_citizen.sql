-- People without anything that tells who they are.
-- Grain: one row per citizen_key.
{{ config(follows_changes=true) }}

with

{% if is_incremental() -%}
affected as (
    select citizen_key
    from {{ ref('citizen') }}
    where _release_id > {{ high_water() }}
),

{% endif -%}
people as (
    select * from {{ ref('citizen') }}
    where not _removed {{ only_affected('citizen_key') }}
),

placed as ({{ resolve_commune('people', 'residence_commune_code', 'residence_district_code', 'residence_province_code', 'residence_on') }}
),

published as (
    select
        citizen_key,
        sex,
        birth_year,
        commune_unit_key as residence_commune_unit_key,
        commune_resolution as residence_resolution,
        citizen_id is not null as is_identified,
        has_birth_record,
        has_death_record
    from placed
    offset 0
)
{{- living_rows('published', 'citizen_key') }}
