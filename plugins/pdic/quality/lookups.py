"""Rules that judge a batch's rows by other rows: what they may look up, and the query that finds the rows that fail.

A lookup rule is a query over `{rows}`, the batch's living rows, and `{sector.dataset}`, what is known of a dataset: of each
source key the newest version, whether accepted, in quarantine or in a batch that is being checked now; what was withdrawn or
deleted is left out. Either has the source's columns, cleaned. The query selects `_row` of each row that fails. The check
counts what it finds and the quarantine moves it, so both must see the same other rows: a `Reference` says up to which batch
a dataset counts, the ledger keeps that number, and whether the batch was accepted in the meantime makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from pdic import cleaning, contracts, raw
from pdic.quality.rule_types import Engine
from pdic.quality.rules import Rule, RuleError
from pdic.warehouse import one
from pdic.warehouse.statements import Rendered

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

PLANNING: Final = "set local enable_nestloop = off; set local enable_mergejoin = off"
"""To be run before a lookup, in its transaction: only hash joins. Batches have no statistics yet and what they look up no
indexes, so the planner takes a batch for one row and would read a million rows for each of its thousands, or sort the million."""

_JOINING: Final = tuple(
    name for name in cleaning.KINDS if name.partition(" ")[0] in ("code", "digits", "unit_code", "personal_id", "phone")
)
"""Kinds of cleaning of what rows are joined by: cheap, and a join reads its columns up to three times a row."""

_FENCE: Final = sql.SQL("case when clock_timestamp() is null then 0 end as _pdic_fence")

_PLACE = re.compile(r"\{(rows|[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*)\}")
_NAMELESS = re.compile(_PLACE.pattern + r"(?!\s+as\s)", re.IGNORECASE)
"""PostgreSQL before 16 wants a name for every query in a FROM."""


@dataclass(frozen=True)
class Reference:
    """What is known of a dataset: its batches up to `newest`. `pending` is the newest one's table until it is accepted.

    `first` is the oldest accepted batch that brought anything, None where none was accepted yet.
    """

    contract: Contract
    newest: int
    first: int | None
    pending: sql.Identifier | None


@dataclass(frozen=True)
class Lookups:
    """The lookup rules of one batch, ready to be run."""

    judged: sql.Composable
    """The rows that they judge (`rows()`)."""
    queries: Mapping[str, sql.Composed]
    """By rule id: selects `_row` of each row that fails, perhaps several times."""
    unknown: Mapping[str, str]
    """By rule id: the dataset that never came, without which the rule can say nothing."""
    known_up_to: Mapping[str, int]
    """By dataset (`sector.dataset`): the newest batch that the queries see."""


NONE: Final = Lookups(sql.SQL(""), MappingProxyType({}), MappingProxyType({}), MappingProxyType({}))
"""Of a batch without lookup rules."""

Pending = Mapping[str, tuple["Contract", int, sql.Identifier]]
"""The batches that are being checked together, by dataset (`sector.dataset`): contract, batch id, table."""


def prepare(
    connection: Connection,
    contract: Contract,
    table: sql.Identifier,
    rules: Sequence[Rule],
    *,
    root: Path,
    pending: Pending | None = None,
    known_up_to: Mapping[str, int] | None = None,
    judged: sql.Composable | None = None,
) -> Lookups:
    """The queries of those of `rules` that are lookup rules, over the batch `table` (or over `judged`, other `rows()`).

    To check, give the `pending` batches; to find the same rows again, give `known_up_to` as it was then; without either, all
    that was accepted is known. `root` is the project root. Raises RuleError where a rule names a dataset without a contract.
    """
    if not any(rule.rule_type.engine is Engine.LOOKUP for rule in rules):
        return NONE
    together = pending or {}
    wanted = {rule.id: datasets(rule, root) for rule in rules if rule.rule_type.engine is Engine.LOOKUP}
    named = {name for names in wanted.values() for name in names}
    of = [together[name][0] if name in together else _contract(name, root) for name in sorted(named)]
    references = _read(connection, of, together, known_up_to or {})
    judged = rows(contract, table) if judged is None else judged
    unknown = {
        rule_id: missing[0]
        for rule_id, names in wanted.items()
        if (missing := [name for name in names if name not in references])
    }
    return Lookups(
        judged,
        {rule.id: query(rule, judged, references) for rule in rules if rule.id in wanted and rule.id not in unknown},
        unknown,
        {name: reference.newest for name, reference in references.items()},
    )


def datasets(rule: Rule, root: Path) -> tuple[str, ...]:
    """The datasets (`sector.dataset`) that a lookup rule reads, in order; none for other rules.

    `root` is the project root. Raises RuleError where one has no contract or the rule's arguments do not fit.
    """
    names = _datasets(rule) if rule.rule_type.engine is Engine.LOOKUP else ()
    for name in names:
        try:
            _contract(name, root)
        except contracts.ContractError as error:
            raise RuleError(f"{rule.path}: rule {rule.id} looks things up in {name}: {error}") from error
    return names


def counting_judged(judged: sql.Composable) -> sql.Composed:
    """A statement of one number: how many rows are judged (`rows()`)."""
    return sql.SQL("select count(*) from ({}) as judged").format(judged)


def counting_failing(found: sql.Composable) -> sql.Composed:
    """A statement of one number: how many rows a query finds."""
    return sql.SQL("select count(distinct failing._row) from ({}) as failing").format(found)


def _datasets(rule: Rule) -> tuple[str, ...]:
    if "query" not in rule.kwargs:
        named = [rule.kwargs["dataset"]]
        if not _PLACE.fullmatch(f"{{{named[0]}}}"):
            raise RuleError(f"{rule.path}: rule {rule.id}: dataset must be written as sector.dataset, as health.xml1")
        if len(rule.kwargs.get("columns", ())) != len(rule.kwargs.get("references", ())):
            raise RuleError(f"{rule.path}: rule {rule.id}: columns and references must be as many")
        return tuple(named)
    named = _PLACE.findall(rule.kwargs["query"])
    if "rows" not in named:
        raise RuleError(f"{rule.path}: rule {rule.id}: its query must read {{rows}}, the rows to judge")
    if nameless := _NAMELESS.search(rule.kwargs["query"]):
        place = nameless.group()
        raise RuleError(f"{rule.path}: rule {rule.id}: its query must name what it reads: write {place} as <a name>")
    return tuple(sorted({name for name in named if name != "rows"}))


def _read(
    connection: Connection, wanted: Iterable[Contract], pending: Pending, known_up_to: Mapping[str, int]
) -> dict[str, Reference]:
    """What is known of the datasets, by id; one that never came is left out."""
    found = {}
    with connection.cursor() as cursor:
        for contract in wanted:
            name = f"{contract.sector}.{contract.dataset}"
            newest = known_up_to.get(name, pending[name][1] if name in pending else None)
            table = None
            if newest is not None:
                # (A batch that was accepted has become a partition; a comparison that finds no difference makes no table.)
                own = pending[name][2] if name in pending else raw.batch_table(contract, newest)
                table = own if raw.is_there(cursor, own) else None
            cursor.execute(
                """
                select
                    coalesce(
                        min(batch_id) filter (where rows_accepted + rows_quarantined + coalesce(rows_deleted, 0) > 0),
                        max(batch_id)
                    ),
                    max(batch_id)
                from control.batch
                where sector = %s and dataset = %s and status = 'accepted' and batch_id <= coalesce(%s, batch_id)
                """,
                (contract.sector, contract.dataset, newest),
            )
            first, accepted = one(cursor)
            if newest is not None or accepted is not None:
                found[name] = Reference(contract, newest if newest is not None else accepted, first, table)
    return found


def rows(contract: Contract, table: sql.Composable, row: str = "ctid", condition: str = "_op = 'U'") -> sql.Composed:
    """A select over a table of a dataset's rows: `_row` (the expression `row`) and the cleaned columns of those that live."""
    names = [column.source_name for column in contract.columns]
    kept = sql.SQL("select {} as _row, {} from {} where {} and {}").format(
        sql.SQL(row), sql.SQL(", ").join(map(sql.Identifier, names)), table, Rendered(condition), living(contract)
    )
    return _cleaned(contract, kept, names, "_row")


