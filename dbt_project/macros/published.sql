{#-
    How a published table is written: by rows only, in the slot that no reader sees.

    The table was made by the release from the contract (`pdic.release.slots`): nothing is created, truncated, dropped or renamed
    here. A run computes rows. Those that are new, other than they were, or gone are put in, replaced or taken out, by key and
    hash:

        whole      the model gives all rows that there are
        follows    (config follows_changes) the model gives the rows of the affected keys; `_removed` marks a key that is gone

    Both end with the same table. `_release_id` is the release that put the row in as it is: a row that did not change keeps it.

    The rows are computed into a temporary table even where the slot is empty: PostgreSQL uses several processes for a query that makes
    a table, and one for a query that writes to one.
-#}
{% materialization published, adapter='postgres' %}
    {%- set target = slot_table(this.identifier) -%}
    {%- set given = api.Relation.create(identifier=this.identifier ~ '__given') -%}
    {%- set follows = is_incremental() -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- do stop_where_overtaken(target) -%}
    {%- set shape = api.Relation.create(identifier=this.identifier ~ '__shape') -%}
    {%- do run_query('create temporary table ' ~ shape ~ ' on commit drop as select * from (\n' ~ sql ~ '\n) as given_rows with no data') -%}
    {%- set columns = published_columns(shape, target) -%}
    {%- do run_query(
        'create temporary table ' ~ given ~ ' on commit drop as select given_rows.*, ' ~ row_hash(columns, 'given_rows')
        ~ ' as _row_hash from (select * from (\n' ~ sql ~ '\n) as computed offset 0) as given_rows'
    ) -%}
    {%- set counts = {} -%}
    {%- set key = published_key(target) -%}
    {%- if not follows and is_empty(target) -%}
        {%- do counts.update(inserted=affected_by(insert_all(target, columns, given, key))) -%}
    {%- else -%}
        {%- do run_query('create unique index on ' ~ given ~ ' (' ~ key | join(', ') ~ ')') -%}
        {%- do counts.update(
            removed=affected_by(remove_gone(target, given, key, follows)),
            changed=affected_by(replace_changed(target, given, key, columns)),
            inserted=affected_by(insert_new(target, given, key, columns, follows)),
        ) -%}
    {%- endif -%}
    {%- do run_query(remember_columns(columns)) -%}
    {%- do store_raw_result(
        'main',
        message=counts.get('inserted', 0) ~ ' new, ' ~ counts.get('changed', 0) ~ ' changed, ' ~ counts.get('removed', 0) ~ ' removed',
        code='PUBLISHED',
        rows_affected=counts.values() | sum,
    ) -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [this]}) }}
{% endmaterialization %}

