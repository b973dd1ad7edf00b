"""Captures by comparison: what a snapshot's load and a reconcile bring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import raw, transfer
from pdic.arrival import Arrival
from pdic.ledger import RECONCILE
from pdic.sources import postgres
from pdic.sources.shapes import Shapes
from pdic.sweep import guard, record
from pdic.sweep.compare import Comparison
from pdic.warehouse import connect, one, open_comparable, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.ledger import Batch
    from pdic.sources.postgres import Snapshot
    from pdic.warehouse import Connect


def snapshot(contract: Contract, batch: Batch, connect_to: Connect) -> Arrival:
    """The load of a whole table. Raises what `difference` raises."""
    shapes = Shapes(connect_to("pdic_warehouse_loader"))
    with postgres.snapshot(connect_to(contract.source_connection), contract, shapes=shapes) as view:
        return whole(view, batch, connect_to)


def whole(view: Snapshot, batch: Batch, connect_to: Connect) -> Arrival:
    """Everything that a snapshot shows where nothing is known yet, after that its difference from what is known.

    The next load starts where the snapshot says, where it says so. Raises `SweepHeld` as `difference` does.
    """
    warehouse_uri = connect_to("pdic_warehouse_loader")
    with transaction(warehouse_uri, f"load {view.contract.id}") as loader, loader.cursor() as cursor:
        cursor.execute(
            sql.SQL("select exists (select from {}) or exists (select from {})").format(
                raw.parent(view.contract), raw.quarantine(view.contract)
            )
        )
        (is_known,) = one(cursor)
    if not is_known:
        return transfer.copy_snapshot(view, warehouse_uri, batch.batch_id)
    arrival = _compared(view.contract, view, batch, warehouse_uri, None)
    if view.seam is None:
        return arrival
    return replace(
        arrival, called=RECONCILE, watermark_to=view.seam.watermark, position=view.position, warning=view.warning
    )


def difference(
    contract: Contract, batch: Batch, connect_to: Connect, approval: guard.Approval | None = None
) -> Arrival:
    """Land the rows in which source and warehouse differ, tombstones included, and record what was found.

    The next load starts where it would have started before. Raises `SweepHeld` where the guard objects and `approval` does
    not cover what was found: nothing landed then, but the findings are on record. Raises `DriftError`, `SourceUnavailable`.
    """
    one_session = replace(contract, source_connections=1)
    # Where policies may hide rows as agreed, other policies than at the last load would hide others.
    said = Shapes(connect_to("pdic_warehouse_loader"))
    shapes = said if contract.row_security_agreed else None
    with postgres.snapshot(connect_to(contract.source_connection), one_session, shapes=shapes, said=said) as view:
        return _compared(contract, view, batch, connect_to("pdic_warehouse_loader"), approval)


@contextmanager
def _quoter(view: Snapshot, warehouse_uri: str) -> Iterator[Connection]:
    """A session of psycopg2 by which names are written for the warehouse: the source's, unless it is spoken to byte by byte."""
    if view.contract.encoding is None:
        yield view.connection
        return
    with closing(connect(warehouse_uri, f"compare {view.contract.id}")) as quoter:
        yield quoter


def _compared(
    contract: Contract, view: Snapshot, batch: Batch, warehouse_uri: str, approval: guard.Approval | None
) -> Arrival:
    with open_comparable(warehouse_uri, f"compare {contract.id}") as warehouse, _quoter(view, warehouse_uri) as quoter:
        comparison = Comparison(contract, view.connection, view.table, warehouse, view.there, quoter)
        findings = comparison.land(batch.batch_id, batch.watermark_from)
        objection = guard.objection(contract, findings, approval, view.compare)
        if objection:
            comparison.discard(batch.batch_id)
        comparison.run(
            record.insert(batch.batch_id, findings, comparison.seconds, held=bool(objection), approval=approval)
        )
    if objection:
        raise guard.SweepHeld(objection)
    return Arrival(
        rows=findings.source_rows,
        bytes=comparison.bytes,
        digest=f"crc32:{comparison.crc:08x}",
        deleted=findings.deleted,
        unchanged=findings.source_rows - findings.landed,
        drift=view.drift,
        watermark_to=batch.watermark_from,
        position=batch.position_from,
    )
