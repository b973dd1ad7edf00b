{#-
    Codes: every value of a column is a common code of its list (seeds/code_list.csv), or one of the values given.
    `lists`: {column: [list, sector]}; `values`: {column: [value, …]}. `changed_only` as in points_to.
-#}
{% test coded(model, lists={}, values={}, changed_only=false) -%}
    {%- set code_list = ref('code_list') -%}
    {%- set selects = [] -%}
    {%- for column in (lists.keys() | list) + (values.keys() | list) -%}
        {%- set allowed -%}
            {%- if column in lists -%}
            select common_code from {{ code_list }} where list = '{{ lists[column][0] }}' and sector = '{{ lists[column][1] }}'
            {%- else -%}
            values {% for value in values[column] %}('{{ value }}'){{ ', ' if not loop.last }}{% endfor %}
            {%- endif -%}
        {%- endset -%}
        {%- do selects.append(
            "select distinct '" ~ column ~ "' as column_name, " ~ column ~ " as unknown_code from " ~ model
            ~ " where " ~ column ~ " is not null and " ~ column ~ " not in (" ~ allowed ~ ")"
            ~ ((" and _release_id = " ~ building_release()) if changed_only and not flags.FULL_REFRESH else "")
        ) -%}
    {%- endfor -%}
{{ selects | join('\nunion all\n') }}
{%- endtest %}
