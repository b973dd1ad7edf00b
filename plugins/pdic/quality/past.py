"""What earlier batches held, from the ledger, and the verdict on a batch completed by the comparison with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import cleaning
from pdic.quality import history
from pdic.quality.batch import message_of
from pdic.quality.census import OTHER, Census
from pdic.quality.predicates import predicate
from pdic.quality.results import BatchVerdict, RuleResult
from pdic.quality.rules import OnFail

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


def complete(
    connection: Connection, contract: Contract, verdict: BatchVerdict, table: sql.Identifier, root: Path
) -> BatchVerdict:
    """The verdict on a batch, with the results of its comparison with earlier ones; a batch that is held already stays as it is.

    `table` is the batch's, `root` the project root, `connection` the auditor's. Raises RuleError for a wrong file of limits.
    """
    if verdict.halted or verdict.census is None or not verdict.rows:
        return verdict
    bounds, path = history.limits(root, contract.id), history.path_of(root)
    rows = _rows_of(connection, verdict.batch_id)
    found: list[RuleResult] = []
    if verdict.rows >= bounds.guarded_rows:
        refusing = [r for r in verdict.results if r.rule.on_fail is OnFail.QUARANTINE and r.failed]
        by_rule = {result.rule.id: result.failed or 0 for result in refusing}
        refused = _refused(connection, contract, table, refusing, int(bounds.max_quarantined_share * rows))
        found.append(history.quarantined(contract.dataset, bounds, rows, refused, by_rule, path))
    earlier = _earlier(connection, contract, verdict.batch_id, bounds.window)
    found += history.compare(contract.dataset, bounds, history.Held(rows, verdict.census), earlier, path)
    results = (*verdict.results, *found)
    halting = [result for result in found if result.halts]
    name = f"{contract.sector}/{contract.dataset} batch {verdict.batch_id}"
    text = message_of(name, results, halting, verdict.rows)
    return dataclasses.replace(verdict, results=results, halted=bool(halting), message=text)


def _rows_of(connection: Connection, batch_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("select rows_extracted from control.batch where batch_id = %s", (batch_id,))
        ((rows,),) = cursor.fetchall()
        return int(rows)


def _refused(
    connection: Connection, contract: Contract, table: sql.Identifier, refusing: Sequence[RuleResult], allowed: int
) -> int:
    """How many rows break any of these rules: counted only where their counts, which may overlap, do not tell whether it is too many.

    A row that breaks a lookup rule only is not counted then unless one such rule alone breaks the limit.
    """
    counts = [result.failed or 0 for result in refusing]
    if sum(counts) <= allowed or max(counts) > allowed:
        return max(counts, default=0)
    rules = [result.rule for result in refusing if result.rule.is_row_rule]
    if not rules:
        return max(counts)
    read = {name for rule in rules for name in rule.needed_columns}
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("select count(*) from ({}) as cleaned where _op = 'U' and ({})").format(
                cleaning.relation(contract, table, read=read), sql.SQL(" or ").join(map(predicate, rules))
            )
        )
        ((rows,),) = cursor.fetchall()
        return max(int(rows), *counts)


def _earlier(connection: Connection, contract: Contract, batch_id: int, window: int) -> list[history.Held]:
    """The last accepted batches that brought rows the same way: by the same capture, all from nothing or all from a former end."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select earlier.batch_id, earlier.rows_extracted
            from control.batch as earlier
            inner join control.batch as this on this.batch_id = %s
            where earlier.sector = this.sector and earlier.dataset = this.dataset and earlier.capture = this.capture
                and earlier.batch_id < this.batch_id and earlier.status = 'accepted' and earlier.rows_extracted > 0
                and (coalesce(earlier.watermark_from::text, earlier.position_from::text) is null)
                    = (coalesce(this.watermark_from::text, this.position_from::text) is null)
            order by earlier.batch_id desc limit %s
            """,
            (batch_id, window),
        )
        rows: dict[int, int] = dict(cursor.fetchall())
        cursor.execute(
            "select batch_id, column_name, value, rows from control.batch_profile where batch_id = any(%s)",
            (list(rows),),
        )
        profiles: dict[int, list[tuple[str, str | None, int]]] = {}
        for of, column, value, count in cursor.fetchall():
            profiles.setdefault(of, []).append((column, value, count))
    listed = {column.source_name: [str(code) for code in column.enum] for column in contract.columns if column.enum}
    return [history.Held(rows[of], _census(profiles.get(of, []), listed)) for of in rows]


def _census(profile: Sequence[tuple[str, str | None, int]], listed: Mapping[str, Sequence[str]]) -> Census:
    missing = {column: count for column, value, count in profile if value is None and column}
    codes = {column: dict.fromkeys((*known, OTHER), 0) for column, known in listed.items() if column in missing}
    for column, value, count in profile:
        if value is not None:
            codes.setdefault(column, {})[value] = count
    total = next((count for column, value, count in profile if value is None and not column), 0)
    return Census(total, {}, missing, codes)
