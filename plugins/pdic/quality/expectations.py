"""PDIC's own expectations and metrics for Great Expectations. Importing this module imports Great Expectations (seconds).

Great Expectations resolves the metrics of each expectation apart, so fifteen row rules read a table some thirty times. Here
every row rule is still an expectation of its own, but all of a table depend on one metric whose value is the whole rule
set's counts. Great Expectations resolves equal metrics once: one statement, one scan, however many rules.

Results hold counts only. The failing values never leave the database.
"""

from __future__ import annotations

import dataclasses
import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer

from pdic import agency as agency_code
from pdic.contracts import reserved
from pdic.quality import lookups, predicates
from pdic.quality.census import Questions
from pdic.quality.chance import tolerated
from pdic.quality.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from great_expectations.execution_engine.execution_engine import ExecutionEngine

    from pdic.contracts import Contract
    from pdic.quality.rules import Rule

# SQLAlchemy quotes the keywords that it knows. A newer one would be no column's name then: `system_user` is the session's user.
PGIdentifierPreparer.reserved_words = PGIdentifierPreparer.reserved_words | reserved.KEYWORDS

Counts = dict[str, Any]
"""What a metric returns: `rows` and `seconds` of the scan, `failed` by rule id, `raised` (safe text) by rule id.

The shared scan's also has `by_agency`, the failing rows by rule id and agency, and the `census`.
"""

_NOT_THE_RULES_FAULT = ("08", "53", "57", "58")
"""SQLSTATE classes that say the server is in trouble: trying each rule alone would only make it worse."""


class RuleRaised(Exception):
    """A rule could not be evaluated. The text is safe to show."""


def rule_set(rules: Sequence[Rule], questions: Questions, contract: Contract | None = None) -> str:
    """Rules, and what else their scan is to count, as text: the value argument that makes the shared metric one metric.

    `contract` is that of rows which tell what was sound (`cleaning.relation`).
    """
    listed = [
        {
            "id": rule.id,
            "type": rule.type,
            "kwargs": dict(rule.kwargs),
            "shortcut": None if contract is None else predicates.shortcut(rule, contract),
        }
        for rule in rules
    ]
    return json.dumps({"rules": listed, "census": dataclasses.asdict(questions)}, ensure_ascii=False)


class RowRuleCounts(TableMetricProvider):
    """Counts the failing rows of all row rules of a table in one scan."""

    metric_name = "pdic.row_rules.counts"
    value_keys = ("rule_set",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> Counts:
        wanted = json.loads(metric_value_kwargs["rule_set"])
        rows = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        with execution_engine.get_connection() as connection:
            driver = connection.connection.dbapi_connection
            failing = {
                rule["id"]: predicates.predicate_of(rule["type"], rule["kwargs"], rule["shortcut"]).as_string(driver)
                for rule in wanted["rules"]
            }
            start = time.perf_counter()
            found = _count(connection, rows, failing, Questions(**wanted["census"]))
            return {**found, "seconds": time.perf_counter() - start}


class UniqueCounts(TableMetricProvider):
    """Counts the rows that share their value of some columns with another row."""

    metric_name = "pdic.unique.counts"
    value_keys = ("columns", "ignore_row_if")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> Counts:
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in metric_value_kwargs["columns"]]
        filled = [column.is_not(None) for column in columns]
        considered = {
            "all_values_are_missing": sa.or_(*filled),
            "any_value_is_missing": sa.and_(*filled),
            "never": sa.true(),
        }[metric_value_kwargs["ignore_row_if"]]
        rows = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        if len(columns) == 1 and metric_value_kwargs["ignore_row_if"] != "never":
            # A sort of bare values takes half of what grouping does, but only says whether any value comes twice.
            (column,) = columns
            values = sa.func.count(column)
            quick = _timed_pair(
                execution_engine,
                sa.select(values, values - sa.func.count(sa.distinct(column))).select_from(rows),
            )
            if quick["raised"] or not quick["failed"][""]:
                return quick
        times = sa.func.count().label("times")
        groups = sa.select(times).select_from(rows).where(considered).group_by(*columns).subquery("value")
        counted = sa.select(
            sa.func.coalesce(sa.func.sum(groups.c.times), 0),
            sa.func.coalesce(sa.func.sum(groups.c.times).filter(groups.c.times > 1), 0),
        )
        return _timed_pair(execution_engine, counted)


