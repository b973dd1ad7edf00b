-- The golden record of each person: what the most trusted of the mentions says, attribute by attribute.
-- Grain: one row per citizen_key. Ties go by trust_rank, then mention_id in byte order: nothing depends on what came first.
{{ config(
    unique_key='citizen_key',
    indexes=[
        {'columns': ['citizen_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

{%- set by_trust = 'order by mention.trust_rank, mention.mention_id collate "C"' %}

with

{% if is_incremental() -%}
affected as (
    select citizen_key
    from {{ ref('citizen_link') }}
    where _release_id > {{ high_water() }}
    union
    select link.citizen_key
    from {{ ref('person_mention') }} as mention
    inner join {{ ref('citizen_link') }} as link on mention.mention_id = link.mention_id
    where mention._release_id > {{ high_water() }}
),

{% endif -%}
mentions as (
    select
        link.citizen_key,
        mention.*
    from {{ ref('citizen_link') }} as link
    inner join {{ ref('person_mention') }} as mention on link.mention_id = mention.mention_id
    where not link._removed and not mention._removed {{ only_affected('link.citizen_key') }}
),

golden as (
    select
        mention.citizen_key,
        max(mention.citizen_id) filter (where mention.id_is_valid) as citizen_id,
        (array_agg(mention.full_name {{ by_trust }}) filter (where mention.full_name is not null))[1] as full_name,
        (array_agg(mention.sex {{ by_trust }}) filter (where mention.sex <> 'unknown'))[1] as sex,
        (array_agg(mention.birth_date {{ by_trust }}) filter (where mention.birth_date is not null))[1] as birth_date,
        (array_agg(mention.birth_year {{ by_trust }}) filter (where mention.birth_year is not null))[1] as birth_year,
        -- (RF03 takes a collation for a column.) The latest residence that a record codes: date, then trust, then the codes themselves, compared as one text.
        max(
            concat_ws(
                '|',
                to_char(mention.residence_on, 'YYYYMMDD'),
                99 - mention.trust_rank,
                mention.residence_commune_code,
                coalesce(mention.residence_district_code, ''),
                coalesce(mention.residence_province_code, '')
            ) collate "C"  -- noqa: RF03
        ) filter (where mention.residence_commune_code is not null and mention.residence_on is not null) as residence,
        bool_or(mention.dataset = 'khai_sinh' and mention.role = 'self') as has_birth_record,
        bool_or(mention.dataset = 'khai_tu') as has_death_record,
        count(*) as mentions
    from mentions as mention
    group by mention.citizen_key
    offset 0
),

people as (
    select
        citizen_key,
        citizen_id,
        full_name,
        -- Where no mention says, a trusted number does.
        coalesce(sex, case when citizen_id is not null then {{ citizen_id_sex('citizen_id') }} end, 'unknown') as sex,
        birth_date,
        coalesce(birth_year, case when citizen_id is not null then {{ citizen_id_birth_year('citizen_id') }} end) as birth_year,
        nullif(split_part(residence, '|', 3), '') as residence_commune_code,
        nullif(split_part(residence, '|', 4), '') as residence_district_code,
        nullif(split_part(residence, '|', 5), '') as residence_province_code,
        nullif(split_part(residence, '|', 1), '')::date as residence_on,
        has_birth_record,
        has_death_record,
        mentions
    from golden
    offset 0
),

{{ living_and_removed('people', 'citizen_key') }}
