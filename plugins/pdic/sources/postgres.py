"""Read a dataset from a sector's PostgreSQL: one snapshot, exact types, nothing lost at the seam between two loads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from psycopg2 import sql

from pdic import transfer
from pdic.arrival import Arrival
from pdic.sources.drift import check_drift
from pdic.sources.guest import behave, visit
from pdic.sources.reading import read_columns, source_table
from pdic.sources.shapes import Shapes
from pdic.sources.standing import look
from pdic.sources.window import Seam, Window, Xids, former_seam, next_seam, window
from pdic.warehouse import Connect, connect, one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.ledger import Batch


@dataclass(frozen=True)
class Snapshot:
    """One repeatable-read view of a source table: the rows to read, and where the next load starts (cursor loads)."""

    connection: Connection
    contract: Contract
    rows: sql.Composable
    seam: Seam | None
    drift: str | None
    warning: str | None

    def copy_to(self, stream: BinaryIO) -> int:
        """Write the snapshot's rows as binary COPY to `stream`; returns how many."""
        with self.connection.cursor() as cursor:
            cursor.copy_expert(sql.SQL("copy ({}) to stdout (format binary)").format(self.rows), stream, size=1 << 16)
            return cursor.rowcount

    def cancel(self) -> None:
        """Stop a copy that is under way in another thread."""
        self.connection.cancel()


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
    connection = visit(uri, contract)
    try:
        if contract.cursor_column is None:
            behave(connection, contract, exported)
            drift = check_drift(connection, contract, shapes)
            yield Snapshot(connection, contract, _select(contract, Window()), None, drift, None)
            return
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
        warning = "; ".join(filter(None, (why, held))) or None
        rows = _select(contract, wanted, unstamped=standing.cursor_nullable)
        yield Snapshot(connection, contract, rows, seam, drift, warning)
    finally:
        connection.close()


def count_rows(uri: str, contract: Contract) -> int:
    """How many rows the source table holds now, soft-deleted ones included."""
    connection = connect(uri, "status")
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("select count(*) from {}").format(source_table(contract)))
            return int(one(cursor)[0])
    finally:
        connection.close()


def _xids(connection: Connection) -> Xids:
    """The bounds of the transaction's snapshot."""
    with connection.cursor() as cursor:
        cursor.execute("select txid_snapshot_xmin(s), txid_snapshot_xmax(s) from txid_current_snapshot() as s")
        return Xids(*one(cursor))


def _select(contract: Contract, wanted: Window, *, unstamped: bool = False) -> sql.Composed:
    """The rows of a window; with `unstamped`, those without a stamp too, which can only be found by looking each time."""
    query = sql.SQL("select {columns} from {table}").format(
        columns=read_columns(contract),
        table=source_table(contract),
    )
    if wanted.since_xid is not None:
        # Rows keep 32 bits of a transaction's id; ages compare those two in the right order. Ids below 3 are not real ones.
        xid = max(wanted.since_xid % 2**32, 3)
        return sql.SQL("{} where age(xmin) <= (select age({}::xid))").format(query, sql.Literal(str(xid)))
    if wanted.since is None or contract.cursor_column is None:
        return query
    cursor = sql.Identifier(contract.cursor_column)
    since: sql.Composable = sql.Literal(wanted.since)
    if contract.cursor_time_zone is not None:
        since = sql.SQL("({} at time zone {})").format(since, sql.Literal(contract.cursor_time_zone))
    # Inclusive, so that ties are safe. Two branches, as one condition with `or` would not use the cursor's index well.
    stamped = sql.SQL("{} where {} >= {}").format(query, cursor, since)
    if not unstamped:
        return stamped
    return sql.SQL("{} union all {} where {} is null").format(stamped, query, cursor)
