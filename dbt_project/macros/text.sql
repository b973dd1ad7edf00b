{#- Text, codes and keys. Every macro returns one expression and never raises an error on bad input. -#}

{#-
    Text as people mean it: NFC, no blanks around, and nothing where the source wrote a word for nothing.
    Most values are ASCII or NFC already; asking first is cheaper than normalising all.
-#}
{% macro clean_text(value) -%}
nullif(btrim(case when {{ value }}::text is nfc normalized then {{ value }}::text else normalize({{ value }}::text, nfc) end, e' \t\r\n\u00a0'), '')
{%- endmacro %}

{#- The same, and words such as "không có thông tin" count as nothing. -#}
{% macro clean_words(value) -%}
case when lower(btrim({{ value }}::text)) not in ('null', 'n/a', 'không có', 'không có thông tin', '-') then {{ clean_text(value) }} end
{%- endmacro %}

{#- A code: no blanks around, nothing for empty. Codes are ASCII. -#}
{% macro clean_code(value) -%}
nullif(btrim({{ value }}::text), '')
{%- endmacro %}

{#-
    A sector's code in the common list (seeds/code_list.csv), by which the sectors can be compared: each numbers the same
    things differently. The list is written into the statement when the model runs. A code that is not on the list stays
    as it is, for a test to find; nothing stays nothing.
-#}
{% macro common_code(list, sector, value) -%}
    {%- set code = clean_text(value) -%}
    {%- set code_list = ref('code_list') -%}
    {%- set pairs = [] -%}
    {%- if execute -%}
        {%- for row in asked_once(
            'codes of ' ~ sector,
            "select list, source_code, common_code from " ~ code_list ~ " where sector = '" ~ sector ~ "' order by list, source_code"
        ) if row[0] == list -%}
            {%- do pairs.append((row[1], row[2])) -%}
        {%- endfor -%}
        {%- if not pairs -%}
            {{ exceptions.raise_compiler_error('seeds/code_list.csv has no list ' ~ list ~ ' of sector ' ~ sector ~ ', which ' ~ this.name ~ ' reads: name a list that is there.') }}
        {%- endif -%}
    {%- endif -%}
    {%- if not pairs -%}
{{ code }}
    {%- else -%}
case {{ code }}
            {%- for pair in pairs %}
            when '{{ pair[0] | replace("'", "''") }}' then '{{ pair[1] | replace("'", "''") }}'
            {%- endfor %}
            else {{ code }}
        end
    {%- endif -%}
{%- endmacro %}

{#-
    A key that means nothing outside, of the business key's parts: HMAC under a secret of its purpose (`pdic.release.keys`), 32
    letters g to v. Letters only, so that no key can be mistaken for an identifier of twelve digits. Nothing where any part is
    missing.
-#}
{% macro key_of(purpose, parts) -%}
    {%- if execute and purpose not in var('key_purposes') -%}
        {{ exceptions.raise_compiler_error(this.name ~ " makes a key for the purpose " ~ purpose ~ ", which key_purposes in dbt_project.yml does not list: add it there.") }}
    {%- endif -%}
clean.key_of({{ parts | join(" || '|' || ") }}, (select clean.key_block('{{ purpose }}', 54)), (select clean.key_block('{{ purpose }}', 92)))
{%- endmacro %}

{#- Chapter of ICD-10 (I to XXII as 01 to 22) of a diagnosis code; nothing for what is no ICD-10 code. -#}
{% macro icd10_chapter(value) -%}
    {%- set code = 'upper(substr(' ~ value ~ ', 1, 3))' -%}
case
            when {{ code }} !~ '^[A-Z][0-9]{2}$' then null
            when {{ code }} < 'C00' then '01'
            when {{ code }} < 'D50' then '02'
            when {{ code }} < 'E00' then '03'
            when {{ code }} < 'F00' then '04'
            when {{ code }} < 'G00' then '05'
            when {{ code }} < 'H00' then '06'
            when {{ code }} < 'H60' then '07'
            when {{ code }} < 'I00' then '08'
            when {{ code }} < 'J00' then '09'
            when {{ code }} < 'K00' then '10'
            when {{ code }} < 'L00' then '11'
            when {{ code }} < 'M00' then '12'
            when {{ code }} < 'N00' then '13'
            when {{ code }} < 'O00' then '14'
            when {{ code }} < 'P00' then '15'
            when {{ code }} < 'Q00' then '16'
            when {{ code }} < 'R00' then '17'
            when {{ code }} < 'S00' then '18'
            when {{ code }} < 'U00' then '19'
            when {{ code }} < 'V00' then '22'
            when {{ code }} < 'Z00' then '20'
            else '21'
        end
{%- endmacro %}

{#- How many đồng one of the amount's units is (seeds/code_list.csv, list amount_unit); nothing for a unit that is not listed. -#}
{% macro unit_factor(value) -%}
case when {{ common_code('amount_unit', 'investment', 'lower(' ~ value ~ ')') }} ~ '^\d+$' then {{ common_code('amount_unit', 'investment', 'lower(' ~ value ~ ')') }}::numeric end
{%- endmacro %}
