{#-
    The release clock of the models.

    A release takes in a pinned set of batches (control.building_batch) and carries an id (control.building). Staging
    stamps each row it really changes with that id; whatever lies downstream asks for rows stamped later than the
    release it was itself brought to. Each schema keeps that mark per model in `applied_release`, written in the
    model's own transaction. The table travels with its schema when `live` and `candidate` swap, so a candidate that is
    one or more releases behind catches up from its own mark.
-#}

{#- The id of the release being built; stops the run where there is none. -#}
{% macro building_release() -%}
    {%- if not execute -%}
        {{ return(0) }}
    {%- endif -%}
    {%- set rows = run_query('select release_id from control.building').rows -%}
    {%- if rows | length != 1 -%}
        {{ exceptions.raise_compiler_error(
            'No release is being built (control.building is empty), so ' ~ this.name
            ~ ' does not know what to stamp: start one with `pdic release`.'
        ) }}
    {%- endif -%}
    {{ return(rows[0][0]) }}
{%- endmacro %}

{#- The release this model's table was last brought to; 0 where the table is built anew. -#}
{% macro high_water() -%}
    {%- if not execute or not is_incremental() -%}
        {{ return(0) }}
    {%- endif -%}
    {%- set rows = run_query(
        "select release_id from " ~ this.schema ~ ".applied_release where model = '" ~ this.name ~ "'"
    ).rows -%}
    {{ return(rows[0][0] if rows else 0) }}
{%- endmacro %}

{#- on-run-start: where the marks are kept. The transformer may create in these schemas, not the schemas themselves. -#}
{% macro create_release_ledger() -%}
    {%- for schema in ['vault', 'candidate'] %}
create table if not exists {{ schema }}.applied_release (
    model text primary key,
    release_id bigint not null
);
    {%- endfor %}
{%- endmacro %}

{#- post-hook: this model's table now stands at the release being built. -#}
{% macro remember_release() -%}
insert into {{ this.schema }}.applied_release (model, release_id)
values ('{{ this.name }}', {{ building_release() }})
on conflict (model) do update set release_id = excluded.release_id
{%- endmacro %}

{#- pre-hook: settings of the model's own transaction. -#}
{% macro session_settings() -%}
set local work_mem = '128MB'; set local jit = off; set local timezone = 'Asia/Ho_Chi_Minh'; set local datestyle = 'ISO, DMY'
{%- endmacro %}

{#-
    post-hook: statistics for a table that never had any, so that the models that follow plan with them. Later changes
    are left to autovacuum: sampling a large table costs more than a small release.
-#}
{% macro analyze_when_new() -%}
    {%- if execute -%}
        {%- set sampled = run_query(
            "select reltuples >= 0 from pg_class where oid = '" ~ this.include(database=false) ~ "'::regclass"
        ).rows[0][0] -%}
        {%- if not sampled %}
analyze {{ this }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
