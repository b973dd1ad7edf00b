{#- Who is who: the number of a person, and whether it can be trusted. -#}

{#-
    The personal identification number (số định danh) in a paper's number, or nothing: twelve digits, blanks and dots
    taken out. Spreadsheets drop the leading zero that all numbers given in Vietnam have, so eleven digits get it back;
    whether the result fits the person is for citizen_id_is_valid to say.
-#}
{% macro citizen_id(value) -%}
    {%- set digits = "translate(" ~ value ~ ", ' .-', '')" -%}
case when {{ digits }} ~ '^\d{12}$' then {{ digits }} when {{ digits }} ~ '^[1-9]\d{10}$' then '0' || {{ digits }} end
{%- endmacro %}

{#-
    Whether a number can be this person's: three digits for a province (the list of 63, whose codes were not renumbered in
    2025) or a country, one for century and sex, two for the year of birth. There is no check digit. What is not known of
    the person cannot contradict the number. `sex` in the common list, `birth_year` an integer.
-#}
{% macro citizen_id_is_valid(id, sex, birth_year) -%}
case
            when {{ id }} ~ '^(0{{ birth_places() }}|[1-3][0-9][0-9])[0-9]{9}$' then
                (
                    coalesce({{ sex }}, 'unknown') = 'unknown'
                    or {{ sex }} = {{ citizen_id_sex(id) }}
                )
                and (
                    {{ birth_year }} is null
                    or {{ birth_year }} = {{ citizen_id_birth_year(id) }}
                )
            else false
        end
{%- endmacro %}

{#- The year of birth that a number says, and the sex; of a number that is valid. -#}
{% macro citizen_id_birth_year(id) -%}
1900 + 100 * (substr({{ id }}, 4, 1)::integer / 2) + substr({{ id }}, 5, 2)::integer
{%- endmacro %}

{% macro citizen_id_sex(id) -%}
case when substr({{ id }}, 4, 1)::integer % 2 = 0 then 'male' else 'female' end
{%- endmacro %}

{#- The 63 provinces in which births were registered, without their leading zero. -#}
{% macro birth_places() -%}
(01|02|04|06|08|1[01245790]|2[024567]|3[01345678]|40|42|4[45689]|5[12468]|6[024678]|7[024579]|8[0234679]|9[1-6])
{%- endmacro %}

{#-
    The name of one mention of a person, and of the person it founds. The text is hashed under a secret outside of SQL
    (vault.citizen_founder), so it never leaves the vault.
-#}
{% macro mention_id(sector, dataset, key, role) -%}
'{{ sector }}.{{ dataset }}:' || {{ key }} || ':{{ role }}'
{%- endmacro %}

{#-
    The mentions of one role in one dataset, those of changed records only in an incremental run.

    person         prefix of the columns that speak of the person: <prefix>name (full_name where there is none), <prefix>birth_…
    paper          where the number of the person is
    birth          whether the record says when the person was born
    residence_on   the date at which the recorded residence held, where the record codes one (residence_…_code)
-#}
{% macro mention(source, sector, dataset, role, rank, person='', paper='personal_id', sex=none, birth=true, residence_on=none) -%}
select
        {{ mention_id(sector, dataset, '_key', role) }} as mention_id,
        '{{ sector }}' as sector,
        '{{ dataset }}' as dataset,
        _key as source_key,
        '{{ role }}' as role,
        {{ rank }}::smallint as trust_rank,
        {{ citizen_id(paper) }} as citizen_id,
        {{ (person ~ 'name') if person else 'full_name' }} as full_name,
        {{ sex if sex else person ~ 'sex' }} as sex,
        {{ person ~ 'birth_date' if birth else 'null::date' }} as birth_date,
        {{ person ~ 'birth_year' if birth else 'null::integer' }} as birth_year,
        {{ person ~ 'birth_precision' if birth else 'null::text' }} as birth_precision,
        {{ 'residence_commune_code' if residence_on else 'null::text as residence_commune_code' }},
        {{ 'residence_district_code' if residence_on else 'null::text as residence_district_code' }},
        {{ 'residence_province_code' if residence_on else 'null::text as residence_province_code' }},
        {{ residence_on if residence_on else 'null::date' }} as residence_on,
        {{ stands() }} as _stands
    from {{ source }}
    {%- if is_incremental() %}
    where _release_id > {{ high_water() }}
    {%- endif %}
{%- endmacro %}
