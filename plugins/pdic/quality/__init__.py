"""The quality room: rules, the gates of loads and releases, and the predicates that fill the quarantine.

    rules = rules_for_batch(root, sector, dataset)
    verdict = check_batch(auditor_uri, contract, batch_id, batch_table, rules)     # Great Expectations, counts only
    record(connection, verdict.results, "batch", batch_id, sector, dataset)        # control.expectation_result
    quarantine_sql(rules)                                                          # text[]: the rules that a row breaks

`audit_release` is the same for the candidate's tables. Importing this package does not import Great Expectations.
"""

from __future__ import annotations

from pdic.quality.batch import Difference, check_batch, check_sector
from pdic.quality.census import Census, record_census
from pdic.quality.lookups import PLANNING as LOOKUP_PLANNING
from pdic.quality.lookups import Lookups
from pdic.quality.lookups import prepare as prepare_lookups
from pdic.quality.moments import complete as judge_freshness
from pdic.quality.past import complete
from pdic.quality.predicates import predicate, quarantine_predicates, quarantine_sql
from pdic.quality.release import audit_release
from pdic.quality.results import BatchVerdict, ReleaseVerdict, RuleResult, record
from pdic.quality.rules import (
    Dimension,
    OnFail,
    Origin,
    Reason,
    Rule,
    RuleError,
    Severity,
    Stage,
    load_rules,
    rules_for_batch,
    rules_for_release,
)

__all__ = [
    "LOOKUP_PLANNING",
    "BatchVerdict",
    "Census",
    "Difference",
    "Dimension",
    "Lookups",
    "OnFail",
    "Origin",
    "Reason",
    "ReleaseVerdict",
    "Rule",
    "RuleError",
    "RuleResult",
    "Severity",
    "Stage",
    "audit_release",
    "check_batch",
    "check_sector",
    "complete",
    "judge_freshness",
    "load_rules",
    "predicate",
    "prepare_lookups",
    "quarantine_predicates",
    "quarantine_sql",
    "record",
    "record_census",
    "rules_for_batch",
    "rules_for_release",
]
