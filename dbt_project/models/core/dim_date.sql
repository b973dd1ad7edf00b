-- The calendar.
-- Grain: one row per day (date_day), 1900 to 2049.

with

days as (
    select day::date as date_day
    from generate_series(timestamp '1900-01-01', timestamp '2049-12-31', interval '1 day') as series (day)
)

select
    date_day,
    extract(year from date_day)::integer as year_number,
    extract(quarter from date_day)::integer as quarter_number,
    extract(month from date_day)::integer as month_number,
    date_trunc('month', date_day)::date as month_start,
    extract(isodow from date_day)::integer as iso_weekday,
    extract(isodow from date_day) >= 6 as is_weekend,
    case
        when extract(month from date_day) >= 9
            then extract(year from date_day)::integer || '-' || (extract(year from date_day)::integer + 1)
        else (extract(year from date_day)::integer - 1) || '-' || extract(year from date_day)::integer
    end as school_year,
    case when date_day < date '2025-07-01' then 'before_2025_07' else 'since_2025_07' end as administrative_scheme
from days