{#- The slot that is being built: a, b or c. -#}
{% macro building_slot() -%}
    {{ return(asked_once('slot', 'select building::text from control.slot')[0][0]) }}
{%- endmacro %}

{#- The table of a model in the slot that is being built. -#}
{% macro slot_table(name) -%}
    {{ return(api.Relation.create(schema='slot_' ~ building_slot(), identifier=name, type='table')) }}
{%- endmacro %}

{#-
    dbt's own question, for published models too: does this run give the affected rows only? The table must have been brought to
    some release in this slot, from mentions of the same generation.
-#}
{% macro is_incremental() -%}
    {%- if model.config.materialized != 'published' -%}
        {{ return(dbt.is_incremental()) }}
    {%- endif -%}
    {%- if not execute or not config.get('follows_changes') or flags.FULL_REFRESH -%}
        {{ return(false) }}
    {%- endif -%}
    {{ return(asked_once(
        'follows',
        "select exists (select from published.applied_release as own inner join vault.applied_release as mentions"
        ~ " on own.generation = mentions.generation where own.slot = '" ~ building_slot() ~ "' and own.model = '" ~ this.name
        ~ "' and mentions.model = 'person_mention')"
    )[0][0]) }}
{%- endmacro %}

{#-
    The columns that a model gives and its table has, quoted, in the table's order; stops the model where the contract and what it
    gives are not the same. No type is cast silently: a rounded amount would be published.
-#}
{% macro published_columns(given, target) -%}
    {%- set compared = run_query(
        "select coalesce(has.name, gives.name), gives.kind, has.kind, has.name in ('_slot', '_source_key', '_row_hash', '_release_id') from"
        ~ " (" ~ typed_columns(target) ~ ") as has full join (" ~ typed_columns(given) ~ ") as gives on has.name = gives.name"
        ~ " where coalesce(gives.name, '') <> '_removed' order by has.place nulls first, gives.place"
    ) -%}
    {%- set columns = [] -%}
    {%- for name, gives, has, internal in compared.rows -%}
        {%- if gives is not none and gives == has -%}
            {%- do columns.append(quoted(name)) -%}
        {%- elif not (internal and gives is none) -%}
            {{ exceptions.raise_compiler_error(
                model.original_file_path ~ ' and contracts/shared/' ~ this.name ~ '.odcs.yaml differ: '
                ~ name ~ ' is ' ~ (gives or 'not given') ~ ' in the model and ' ~ (has or 'not there') ~ ' in the contract'
            ) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{#- A query: name, type and place of a table's columns. The table may be a temporary one. -#}
{% macro typed_columns(relation) -%}
select attname::text as name, format_type(atttypid, atttypmod) as kind, attnum as place from pg_attribute where attrelid = '{{ relation }}'::regclass and attnum > 0 and not attisdropped
{%- endmacro %}

{#-
    The first thing that a model does in its transaction: from now on whoever closes the slot waits for it. A build that was given up,
    and does not know it yet, stops here: it must not write into what a newer one builds.
-#}
{% macro stop_where_overtaken(target) -%}
    {%- do run_query('lock table ' ~ target ~ ' in row exclusive mode') -%}
    {%- set now = run_query('select release_id, (select building::text from control.slot) from control.building').rows -%}
    {%- if now | length != 1 or now[0][0] != building_release() or now[0][1] != building_slot() -%}
        {{ exceptions.raise_compiler_error('a newer release has begun: this one is given up') }}
    {%- endif -%}
{%- endmacro %}

{#- The columns of a published table's key, quoted: those of its unique index. -#}
{% macro published_key(target) -%}
    {%- set found = run_query(
        "select attribute.attname::text from pg_index as index cross join unnest(index.indkey) with ordinality as part (attnum, place)"
        ~ " inner join pg_attribute as attribute on attribute.attrelid = index.indrelid and attribute.attnum = part.attnum"
        ~ " where index.indrelid = '" ~ target ~ "'::regclass and index.indisunique and attribute.attname <> '_slot' order by part.place"
    ) -%}
    {%- set key = [] -%}
    {%- for row in found.rows -%}
        {%- do key.append(quoted(row[0])) -%}
    {%- endfor -%}
    {{ return(key) }}
{%- endmacro %}

{% macro is_empty(target) -%}
    {{ return(run_query('select not exists (select from ' ~ target ~ ')').rows[0][0]) }}
{%- endmacro %}

{#- The hash of a row's content. A row as a whole, written out: no name of a column can be taken for it. -#}
{% macro row_hash(columns, alias) -%}
hashtextextended(row({{ alias }}.{{ columns | join(', ' ~ alias ~ '.') }})::text, 0)
{%- endmacro %}

{#-
    The columns of which the hashes of a table's rows are made. Which release last changed a row of it, the warehouse notes itself,
    with the rows, so that it is right however a build ends.
-#}
{% macro remember_columns(columns) -%}
select published.remember_columns('{{ this.identifier }}', array[
    {%- for column in columns -%}
'{{ column[1:-1] | replace('""', '"') | replace("'", "''") }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
]::text[])
{%- endmacro %}

{#- How many rows a statement touched. -#}
{% macro affected_by(statement_text) -%}
    {%- call statement('affected', fetch_result=false) -%}
{{ statement_text }}
    {%- endcall -%}
    {{ return(load_result('affected')['response'].rows_affected) }}
{%- endmacro %}

{#- In the order of the key: an index takes ordered keys twice as fast. -#}
{% macro insert_all(target, columns, given, key) -%}
insert into {{ target }} ({{ columns | join(', ') }}, _row_hash, _release_id)
select
    {{ columns | join(', ') }},
    _row_hash,
    {{ building_release() }}
from {{ given }}
order by {{ key | join(', ') }}
{%- endmacro %}

{% macro remove_gone(target, given, key, follows) -%}
delete from {{ target }} as standing
where
    {{ in_this_slot() }} and
    {%- if follows %}
    exists (select from {{ given }} as given_rows where given_rows._removed and {{ same_key(key) }})
    {%- else %}
    not exists (select from {{ given }} as given_rows where {{ same_key(key) }})
    {%- endif %}
{%- endmacro %}

{% macro replace_changed(target, given, key, columns) -%}
update {{ target }} as standing
set
    {%- for column in columns %}
    {{ column }} = given_rows.{{ column }},
    {%- endfor %}
    _row_hash = given_rows._row_hash,
    _release_id = {{ building_release() }}
from {{ given }} as given_rows
where {{ in_this_slot() }} and {{ same_key(key) }} and standing._row_hash <> given_rows._row_hash
{%- endmacro %}

{% macro insert_new(target, given, key, columns, follows) -%}
insert into {{ target }} ({{ columns | join(', ') }}, _row_hash, _release_id)
select
    {{ columns | join(', ') }},
    _row_hash,
    {{ building_release() }}
from {{ given }} as given_rows
where
    not exists (select from {{ target }} as standing where {{ in_this_slot() }} and {{ same_key(key) }})
    {%- if follows %}
    and not given_rows._removed
    {%- endif %}
{%- endmacro %}

{#-
    True of every row of the slot's table. It must be said all the same: the index of the key begins with the slot, and PostgreSQL before 18
    does not use it for a few keys where the slot is not named, but reads the whole table.
-#}
{% macro in_this_slot() -%}
standing._slot = '{{ building_slot() }}'
{%- endmacro %}

{% macro same_key(key) -%}
    {%- for column in key -%}
standing.{{ column }} = given_rows.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
