"""Capture `cdc`: the first load copies the table, every other reads from the source's log what has changed since.

    first     a slot is made, and the table is copied in the very snapshot at which the slot's changes begin
    later     the slot's changes up to the source's present position land, and each key keeps its newest state

The position of record is the warehouse's and moves with acceptance. The slot follows it when the next load begins, so a
load that died anywhere is simply begun again: the log still has what it brought.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg2

from pdic.arrival import Arrival
from pdic.errors import Busy
from pdic.sources import access, postgres
from pdic.sources.cdc import grants, lsn, pgoutput, publication, relations, slot, watch
from pdic.sources.cdc.errors import in_words, lost
from pdic.sources.cdc.landing import Block, Landing
from pdic.sources.cdc.reread import reread
from pdic.sources.cdc.rows import IncompleteKey, Rows
from pdic.sources.cdc.walsender import Walsender
from pdic.sources.drift import check_drift
from pdic.sources.entry import enter
from pdic.sources.guest import source_of
from pdic.sources.session import Limits
from pdic.sources.shapes import Shapes
from pdic.warehouse import Connect, open_comparable, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.ledger import Batch
    from pdic.sources.postgres import Snapshot

LOG_LIMITS = Limits(statement=timedelta(hours=4), idle=timedelta(hours=4))
"""Of the session that stands beside the one that reads the log: it reads rows again that the log does not give whole."""

Position = dict[str, Any]
"""slot, lsn: where the next load starts. table, publication, columns: what must not have changed since the copy."""


def capture(
    contract: Contract, batch: Batch, connect_to: Connect, whole: Callable[[Snapshot, Batch, Connect], Arrival]
) -> Arrival:
    """Bring the table, or its changes since the batch's position, into the batch's table.

    `whole` brings a whole table that a snapshot shows.
    Raises `NotGranted`, `DriftError`, `SlotLost`, `SourceUnavailable`, `Busy`; by then nothing is accepted, and the slot
    stands where it stood.
    """
    uri, warehouse_uri = connect_to(contract.source_connection), connect_to("pdic_warehouse_loader")
    with transaction(warehouse_uri, f"load {contract.id}") as warehouse:
        name = slot.name(warehouse, contract.sector, contract.dataset)
    source = _connect(uri, contract)
    try:
        with in_words(contract, source):
            return _capture(
                source, uri, warehouse_uri, contract, batch, name, lambda view: whole(view, batch, connect_to)
            )
    finally:
        source.close()


def _capture(
    source: Connection,
    uri: str,
    warehouse_uri: str,
    contract: Contract,
    batch: Batch,
    name: str,
    copy: Callable[[Snapshot], Arrival],
) -> Arrival:
    table = grants.require(source, contract)
    drift = check_drift(source, contract)
    unread = postgres.unsaid(Shapes(warehouse_uri), contract, access.require(source, contract))
    mark = publication.ensure(source, contract, table)
    columns = relations.attribute_numbers(source, contract, table)
    position = {"slot": name, "table": table, "publication": mark, "columns": columns}
    if batch.position_from is None:
        arrival = _copy(source, uri, contract, position, copy)
    else:
        _require_unbroken(source, contract, batch.position_from, position)
        arrival = _changes(source, uri, warehouse_uri, contract, batch, position)
    found = slot.find(source, name)
    return dataclasses.replace(
        arrival,
        drift=postgres.joined(drift, *unread),
        warning=watch.warning(contract, found, watch.limit(source)) if found else None,
    )


def _copy(
    source: Connection, uri: str, contract: Contract, position: Position, copy: Callable[[Snapshot], Arrival]
) -> Arrival:
    """A new slot and the table as it was where the slot begins: nothing lies between."""
    name = position["slot"]
    slot.drop(source, name)  # of a first load that came to nothing: no position leads to it
    try:
        with Walsender(uri, contract) as walsender:
            begins, exported = walsender.create_slot(name)
            with postgres.snapshot(uri, contract, exported=exported) as view:
                arrival = copy(view)
    except BaseException:
        with suppress(psycopg2.Error, Busy):  # then the next load drops it
            slot.drop(source, name)
        raise
    return dataclasses.replace(arrival, position={**position, "lsn": lsn.written(begins)})


def _changes(
    source: Connection, uri: str, warehouse_uri: str, contract: Contract, batch: Batch, position: Position
) -> Arrival:
    """What was committed from the batch's position to the source's present one."""
    since = lsn.number((batch.position_from or {})["lsn"])
    target = slot.current_position(source)
    with open_comparable(warehouse_uri, f"load {contract.id}") as warehouse:
        landing = Landing(warehouse, source, contract, batch.batch_id)
        with landing.stream() as block, Walsender(uri, contract) as walsender:
            messages = walsender.messages(position["slot"], publication.name(contract), since, target)
            read = _Reader(source, contract, position["table"], block)
            for message in messages:
                read.take(message)
        rows, deleted = landing.keep_newest(read.truncated_at)
        if read.in_part:
            more, gone = reread(source, landing, contract, read.truncated_at)
            rows, deleted = rows + more, deleted + gone
        if read.truncated_at:
            deleted += landing.bury_known()
    return Arrival(
        rows=rows,
        deleted=deleted,
        bytes=landing.bytes,
        digest=f"crc32:{landing.crc:08x}",
        position={**position, "lsn": lsn.written(target)},
    )


class _Reader:
    """Follows one table through a stream of messages: its shape, its changes, whether it was emptied."""

    def __init__(self, source: Connection, contract: Contract, table: int, block: Block) -> None:
        self.truncated_at = 0
        self.in_part = 0
        self._source, self._contract, self._table, self._block = source, contract, table, block
        self._table_id = table.to_bytes(4)
        self._shape: pgoutput.Relation | None = None
        self._rows: Rows | None = None
        self._sequence = 1

    def take(self, message: bytes) -> None:
        """One message. Raises `DriftError`, `SlotLost`; `NotPgoutput` for what is none."""
        kind = message[0]
        if kind in pgoutput.CHANGES:
            if message[1:5] != self._table_id or self._rows is None:
                return
            try:
                rows, in_part = self._rows.of(pgoutput.change(message), self._sequence)
            except IncompleteKey:
                what = f"a change of {self._contract.table} does not name its key: its replica identity was another"
                raise lost(self._contract, what) from None
            self._sequence += 2
            self.in_part += in_part
            self._block.add(rows)
        elif kind == pgoutput.RELATION:
            if pgoutput.relation_id(message) == self._table:
                self._take_shape(pgoutput.relation(message))
        elif kind == pgoutput.TRUNCATE:
            if self._table in pgoutput.truncated(message):
                self.truncated_at = self._sequence
                self._sequence += 2
        elif kind not in pgoutput.WITHOUT_ROWS:
            raise pgoutput.NotPgoutput(f"a message of unknown kind {kind}")

    def _take_shape(self, shape: pgoutput.Relation) -> None:
        if shape != self._shape:
            relations.require(self._source, self._contract, shape)
            self._shape, self._rows = shape, Rows(self._contract, shape)


def _require_unbroken(source: Connection, contract: Contract, last: Position, now: Position) -> None:
    """Does the log lead from the accepted state to the present one without a gap?"""
    name, position = last["slot"], lsn.number(last["lsn"])
    if name != now["slot"]:
        raise lost(
            contract, f"slot {name} belongs to another installation (drop it there, or at the source if it is gone)"
        )
    found = slot.find(source, name)
    if found is None:
        raise lost(contract, f"the source has no slot {name} any more (dropped, or lost in a failover)")
    if not found.here or found.plugin != "pgoutput":
        raise lost(contract, f"slot {name} is of another database or plugin")
    if found.wal_status == "lost":
        raise lost(contract, f"the source has given up slot {name}: its log grew beyond what the source keeps")
    if found.confirmed > position:
        raise lost(
            contract, f"somebody else has read slot {name} to {lsn.written(found.confirmed)}, beyond {last['lsn']}"
        )
    if slot.current_position(source) < position:
        raise lost(contract, f"the source stands before {last['lsn']}: it was set back to an earlier state")
    if last["table"] != now["table"]:
        raise lost(contract, f"{contract.table} is another table than the one that was copied")
    if last["publication"] != now["publication"]:
        raise lost(contract, f"publication {publication.name(contract)} was altered or made anew since the last load")
    if fresh := [column for column, number in now["columns"].items() if last["columns"].get(column) != number]:
        # The log does not tell of the values that rows got with a new column.
        raise lost(
            contract, f"{', '.join(fresh)} joined the contract, or was made anew at the source, since the last load"
        )


def _connect(uri: str, contract: Contract) -> Connection:
    return enter(
        uri, f"load {contract.id}", source_of(contract), contract.source_connection, autocommit=True, limits=LOG_LIMITS
    )
