-- Names, comments and codes that would be instructions somewhere: to Jinja, YAML, SQL, Python, Rich, a shell.
create type "{{ kind }}" as enum ('{{ 1 }}', '{% raise %}', '{# ', 'yes', 'null', '1e3', '%(x)s', E'a\\b', 'it''s', '"', ': ', '!!python/none');
create table "{{ exceptions.raise_compiler_error('ran') }}" (
    "{{ 7 * 7 }}" integer primary key,
    "{% endraw %}{{ 1 / 0 }}" text,
    "{# hidden" text,
    "}} and #} and %}" text,
    "{1:{2:3}}" text,
    "%(x)s and 100%" text,
    "$(id) `id` ${HOME}" text,
    "a\b\n" text,
    "it's" text,
    "q""q" text,
    "-- noqa: disable=all" text,
    "*/ ; drop table x; /*" text,
    "[/red][bold]" text,
    "$ddl$ $$" text,
    "yes" text,
    "null" text,
    "1e3" text,
    ": # &a *a !!python/object/apply:os.system" text,
    U&"\202Eturned\202C" text,
    U&"line\2028separator\0085next" text,
    kind "{{ kind }}"
);
do $$
begin
    execute format('alter table %I add column %I text, add column %I text, add column %I text',
        '{{ exceptions.raise_compiler_error(''ran'') }}', E'line\nend', E'carriage\rreturn', E'bell\x07 tab\t');
end
$$;
comment on table "{{ exceptions.raise_compiler_error('ran') }}" is
    E'{{ exceptions.raise_compiler_error("ran") }} {% docs x %} {# -- noqa */ %(x)s \\ '' "\n---\nkey: value\r{{ doc("x") }}';
comment on column "{{ exceptions.raise_compiler_error('ran') }}"."yes" is
    U&'{% enddocs %}{{ 1 / 0 }}\202E !!python/object/apply:os.system ["true"]';
insert into "{{ exceptions.raise_compiler_error('ran') }}"
select k, '{{ 1 }}', '%s', '{%', '{#', E'\\', E'\n', E'\r', '''', '"', '--', '/*', '[x]', '$$', 'yes', null, '1e3', ':', '', '',
    '{{ 1 }}', 'x', E'\t', ''
from generate_series(1, 30) as k;

create table "{% macro x() %}" (
    "{{ a }}" text,
    "}} | ' || b" text,
    "position" integer,
    "timestamp" timestamp with time zone,
    "Comment" text,
    "order" integer,
    "user" text,
    "type" text,
    "date" date,
    "name" text,
    "ngày cấp" date,
    "First Name" text,
    primary key ("{{ a }}", "}} | ' || b")
);
insert into "{% macro x() %}"
select 'a|' || k, E'\\|' || k, k, now(), 'c', k, 'u', 't', current_date, 'n', null, '' from generate_series(1, 30) as k;
