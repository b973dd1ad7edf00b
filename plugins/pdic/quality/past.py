"""What earlier batches held, from the ledger, and the verdict on a batch completed by the comparison with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import cleaning
from pdic.ledger import AGAIN
from pdic.quality import deletions, history
from pdic.quality.batch import message_of
from pdic.quality.census import OTHER, Census
from pdic.quality.predicates import predicate
from pdic.quality.results import BatchVerdict, RuleResult
from pdic.quality.rules import OnFail
from pdic.sources.window import CLOCK_GRAIN

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


def complete(
    connection: Connection, contract: Contract, verdict: BatchVerdict, table: sql.Identifier, root: Path
) -> BatchVerdict:
    """The verdict on a batch, with the results of its comparison with earlier ones, and of how much it deletes.

    A batch that is held already stays as it is.

    `table` is the batch's, `root` the project root, `connection` the auditor's. Raises RuleError for a wrong file of limits.
    """
    if verdict.halted:
        return verdict
    ended = deletions.judge(connection, contract, verdict.batch_id, table, root)
    found = [ended.result] if ended.result is not None else []
    if verdict.census is not None and verdict.rows:
        found += _compared(connection, contract, verdict, verdict.census, table, root)
    verdict = dataclasses.replace(verdict, marked_deleted=ended.marked, living_before=ended.living)
    if not found:
        return verdict
    results = (*verdict.results, *found)
    halting = [result for result in found if result.halts]
    name = f"{contract.sector}/{contract.dataset} batch {verdict.batch_id}"
    text = _held(contract, verdict.batch_id, halting) if halting else message_of(name, results, [], verdict.rows)
    return dataclasses.replace(verdict, results=results, halted=bool(halting), message=text)


def _compared(
    connection: Connection,
    contract: Contract,
    verdict: BatchVerdict,
    census: Census,
    table: sql.Identifier,
    root: Path,
) -> list[RuleResult]:
    """How the rows of a batch compare with those of earlier ones."""
    bounds, path = history.limits(root, contract.id), history.path_of(root)
    assert verdict.rows is not None
    rows = _rows_of(connection, verdict.batch_id)
    found: list[RuleResult] = []
    refusing = [r for r in verdict.results if r.rule.on_fail is OnFail.QUARANTINE and r.failed]
    by_rule = {result.rule.id: result.failed or 0 for result in refusing}
    if verdict.rows >= bounds.guarded_rows:
        refused = _refused(connection, contract, table, refusing, int(bounds.max_quarantined_share * rows))
        found.append(history.quarantined(contract.dataset, bounds, rows, refused, by_rule, path))
    usual = _usually_refused(connection, contract, verdict.batch_id, bounds.window)
    if (allowed := history.allowed_refusals(bounds, verdict.rows, usual)) is not None:
        allowed = max(allowed, _consented(connection, contract, verdict.batch_id))
        now = history.Refused(verdict.rows, _refused(connection, contract, table, refusing, allowed))
        found.append(history.jumped(contract.dataset, bounds, allowed, now, usual, by_rule, path))
    earlier = _earlier(connection, contract, verdict.batch_id, bounds.window)
    return found + history.compare(contract.dataset, bounds, history.Held(rows, census), earlier, path)


def _held(contract: Contract, batch_id: int, halting: Sequence[RuleResult]) -> str:
    """Why a batch is held that no rule refuses as a whole, and what to do: the agency or a person decides."""
    why = "; ".join(result.finding or result.rule.id for result in halting)
    return (
        f"{contract.id}: batch {batch_id} is held: {why}. Accepted data is untouched: have {contract.owner_agency} put the source right, "
        f"then load it again; where the batch is right as it is, run `pdic quality approve {contract.id} --reason WHY`; the limits are in "
        f"{_limits(contract, halting)}"
    )


def _limits(contract: Contract, halting: Sequence[RuleResult]) -> str:
    """Where the limits stand that hold a batch."""
    places = {
        f"{contract.path} (maxDeletedShare)" if result.rule.type == history.DELETIONS else "expectations/history.yaml"
        for result in halting
    }
    return " and ".join(sorted(places))


_READ_AGAIN = """
select approved.rows_quarantined
from control.batch as approved
inner join control.approval on approval.batch_id = approved.batch_id
where approved.sector = batch.sector and approved.dataset = batch.dataset and approved.status = 'accepted'
    and approved.batch_id < batch.batch_id and batch.watermark_from <= approved.watermark_to + %(overlap)s
"""
"""What went to quarantine by a batch that a person approved and that `batch` reads again in part: a watermark lies behind what was read
by the contract's overlap and the clock's grain (`pdic.sources.window`)."""


def _consented(connection: Connection, contract: Contract, batch_id: int) -> int:
    """How many refused rows a person consented to that this batch may have read again."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"select coalesce(max(again.rows_quarantined), 0) from control.batch cross join lateral ({_READ_AGAIN}) as again"  # noqa: S608
            " where batch.batch_id = %(batch)s",
            {"batch": batch_id, "overlap": contract.overlap + CLOCK_GRAIN},
        )
        ((refused,),) = cursor.fetchall()
        return int(refused)


def _usually_refused(connection: Connection, contract: Contract, batch_id: int, window: int) -> history.Refused:
    """What the last accepted batches brought and what of it went to quarantine.

    A batch that a person had to approve teaches nothing, nor does one that read it again.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select coalesce(sum(landed), 0), coalesce(sum(rows_quarantined), 0)
            from (
                select rows_extracted - coalesce(rows_unchanged, 0) as landed, rows_quarantined
                from control.batch
                where sector = %(sector)s and dataset = %(dataset)s and batch_id < %(batch)s and status = 'accepted'
                    and capture <> %(again)s and rows_extracted > coalesce(rows_unchanged, 0)
                    and not exists (select from control.approval where approval.batch_id = batch.batch_id)
                    and not exists ({_READ_AGAIN})
                order by batch_id desc limit %(window)s
            ) as earlier
            """,  # noqa: S608
            {
                "sector": contract.sector,
                "dataset": contract.dataset,
                "batch": batch_id,
                "again": AGAIN,
                "overlap": contract.overlap + CLOCK_GRAIN,
                "window": window,
            },
        )
        ((rows, refused),) = cursor.fetchall()
        return history.Refused(int(rows), int(refused))


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
