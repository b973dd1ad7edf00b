{#-
    A model's schema is the one its folder names, verbatim: staging, vault, candidate. dbt's own rule would prefix it
    with the target's schema. The release swaps `candidate` and `live` by renaming them, so dbt only ever knows `candidate`.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name is not none else target.schema }}
{%- endmacro %}
