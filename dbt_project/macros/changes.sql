{#-
    How a large table of core or vault follows its sources at the cost of what changed. A published one ends otherwise, by
    `living_rows()` (published.sql).

    A table has one key, and each of its rows is taken from one source row (`_source_key`), perhaps with the help of
    others that are looked up by a key that never changes. A run

        affected     collects the keys whose rows may be other than they stand: affected_keys()
        …            makes these rows from the sources as they are now, by the same statement as a full build:
                     only_affected() is all that an incremental run adds to it
        the end      living_and_removed(): of these rows, those that differ; a key without a row any more becomes a
                     tombstone (`_removed`, content emptied), for no row of the vault is ever deleted

    It needs no memory of what was done before but the release the table was last brought to (high_water), so a candidate
    that lags behind catches up in one run, and a run that died is simply done again. The result is the same as that of a
    full build, for every key that is not affected would be made from the same source rows again.
-#}

{#-
    The CTE `affected`, in an incremental run only: every `key` that a change since the table's high water may touch.

    source    staging table the rows are taken from; has `key`, `_key` and `_release_id`
    role      where a row is about a person: the role of its mention (a list where there are several); the row is affected
              when the person's key changed
    dataset   (sector, dataset) of that mention
    lookups   tables that help: [(table, its column, the source's column)]; the table's column must be its unchanging key
-#}
{% macro affected_keys(key, source, dataset=none, role=[], lookups=[]) -%}
    {#- Named here, so that dbt sees the dependency when it parses: no run is incremental then. -#}
    {%- set links = ref('citizen_link') if role -%}
    {%- set mentions = ref('person_mention') if role -%}
    {%- if is_incremental() -%}
    {%- set since = high_water() -%}
affected as (
    -- the key that a changed source row has now,
    select changed.{{ key }}
    from {{ source }} as changed
    where changed._release_id > {{ since }} and changed.{{ key }} is not null
    union
    -- the key it had when this table took it,
    select former.{{ key }}
    from {{ source }} as changed
    inner join {{ this }} as former on changed._key = former._source_key
    where changed._release_id > {{ since }}
    {%- if role %}
    union
    -- the key of a row whose person has another key now,
    select about.{{ key }}
    from {{ links }} as link
    inner join {{ mentions }} as mention on link.mention_id = mention.mention_id
    inner join {{ source }} as about on mention.source_key = about._key
    where
        link._release_id > {{ since }}
        and mention.sector = '{{ dataset[0] }}'
        and mention.dataset = '{{ dataset[1] }}'
        and mention.role in ('{{ role | join("', '") }}')
        and about.{{ key }} is not null
    {%- endif %}
    {%- for table, table_column, source_column in lookups %}
    union
    -- and of a row that looks something up that changed.
    select seeking.{{ key }}
    from {{ table }} as found
    inner join {{ source }} as seeking on found.{{ table_column }} = seeking.{{ source_column }}
    where found._release_id > {{ since }} and seeking.{{ key }} is not null
    {%- endfor %}
),
    {%- endif -%}
{%- endmacro %}

{#- In an incremental run: the condition that keeps a step to the affected keys. -#}
{% macro only_affected(key) -%}
    {%- if is_incremental() -%}
and {{ key }} in (select affected.{{ key.split('.')[-1] }} from affected)
    {%- endif -%}
{%- endmacro %}

{#-
    The final select: `rows` (key first, then content, then `_source_key`; ends with `offset 0`, which keeps expressions
    from being computed twice) with its hash, whether it is removed, and the release that changed it.
-#}
{% macro living_and_removed(rows, key) -%}
hashed as (
    select
        {{ rows }}.*,
        hashtextextended(({{ rows }}.*)::text, 0) as _row_hash
    from {{ rows }}
)
    {%- if not is_incremental() %}

select
    hashed.*,
    false as _removed,
    {{ building_release() }}::bigint as _release_id
from hashed
    {%- else %},

-- Only joins that stay linear where the planner takes many changed rows for one (statistics lag behind a release): index
-- lookups, and a hashed `not in`.
gone as (
    select affected.{{ key }}
    from affected
    where affected.{{ key }} not in (select hashed.{{ key }} from hashed)
),

emptied as (
    select *
    from gone
    left join (select * from hashed limit 0) as nothing using ({{ key }})
)

select
    hashed.*,
    false as _removed,
    {{ building_release() }}::bigint as _release_id
from hashed
left join {{ this }} as former on hashed.{{ key }} = former.{{ key }}
where former._row_hash is distinct from hashed._row_hash
union all
select
    emptied.*,
    true as _removed,
    {{ building_release() }}::bigint as _release_id
from emptied
inner join {{ this }} as former on emptied.{{ key }} = former.{{ key }}
where not former._removed
    {%- endif %}
{%- endmacro %}

{#- Of standing rows with the same business key, the one the sector sent last: that with the highest record number. -#}
{% macro not_superseded(source, alias, key, record_id) -%}
not exists (
            select 1
            from {{ source }} as later
            where
                later.{{ key }} = {{ alias }}.{{ key }}
                and later.{{ record_id }} > {{ alias }}.{{ record_id }}
                and {{ stands('later') }}
        )
{%- endmacro %}

{#- The join that finds the citizen key of a source row's mention; columns of it: <alias>.citizen_key. -#}
{% macro join_citizen(alias, dataset, source_key, role) -%}
left join {{ ref('citizen_link') }} as {{ alias }}
        on
            {{ mention_id(dataset[0], dataset[1], source_key, role) }} = {{ alias }}.mention_id
            and not {{ alias }}._removed
{%- endmacro %}

{#-
    The end of a published model that follows changes: `rows` as they are now, key first. In a run that follows, a key that was
    affected and has no row any more is given with nothing but the key, and marked `_removed`.
-#}
{% macro living_rows(rows, key) -%}
    {%- if not is_incremental() %}

select * from {{ rows }}
    {%- else %},

-- A hashed `not in`: linear where the planner takes many changed rows for one (statistics lag behind a release).
gone as (
    select affected.{{ key }}
    from affected
    where affected.{{ key }} not in (select {{ rows }}.{{ key }} from {{ rows }})
),

emptied as (
    select *
    from gone
    left join (select * from {{ rows }} limit 0) as nothing using ({{ key }})
)

select
    {{ rows }}.*,
    false as _removed
from {{ rows }}
union all
select
    emptied.*,
    true as _removed
from emptied
    {%- endif %}
{%- endmacro %}
