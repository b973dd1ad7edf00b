"""The ledger of batches (`control.batch`, `control.dataset`): what was begun, what was accepted, where the next load starts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import psycopg2.errors
from psycopg2 import sql
from psycopg2.extras import Json

from pdic import raw
from pdic.errors import BatchFenced, BatchRejected, Busy, LoadError
from pdic.warehouse import locks, one, records

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.arrival import Arrival
    from pdic.contracts import Contract

OPEN_STATES = ("extracting", "extracted", "checked")

AGAIN: Final = "retry"
"""What the ledger calls a batch of rows from the quarantine that are judged once more."""

RECONCILE = "reconcile"
"""What the ledger calls a batch that came by comparing all rows with those known, whoever asked for it."""


@dataclass(frozen=True)
class Batch:
    """One row of the ledger."""

    batch_id: int
    status: str
    rows_extracted: int | None
    watermark_from: datetime | None
    watermark_to: datetime | None
    message: str | None
    rows_deleted: int = 0
    rows_unchanged: int | None = None
    position_from: dict[str, Any] | None = None
    position_to: dict[str, Any] | None = None
    capture: str | None = None
    known_up_to: dict[str, int] | None = None


_BATCH = sql.SQL(
    "batch_id, status, rows_extracted, watermark_from, watermark_to, message, coalesce(rows_deleted, 0), rows_unchanged, "
    "position_from, position_to, capture, known_up_to"
)
"""The columns of `control.batch` that make a `Batch`."""


def begin(connection: Connection, contract: Contract, capture: str | None = None) -> Batch:
    """Open a batch; a former one that never came to an end is abandoned and its table dropped.

    `capture` is what the ledger calls the way it is brought; None: as the contract does.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into control.dataset (sector, dataset) values (%s, %s) on conflict do nothing",
            (contract.sector, contract.dataset),
        )
        cursor.execute(
            "select watermark, position from control.dataset where sector = %s and dataset = %s for update",
            (contract.sector, contract.dataset),
        )
        watermark, position = one(cursor)
        cursor.execute(
            """
            update control.batch set status = 'abandoned', message = coalesce(message, 'a newer load took over')
            where sector = %s and dataset = %s and status = any(%s)
            """,
            (contract.sector, contract.dataset, list(OPEN_STATES)),
        )
        _drop_leftovers(connection, contract)
        cursor.execute(
            """
            insert into control.batch (sector, dataset, capture, status, watermark_from, position_from)
            values (%s, %s, %s, 'extracting', %s, %s) returning batch_id
            """,
            (contract.sector, contract.dataset, capture or contract.capture, watermark, _json(position)),
        )
        (batch_id,) = one(cursor)
    return Batch(batch_id, "extracting", None, watermark, None, None, position_from=position)


