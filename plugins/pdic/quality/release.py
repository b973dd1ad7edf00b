"""The gate of a release: what the rules say of the candidate's tables, before readers see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psycopg2

from pdic.quality.gate import Gate, TableMissing, Target, open_gate
from pdic.quality.results import ReleaseVerdict, RuleResult, listed
from pdic.quality.rules import Dimension, OnFail, Origin, Reason, Rule, Severity, rules_for_release
from pdic.quality.safe_text import safe_text
from pdic.warehouse import unusable


def audit_release(
    auditor_uri: str,
    release_id: int,
    tables: Sequence[str],
    schema: str = "candidate",
    root: Path | None = None,
) -> ReleaseVerdict:
    """Runs the rules of each table (`rules_for_release`) on `schema`.

    `root` is the project root. A table that is missing, a rule that cannot be evaluated and a database that is gone fail
    the release. Raises RuleError for a wrong rule file, or a table without rules, before anything is checked.
    """
    planned = {table: rules_for_release(root or _project_root(), table) for table in tables}
    with open_gate(auditor_uri) as gate:
        found = {table: _audit(gate, Target(schema, table), rules) for table, rules in planned.items()}
    failing = {table: [result for result in results if result.halts] for table, results in found.items()}
    passed = not any(failing.values())
    return ReleaseVerdict(
        release_id,
        results=tuple(result for results in found.values() for result in results),
        tables=found,
        passed=passed,
        message=_message(release_id, schema, found, failing, root or _project_root()),
    )


def _audit(gate: Gate, target: Target, rules: Sequence[Rule]) -> tuple[RuleResult, ...]:
    try:
        return gate.check(target, rules)
    except (TableMissing, psycopg2.Error) as error:
        if refusal := unusable(error):
            raise refusal from error
        text = str(error) if isinstance(error, TableMissing) else safe_text(error)
        return tuple(RuleResult(rule, False, None, None, raised=text) for rule in (rules or [_existence(target)]))


def _existence(target: Target) -> Rule:
    """The rule that every audited table is there; it has a result of its own only where the table has no other rule."""
    return Rule(
        id=f"{target.table}.exists",
        type="expect_table_row_count_to_be_between",
        kwargs={"min_value": 0},
        severity=Severity.CRITICAL,
        dimension=Dimension.COMPLETENESS,
        on_fail=OnFail.HALT,
        reason=Reason(vi="Bảng của bản phát hành phải có", en="The table of the release must be there"),
        origin=Origin.CONTRACT,
        source="a release holds every table that is shared",
    )


def _message(
    release_id: int,
    schema: str,
    found: Mapping[str, Sequence[RuleResult]],
    failing: Mapping[str, Sequence[RuleResult]],
    root: Path,
) -> str:
    if named := _by_table(failing):
        models = [_model(root, table) for table, results in failing.items() if results]
        rules = sorted({result.rule.stands_in for results in failing.values() for result in results})
        return (
            f"release {release_id} fails its audit in {schema}: {named}. Readers keep the last good release: "
            f"correct the source, the model ({', '.join(models)}) or the rule ({', '.join(rules)}), then run `pdic release` again"
        )
    count = sum(len(results) for results in found.values())
    warned = {table: [result for result in results if not result.success] for table, results in found.items()}
    warnings = f"; warnings: {named}" if (named := _by_table(warned)) else ""
    return f"release {release_id}: {count} rules on {len(found)} tables of {schema} hold{warnings}"


def _by_table(results: Mapping[str, Iterable[RuleResult]]) -> str:
    return "; ".join(f"{table}: {listed(some)}" for table, some in results.items() if some)


def _model(root: Path, table: str) -> str:
    """The file of a table's model, from the project root; the table itself where it has none."""
    found = sorted((root / "dbt_project" / "models").rglob(f"{table}.sql"))
    return found[0].relative_to(root).as_posix() if found else table


def _project_root() -> Path:
    from pdic import settings

    return settings.project_root()
