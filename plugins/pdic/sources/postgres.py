"""Read a dataset from a sector's PostgreSQL: one snapshot, exact types, nothing lost at the seam between two loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic import transfer
from pdic.arrival import Arrival
from pdic.errors import LoadError, PdicError
from pdic.sources import access
from pdic.sources.carried import at_source
from pdic.sources.drift import check_drift
from pdic.sources.guest import behave, reading, visit
from pdic.sources.identity import difference, former_identity, identify
from pdic.sources.parts import Part, select, split, stamped_since, written_since
from pdic.sources.shapes import Shapes
from pdic.sources.standing import look
from pdic.sources.window import Seam, Window, Xids, former_seam, next_seam, window
from pdic.warehouse import Connect, one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.ledger import Batch
    from pdic.sources.standing import Standing


@dataclass(frozen=True)
class Snapshot:
    """One repeatable-read view of a source table: the rows to read, and where the next load starts (cursor loads).

    ``table`` is how the table is written where its rows are read. ``divided`` makes `parts`. ``compare`` says that all of them have
    to be compared with what is known, and why: rows may be gone, or have changed without a stamp. ``position`` is what the ledger
    keeps of the seam.
    """

    connection: Connection
    contract: Contract
    there: Contract
    table: sql.Composable
    divided: Callable[[], tuple[Part, ...]]
    seam: Seam | None = None
    drift: str | None = None
    warning: str | None = None
    compare: str | None = None
    position: dict[str, Any] | None = None

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The rows in one or more ranges, each with a session of its own, all of the same snapshot. Who compares asks for none."""
        with reading(self.contract):
            return self.divided()


Whole = Callable[["Snapshot", "Batch", Connect], Arrival]
"""Brings a whole table that a snapshot shows: all of its rows, or where some are known its difference from them."""


def capture(contract: Contract, batch: Batch, connect_to: Connect, whole: Whole, *, full: bool = False) -> Arrival:
    """Bring what was written since the last load into the batch's table.

    Where that cannot be told by rows alone (the table behind the name is another one, or was emptied), and where a `full` load is
    asked for, `whole` brings everything, and the next load starts at this snapshot all the same.
    """
    uri, shapes = connect_to(contract.source_connection), Shapes(connect_to("pdic_warehouse_loader"))
    with snapshot(uri, contract, batch.watermark_from, batch.position_from, shapes, full=full) as view:
        if full or view.compare:
            return whole(view, batch, connect_to)
        return transfer.copy_snapshot(view, connect_to("pdic_warehouse_loader"), batch.batch_id)


@contextmanager
def snapshot(
    uri: str,
    contract: Contract,
    watermark: datetime | None = None,
    position: dict[str, Any] | None = None,
    shapes: Shapes | None = None,
    exported: str | None = None,
    *,
    full: bool = False,
    said: Shapes | None = None,
) -> Iterator[Snapshot]:
    """Open a snapshot of the contract's table, after checking it against the contract.

    `watermark` and `position` are where the last load of a cursor dataset ended, as the ledger keeps them (None: everything);
    `shapes` remember what former loads found; `exported` is another session's snapshot to share; `full` forgets where the last
    load ended; `said` knows what loads have said of the table, where `shapes` are not to be asked.
    Raises `DriftError` where the table no longer is what the contract says, `SourceUnavailable` where the server cannot be
    reached or is a replica behind what was read before.
    """
    with ExitStack() as sessions:
        with reading(contract):
            connection = sessions.enter_context(closing(visit(uri, contract)))
            if contract.cursor_column is None:
                behave(connection, contract, exported)
                there = at_source(connection, contract)
                drift = check_drift(connection, contract, shapes, there)
                found = access.require(connection, there)
                divided = partial(split, sessions, connection, uri, there, found.rows)
                opened = Snapshot(
                    connection,
                    contract,
                    there,
                    found.rows,
                    divided,
                    drift=joined(drift, *unsaid(said or shapes, contract, found)),
                )
            else:
                since = (None, None) if full else (watermark, position)
                opened = _open(sessions, connection, uri, contract, *since, shapes, said)
        yield opened


