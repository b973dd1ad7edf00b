"""Runs rules on tables with Great Expectations: one process, one context, one database connection for many tables.

Great Expectations is imported when a gate opens, not before: it costs seconds, and most of PDIC never needs it.
Every rule is an expectation with its id in `meta`.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from psycopg2 import sql

from pdic import cleaning
from pdic.errors import WarehouseUnavailable
from pdic.quality import lookups, predicates
from pdic.quality.census import Census, Questions
from pdic.quality.results import RuleResult
from pdic.quality.rule_types import Engine
from pdic.quality.rules import Rule
from pdic.quality.safe_text import safe_class, safe_text
from pdic.warehouse import connect, locks, no_room, outages
from pdic.warehouse.connect import LOCK_WAIT_S, Session

if TYPE_CHECKING:
    from pathlib import Path

    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.datasource.fluent.postgres_datasource import PostgresDatasource
    from great_expectations.expectations.expectation import Expectation

    from pdic.contracts import Contract

SESSION = f"-c default_transaction_read_only=on -c statement_timeout=30min -c lock_timeout={LOCK_WAIT_S}s"
"""Rules only read, none may run for ever, and none waits long for a table that another session holds."""

APPLICATION = "pdic quality"
_ENGINE_NAME = "pdic_quality"
_LOCKED_OUT = "LockNotAvailable"
"""The driver's class of an error: so much `safe_text` and `safe_class` keep of it."""
_SELDOM_USED = ("scipy.stats", "altair")
"""What Great Expectations imports for rules that compare distributions, and for their charts: a quarter of what its import costs."""
_ResultFormat = Literal["BASIC", "BOOLEAN_ONLY"]
ROW_COUNT_TYPES = frozenset({"expect_table_row_count_to_be_between", "expect_table_row_count_to_equal"})
"""Rules about the number of rows of the table."""


@dataclass(frozen=True)
class Target:
    """A table to check: `rows` limits it to some of its rows (`column` = `value`) where it has that column."""

    schema: str
    table: str
    rows: tuple[str, Any] | None = None
    cleaned_by: Contract | None = None
    """The contract of a batch's table: its values are judged as cleaning leaves them."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


class TableMissing(Exception):
    """The table to check does not exist."""


@contextmanager
def open_gate(auditor_uri: str) -> Iterator[Gate]:
    """A gate on one database (a libpq URI of the auditor), closed with all its connections at the end."""
    gate = Gate(auditor_uri)
    try:
        yield gate
    finally:
        gate.close()


@dataclass(frozen=True)
class _LookupTexts:
    """The statements of a table's lookups: one that counts the rows that they judge, and by rule id those that fail."""

    judged: str
    failing: Mapping[str, str]


@dataclass(frozen=True)
class _Asked:
    """What is asked of a table besides rules: the query of its rows, what to count of them, the lookups' statements."""

    query: str
    questions: Questions
    lookups: _LookupTexts


