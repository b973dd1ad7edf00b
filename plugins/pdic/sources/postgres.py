"""Read a dataset from a sector's PostgreSQL: one snapshot, exact types, nothing lost at the seam between two loads.

The house belongs to somebody else: one connection, read only, with time-outs and a name in `pg_stat_activity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from pdic import transfer
from pdic.arrival import Arrival
from pdic.errors import SourceUnavailable
from pdic.sources.drift import check_drift
from pdic.sources.reading import read_columns, source_table
from pdic.sources.shapes import Shapes
from pdic.sources.window import Bounds, next_lower_bound
from pdic.warehouse import Connect, connect, one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.ledger import Batch


@dataclass(frozen=True)
class Snapshot:
    """One repeatable-read view of a source table, with the columns the contract names."""

    connection: Connection
    contract: Contract
    bounds: Bounds | None
    drift: str | None

    def copy_to(self, stream: BinaryIO) -> int:
        """Write the snapshot's rows as binary COPY to `stream`; returns how many."""
        with self.connection.cursor() as cursor:
            query = _select(self.contract, self.bounds)
            cursor.copy_expert(sql.SQL("copy ({}) to stdout (format binary)").format(query), stream, size=1 << 16)
            return cursor.rowcount

    def cancel(self) -> None:
        """Stop a copy that is under way in another thread."""
        self.connection.cancel()


def capture(contract: Contract, batch: Batch, connect_to: Connect) -> Arrival:
    """Bring a table (capture `snapshot`) or what was stamped since the last load (`cursor`) into the batch's table."""
    shapes = Shapes(connect_to("pdic_warehouse_loader"))
    with snapshot(connect_to(contract.source_connection), contract, batch.watermark_from, shapes) as view:
        return transfer.copy_snapshot(view, connect_to("pdic_warehouse_loader"), batch.batch_id)


@contextmanager
def snapshot(
    uri: str,
    contract: Contract,
    watermark: datetime | None,
    shapes: Shapes | None = None,
    exported: str | None = None,
) -> Iterator[Snapshot]:
    """Open a snapshot of the contract's table, after checking it against the contract.

    `watermark` is the lower bound of a cursor load (None: everything); `shapes` remember what former loads found,
    `exported` is another session's snapshot to share. Raises `DriftError` where the table no longer is what the contract
    says, `SourceUnavailable` where the server cannot be reached.
    """
    try:
        connection = connect(uri, f"load {contract.sector}.{contract.dataset}")
    except psycopg2.OperationalError as error:
        raise SourceUnavailable(
            f"{contract.id}: the source of sector {contract.sector} cannot be reached ({_first_line(error)}). "
            f"Check the connection {contract.source_connection} and that the server is up, then load again."
        ) from error
    try:
        # The open transactions are listed before the snapshot is taken: whoever begins later stamps later.
        connection.autocommit = True
        upper = next_lower_bound(connection, contract, watermark)
        connection.autocommit = False
        connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with connection.cursor() as cursor:
            if exported is not None:
                cursor.execute("set transaction snapshot %s", (exported,))
            cursor.execute("set local statement_timeout = '4h'; set local idle_in_transaction_session_timeout = '1h'")
        drift = check_drift(connection, contract, shapes)
        bounds = Bounds(watermark, upper) if upper is not None else None
        yield Snapshot(connection, contract, bounds, drift)
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


def _select(contract: Contract, bounds: Bounds | None) -> sql.Composed:
    query = sql.SQL("select {columns} from {table}").format(
        columns=read_columns(contract),
        table=source_table(contract),
    )
    if bounds is None or bounds.lower is None or contract.cursor_column is None:
        return query
    cursor = sql.Identifier(contract.cursor_column)
    # Inclusive, so that ties are safe; a row without a stamp can only be found by looking at it each time.
    return sql.SQL("{query} where {cursor} >= {lower} or {cursor} is null").format(
        query=query, cursor=cursor, lower=sql.Literal(bounds.lower)
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
