{#- What the score is made of: docs/score.md. -#}

{#- The five dimensions of quality, as rules name them. -#}
{% macro quality_dimensions() -%}
    {{ return(['accuracy', 'completeness', 'cleanliness', 'freshness', 'consistency']) }}
{%- endmacro %}

{#- How far back the score looks. -#}
{% macro quality_window() -%}
interval '30 days'
{%- endmacro %}

{#- Sector and dataset of a staging model by its name, stg_<sector>__<dataset>. -#}
{% macro sector_of_model(name) -%}
split_part(substr({{ name }}, 5), '__', 1)
{%- endmacro %}

{% macro dataset_of_model(name) -%}
substr({{ name }}, 5 + length(split_part(substr({{ name }}, 5), '__', 1)) + 2)
{%- endmacro %}
