"""How many living rows a batch says are deleted: marked so by their source (a soft delete, a cancelled record), or told by its log.

A full read and a reconcile find what is gone at the source, and hold too large a loss (`pdic.sweep.guard`). The same limit, the contract's
`maxDeletedShare`, holds here, as the share in the long run: to delete so is ordinary work, also in a table of few rows.

Counting the living rows of a dataset reads all of it. So that is done only where what is known of them does not show that the batch
deletes few enough: the last count, less all that batches since then have deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import raw
from pdic.quality import history, lookups
from pdic.quality.chance import tolerated
from pdic.quality.results import RuleResult
from pdic.sweep import guard, known

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


@dataclass(frozen=True)
class Deletions:
    """`marked` rows of a batch are marked as deleted, also those that were before. `living` rows were known before it; None where
    they were not counted. `result`: whether so many may be deleted; None where nothing was to be judged."""

    marked: int
    living: int | None = None
    result: RuleResult | None = None


def judge(connection: Connection, contract: Contract, batch_id: int, table: sql.Identifier, root: Path) -> Deletions:
    """What a batch deletes, and whether its contract allows so much. `table` is the batch's, `connection` the auditor's."""
    if not _can_delete(contract):
        return Deletions(0)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                exists (
                    select from control.batch as earlier
                    where earlier.sector = batch.sector and earlier.dataset = batch.dataset and earlier.status = 'accepted'
                        and earlier.batch_id < batch.batch_id
                ),
                case when rows_unchanged is null then coalesce(rows_deleted, 0) else 0 end
            from control.batch where batch_id = %s
            """,
            (batch_id,),
        )
        ((follows, logged),) = cursor.fetchall()  # what a comparison found gone was judged as it was found
        if not follows:
            return Deletions(0)
        marked = 0
        if raw.is_there(cursor, table):
            cursor.execute(
                sql.SQL("select count(*) from {} where _op = 'U' and not ({})").format(table, lookups.living(contract))
            )
            ((marked,),) = cursor.fetchall()
    if marked + logged <= guard.ALWAYS_ALLOWED:
        return Deletions(marked)
    least = _least_living(connection, contract, batch_id)
    if least is not None and marked + logged <= _allowed(contract, least):
        return Deletions(marked, None, _result(contract, root, None))
    living, deleted = _counted(connection, contract, table, with_log=logged > 0)
    allowed = _allowed(contract, living)
    finding = (
        f"{deleted:,} of {living:,} living rows ({deleted / max(1, living):.1%}) would be deleted by what the source sent; the "
        f"contract allows {contract.max_deleted_share:.1%}, and chance makes that {allowed:,} at most"
    )
    return Deletions(marked, living, _result(contract, root, finding if deleted > allowed else None))


def _allowed(contract: Contract, living: int) -> int:
    """How many of so many rows one batch may delete: two of twenty are no more than an ordinary day."""
    return max(guard.ALWAYS_ALLOWED, tolerated(living, contract.max_deleted_share))


def _can_delete(contract: Contract) -> bool:
    """Whether a batch can say of a row that it is deleted, apart from a comparison with all rows of the source."""
    cancels = contract.feed is not None and contract.feed.cancel is not None
    return cancels or contract.soft_delete_column is not None or contract.capture == "cdc"


def _least_living(connection: Connection, contract: Contract, batch_id: int) -> int | None:
    """So many rows are living at least; None where they were never counted."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select living_before - (
                select coalesce(sum(coalesce(since.rows_marked_deleted, 0) + coalesce(since.rows_deleted, 0)), 0)::bigint
                from control.batch as since
                where since.sector = counted.sector and since.dataset = counted.dataset and since.status = 'accepted'
                    and since.batch_id >= counted.batch_id and since.batch_id < %(batch)s
            )
            from control.batch as counted
            where sector = %(sector)s and dataset = %(dataset)s and batch_id < %(batch)s and living_before is not null
            order by batch_id desc limit 1
            """,
            {"sector": contract.sector, "dataset": contract.dataset, "batch": batch_id},
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def _counted(connection: Connection, contract: Contract, table: sql.Identifier, *, with_log: bool) -> tuple[int, int]:
    """How many rows are living, and how many of them the batch deletes: reads all of the dataset."""
    living = lookups.living(contract)
    ends = sql.SQL("not ({})").format(living)
    if with_log:
        ends = sql.SQL("_op = 'D' or {}").format(ends)
    key = sql.SQL(", ").join(map(sql.Identifier, contract.key))
    with connection.cursor() as cursor:
        cursor.execute(known.PARTITIONS.format(parent=sql.Literal(raw.parent(contract).as_string(connection))))
        base = known.largest_batch(cursor.fetchall())
        cursor.execute(lookups.PLANNING)
        cursor.execute(
            sql.SQL(
                """
                select count(*), count(*) filter (where ended)
                from (
                    select known._living, ended.ended is true as ended
                    from ({newest}) as known
                    left join (select {key}, true as ended from {batch} where {ends}) as ended on {same_key}
                ) as compared
                where _living
                """
            ).format(
                newest=known.newest(
                    contract, base, sql.SQL("{}, _op = 'U' and ({}) as _living").format(_of_version(contract), living)
                ),
                key=key,
                batch=table,
                ends=ends,
                same_key=raw.same_key(contract, "ended", "known"),
            )
        )
        ((rows, deleted),) = cursor.fetchall()
    return int(rows), int(deleted)


def _of_version(contract: Contract) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier("version", name) for name in contract.key)


def _result(contract: Contract, root: Path, finding: str | None) -> RuleResult:
    return history.deletions(contract.dataset, contract.max_deleted_share, finding, history.path_of(root))