class Gate:
    """A Great Expectations context on one database. Use `open_gate`."""

    def __init__(self, auditor_uri: str) -> None:
        self._uri = auditor_uri
        self._context: EphemeralDataContext | None = None
        self._source: PostgresDatasource | None = None
        self._runs = 0

    def check(
        self, target: Target, rules: Sequence[Rule], looked: lookups.Lookups = lookups.NONE
    ) -> tuple[RuleResult, ...]:
        """Every rule's result, in the rules' order. A rule that cannot be evaluated is a result with `raised`; nothing passes unseen.

        `looked` has the queries of the lookup rules among them (`prepare`).
        Raises TableMissing where the table is not there, `WarehouseUnavailable` where the database is away or goes away: then
        no rule was judged, and none has failed. `TableHeld` where another session holds a table that is read.
        """
        columns, query, lookup_texts = self._look(target, rules, looked)
        questions = Questions.of(target.cleaned_by, columns) if target.cleaned_by is not None else Questions()
        asked = _Asked(query, questions, lookup_texts)
        missing = {rule.id: _missing(rule, target, columns) for rule in rules}
        found = {rule_id: text for rule_id, text in missing.items() if text}
        ready = [rule for rule in rules if rule.id not in found]
        results = {rule_id: _raised(rule, found[rule_id]) for rule in rules if (rule_id := rule.id) in found}
        for result in self._evaluate(target, asked, ready) if ready else ():
            results[result.rule.id] = result
            # Great Expectations makes an answer of every error, and of most it keeps the text only.
            if result.raised and outages.says_lost(result.raised):
                raise WarehouseUnavailable(
                    f"the warehouse went away while {target} was checked ({result.raised}): nothing was judged. Run the same "
                    "command again"
                )
            if result.raised and outages.says_disk_full(result.raised):
                raise no_room(result.raised)
            if result.raised and _LOCKED_OUT in result.raised:
                raise locks.table_held(self._uri, f"the check of {target}", [str(target)])
        return tuple(
            results.get(rule.id) or _raised(rule, "Great Expectations returned no result for it") for rule in rules
        )

    def prepare(
        self, contract: Contract, table: sql.Identifier, rules: Sequence[Rule], root: Path, pending: lookups.Pending
    ) -> lookups.Lookups:
        """What the lookup rules among `rules` need of a batch's `table`; nothing is asked where there are none.

        Raises psycopg2.Error where the ledger cannot be read, RuleError as `lookups.prepare`.
        """
        if not any(rule.rule_type.engine is Engine.LOOKUP for rule in rules):
            return lookups.NONE
        connection = connect(self._uri, "quality")
        try:
            return lookups.prepare(connection, contract, table, rules, root=root, pending=pending)
        finally:
            connection.close()

    def close(self) -> None:
        """Closes all connections."""
        if self._source is not None:
            self._source.get_execution_engine().close()
            self._source.get_engine().dispose()

    def _look(
        self, target: Target, rules: Sequence[Rule], looked: lookups.Lookups
    ) -> tuple[tuple[str, ...], str, _LookupTexts]:
        """The table's columns, the query of the rows to check, and the lookups' statements as text."""
        connection = connect(self._uri, "quality")
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    """
                    select array_agg(a.attname::text order by a.attnum)
                    from pg_catalog.pg_class as c
                    inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
                    inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
                    where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p', 'v', 'm', 'f')
                    group by c.oid
                    """,
                    (target.schema, target.table),
                )
                row = cursor.fetchone()
            if row is None:
                raise TableMissing(f"{target} does not exist")
            table: sql.Composable = sql.Identifier(target.schema, target.table)
            if target.cleaned_by is not None:
                contract = target.cleaned_by
                read = {name for rule in rules for name in rule.needed_columns} | {contract.agency_column}
                told = [rule.kwargs["column"] for rule in rules if predicates.shortcut(rule, contract) is not None]
                told = [name for name in dict.fromkeys(told) if name in row[0]]
                table = sql.SQL("({}) as cleaned").format(cleaning.relation(contract, table, row[0], read, told))
            query = sql.SQL("select * from {}").format(table)
            if target.rows and target.rows[0] in row[0]:
                column, value = target.rows
                query += sql.SQL(" where {} = {}").format(sql.Identifier(column), sql.Literal(value))
            texts = _LookupTexts(
                lookups.counting_judged(looked.judged).as_string(connection),
                {
                    rule_id: lookups.counting_failing(found).as_string(connection)
                    for rule_id, found in looked.queries.items()
                },
            )
            return tuple(row[0]), _unmarked(query.as_string(connection)), texts
        finally:
            connection.close()

    def _evaluate(self, target: Target, asked: _Asked, rules: Sequence[Rule]) -> Iterator[RuleResult]:
        # Results of PDIC's own expectations and of row counts are counts; of the others only success is asked for, because
        # an observed value (a column's maximum, its distinct values) may be a person's. Apart also so that one of Great
        # Expectations' own that raises does not make it compute the shared scan again.
        own = [rule for rule in rules if rule.rule_type.engine is not Engine.GX or rule.type in ROW_COUNT_TYPES]
        others = [rule for rule in rules if rule not in own]
        if own:
            yield from self._run(target, asked, own, "BASIC")
        if others:
            yield from self._run(target, asked, others, "BOOLEAN_ONLY")

    def _run(
        self, target: Target, asked: _Asked, rules: Sequence[Rule], result_format: _ResultFormat
    ) -> Iterator[RuleResult]:
        gx = import_great_expectations()
        expectations: list[Expectation] = []
        ready: list[Rule] = []
        from pdic.quality import expectations as own

        rule_set = own.rule_set([rule for rule in rules if rule.is_row_rule], asked.questions, target.cleaned_by)
        for rule in rules:
            try:
                expectations.append(_expectation(rule, rule_set, asked.lookups, target))
                ready.append(rule)
            except (TypeError, ValueError) as error:  # Great Expectations' models refuse wrong kwargs so
                yield _raised(
                    rule, f"Great Expectations refuses its kwargs ({type(error).__name__}): correct them in {rule.path}"
                )
        if not expectations:
            return
        try:
            answers = self._validate(gx, asked.query, expectations, result_format)
        except Exception as error:  # whatever it is, the rules were not evaluated, and that must be said of each
            text = safe_text(error)
            yield from (_raised(rule, text) for rule in ready)
            return
        by_id = {answer.expectation_config.meta["rule_id"]: answer for answer in answers if answer.expectation_config}
        yield from (_result(rule, by_id[rule.id]) for rule in ready if rule.id in by_id)

    def _validate(
        self, gx: Any, query: str, expectations: list[Expectation], result_format: _ResultFormat
    ) -> list[ExpectationValidationResult]:
        self._runs += 1
        name = f"run {self._runs}"
        if self._context is None:
            self._context = _context(gx)
        if self._source is None:
            self._source = _source(self._context, self._uri)
        rows = self._source.add_query_asset(name=name, query=query).add_batch_definition_whole_table(name)
        suite = gx.ExpectationSuite(name=name, expectations=expectations)
        # A checkpoint would keep the suite, itself and the answer in stores, and compare them with those again and again: that
        # costs as much as the rules do.
        return list(rows.get_batch().validate(suite, result_format=result_format).results)