def _open(
    sessions: ExitStack,
    connection: Connection,
    uri: str,
    contract: Contract,
    watermark: datetime | None,
    position: dict[str, Any] | None,
    shapes: Shapes | None,
    said: Shapes | None,
) -> Snapshot:
    """The view of a cursor load: the rows since the last one, or all of them."""
    # Who is writing is asked before the snapshot is taken: whoever begins after that stamps later.
    behave(connection, contract)
    standing = look(connection, at_source(connection, contract))
    connection.commit()
    behave(connection, contract)
    xids = _xids(connection)
    there = at_source(connection, contract)
    drift = check_drift(connection, contract, shapes, there)
    found = access.require(connection, there)
    identity = identify(connection, there)
    former, known = former_seam(watermark, position), former_identity(position)
    why: str | None
    unlike = None
    if former and known:
        at_source_names = {
            column.source_name: named.source_name for column, named in zip(contract.columns, there.columns, strict=True)
        }
        seam_there = replace(former, cursor=at_source_names.get(former.cursor, former.cursor))
        unlike = difference(connection, there, seam_there, known, identity)
    if unlike:
        # What the former seam says holds for another table, perhaps of another server: the next one begins from nothing.
        seam, held = next_seam(contract, standing, xids, None, None)
        wanted, why = Window(compare=unlike), f"{unlike}: all rows were compared with those known"
    else:
        wanted, why = window(contract, standing, xids, watermark, former)
        seam, held = next_seam(contract, standing, xids, watermark, former)
    return Snapshot(
        connection,
        contract,
        there,
        found.rows,
        partial(_parts, sessions, connection, uri, there, found.rows, wanted, standing),
        seam,
        joined(drift, *unsaid(said or shapes, contract, found)),
        joined(why, held),
        wanted.compare,
        seam.position() | {"identity": identity.as_json()},
    )


def _parts(
    sessions: ExitStack,
    connection: Connection,
    uri: str,
    contract: Contract,
    table: sql.Composable,
    wanted: Window,
    standing: Standing,
) -> tuple[Part, ...]:
    """The rows of a window, divided where they are found by reading the table. A comparison reads them in one session."""
    if wanted.compare is not None:
        return (Part(connection, select(contract, table)),)
    if wanted.since is not None:
        return (Part(connection, stamped_since(contract, table, wanted.since, unstamped=standing.cursor_nullable)),)
    conditions = [written_since(wanted.since_xid)] if wanted.since_xid is not None else []
    return split(sessions, connection, uri, contract, table, *conditions)


def count_rows_of(uri: str, contracts: Sequence[Contract]) -> dict[str, int | PdicError]:
    """By dataset id, how many rows each table of one source holds now, soft-deleted ones included, or why that is not known.

    One session asks for all of them: once what may be read, then each table in a transaction of its own, so that none is locked
    while another one is counted. Raises `SourceUnavailable` where the server cannot be reached.
    """
    found: dict[str, int | PdicError] = {}
    with closing(visit(uri, contracts[0])) as connection:
        for group in _alike(contracts):
            tables = _tables(connection, group)
            for contract in group:
                table = tables[contract.id]
                try:
                    if isinstance(table, PdicError):
                        raise table
                    with reading(contract), connection, connection.cursor() as cursor:
                        behave(connection, contract)
                        cursor.execute(sql.SQL("select count(*) from {}").format(table))
                        found[contract.id] = int(one(cursor)[0])
                except PdicError as error:
                    found[contract.id] = error
    return found


def _alike(contracts: Sequence[Contract]) -> list[list[Contract]]:
    """The contracts by the encoding that names are read in: a transaction speaks one."""
    groups: dict[str | None, list[Contract]] = {}
    for contract in contracts:
        groups.setdefault(contract.encoding, []).append(contract)
    return list(groups.values())


def _tables(connection: Connection, contracts: Sequence[Contract]) -> dict[str, sql.Composable | PdicError]:
    """By dataset id, how the table is written where its rows are read, or why it may not be read."""
    found: dict[str, sql.Composable | PdicError] = {}
    there: list[Contract] = []
    try:
        with reading(contracts[0]), connection:
            behave(connection, contracts[0])
            for contract in contracts:
                try:
                    there.append(at_source(connection, contract))
                except LoadError as error:
                    found[contract.id] = error
            for contract, allowed in zip(there, access.of_all(connection, there), strict=True):
                found[contract.id] = allowed.rows if isinstance(allowed, access.Access) else allowed
    except PdicError as error:
        return {contract.id: found.get(contract.id, error) for contract in contracts}
    return found


def unsaid(said: Shapes | None, contract: Contract, found: access.Access) -> list[str]:
    """What is not read with the table, where no load has said so yet."""
    remarks = access.remarks(contract, found)
    return [text for text in remarks if said is None or not said.said(contract, text)]


def joined(*remarks: str | None) -> str | None:
    return "; ".join(filter(None, remarks)) or None


def _xids(connection: Connection) -> Xids:
    """The bounds of the transaction's snapshot."""
    with connection.cursor() as cursor:
        cursor.execute("select txid_snapshot_xmin(s), txid_snapshot_xmax(s) from txid_current_snapshot() as s")
        return Xids(*one(cursor))
