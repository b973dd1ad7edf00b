{#-
    Which administrative unit a recorded commune code means on a date.

    Codes were reused on 1 July 2025, so a code alone names no unit (docs/administrative-units.md). The rules:

    1. before that day, the unit of the old list with that code: 'valid';
    2. since then, the unit of the new list valid on the date, unless the record shows the old scheme: it names a district,
       or a province that is no more; or the code is no unit of that date: 'valid';
    3. otherwise the old unit with that code, and of it the unit that took its place: 'mapped_from_old', or
       'split_default' where the old unit was divided and the default successor is a guess;
    4. otherwise 'unknown'. An old code is never silently read as the new unit that reuses it.

    Returns a select of every column of `rows`, and commune_unit_key, commune_resolution. Arguments are columns of `rows`;
    `district` and `province` may be null where the record has none. Island districts without communes are found by district.
-#}
{% macro resolve_commune(rows, commune, district, province, on) -%}
    {%- set code = "coalesce(" ~ rows ~ "." ~ commune ~ (", " ~ rows ~ "." ~ district if district else "") ~ ")" -%}
    {%- set date = rows ~ "." ~ on -%}
    {%- set reform = "date '2025-07-01'" -%}

    select
        {{ rows }}.*,
        coalesce(valid_unit.unit_key, successor_unit.unit_key) as commune_unit_key,
        case
            when valid_unit.unit_key is not null then 'valid'
            when successor_unit.unit_key is null then 'unknown'
            when old_unit.is_split then 'split_default'
            else 'mapped_from_old'
        end as commune_resolution
    from {{ rows }}
    left join {{ ref('int_commune__code_version') }} as valid_unit
        on
            {{ code }} = valid_unit.unit_code
            and {{ date }} >= valid_unit.valid_from
            and {{ date }} < valid_unit.valid_to
            and (
                {{ date }} < {{ reform }}
                or not (
                    {{ (rows ~ "." ~ district ~ " is not null") if district else "false" }}
                    or {{ ("coalesce(" ~ rows ~ "." ~ province ~ " in (select abolished.unit_code from " ~ ref('int_province__abolished') ~ " as abolished), false)") if province else "false" }}
                )
            )
    left join {{ ref('int_commune__code_version') }} as old_unit
        on
            {{ code }} = old_unit.unit_code
            and old_unit.valid_to = {{ reform }}
            and {{ date }} >= {{ reform }}
            and valid_unit.unit_key is null
    left join {{ ref('int_commune__code_version') }} as successor_unit
        on
            old_unit.successor_code = successor_unit.unit_code
            and {{ date }} >= successor_unit.valid_from
            and {{ date }} < successor_unit.valid_to
{%- endmacro %}

{#- A date that stands for "as the lists are now", for reference data that carry no date: later than any change. -#}
{% macro current_lists() -%}
date '9999-12-31'
{%- endmacro %}

{#- First day of the new lists, for records that carry no date and say by their codes which lists they mean. -#}
{% macro new_lists() -%}
date '2025-07-01'
{%- endmacro %}
