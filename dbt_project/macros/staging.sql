{#-
    How a staging model keeps the current state of a dataset.

        versions   newest_versions(): of each source key, its newest version among the batches not yet taken in
        typed      the model's own part: names, types, codes; one row in, one row out, no other dataset
        the end    changed_rows(): what truly differs from the row we have, stamped with the release being built

    dbt merges the result by `_key`; remember_batch() notes the batch in the same transaction. A row is never dropped:
    a key that is gone at the source becomes `_deleted`, one whose newest version is in quarantine becomes `_held`, and
    core ignores both. So an incremental run, a full refresh and a fresh load end with the same living rows.
-#}

{#- The batches this run takes in: (the last one taken in before, the release's ceiling, how many lie between). -#}
{% macro batch_window(sector, dataset) -%}
    {%- if not execute -%}
        {{ return({'after': 0, 'up_to': 0, 'batches': 0}) }}
    {%- endif -%}
    {%- set applied -%}
        {%- if is_incremental() -%}
            coalesce((select batch_id from staging.applied_batch where model = '{{ this.name }}'), 0)
        {%- else -%}
            0
        {%- endif -%}
    {%- endset -%}
    {%- set row = asked_once(
        'window',
        "select applied.batch_id, coalesce(ceiling.batch_id, 0), ("
        ~ "select count(*) from control.batch where sector = '" ~ sector ~ "' and dataset = '" ~ dataset ~ "' and status = 'accepted'"
        ~ " and batch_id > applied.batch_id and batch_id <= ceiling.batch_id) "
        ~ "from (select " ~ applied ~ " as batch_id) as applied left join ("
        ~ "select max(batch_id) as batch_id from control.building_batch where sector = '" ~ sector ~ "' and dataset = '" ~ dataset ~ "'"
        ~ ") as ceiling on true"
    )[0] -%}
    {{ return({'after': row[0], 'up_to': row[1], 'batches': row[2]}) }}
{%- endmacro %}

{#-
    Of each key, its newest version among the batches not yet taken in, from raw and quarantine alike, every value cleaned
    as its contract says (macros/cleaned/, docs/cleaning.md); `_repaired` names the source's columns that
    this changed, as the text of an array (a name may hold a comma); `_agency` is the code of the agency that the row names; `_pdic_key` is its key as one
    text, as it was sent (macro key__<sector>__<dataset>, decision 0025).

    `key` names the key's columns as the source does. A key occurs once in a batch (the load's own rule), and of two
    batches the later read is the newer, so versions need comparing only where several batches wait.
-#}
{% macro newest_versions(sector, dataset, key) -%}
    {%- set accepted = source('raw_' ~ sector, sector ~ '__' ~ dataset) -%}
    {%- set quarantined = source('quarantine_' ~ sector, sector ~ '__' ~ dataset) -%}
    {%- set window = batch_window(sector, dataset) -%}
    {%- set columns = source_columns(accepted) -%}
    {%- set keys = [] -%}
    {%- for name in key -%}
        {%- do keys.append(quoted(name)) -%}
    {%- endfor -%}
    {%- set in_window -%}
        _batch_id > {{ window['after'] }} and _batch_id <= {{ window['up_to'] }}
    {%- endset %}
    {%- set cleaned = context['cleaned__' ~ sector ~ '__' ~ dataset]() if execute else {} %}
    select
        {%- for name in columns %}
        {{ name }},
        {%- endfor %}
        nullif(array_remove(array[
            {%- for name in columns if bare(name) in cleaned %}
            case when {{ name }} is distinct from _pdic_sent_{{ loop.index }} then '{{ bare(name) | replace("'", "''") }}' end
            {{- ',' if not loop.last }}
            {%- endfor %}
        ]::text[], null)::text, '{}') as _repaired,
        {{ context['agency__' ~ sector ~ '__' ~ dataset]() if execute else 'null::text' }} as _agency,
        _pdic_key,
        _batch_id,
        _op,
        _held
    from (
    select
        {%- for name in columns if bare(name) in cleaned %}
        {{ name }} as _pdic_sent_{{ loop.index }},
        {%- endfor %}
        {%- for name in columns %}
        {{ cleaned[bare(name)] ~ ' as ' ~ name if bare(name) in cleaned else name }},
        {%- endfor %}
        {{ context['key__' ~ sector ~ '__' ~ dataset]() if execute else 'null::text' }} as _pdic_key,
        _batch_id,
        _op,
        _held
    from (
    select
        {%- if window['batches'] > 1 %} distinct on ({{ keys | join(', ') }}){% endif %}
        version.*
    from (
        select
            {{ columns | join(', ') }}{{ ',' if columns }}
            _batch_id,
            _op,
            false as _held
        from {{ accepted }}
        where {{ in_window }}
        union all
        select
            {{ columns | join(', ') }}{{ ',' if columns }}
            _batch_id,
            'U' as _op,
            true as _held
        from {{ quarantined }}
        where {{ in_window }}
    ) as version
    {%- if window['batches'] > 1 %}
    order by {{ keys | join(', ') }}, _batch_id desc
    {%- endif %}
    ) as sent
    offset 0
    ) as cleaned
    offset 0
{%- endmacro %}

{#- The source's columns of a raw table, quoted. They are read when the model runs: a contract may have gained one. -#}
{% macro source_columns(relation) -%}
    {%- set names = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) if column.name not in ('_batch_id', '_op') -%}
            {%- do names.append(quoted(column.name)) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{#- The name that an identifier quotes. -#}
{% macro bare(identifier) -%}
    {{ return(identifier[1:-1] | replace('""', '"')) }}
{%- endmacro %}

{#- A source's name for a column, as an identifier. -#}
{% macro quoted(name) -%}
    {{ return('"' ~ name | replace('"', '""') ~ '"') }}
{%- endmacro %}

{#- A column of the source under its name in the warehouse. -#}
{% macro renamed(source_name, name) -%}
    {{ quoted(source_name) }} as {{ quoted(name) }}
{%- endmacro %}

{#-
    The columns every staging row begins with. `key` as in newest_versions, which has made its text; `soft_delete` is the
    source's flag, if any; `cancel` a feed's event column and the event that cancels a record.
-#}
{% macro staging_columns(key, soft_delete=none, cancel=none) -%}
        _batch_id,
        _pdic_key as _key,
        _held,
        {% if soft_delete -%}
        _op = 'D' or coalesce({{ quoted(soft_delete) }}, false)
        {%- elif cancel -%}
        _op = 'D' or coalesce({{ quoted(cancel[0]) }} = '{{ cancel[1] }}', false)
        {%- else -%}
        _op = 'D'
        {%- endif %} as _deleted,
        _agency,
        _repaired
{%- endmacro %}

{#-
    The rows of `typed` that differ from those we have, stamped with the release being built.

    `typed` must begin with staging_columns() and end with `offset 0`, which keeps PostgreSQL from computing every
    expression twice (once as a column, once inside the hash). The hash leaves out the batch id, the first column: a row
    that is merely read again is not a change.

    A row as a whole is always written (typed.*): the bare name `typed` means the row only as long as no column has that name.
-#}
{% macro changed_rows(typed) -%}
hashed as (
    select
        {{ typed }}.*,
        hashtextextended(substr(({{ typed }}.*)::text, length({{ typed }}._batch_id::text) + 2), 0) as _row_hash
    from {{ typed }}
)

select
    hashed.*,
    {{ building_release() }}::bigint as _release_id
from hashed
    {%- if is_incremental() %}
left join {{ this }} as known on hashed._key = known._key
where known._row_hash is distinct from hashed._row_hash
    {%- endif %}
{%- endmacro %}

{#- post-hook: the batches up to the release's ceiling are in. -#}
{% macro remember_batch() -%}
    {%- set sector = model.fqn[2] -%}
    {%- set dataset = model.name.split('__', 1)[1] -%}
insert into staging.applied_batch (model, batch_id)
select '{{ this.name }}', batch_id
from control.building_batch
where sector = '{{ sector }}' and dataset = '{{ dataset }}'
on conflict (model) do update set batch_id = excluded.batch_id
{%- endmacro %}

{#-
    post-hook: how many rows this release took in of each agency, and of how many, and in which columns, cleaning changed a
    value. Rows are counted when they come or change, so it costs what changed.
-#}
{% macro count_repairs() -%}
    {%- set mine = "model = '" ~ this.name ~ "'" ~ (" and release_id = " ~ building_release() if is_incremental() else "") -%}
delete from staging.intake where {{ mine }};
delete from staging.repair where {{ mine }};
insert into staging.intake (model, release_id, agency, rows, repaired)
select '{{ this.name }}', {{ building_release() }}, coalesce(_agency, ''), count(*), count(_repaired)
from {{ this }}
where _release_id = {{ building_release() }} and not _deleted
group by _agency;
insert into staging.repair (model, release_id, agency, column_name, rows)
select '{{ this.name }}', {{ building_release() }}, coalesce(staged._agency, ''), mended.column_name, count(*)
from {{ this }} as staged cross join unnest(staged._repaired::text[]) as mended (column_name)
where staged._release_id = {{ building_release() }} and not staged._deleted
group by staged._agency, mended.column_name
{%- endmacro %}

{#- What core takes of a staging table: rows that stand, neither deleted at the source nor held in quarantine. -#}
{% macro stands(alias=none) -%}
    {%- set prefix = alias ~ '.' if alias else '' -%}
not {{ prefix }}_deleted and not {{ prefix }}_held
{%- endmacro %}
