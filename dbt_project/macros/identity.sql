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
                    or ({{ sex }} = 'female') = (substr({{ id }}, 4, 1) in ('1', '3', '5', '7', '9'))
                )
                and (
                    {{ birth_year }} is null
                    or {{ birth_year }} = 1900 + 100 * (substr({{ id }}, 4, 1)::integer / 2) + substr({{ id }}, 5, 2)::integer
                )
            else false
        end
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
