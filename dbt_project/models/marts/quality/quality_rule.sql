-- What each rule found in the batches of the last 30 days.
-- Grain: one row per sector, dataset and rule, as it is graded (quality_rule_key).
select
    {{ key_of('quality_rule', ['sector', 'dataset', 'rule_id', 'dimension', 'severity']) }} as quality_rule_key,
    sector,
    dataset,
    rule_id,
    dimension,
    severity,
    checked::bigint as checked,
    failed::bigint as failed,
    trunc(score, 2)::numeric(5, 2) as score
from {{ ref('int_quality__rule_score') }}
where agency_code is null
