-- How far each rule holds, from 0 to 100, with the weight of its severity; and two measures that no rule file states: whether a
-- dataset is as fresh as its contract promises, and how many rows had to be cleaned.
-- Grain: one row per sector, dataset, agency (null: the dataset as a whole) and rule.

{{ config(materialized='table', schema='staging') }}

with

result as (
    select
        batch.sector,
        batch.dataset,
        found.batch_id,
        found.rule_id,
        found.dimension,
        found.severity,
        found.by_agency,
        found.checked,
        found.failed
    from {{ ref('int_quality__batch') }} as batch
    inner join {{ source('control', 'expectation_result') }} as found on batch.batch_id = found.batch_id
    where found.raised is null and found.checked > 0
),

of_dataset as (
    select
        sector,
        dataset,
        null::text as agency_code,
        rule_id,
        dimension,
        severity,
        sum(checked) as checked,
        sum(failed) as failed
    from result
    group by sector, dataset, rule_id, dimension, severity
),

-- An agency's rows were judged by the rules of their batch. Batches with the same rules are taken together first.
judged as (
    select
        batch_id,
        md5(string_agg(rule_id || ' ' || severity || ' ' || dimension, ',' order by rule_id)) as rule_set
    from result
    where by_agency
    group by batch_id
),

agency_rows as (
    select
        batch.sector,
        batch.dataset,
        judged.rule_set,
        sent.agency as agency_code,
        sum(sent.checked) as checked
    from judged
    inner join {{ ref('int_quality__batch') }} as batch on judged.batch_id = batch.batch_id
    inner join {{ source('control', 'agency_check') }} as sent on judged.batch_id = sent.batch_id
    group by batch.sector, batch.dataset, judged.rule_set, sent.agency
),

rule_of_set as (
    select distinct
        judged.rule_set,
        result.rule_id,
        result.dimension,
        result.severity
    from judged
    inner join result on judged.batch_id = result.batch_id and result.by_agency
),

agency_failures as (
    select
        batch.sector,
        batch.dataset,
        judged.rule_set,
        failure.agency as agency_code,
        failure.rule_id,
        sum(failure.failed) as failed
    from judged
    inner join {{ ref('int_quality__batch') }} as batch on judged.batch_id = batch.batch_id
    inner join {{ source('control', 'agency_failure') }} as failure on judged.batch_id = failure.batch_id
    group by batch.sector, batch.dataset, judged.rule_set, failure.agency, failure.rule_id
),

of_agency as (
    select
        sent.sector,
        sent.dataset,
        sent.agency_code,
        rule_of_set.rule_id,
        rule_of_set.dimension,
        rule_of_set.severity,
        sum(sent.checked) as checked,
        sum(coalesce(failures.failed, 0)) as failed
    from agency_rows as sent
    inner join rule_of_set on sent.rule_set = rule_of_set.rule_set
    left join agency_failures as failures
        on
            sent.sector = failures.sector
            and sent.dataset = failures.dataset
            and sent.rule_set = failures.rule_set
            and sent.agency_code = failures.agency_code
            and rule_of_set.rule_id = failures.rule_id
    group by
        sent.sector, sent.dataset, sent.agency_code, rule_of_set.rule_id, rule_of_set.dimension, rule_of_set.severity
),

cleaned as (
    select
        {{ sector_of_model('intake.model') }} as sector,
        {{ dataset_of_model('intake.model') }} as dataset,
        nullif(intake.agency, '') as agency_code,
        sum(intake.rows) as checked,
        sum(intake.repaired) as failed
    from {{ ref('int_quality__intake') }} as intake
    group by intake.model, intake.agency
),

repaired as (
    select
        sector,
        dataset,
        null::text as agency_code,
        sum(checked) as checked,
        sum(failed) as failed
    from cleaned
    group by sector, dataset
    union all
    select
        sector,
        dataset,
        agency_code,
        checked,
        failed
    from cleaned
    where agency_code is not null
),

newest as (
    select
        sector,
        dataset,
        max(accepted_at) as newest_at
    from {{ source('control', 'batch') }}
    where status = 'accepted'
    group by sector, dataset
),

age as (
    select
        promised.sector,
        promised.dataset,
        extract(epoch from promised.freshness) as promised_seconds,
        extract(epoch from begun.started_at - newest.newest_at) as age_seconds
    from {{ source('control', 'release_dataset') }} as promised
    inner join {{ source('control', 'release') }} as begun on promised.release_id = begun.release_id
    inner join newest on promised.sector = newest.sector and promised.dataset = newest.dataset
    where promised.release_id = {{ building_release() }}
),

counted as (
    select * from of_dataset
    union all
    select * from of_agency
    union all
    select
        sector,
        dataset,
        agency_code,
        dataset || '.sent_clean' as rule_id,
        'cleanliness' as dimension,
        'info' as severity,
        checked,
        failed
    from repaired
    where checked > 0
),

measured as (
    select
        counted.*,
        100 * (1 - counted.failed / counted.checked) as score
    from counted
    union all
    select
        sector,
        dataset,
        null::text as agency_code,
        dataset || '.on_time' as rule_id,
        'freshness' as dimension,
        'critical' as severity,
        1 as checked,
        case when age_seconds <= promised_seconds then 0 else 1 end as failed,
        100 * least(1, promised_seconds / greatest(age_seconds, 1)) as score
    from age
)

select
    measured.*,
    severity_weight.weight
from measured
inner join {{ ref('quality_weight') }} as severity_weight
    on severity_weight.kind = 'severity' and measured.severity = severity_weight.name
