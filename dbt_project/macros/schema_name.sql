{#-
    A model's schema is the one its folder names, verbatim: staging, vault, candidate. dbt's own rule would prefix it
    with the target's schema. `candidate` holds views of the slot that is being built: models and tests read those, and only
    the materialization `published` knows the slot itself.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name is not none else target.schema }}
{%- endmacro %}