def _drop_leftovers(connection: Connection, contract: Contract) -> None:
    """Drop the dataset's batch tables that no accepted batch owns: orphans of killed or rejected loads. Waits for nobody."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select tablename from pg_tables where schemaname = 'raw_batch' and tablename ~ %s",
            (f"^{contract.sector}__{contract.dataset}__[0-9]+$",),
        )
        raw.drop_unheld(cursor, "raw_batch", [name for (name,) in cursor.fetchall()])


def get(connection: Connection, contract: Contract, batch_id: int, *, lock: bool = False) -> Batch:
    """Read one batch. Raises `LoadError` where the ledger has none."""
    if lock:
        # The dataset's row first: the same order as `begin`, so that the two cannot deadlock.
        with connection.cursor() as cursor:
            cursor.execute(
                "select 1 from control.dataset where sector = %s and dataset = %s for update",
                (contract.sector, contract.dataset),
            )
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("select {} from control.batch where batch_id = %s and sector = %s and dataset = %s").format(_BATCH),
            (batch_id, contract.sector, contract.dataset),
        )
        row = cursor.fetchone()
    if row is None:
        raise LoadError(f"{contract.id}: the ledger has no batch {batch_id} of this dataset. Load it again.")
    return Batch(*row)


def since(
    connection: Connection, sector: str, dataset: str, batch_id: int | None, moment: datetime | None
) -> list[Batch]:
    """A dataset's batches from `batch_id` on, or from `moment` on where that is None; the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                select {} from control.batch
                where sector = %s and dataset = %s and case when %s::bigint is null then started_at >= %s else batch_id >= %s end
                order by batch_id
                """
            ).format(_BATCH),
            (sector, dataset, batch_id, moment, batch_id),
        )
        return [Batch(*row) for row in cursor.fetchall()]


def require(connection: Connection, batch: Batch, contract: Contract, *states: str) -> None:
    """Refuse a batch that is not in one of `states`: `BatchFenced` where it was given up, perhaps for a newer one."""
    if batch.status in states:
        return
    if batch.status == "abandoned":
        with connection.cursor() as cursor:
            cursor.execute(
                "select max(batch_id) from control.batch where sector = %s and dataset = %s and batch_id > %s",
                (contract.sector, contract.dataset, batch.batch_id),
            )
            (newer,) = one(cursor)
        if newer is not None:
            what = f"was superseded by batch {newer} of another load; nothing to do"
            raise BatchFenced(f"{contract.id}: batch {batch.batch_id} {what}.", newer)
        raise BatchFenced(
            f"{contract.id}: batch {batch.batch_id} was given up ({batch.message or 'nobody worked on it'}). Load it again."
        )
    raise LoadError(
        f"{contract.id}: batch {batch.batch_id} is {batch.status}, not {' or '.join(states)}"
        f"{f' ({batch.message})' if batch.message else ''}. Load it again."
    )


@dataclass(frozen=True)
class Open:
    """A batch that has not come to an end. `idle` counts the seconds since its last step let go of it, for the next step to
    take up; None where whoever began it meant to hold its lock to the end."""

    batch_id: int
    dataset_id: str
    status: str
    since: datetime
    idle: float | None


def under_way(connection: Connection) -> list[Open]:
    """Every batch that has not come to an end, by dataset."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select batch_id, sector || '.' || dataset, status, started_at,
                extract(epoch from clock_timestamp() - let_go_at)::double precision
            from control.batch where status = any(%s) order by 2, 1
            """,
            (list(OPEN_STATES),),
        )
        return [Open(*row) for row in cursor.fetchall()]


def sweep(connection: Connection, batch: Open) -> bool:
    """End a batch that nobody works on and nobody will; its table goes. Returns whether it was one. Commits."""
    lock = locks.dataset(batch.dataset_id)
    try:
        locks.take(connection, lock)
    except Busy:
        return False
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("set local lock_timeout = '2s'")
            cursor.execute(
                """
                update control.batch set status = 'abandoned', message = coalesce(message, 'its load died')
                where batch_id = %s and status = any(%s) and let_go_at is null
                returning sector, dataset
                """,
                (batch.batch_id, list(OPEN_STATES)),
            )
            row = cursor.fetchone()
            if row is not None:
                table = sql.Identifier("raw_batch", f"{row[0]}__{row[1]}__{batch.batch_id}")
                cursor.execute(sql.SQL("drop table if exists {}").format(table))
        return row is not None
    except psycopg2.errors.LockNotAvailable:
        return False  # the dead load's session still reads: the next load of the dataset drops the table
    finally:
        locks.let_go(connection, lock)


def give_up(connection: Connection, batch_id: int, message: str, error: BaseException) -> None:
    """End a batch that cannot go further, and keep why; one that has ended stays as it is."""
    status = "rejected" if isinstance(error, BatchRejected) else "abandoned"
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update control.batch set status = %s, message = %s, error_kind = %s
            where batch_id = %s and status = any(%s)
            """,
            (status, message, type(error).__name__, batch_id, list(OPEN_STATES)),
        )