def _cleaned(contract: Contract, kept: sql.Composable, names: Sequence[str], row: str) -> sql.Composed:
    """The rows `kept`, their columns `names` cleaned, and the column `row`.

    What rows are joined by is cleaned once a row, below the fence: PostgreSQL keeps a select with a volatile column apart. All
    else is cleaned above it, where only the rows are left that a join leaves.
    """
    joining = {column.source_name for column in contract.columns if column.cleaning in _JOINING}
    if joining:
        kept = sql.SQL("select {}, {}, {} from ({}) as kept").format(
            cleaning.columns(contract, names, joining), sql.Identifier(row), _FENCE, kept
        )
    others = {column.source_name for column in contract.columns} - joining
    return sql.SQL("select {}, {} from ({}) as kept").format(
        cleaning.columns(contract, names, others), sql.Identifier(row), kept
    )


def query(rule: Rule, judged: sql.Composable, references: Mapping[str, Reference]) -> sql.Composed:
    """The query that selects `_row` of each of the `judged` rows (`rows()`) that breaks the rule, perhaps several times.

    `references` must hold all of the rule's `datasets`. Literals are inlined: run it without parameters.
    """
    if "query" in rule.kwargs:
        return _own_query(rule.kwargs["query"], judged, references)
    reference = references[rule.kwargs["dataset"]]
    build = _missing_references if "references" in rule.kwargs else _other_sums
    return build(rule.kwargs, judged, reference)


