{#-
    Foreign keys: every value of a column is there in the table it points to. `references`: {column: [model, column]}.
    `changed_only`: look at the rows that this release changed. Older ones were looked at when they changed; not so where this build
    judges anew what a failed build left, or judges by other logic: `--full-refresh` looks at all rows.
-#}
{% test points_to(model, references, changed_only=false) -%}
    {%- for column, target in references.items() %}
select
    '{{ column }}' as column_name,
    pointing.{{ column }} as missing
from {{ model }} as pointing
left join {{ ref(target[0]) }} as target on pointing.{{ column }} = target.{{ target[1] }}
where
    pointing.{{ column }} is not null
    and target.{{ target[1] }} is null
        {%- if changed_only and not flags.FULL_REFRESH %}
    and pointing._release_id = {{ building_release() }}
        {%- endif %}
        {%- if not loop.last %}
union all
        {%- endif %}
    {%- endfor %}
{%- endtest %}