def let_go(connection: Connection, batch_id: int) -> None:
    """Note that a step of a batch has ended, and that the next one takes the lock of the dataset anew."""
    with connection.cursor() as cursor:
        cursor.execute("update control.batch set let_go_at = clock_timestamp() where batch_id = %s", (batch_id,))


def arrived(connection: Connection, batch_id: int, arrival: Arrival, seconds: float) -> None:
    """Record what a capture brought: the batch is extracted."""
    called = {"capture": arrival.called} if arrival.called else {}
    update(
        connection,
        batch_id,
        {"extract": seconds},
        **called,
        status="extracted",
        rows_extracted=arrival.rows,
        rows_deleted=arrival.deleted,
        rows_unchanged=arrival.unchanged,
        bytes=arrival.bytes,
        digest=arrival.digest,
        drift=arrival.drift,
        watermark_to=arrival.watermark_to,
        position_to=_json(arrival.position),
        warning=arrival.warning,
    )


def update(connection: Connection, batch_id: int, seconds: dict[str, float] | None = None, **values: Any) -> None:
    """Set columns of a batch; `seconds` per step are added to those already there."""
    assignments = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in values.items()
    ]
    if seconds:
        rounded = {step: round(value, 3) for step, value in seconds.items()}
        assignments.append(sql.SQL("seconds = seconds || {}").format(sql.Literal(json.dumps(rounded))))
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("update control.batch set {} where batch_id = {}").format(
                sql.SQL(", ").join(assignments), sql.Literal(batch_id)
            )
        )


def warn(connection: Connection, batch_id: int, text: str) -> None:
    """Tell the operator `text` of a batch, beside what it is told already; once, however often it is checked."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update control.batch set warning = concat_ws('; ', warning, %(text)s)
            where batch_id = %(batch)s and strpos(coalesce(warning, ''), %(text)s) = 0
            """,
            {"batch": batch_id, "text": text},
        )


def report(connection: Connection, batch_id: int) -> dict[str, Any]:
    """What one batch came to, as plain values for people and machines."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select sector, dataset, batch_id, capture, status, rows_extracted, rows_accepted, rows_quarantined,
                rows_unchanged, rows_deleted, rows_marked_deleted, bytes, digest, drift, warning, seconds, message
            from control.batch where batch_id = %s
            """,
            (batch_id,),
        )
        return records(cursor)[0]


def move_watermark(connection: Connection, contract: Contract, batch: Batch, *, has_news: bool) -> None:
    """Record where the next load starts, and that the dataset now stands at this batch where it brought anything.

    Part of the accepting transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update control.dataset
            set watermark = %s, position = %s, accepted_batch_id = case when %s then %s else accepted_batch_id end
            where sector = %s and dataset = %s
                and watermark is not distinct from %s and position is not distinct from %s
            """,
            (
                batch.watermark_to,
                _json(batch.position_to),
                has_news,
                batch.batch_id,
                contract.sector,
                contract.dataset,
                batch.watermark_from,
                _json(batch.position_from),
            ),
        )
        if cursor.rowcount != 1:
            raise BatchFenced(
                f"{contract.id}: the watermark moved since batch {batch.batch_id} was read. Load it again."
            )


def forget_position(connection: Connection, sector: str, dataset: str) -> bool:
    """Let the next load start from nothing; batches under way are abandoned. Returns whether there was a position."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select position is not null from control.dataset where sector = %s and dataset = %s for update",
            (sector, dataset),
        )
        found = cursor.fetchone()
        cursor.execute(
            "update control.dataset set position = null where sector = %s and dataset = %s", (sector, dataset)
        )
        cursor.execute(
            """
            update control.batch set status = 'abandoned', message = coalesce(message, 'its position was given up')
            where sector = %s and dataset = %s and status = any(%s)
            """,
            (sector, dataset, list(OPEN_STATES)),
        )
    return bool(found and found[0])


def _json(value: dict[str, Any] | None) -> Json | None:
    """A jsonb value; None is SQL's null, not JSON's."""
    return Json(value) if value is not None else None
