-- Dossiers of administrative procedures, and whether each was decided in time.
-- Grain: one row per dossier (dossier_key). A dossier that was sent again under another record counts once, as sent last.
-- The agency's time stands still while it waits for a supplement: `due_on` is the day promised at receipt, later by the
-- days waited. Whether an open dossier is overdue depends on the day one looks, so that is for the mart to say.
{{ config(follows_changes=true) }}

with

{{ affected_keys('dossier_key', ref('stg_one_stop__hoso'), dataset=['one_stop', 'hoso'], role=['applicant']) }}

dossiers as (
    select
        sent.*,
        sent.due_at::date + sent.waited_days as due_on,
        sent.finished_at::date as finished_on
    from {{ ref('stg_one_stop__hoso') }} as sent
    where
        {{ stands('sent') }}
        and {{ not_superseded(ref('stg_one_stop__hoso'), 'sent', 'dossier_key', 'record_id') }}
        {{ only_affected('sent.dossier_key') }}
),

published as (
    select
        dossiers.dossier_key,
        applicant.citizen_key,
        {{ key_of('agency', ["'investor'", 'dossiers.agency_code', "''"]) }} as agency_key,
        dossiers.procedure_code,
        dossiers.procedure_name,
        dossiers.procedure_field_code as procedure_field,
        dossiers.channel_code as channel,
        dossiers.applicant_kind_code as applicant_kind,
        dossiers.received_at::date as event_date,
        dossiers.due_on,
        dossiers.finished_on,
        dossiers.returned_at::date as returned_on,
        dossiers.status_code as status,
        dossiers.waited_days,
        case
            when dossiers.status_code in ('rejected', 'withdrawn', 'stopped') then 'without_result'
            when dossiers.finished_on <= dossiers.due_on then 'on_time'
            when dossiers.finished_on > dossiers.due_on then 'late'
            when dossiers.status_code = 'supplement_asked' then 'waiting'
            else 'open'
        end as outcome,
        dossiers._key as _source_key
    from dossiers
    {{ join_citizen('applicant', ['one_stop', 'hoso'], 'dossiers._key', 'applicant') }}
    offset 0
)
{{- living_rows('published', 'dossier_key') }}
