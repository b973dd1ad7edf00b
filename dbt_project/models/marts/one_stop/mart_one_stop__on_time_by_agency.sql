-- How many dossiers were decided in time, by the agency that decides, the procedure and the channel they came by.
-- Grain: one row per agency, procedure and channel (on_time_by_agency_key).
-- Judged are dossiers that were decided, and open ones whose day has passed; an open one that is not due yet, one that waits
-- for its applicant, and one that ended without a result are counted apart and are neither on time nor late. The day one
-- looks is the newest day of receipt: a release is a function of its sources, and no clock is one.
with

looked_on as (
    select max(event_date) as as_of_date
    from {{ ref('fct_dossier') }}
),

judged as (
    select
        dossier.agency_key,
        dossier.procedure_code,
        dossier.procedure_name,
        dossier.channel,
        looked_on.as_of_date,
        case
            when dossier.outcome = 'open' and dossier.due_on < looked_on.as_of_date then 'overdue'
            else dossier.outcome
        end as outcome
    from {{ ref('fct_dossier') }} as dossier
    cross join looked_on
    where dossier.agency_key is not null
),

counted as (
    select
        agency_key,
        procedure_code,
        channel,
        -- One code has one name; where an agency writes it in two ways, the one that sorts last.
        max(procedure_name collate "C") as procedure_name,  -- noqa: RF03
        as_of_date,
        count(*)::integer as dossiers,
        (count(*) filter (where outcome = 'on_time'))::integer as on_time,
        (count(*) filter (where outcome = 'late'))::integer as late,
        (count(*) filter (where outcome = 'overdue'))::integer as overdue,
        (count(*) filter (where outcome = 'open'))::integer as not_due,
        (count(*) filter (where outcome = 'waiting'))::integer as waiting,
        (count(*) filter (where outcome = 'without_result'))::integer as without_result
    from judged
    group by agency_key, procedure_code, channel, as_of_date
)

select
    {{ key_of('on_time_by_agency', ['agency_key', 'procedure_code', "coalesce(channel, '')"]) }} as on_time_by_agency_key,
    agency_key,
    procedure_code,
    procedure_name,
    channel,
    as_of_date,
    dossiers,
    on_time,
    late,
    overdue,
    not_due,
    waiting,
    without_result,
    round(100.0 * on_time / nullif(on_time + late + overdue, 0), 2)::numeric(5, 2) as on_time_percent
from counted
