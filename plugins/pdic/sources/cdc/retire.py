"""The end of a slot: of a dataset that is retired, or of one whose table has to be copied anew."""

from __future__ import annotations

from typing import Any

import psycopg2

from pdic import contracts, ledger
from pdic.contracts.model import default_connection
from pdic.errors import LoadError, SourceUnavailable
from pdic.sources.cdc import slot
from pdic.sources.session import open_session
from pdic.warehouse import Connect, connect, locks


def end(dataset_id: str, connect_to: Connect) -> dict[str, Any]:
    """Drop the slot of `sector.dataset` (its contract may be gone) and forget the position that it led on from.

    Accepted data stays as it is: the next load, if there is one, copies the table and keeps the difference. Safe to repeat.
    Raises `Busy` during a load, `SourceUnavailable`, `LoadError` where the name is no dataset's.
    """
    sector, _, dataset = dataset_id.partition(".")
    if not dataset:
        raise LoadError(f"{dataset_id!r} names no dataset: write SECTOR.DATASET")
    warehouse = connect(connect_to("pdic_warehouse_loader"), f"slot {dataset_id}")
    try:
        with locks.hold(warehouse, locks.dataset(dataset_id)):
            name = slot.name(warehouse, sector, dataset)
            # The position goes first: a slot without one is dropped by the next load, one that is missing stops it.
            with warehouse:
                forgotten = ledger.forget_position(warehouse, sector, dataset)
            contract = contracts.load_all().get((sector, dataset))
            conn_id = contract.source_connection if contract else default_connection(sector)
            dropped = _drop(connect_to(conn_id), sector, name)
        return {"sector": sector, "dataset": dataset, "slot": name, "dropped": dropped, "forgotten": forgotten}
    finally:
        warehouse.close()


def _drop(uri: str, sector: str, name: str) -> bool:
    try:
        source = open_session(uri, "slot", autocommit=True)
    except psycopg2.OperationalError as error:
        raise SourceUnavailable(
            f"the source of sector {sector} cannot be reached; its slot {name} may still be there. Try again, or have its "
            f"administrator run: select pg_drop_replication_slot('{name}')."
        ) from error
    try:
        return slot.drop(source, name)
    finally:
        source.close()
