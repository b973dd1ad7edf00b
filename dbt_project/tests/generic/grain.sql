{#-
    A model's grain: no two rows with the same `columns`, and none without.

    `by_index`: a unique index of the table says so at every write, so it is enough that the index is there and that the
    rows of this release are not null; a table of millions is not read again for what the database already guarantees.
    A published table's index is that of the slot which is being built; all its rows have one and the same `_slot`.
-#}
{% test grain(model, columns, by_index=false) -%}
    {%- if by_index -%}
        {%- set table = slot_table(model.identifier) if execute and model.schema == 'candidate' else model -%}
select 'no unique index' as problem
where
    not exists (
        select 1
        from pg_index
        where
            indrelid = '{{ table }}'::regclass
            and indisunique
            and indisvalid
            and (
                select array_agg(attname::text order by attname)
                from pg_attribute
                where attrelid = indrelid and attnum = any(indkey) and attname <> '_slot'
            ) = array['{{ columns | sort | join("', '") }}']
    )
union all
select 'empty' as problem
from {{ model }}
where {% if not flags.FULL_REFRESH %}_release_id = {{ building_release() }} and {% endif %}({{ columns | join(' is null or ') }} is null)
    {%- else -%}
select 'repeated' as problem
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
union all
select 'empty' as problem
from {{ model }}
where {{ columns | join(' is null or ') }} is null
    {%- endif -%}
{%- endtest %}