class QueryCounts(TableMetricProvider):
    """Counts the rows that a query returns."""

    metric_name = "pdic.query.counts"
    value_keys = ("query",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> Counts:
        rows = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
        query = f"(select count(*) from ({metric_value_kwargs['query']}\n) as failing)"  # noqa: S608 (a rule file's own query)
        failing = sa.literal_column(query, sa.BigInteger)
        return _timed_pair(execution_engine, sa.select(sa.func.count(), failing).select_from(rows))


class LookupJudged(TableMetricProvider):
    """Counts the rows that lookup rules judge: the same statement for all rules of a table, so it is run once."""

    metric_name = "pdic.lookup.judged"
    value_keys = ("judged",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> Counts:
        return _looked_up(execution_engine, metric_value_kwargs["judged"])


class LookupCounts(TableMetricProvider):
    """Counts the rows that a lookup rule finds."""

    metric_name = "pdic.lookup.counts"
    value_keys = ("failing",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: SqlAlchemyExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> Counts:
        return _looked_up(execution_engine, metric_value_kwargs["failing"])


class _CountingExpectation(BatchExpectation):
    """Succeeds where a metric counts no failure for the rule, or few enough (`chance.tolerated`); its result is the counts."""

    rule_id: str
    mostly: float = 1.0

    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.TABLE

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine[Any] | None = None,
    ) -> dict[str, Any]:
        counts = self._counts(metrics)
        key = self.rule_id if self.rule_id in counts["failed"] or self.rule_id in counts["raised"] else ""
        if raised := counts["raised"].get(key):
            raise RuleRaised(raised)
        checked, failed = counts["rows"], counts["failed"][key]
        return {
            "success": failed <= tolerated(checked, float(1 - Decimal(str(self.mostly)))),
            "result": {
                "element_count": checked,
                "unexpected_count": failed,
                "seconds": counts["seconds"] / max(1, len(counts["failed"])),
                "by_agency": counts.get("by_agency", {}).get(key, {}),
                "census": counts.get("census"),
            },
        }

    def _counts(self, metrics: Mapping[str, Any]) -> Counts:
        counts: Counts = metrics[self.metric_dependencies[0]]
        return counts


class PdicExpectRowRule(_CountingExpectation):
    """A row rule, counted by the scan that all row rules of the table share."""

    rule_set: str
    metric_dependencies: ClassVar[tuple[str, ...]] = (RowRuleCounts.metric_name,)
    success_keys: ClassVar[tuple[str, ...]] = ("rule_set", "mostly")


class PdicExpectUnique(_CountingExpectation):
    """No two rows have the same values in these columns."""

    columns: list[str]
    ignore_row_if: str = "all_values_are_missing"
    metric_dependencies: ClassVar[tuple[str, ...]] = (UniqueCounts.metric_name,)
    success_keys: ClassVar[tuple[str, ...]] = ("columns", "ignore_row_if")


class PdicExpectQueryToReturnNoRows(_CountingExpectation):
    """A query, written to find what must not be, finds nothing."""

    query: str
    metric_dependencies: ClassVar[tuple[str, ...]] = (QueryCounts.metric_name,)
    success_keys: ClassVar[tuple[str, ...]] = ("query",)


class PdicExpectLookupToFindNoRows(_CountingExpectation):
    """No row fails by what other rows say."""

    judged: str
    failing: str
    metric_dependencies: ClassVar[tuple[str, ...]] = (LookupCounts.metric_name, LookupJudged.metric_name)
    success_keys: ClassVar[tuple[str, ...]] = ("judged", "failing")

    def _counts(self, metrics: Mapping[str, Any]) -> Counts:
        found, judged = (metrics[name] for name in self.metric_dependencies)
        return {
            "rows": judged["number"],
            "failed": {} if found["number"] is None else {"": found["number"]},
            "raised": {"": raised} if (raised := found["raised"] or judged["raised"]) else {},
            "seconds": found["seconds"],
        }


def _count(connection: sa.Connection, rows: sa.FromClause, failing: Mapping[str, str], questions: Questions) -> Counts:
    """Counts every predicate in one scan; where that raises, each alone, so that one bad rule does not hide the others."""
    try:
        return _count_at_once(connection, rows, failing, questions)
    except sa.exc.DBAPIError as error:
        connection.rollback()
        text = safe_text(error)
        if _server_in_trouble(error):
            return {"rows": None, "failed": {}, "raised": dict.fromkeys(failing, text)}
    return _count_apart(connection, rows, failing)


def _count_at_once(
    connection: sa.Connection, rows: sa.FromClause, failing: Mapping[str, str], questions: Questions
) -> Counts:
    conditions = [*failing.values(), *questions.conditions]
    if questions.agency is None:
        total = [int(count) for count in connection.execute(_counting(rows, conditions)).one()]
        agencies, by_agency = {}, {}
    else:
        found = connection.execute(_counting_by(questions.agency, rows, conditions)).all()
        total = [sum(counts) for counts in zip(*(row[1:] for row in found), strict=True)] or [0] * (1 + len(conditions))
        agencies = {row[0]: row[1] for row in found}
        by_agency = {
            rule_id: {row[0]: row[at] for row in found if row[at]} for at, rule_id in enumerate(failing, start=2)
        }
    failed = dict(zip(failing, total[1:], strict=False))
    census = questions.answers(total[0], agencies, total[1 + len(failing) :])
    shown = dataclasses.asdict(census)  # Great Expectations takes plain values only
    return {"rows": total[0], "failed": failed, "raised": {}, "by_agency": by_agency, "census": shown}


def _count_apart(connection: sa.Connection, rows: sa.FromClause, failing: Mapping[str, str]) -> Counts:
    found: Counts = {"rows": None, "failed": {}, "raised": {}}
    for rule_id, condition in failing.items():
        try:
            found["rows"], found["failed"][rule_id] = connection.execute(_counting(rows, [condition])).one()
        except sa.exc.DBAPIError as error:
            found["raised"][rule_id] = safe_text(error)
        connection.rollback()
    return found


def _counting(rows: sa.FromClause, conditions: Any) -> sa.Select[*tuple[Any, ...]]:
    counts = (sa.literal_column(f"count(*) filter (where {condition})", sa.BigInteger) for condition in conditions)
    return sa.select(sa.func.count(), *counts).select_from(rows)


def _counting_by(column: str, rows: sa.FromClause, conditions: Any) -> sa.Select[*tuple[Any, ...]]:
    """The same counts, one row an agency. The shown code is made of the groups, as it is too dear to be made of every row."""
    agency = sa.cast(sa.column(column), sa.Text).label("agency")
    names = [f"n{number}" for number in range(1 + len(conditions))]
    counts = [
        count.label(name) for count, name in zip(_counting(rows, conditions).selected_columns, names, strict=True)
    ]
    groups = sa.select(agency, *counts).select_from(rows).group_by(agency).subquery("sent")
    shown = sa.literal_column(agency_code.shown("agency"), sa.Text).label("shown")
    sums = (sa.cast(sa.func.sum(groups.c[name]), sa.BigInteger) for name in names)
    return sa.select(shown, *sums).group_by(shown)


def _looked_up(execution_engine: SqlAlchemyExecutionEngine, statement: str) -> dict[str, Any]:
    """The `number` that a lookup's statement counts (None where it `raised`, safe text), and its `seconds`."""
    start = time.perf_counter()
    number, raised = None, None
    with execution_engine.get_connection() as connection:
        plain = connection.execution_options(no_parameters=True)  # `%` and `:` in the statement are its own
        try:
            plain.exec_driver_sql(lookups.PLANNING)
            number = int(plain.exec_driver_sql(statement).scalar_one())
        except sa.exc.DBAPIError as error:
            raised = safe_text(error)
        connection.rollback()
    return {"number": number, "raised": raised, "seconds": time.perf_counter() - start}


def _timed_pair(execution_engine: SqlAlchemyExecutionEngine, statement: sa.Select[*tuple[Any, ...]]) -> Counts:
    start = time.perf_counter()
    with execution_engine.get_connection() as connection:
        try:
            checked, failed = connection.execute(statement).one()
        except sa.exc.DBAPIError as error:
            return {
                "rows": None,
                "failed": {},
                "raised": {"": safe_text(error)},
                "seconds": time.perf_counter() - start,
            }
    return {"rows": int(checked), "failed": {"": int(failed)}, "raised": {}, "seconds": time.perf_counter() - start}


def _server_in_trouble(error: sa.exc.DBAPIError) -> bool:
    code = getattr(error.orig, "pgcode", None)
    return code is None or code[:2] in _NOT_THE_RULES_FAULT