def _own_query(text: str, judged: sql.Composable, references: Mapping[str, Reference]) -> sql.Composed:
    parts: list[sql.Composable] = []
    for part in re.split(r"(\{[a-z0-9_.]+\})", text):
        place = _PLACE.fullmatch(part)
        if place is None:
            parts.append(Rendered(part))
        else:
            rows_there = judged if place[1] == "rows" else _known(references[place[1]])
            parts.append(sql.SQL("({})").format(rows_there))
    return sql.Composed([*parts, sql.SQL("\n")])  # the line end closes a comment that the query may end with


def _missing_references(kwargs: Mapping[str, Any], judged: sql.Composable, reference: Reference) -> sql.Composed:
    pairs = list(zip(kwargs["columns"], kwargs["references"], strict=True))
    return sql.SQL(
        "select judged._row from ({judged}) as judged"
        " where {given} and not exists (select 1 from ({known}) as known where {same})"
    ).format(
        judged=judged,
        known=_known(reference),
        given=sql.SQL(" and ").join(sql.SQL("judged.{} is not null").format(sql.Identifier(mine)) for mine, _ in pairs),
        same=sql.SQL(" and ").join(
            sql.SQL("known.{} = judged.{}").format(sql.Identifier(other), sql.Identifier(mine)) for mine, other in pairs
        ),
    )


def _other_sums(kwargs: Mapping[str, Any], judged: sql.Composable, reference: Reference) -> sql.Composed:
    """Lines are joined before they are sorted and summed: only those of the judged rows are."""
    distinct: sql.Composable = sql.SQL("")
    newest_first: sql.Composable = sql.SQL("")
    if "once_per" in kwargs:
        same = sql.SQL("judged._row, coalesce(line.{}::text, line._pdic_line)").format(
            sql.Identifier(kwargs["once_per"])
        )
        newest = [name for name in (reference.contract.cursor_column, *reference.contract.key) if name]
        distinct = sql.SQL("distinct on ({}) ").format(same)
        newest_first = sql.SQL(" order by {}, line._batch_id desc, {}").format(
            same,
            sql.SQL(", ").join(sql.SQL("line.{} desc nulls last").format(sql.Identifier(name)) for name in newest),
        )
    return sql.SQL(
        "select _row from ("
        "select {distinct}judged._row, judged.{total} as total, line.{part} as part"
        " from ({judged}) as judged left join ({lines}) as line on line.{by} = judged.{by}"
        " where judged.{by} is not null and judged.{total} is not null{newest_first}"
        ") as line group by _row, total having abs(total - coalesce(sum(part), 0)) > {tolerance}"
    ).format(
        distinct=distinct,
        total=sql.Identifier(kwargs["column"]),
        part=sql.Identifier(kwargs["sum"]),
        judged=judged,
        lines=_known(reference),
        by=sql.Identifier(kwargs["by"]),
        newest_first=newest_first,
        tolerance=sql.Literal(kwargs.get("tolerance", 0)),
    )


