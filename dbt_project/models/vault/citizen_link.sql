-- Who a mention is: the citizen key of each mention, and the keys it had before (`_removed`), so that whatever was
-- derived from the former key is found and mended too.
-- Grain: one row per mention and key; at most one of a mention's rows is not removed.
{{ config(
    unique_key=['mention_id', 'citizen_key'],
    indexes=[
        {'columns': ['mention_id', 'citizen_key'], 'unique': true},
        {'columns': ['citizen_key']},
        {'columns': ['_release_id']},
    ],
) }}

with

mentions as (
    select * from {{ ref('person_mention') }}
    {%- if is_incremental() %}
    where _release_id > {{ high_water() }}
    {%- endif %}
),

founders as (
    select * from {{ source('vault', 'citizen_founder') }}
),

current_links as (
    select
        mentions.mention_id,
        founders.citizen_key,
        false as _removed
    from mentions
    inner join founders on mentions.founding_mention = founders.founding_mention
    where not mentions._removed
)
{%- if is_incremental() %},

former_links as (
    select
        former.mention_id,
        former.citizen_key,
        true as _removed
    from {{ this }} as former
    inner join mentions on former.mention_id = mentions.mention_id
),

links as (
    select
        mention_id,
        citizen_key,
        bool_and(_removed) as _removed
    from (
        select * from current_links
        union all
        select * from former_links
    ) as both_times
    group by mention_id, citizen_key
)

select
    links.*,
    {{ building_release() }}::bigint as _release_id
from links
left join {{ this }} as known
    on links.mention_id = known.mention_id and links.citizen_key = known.citizen_key
where known._removed is distinct from links._removed
{%- else %}

select
    current_links.*,
    {{ building_release() }}::bigint as _release_id
from current_links
{%- endif %}
