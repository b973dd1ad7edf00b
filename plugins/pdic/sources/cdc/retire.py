"""The end of a slot: of a dataset that is retired, or of one whose table has to be copied anew."""

from __future__ import annotations

from typing import Any

from pdic import contracts, ledger
from pdic.contracts.model import default_connection
from pdic.errors import LoadError
from pdic.sources.cdc import slot
from pdic.sources.entry import enter, staying
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
            contract = contracts.get(sector, dataset) if (sector, dataset) in contracts.names() else None
            conn_id = contract.source_connection if contract else default_connection(sector)
            dropped = _drop(connect_to(conn_id), conn_id, sector, name)
        return {"sector": sector, "dataset": dataset, "slot": name, "dropped": dropped, "forgotten": forgotten}
    finally:
        warehouse.close()


def _drop(uri: str, conn_id: str, sector: str, name: str) -> bool:
    # Whoever reads the refusal must know that the slot makes the source keep its log.
    whose = (
        f"the slot {name} may still be at the source (its administrator drops it by: "
        f"select pg_drop_replication_slot('{name}')), because the source of sector {sector}"
    )
    source = enter(uri, "slot", whose, conn_id, autocommit=True)
    try:
        with staying(whose):
            return slot.drop(source, name)
    finally:
        source.close()
