{#-
    The release clock of the models.

    A release takes in a pinned set of batches (control.building_batch) and carries an id (control.building). Staging
    stamps each row it really changes with that id; whatever lies downstream asks for rows stamped later than the
    release it was itself brought to. That mark is kept per model in `applied_release`, of the vault or of a slot, written in
    the model's own transaction: a slot that is some releases behind catches up from its own mark.

    Staging and the mentions are sometimes built anew from raw, which forgets what was removed before. Whatever had been
    derived from them can then no longer be mended step by step: it is of an older generation, and is built anew as well,
    each slot when its turn comes (should_full_refresh, is_incremental).
-#}

{#-
    The rows of a query, asked once for each node that runs: macros ask the same thing again and again, and every answer
    costs dbt some milliseconds. It is kept in `model`, the node's own dictionary, which dbt makes anew for each run.
-#}
{% macro asked_once(name, query) -%}
    {%- set answers = model.setdefault('pdic_answers', {}) -%}
    {%- if name not in answers -%}
        {%- do answers.update({name: run_query(query).rows}) -%}
    {%- endif -%}
    {{ return(answers[name]) }}
{%- endmacro %}

{#- The id of the release being built; stops the run where there is none. -#}
{% macro building_release() -%}
    {%- if not execute -%}
        {{ return(0) }}
    {%- endif -%}
    {%- set rows = asked_once('building', 'select release_id from control.building') -%}
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
    {%- set rows = asked_once('high water', "select release_id from " ~ mark_of_model()) -%}
    {{ return(rows[0][0] if rows else 0) }}
{%- endmacro %}

{#- The row that holds a model's mark. -#}
{% macro mark_of_model() -%}
    {%- if model.config.materialized == 'published' -%}
published.applied_release where slot = '{{ building_slot() }}' and model = '{{ this.name }}'
    {%- else -%}
vault.applied_release where model = '{{ this.name }}'
    {%- endif -%}
{%- endmacro %}

{#- on-run-start: where the vault's marks are kept. The transformer may create in this schema. -#}
{% macro create_release_ledger() -%}
create table if not exists vault.applied_release (
    model text primary key,
    release_id bigint not null,
    generation bigint not null
);
{%- endmacro %}

{#- pre-hook of person_mention: where it is about to be built anew, a new generation begins. -#}
{% macro begin_generation() -%}
    {%- if execute and not is_incremental() -%}
insert into vault.applied_release (model, release_id, generation)
values ('{{ this.name }}', 0, 1)
on conflict (model) do update set generation = applied_release.generation + 1
    {%- endif -%}
{%- endmacro %}

{#- post-hook: this model's table now stands at the release being built, and of this generation. -#}
{% macro remember_release() -%}
    {%- if model.config.materialized == 'published' %}
select published.remember_release('{{ this.name }}', generation)
from vault.applied_release
where model = 'person_mention'
    {%- else %}
insert into vault.applied_release (model, release_id, generation)
select '{{ this.name }}', {{ building_release() }}, generation
from vault.applied_release
where model = 'person_mention'
on conflict (model) do update set release_id = excluded.release_id, generation = excluded.generation
    {%- endif %}
{%- endmacro %}

{#-
    dbt asks this of every incremental table. What follows from the mentions is built anew when they were since, and only
    then: `--full-refresh` of one slot must not make the vault forget what the others have yet to hear of.
-#}
{% macro should_full_refresh() -%}
    {%- set asked = config.get('full_refresh') -%}
    {%- if asked is none -%}
        {%- set asked = flags.FULL_REFRESH -%}
    {%- endif -%}
    {%- if execute and config.get('materialized') == 'incremental' and this.schema == 'vault' and this.name != 'person_mention' -%}
        {%- set outdated = asked_once(
            'outdated',
            "select not exists (select 1 from vault.applied_release as own inner join vault.applied_release as mentions"
            ~ " on own.generation = mentions.generation where own.model = '" ~ this.name ~ "' and mentions.model = 'person_mention')"
        )[0][0] -%}
        {{ return(outdated) }}
    {%- endif -%}
    {{ return(asked) }}
{%- endmacro %}

{#-
    pre-hook: how much the model's own transaction may use. How its session writes dates and numbers is set as it begins, by whoever
    runs dbt (PGOPTIONS, `pdic.release.dbt`): as every session of PDIC with the warehouse.
-#}
{% macro session_settings() -%}
set local work_mem = '128MB'; set local jit = off
{%- endmacro %}

{#-
    post-hook: statistics for a table that has none, so that the models that follow plan with them. Later changes are left
    to autovacuum: sampling a large table costs more than a small release.
-#}
{% macro analyze_when_new() -%}
    {%- if execute -%}
        {%- if model.config.materialized == 'published' %}
select published.sample_where_it_grew('{{ this.identifier }}')
        {%- elif not run_query(
            "select exists (select 1 from pg_stats where schemaname = '" ~ this.schema ~ "' and tablename = '" ~ this.identifier ~ "')"
        ).rows[0][0] %}
analyze {{ this }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