def import_great_expectations() -> Any:
    """Great Expectations, silent: nothing is sent anywhere, and its log lines, which repeat database messages, stay unwritten.

    Its child loggers set levels of their own, so its records are stopped where they would leave its logger.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    for name in _SELDOM_USED:
        _import_when_used(name)
    log = logging.getLogger("great_expectations")
    if log.propagate:
        log.propagate = False
        log.addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        show = warnings.showwarning
        import great_expectations

        if warnings.showwarning is not show:  # the import sends the whole process's warnings to the log: take that back
            logging.captureWarnings(False)
    return great_expectations


def _import_when_used(name: str) -> None:
    """Puts a module in the place of the library `name`, unless that is there: it imports the library when somebody uses it."""
    if name in sys.modules:
        return
    stand_in = ModuleType(name)

    def used(attribute: str) -> Any:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    vars(stand_in)["__getattr__"] = used
    sys.modules[name] = stand_in


def _context(gx: Any) -> EphemeralDataContext:
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    context: EphemeralDataContext = gx.get_context(mode="ephemeral", project_config=config)
    return context


def _source(context: EphemeralDataContext, uri: str) -> PostgresDatasource:
    # At level DEBUG SQLAlchemy logs the rows it fetches, and some of Great Expectations' own fetch values.
    logging.getLogger(f"sqlalchemy.engine.Engine.{_ENGINE_NAME}").setLevel(logging.CRITICAL)
    return context.data_sources.add_postgres(  # type: ignore[call-arg] # its stub leaves out `kwargs`
        name="warehouse",
        connection_string=sqlalchemy_url(uri),
        create_temp_table=False,
        kwargs={
            "logging_name": _ENGINE_NAME,
            "connect_args": {
                "options": SESSION,
                "application_name": APPLICATION,
                "connect_timeout": 10,
                "connection_factory": Session,
            },
        },
    )


def sqlalchemy_url(uri: str) -> str:
    """A libpq URI as SQLAlchemy and Great Expectations take it.

    Great Expectations refuses a URL without a host, so a socket directory stays in the query and 'localhost' stands in;
    and it would substitute `$NAME`, so a dollar sign is percent-encoded.
    """
    from sqlalchemy import make_url

    url = make_url(uri).set(drivername="postgresql+psycopg2")
    if not url.host:
        url = url.set(host="localhost")
    return url.render_as_string(hide_password=False).replace("$", "%24")


def _missing(rule: Rule, target: Target, columns: Sequence[str]) -> str | None:
    absent = [name for name in rule.needed_columns if name not in columns]
    if not absent:
        return None
    return f"{target} has no column {', '.join(absent)}: correct the rule in {rule.path}, or the contract"


def _expectation(rule: Rule, rule_set: str, lookup_texts: _LookupTexts, target: Target) -> Expectation:
    from great_expectations.expectations.registry import get_expectation_impl

    from pdic.quality import expectations

    common: dict[str, Any] = {"severity": rule.severity.value, "meta": _meta(rule)}
    kwargs: Mapping[str, Any] = rule.kwargs
    match rule.rule_type.engine:
        case Engine.ROW:
            share = {"mostly": kwargs["mostly"]} if "mostly" in kwargs else {}
            return expectations.PdicExpectRowRule(rule_id=rule.id, rule_set=rule_set, **share, **common)
        case Engine.UNIQUE:
            columns = kwargs["column_list"] if "column_list" in kwargs else [kwargs["column"]]
            ignore = {"ignore_row_if": kwargs["ignore_row_if"]} if "ignore_row_if" in kwargs else {}
            return expectations.PdicExpectUnique(rule_id=rule.id, columns=columns, **ignore, **common)
        case Engine.LOOKUP:
            judged, failing = lookup_texts.judged, lookup_texts.failing[rule.id]
            return expectations.PdicExpectLookupToFindNoRows(rule_id=rule.id, judged=judged, failing=failing, **common)
        case Engine.QUERY:
            query = (
                kwargs["query"]
                .replace("{table}", f"{{schema}}.{_quoted(target.table)}")
                .replace("{schema}", _quoted(target.schema))
            )
            return expectations.PdicExpectQueryToReturnNoRows(rule_id=rule.id, query=query, **common)
        case Engine.HISTORY:
            raise ValueError(f"{rule.type} compares with earlier batches, not with a table")
        case Engine.GX:
            return get_expectation_impl(rule.type)(**kwargs, **common)


_QUOTED = re.compile(r"""(U&)?"((?:[^"]|"")*)"|(E)?'((?:[^']|'')*)'""")


