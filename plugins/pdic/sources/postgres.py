"""Read a dataset from a sector's PostgreSQL: one snapshot, exact types, nothing lost at the seam between two loads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic import transfer
from pdic.arrival import Arrival
from pdic.sources.drift import check_drift
from pdic.sources.guest import behave, reading, visit
from pdic.sources.parts import Part, split, stamped_since, written_since
from pdic.sources.reading import source_table
from pdic.sources.shapes import Shapes
from pdic.sources.standing import look
from pdic.sources.window import Seam, Xids, former_seam, next_seam, window
from pdic.warehouse import Connect, one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.ledger import Batch


@dataclass(frozen=True)
class Snapshot:
    """One repeatable-read view of a source table: the rows to read, and where the next load starts (cursor loads).

    ``parts`` are the rows in one or more ranges, each with a session of its own, all of the same snapshot.
    """

    connection: Connection
    contract: Contract
    parts: tuple[Part, ...]
    seam: Seam | None = None
    drift: str | None = None
    warning: str | None = None


def capture(contract: Contract, batch: Batch, connect_to: Connect) -> Arrival:
    """Bring a table (capture `snapshot`) or what was written since the last load (`cursor`) into the batch's table."""
    shapes = Shapes(connect_to("pdic_warehouse_loader"))
    with snapshot(
        connect_to(contract.source_connection), contract, batch.watermark_from, batch.position_from, shapes
    ) as view:
        return transfer.copy_snapshot(view, connect_to("pdic_warehouse_loader"), batch.batch_id)


@contextmanager
def snapshot(
    uri: str,
    contract: Contract,
    watermark: datetime | None = None,
    position: dict[str, Any] | None = None,
    shapes: Shapes | None = None,
    exported: str | None = None,
) -> Iterator[Snapshot]:
    """Open a snapshot of the contract's table, after checking it against the contract.

    `watermark` and `position` are where the last load of a cursor dataset ended, as the ledger keeps them (None: everything);
    `shapes` remember what former loads found; `exported` is another session's snapshot to share.
    Raises `DriftError` where the table no longer is what the contract says, `SourceUnavailable` where the server cannot be
    reached or is a replica behind what was read before.
    """
    with ExitStack() as sessions:
        with reading(contract):
            connection = sessions.enter_context(closing(visit(uri, contract)))
            opened = _open(sessions, connection, uri, contract, watermark, position, shapes, exported)
        yield opened


def _open(
    sessions: ExitStack,
    connection: Connection,
    uri: str,
    contract: Contract,
    watermark: datetime | None,
    position: dict[str, Any] | None,
    shapes: Shapes | None,
    exported: str | None,
) -> Snapshot:
    if contract.cursor_column is None:
        behave(connection, contract, exported)
        drift = check_drift(connection, contract, shapes)
        return Snapshot(connection, contract, split(sessions, connection, uri, contract), drift=drift)
    # Who is writing is asked before the snapshot is taken: whoever begins after that stamps later.
    behave(connection, contract)
    standing = look(connection, contract)
    connection.commit()
    behave(connection, contract)
    xids = _xids(connection)
    drift = check_drift(connection, contract, shapes)
    former = former_seam(watermark, position)
    wanted, why = window(contract, standing, xids, watermark, former)
    seam, held = next_seam(contract, standing, xids, watermark, former)
    if wanted.since is not None:
        rows = stamped_since(contract, wanted.since, unstamped=standing.cursor_nullable)
        parts: tuple[Part, ...] = (Part(connection, rows),)
    else:
        conditions = [written_since(wanted.since_xid)] if wanted.since_xid is not None else []
        parts = split(sessions, connection, uri, contract, *conditions)
    return Snapshot(connection, contract, parts, seam, drift, "; ".join(filter(None, (why, held))) or None)


def count_rows(uri: str, contract: Contract) -> int:
    """How many rows the source table holds now, soft-deleted ones included. Raises `SourceUnavailable`, `LoadError`."""
    with reading(contract), closing(visit(uri, contract)) as connection, connection.cursor() as cursor:
        behave(connection, contract)
        cursor.execute(sql.SQL("select count(*) from {}").format(source_table(contract)))
        return int(one(cursor)[0])


def _xids(connection: Connection) -> Xids:
    """The bounds of the transaction's snapshot."""
    with connection.cursor() as cursor:
        cursor.execute("select txid_snapshot_xmin(s), txid_snapshot_xmax(s) from txid_current_snapshot() as s")
        return Xids(*one(cursor))