def _contract(name: str, root: Path) -> Contract:
    sector, _, dataset = name.partition(".")
    return contracts.get(sector, dataset, root)


def _known(reference: Reference) -> sql.Composed:
    """The living rows of the newest versions, with `_batch_id`, and `_pdic_line`, a text that names the row.

    Cleaned above the union, not in its branches: so PostgreSQL cleans only the values of the rows that a join leaves.
    """
    names = ["_batch_id", *(column.source_name for column in reference.contract.columns)]
    versions = sql.SQL(" union all ").join(list(_versions(reference, names)))
    return _cleaned(reference.contract, versions, names, "_pdic_line")


def _versions(reference: Reference, names: Sequence[str]) -> Iterator[sql.Composable]:
    contract, newest = reference.contract, sql.Literal(reference.newest)
    accepted = reference.first is not None
    tables: list[tuple[sql.Composable, str, sql.Composable]] = []
    if accepted:
        up_to = sql.SQL("version._batch_id <= {}").format(newest)
        tables = [
            (raw.parent(contract), "version._op = 'U'", up_to),
            (raw.quarantine(contract), "true", up_to),
        ]
    if reference.pending is not None:
        tables.append((reference.pending, "version._op = 'U'", sql.SQL("true")))
    later = _later(reference)
    for table, operation, condition in tables:
        # Nothing is newer than the batch that is being checked, but in a feed, which may send an older version again.
        final = table is reference.pending and contract.feed is None
        yield sql.SQL(
            "select {columns}, version.tableoid::text || version.ctid::text as _pdic_line from {table} as version"
            " where {operation} and {condition} and {living}{no_later}"
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, names)),
            table=table,
            operation=sql.SQL(operation),
            condition=condition,
            living=living(contract),
            no_later=sql.SQL("") if final or later is None else later,
        )


def _later(reference: Reference) -> sql.Composed | None:
    """The condition that a version has no later one; None where no key can have two.

    Of batches only those after the first can hold a later version: most of a dataset came with the first and is not read again.
    """
    contract = reference.contract
    if contract.feed is None and reference.newest == (reference.first or reference.newest):
        return None
    key = sql.SQL(", ").join(sql.Identifier(name) for name in contract.key)
    order = "_batch_id" if contract.feed is None else contract.feed.version
    branches: list[sql.Composable] = []
    if reference.first is not None:
        between = sql.SQL("_batch_id <= {}").format(sql.Literal(reference.newest))
        if contract.feed is None:
            between += sql.SQL(" and _batch_id > {}").format(sql.Literal(reference.first))
        branches = [
            sql.SQL("select {}, {} from {} where {}").format(key, sql.Identifier(order), table, between)
            for table in (raw.parent(contract), raw.quarantine(contract))
        ]
    if reference.pending is not None:
        branches.append(sql.SQL("select {}, {} from {}").format(key, sql.Identifier(order), reference.pending))
    return sql.SQL(" and not exists (select 1 from ({}) as later where {} and later.{} > version.{})").format(
        sql.SQL(" union all ").join(branches),
        raw.same_key(contract, "later", "version"),
        sql.Identifier(order),
        sql.Identifier(order),
    )


def living(contract: Contract) -> sql.Composable:
    """The condition that a row was neither withdrawn nor cancelled."""
    if contract.feed is not None and contract.feed.cancel is not None:
        return sql.SQL("{} is distinct from {}").format(
            sql.Identifier(contract.feed.event), sql.Literal(contract.feed.cancel)
        )
    if contract.soft_delete_column is not None:
        return sql.SQL("{} is not true").format(sql.Identifier(contract.soft_delete_column))
    return sql.SQL("true")