def _unmarked(query: str) -> str:
    """The same statement without `%` and `:` inside its quotes: SQLAlchemy, which takes a query as text, reads them as its own."""

    def rewritten(found: re.Match[str]) -> str:
        name, literal = found[2], found[4]
        if not re.search("[%:]", found[0]):
            return found[0]
        if name is not None:
            escaped = name.replace("\\", r"\\").replace("%", r"\0025").replace(":", r"\003a")
            return f'U&"{escaped}"'
        escaped = literal if found[3] else literal.replace("\\", r"\\")
        return "E'" + escaped.replace("%", r"\x25").replace(":", r"\x3a") + "'"

    return _QUOTED.sub(rewritten, query)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _meta(rule: Rule) -> dict[str, str]:
    return {
        "rule_id": rule.id,
        "type": rule.type,
        "dimension": rule.dimension.value,
        "on_fail": rule.on_fail.value,
        "reason_vi": rule.reason.vi,
        "reason_en": rule.reason.en,
    }


def _result(rule: Rule, answer: ExpectationValidationResult) -> RuleResult:
    if raised := _raised_text(answer.exception_info):
        return _raised(rule, raised)
    counts: Mapping[str, Any] = answer.result or {}
    if rule.rule_type.engine is Engine.GX:
        failed = 0 if answer.success else 1
        observed = counts.get("observed_value") if rule.type in ROW_COUNT_TYPES else None
        return RuleResult(rule, bool(answer.success), checked=1, failed=failed, observed=observed)
    return RuleResult(
        rule,
        bool(answer.success),
        checked=counts["element_count"],
        failed=counts["unexpected_count"],
        seconds=counts["seconds"],
        by_agency=counts["by_agency"],
        census=Census(**counts["census"]) if counts["census"] else None,
    )


def _raised(rule: Rule, text: str) -> RuleResult:
    return RuleResult(rule, success=False, checked=None, failed=None, raised=text)


def _raised_text(info: Mapping[str, Any]) -> str | None:
    """What raised, from Great Expectations' exception info: one mapping, or one by metric."""
    infos: Iterable[Mapping[str, Any]] = (
        [info] if "raised_exception" in info else [i for i in info.values() if isinstance(i, Mapping)]
    )
    for each in infos:
        if each.get("raised_exception"):
            traceback = str(each.get("exception_traceback") or "")
            last = traceback.rstrip().rpartition("\n")[2]
            if last.startswith("pdic.quality.expectations.RuleRaised: "):
                return last.partition(": ")[2]
            return safe_class(traceback)
    return None
