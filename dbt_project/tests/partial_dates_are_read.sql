-- Partial dates keep what is known of them, and nothing that is written raises an error: what each form must give.
-- (A unit test of a staging model cannot say this: dbt folds the names of the sources' columns to lower case.)
with

expected (form, written, birth_date, birth_year, birth_precision) as (
    values
    ('dotted', '29.02.2024', date '2024-02-29', 2024, 'day'),
    ('dotted', '29.02.2023', null, 2023, 'month'),
    ('dotted', '29.02.1900', null, 1900, 'month'),
    ('dotted', '29.02.2000', date '2000-02-29', 2000, 'day'),
    ('dotted', ' 1/9/2010 ', date '2010-09-01', 2010, 'day'),
    ('dotted', '01-09-2010', date '2010-09-01', 2010, 'day'),
    ('dotted', '09.2010', null, 2010, 'month'),
    ('dotted', '13.2010', null, 2010, 'year'),
    ('dotted', '2010', null, 2010, 'year'),
    ('dotted', '31.13.2010', null, 2010, 'year'),
    ('dotted', 'khoảng 60', null, null, null),
    ('dotted', '', null, null, null),
    ('dotted', null, null, null, null),
    ('compact', '202402291530', date '2024-02-29', 2024, 'day'),
    ('compact', '20240229', date '2024-02-29', 2024, 'day'),
    ('compact', '202404310000', null, 2024, 'month'),
    ('compact', '202404000000', null, 2024, 'month'),
    ('compact', '202400000000', null, 2024, 'year'),
    ('compact', '000000000000', null, null, null),
    ('compact', '2024', null, null, null),
    ('compact', 'Null', null, null, null)
),

digits as (
    select
        expected.*,
        case expected.form
            when 'dotted' then {{ dotted_date_digits('expected.written') }}
            else {{ compact_date_digits('expected.written') }}
        end as read_digits
    from expected
),

partial_dates as (
    select 'date ' || form || ' ' || coalesce(written, 'nothing') as problem
    from digits
    where
        (birth_date, birth_year, birth_precision)
        is distinct from
        ({{ partial_date('read_digits') }}, {{ partial_year('read_digits') }}, {{ partial_precision('read_digits') }})
),

times (written, point) as (
    values
    ('202402291530', timestamp '2024-02-29 15:30'),
    ('20240229', timestamp '2024-02-29 00:00'),
    ('202302291530', null),
    ('202402292430', null),
    ('202402291560', null),
    ('2024-02-29', null),
    ('', null),
    (null, null)
),

points as (
    select 'time ' || coalesce(written, 'nothing') as problem
    from times
    where point is distinct from {{ compact_timestamp('written') }}
)

select problem from partial_dates
union all
select problem from points
