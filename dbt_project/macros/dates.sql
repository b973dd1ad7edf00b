{#-
    Dates that are written as text, or known in part. Every macro returns one expression that never raises an error:
    a shape is checked before its parts are read, and the calendar before make_date() is called.

    A partial date has three faces: the date (only where the day is known), the year, and the precision
    ('day', 'month' or 'year'). 1 January stays a day: that it often stands for "only the year" is for rules to say.
-#}

{#- What the eight digits of a day on the calendar look like, leap years included, from 1000 to 2999. -#}
{% macro calendar_pattern() -%}
(?:[12]\d{3}(?:(?:0[1-9]|1[0-2])(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])(?:29|30)|(?:0[13578]|1[02])31)|(?:[12]\d(?:0[48]|[2468][048]|[13579][26])|(?:1[26]|2[048])00)0229)
{%- endmacro %}

{#- The date yyyymmdd, or nothing where it is not on the calendar. -#}
{% macro calendar_date(digits) -%}
case when {{ digits }} ~ '^{{ calendar_pattern() }}$' then {{ digits }}::date end
{%- endmacro %}

{#-
    A partial date as 'yyyymmdd' with 00 for what is unknown; nothing where even the year is not readable.
    Takes dd.mm.yyyy (also with / or -), mm.yyyy and yyyy, the civil registry's forms.
-#}
{% macro dotted_date_digits(value) -%}
case
            when {{ value }} ~ '^\d\d\.\d\d\.\d{4}$' then substr({{ value }}, 7) || substr({{ value }}, 4, 2) || left({{ value }}, 2)
            when {{ value }} ~ '^\s*\d{1,2}[./-]\d{1,2}[./-]\d{4}\s*$' then
                split_part(translate(btrim({{ value }}), '/-', '..'), '.', 3)
                || lpad(split_part(translate(btrim({{ value }}), '/-', '..'), '.', 2), 2, '0')
                || lpad(split_part(translate(btrim({{ value }}), '/-', '..'), '.', 1), 2, '0')
            when {{ value }} ~ '^\s*\d{1,2}[./-]\d{4}\s*$' then
                split_part(translate(btrim({{ value }}), '/-', '..'), '.', 2)
                || lpad(split_part(translate(btrim({{ value }}), '/-', '..'), '.', 1), 2, '0')
                || '00'
            when {{ value }} ~ '^\s*\d{4}\s*$' then btrim({{ value }}) || '0000'
        end
{%- endmacro %}

{#- The same from the health insurance's yyyymmddHHMM or yyyymmdd, zeros for unknown parts. -#}
{% macro compact_date_digits(value) -%}
case when {{ value }} ~ '^\d{8}(?:\d{4})?$' then left({{ value }}, 8) end
{%- endmacro %}

{#- The date of 'yyyymmdd' with zeros, where the day is known. -#}
{% macro partial_date(digits) -%}
{{ calendar_date(digits) }}
{%- endmacro %}

{#- Its year. -#}
{% macro partial_year(digits) -%}
case when {{ digits }} ~ '^[12]\d{7}$' then left({{ digits }}, 4)::integer end
{%- endmacro %}

{#- How much of it is known: day, month, year; nothing where the year is not. A day that is on no calendar is not known. -#}
{% macro partial_precision(digits) -%}
case
            when {{ digits }} ~ '^{{ calendar_pattern() }}$' then 'day'
            when {{ digits }} ~ '^[12]\d{3}(?:0[1-9]|1[0-2])\d\d$' then 'month'
            when {{ digits }} ~ '^[12]\d{7}$' then 'year'
        end
{%- endmacro %}

{#- A point in time written yyyymmddHHMM (or yyyymmdd: midnight), without zone; nothing where it is none. -#}
{% macro compact_timestamp(value) -%}
case
            when {{ value }} ~ '^{{ calendar_pattern() }}(?:[01]\d|2[0-3])[0-5]\d$' then (left({{ value }}, 8) || 'T' || substr({{ value }}, 9))::timestamp
            when {{ value }} ~ '^{{ calendar_pattern() }}$' then {{ value }}::timestamp
        end
{%- endmacro %}

{#- A time of day written HH:MM; nothing where it is none. -#}
{% macro clock_time(value) -%}
case when {{ value }} ~ '^([01]\d|2[0-3]):[0-5]\d$' then {{ value }}::time end
{%- endmacro %}

{#- First day of a school year written 2026-2027: 1 September of its first year; nothing for another shape. -#}
{% macro school_year_start(school_year) -%}
case when {{ school_year }} ~ '^[12]\d{3}-[12]\d{3}$' then make_date(substr({{ school_year }}, 1, 4)::integer, 9, 1) end
{%- endmacro %}

{#- The date a school record speaks of: the start of its school year, or the day of entry where that came later. -#}
{% macro school_year_date(school_year, entered_on) -%}
greatest({{ school_year_start(school_year) }}, {{ entered_on }})
{%- endmacro %}
