{#-
    Load a seed's rows. dbt's own macro asks for the placeholder of every single value, which takes twenty seconds for the
    administrative units; here a row's placeholders are written once.
-#}
{% macro postgres__load_csv_rows(model, agate_table) -%}
    {%- set row = '(' ~ (['%s'] * (agate_table.column_names | length)) | join(', ') ~ ')' -%}
    {%- set columns = get_seed_column_quoted_csv(model, agate_table.column_names) -%}
    {%- set statements = [] -%}
    {%- for chunk in agate_table.rows | batch(get_batch_size()) -%}
        {%- set bindings = [] -%}
        {%- for each in chunk -%}
            {%- do bindings.extend(each) -%}
        {%- endfor -%}
        {%- set statement -%}
insert into {{ this.render() }} ({{ columns }}) values {{ ([row] * (chunk | length)) | join(', ') }}
        {%- endset -%}
        {%- do adapter.add_query(statement, bindings=bindings, abridge_sql_log=true) -%}
        {%- do statements.append(statement) -%}
    {%- endfor -%}
    {{ return(statements[0]) }}
{%- endmacro %}
