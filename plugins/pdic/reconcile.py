"""Reconcile: find where source and warehouse differ although loads went well, and heal it by an ordinary batch.

Loads by cursor cannot see a row that was deleted for good, changed without its stamp, or committed later than any overlap
reaches back; loads of a feed cannot see a record that its service has removed. A reconcile compares everything (`pdic.sweep`), and
what differs goes the way of every batch: checked, quarantined where it breaks a rule, accepted in one transaction with the
ledger. The watermark of a table stays where it is; a feed, whose pages are all read, goes on after the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from pdic import approval as consents
from pdic import connections, contracts, ledger, load, sweep
from pdic.approval import Approval
from pdic.errors import BatchRejected, LoadError
from pdic.warehouse import Connect, locks, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Report = dict[str, Any]
"""What became of one dataset: batch id, status, held, counts of what was wrong, seconds by step, message."""


def reconcile(
    targets: Iterable[str],
    *,
    approve: bool = False,
    consent: Approval | None = None,
    connect_to: Connect = connections.uri,
    progress: Callable[[str], None] | None = None,
) -> list[Report]:
    """Reconcile what `targets` name (`SECTOR` or `SECTOR.DATASET`; none: all datasets).

    `approve` consents to what the newest held comparison of each dataset found; then the targets must name datasets. `consent` is kept
    with it: who decided, and why. A
    dataset that fails or is held stops alone: its report says `failed` or `rejected`, the others go on.
    """
    words = list(targets)
    if approve and not all("." in word for word in words or [""]):
        raise LoadError("an approval is for single datasets: say `pdic reconcile SECTOR.DATASET --approve`.")
    reports = []
    for sector, datasets in load.resolve_targets(words).items():
        for dataset in datasets:
            try:
                contract = contracts.get(sector, dataset)
                if progress:
                    progress(contract.id)
                reports.append(
                    one_dataset(sector, dataset, connect_to, approve=approve, consent=consent, wait=load.LOAD_WAIT_S)
                )
            except Exception as error:
                reports.append(load.failed(sector, dataset, "reconcile", error))
    return reports


def one_dataset(
    sector: str,
    dataset: str,
    connect_to: Connect = connections.uri,
    *,
    approve: bool = False,
    approved_batch: int | None = None,
    consent: Approval | None = None,
    wait: float = load.STEP_WAIT_S,
) -> Report:
    """Reconcile one dataset. Where the guard holds it, the report says `held`, and nothing was changed.

    A load that is at work on it is waited for, at most `wait` seconds.

    `approve` consents to what the held comparison `approved_batch` (None: the newest) found, and to no larger deletion. `consent` is
    kept with it: who decided, and why.
    Raises `LoadError` where nothing waits for approval, or where the dataset was never loaded;
    `Busy`, `SourceUnavailable`, `DriftError` as a load does.
    """
    contract = contracts.get(sector, dataset)
    with locks.Session(connect_to, "pdic_warehouse_loader", f"reconcile {contract.id}") as session:
        session.take(locks.dataset(contract.id), wait)
        return _reconcile(contract, connect_to, approve=approve, approved_batch=approved_batch, consent=consent)


def _reconcile(
    contract: contracts.Contract,
    connect_to: Connect,
    *,
    approve: bool,
    approved_batch: int | None,
    consent: Approval | None,
) -> Report:
    """The same, by who holds the dataset's lock."""
    sector, dataset = contract.sector, contract.dataset
    compare = sweep.capture_feed if contract.capture == "feed" else sweep.capture_difference
    with transaction(connect_to("pdic_warehouse_loader"), f"reconcile {contract.id}") as loader:
        _require_loaded(loader, contract)
        healed = sweep.healed_by(loader, approved_batch) if approved_batch is not None else None
        if healed is not None:  # a run that was killed after its work is run again
            return _report(loader, healed)
        approval = sweep.waiting(loader, contract, approved_batch) if approve else None
        if approval is not None and consent is not None:
            _keep(loader, approval.batch_id, consent)
    began = time.monotonic()
    try:
        batch = load.bring(
            contract,
            partial(compare, approval=approval),
            connect_to,
            called=ledger.RECONCILE,
            held=True,
        )
        batch_id = batch["batch_id"]
        checked = load.check(sector, {dataset: batch_id}, connect_to, held=True)[dataset]
        if checked["status"] in ("failed", "superseded"):
            raise LoadError(checked["message"])
        load.accept(sector, dataset, batch_id, connect_to, held=True)
    except BatchRejected:
        batch_id = None  # the ledger says why
    with transaction(connect_to("pdic_warehouse_loader"), f"reconcile {contract.id}") as loader:
        found = sweep.newest(loader, contract) if batch_id is None else sweep.of_batch(loader, batch_id)
        if not found:
            raise LoadError(f"{contract.id}: the ledger has no comparison. Run it again.")
        report = _report(loader, found)
    report["seconds"]["total"] = round(time.monotonic() - began, 3)
    return report


def _keep(loader: Connection, batch_id: int, consent: Approval) -> None:
    """Keep the consent to what the held comparison of a batch found; a second one to the same changes nothing."""
    with loader.cursor() as cursor:
        cursor.execute(
            """
            select message from control.batch
            where batch_id = %s and not exists (select from control.approval where approval.batch_id = batch.batch_id)
            """,
            (batch_id,),
        )
        if (found := cursor.fetchone()) is not None:
            consents.record(loader, "batch_id", batch_id, consent, found[0] or "")


def _report(loader: Connection, found: dict[str, Any]) -> Report:
    """A comparison and its batch in one."""
    batch = ledger.report(loader, found["batch_id"])
    seconds = batch["seconds"] | found["comparison_seconds"]
    return batch | {name: value for name, value in found.items() if name != "comparison_seconds"} | {"seconds": seconds}


def _require_loaded(loader: Connection, contract: contracts.Contract) -> None:
    with loader.cursor() as cursor:
        cursor.execute(
            "select exists (select from control.batch where sector = %s and dataset = %s and status = 'accepted')",
            (contract.sector, contract.dataset),
        )
        if not one(cursor)[0]:
            raise LoadError(
                f"{contract.id}: it was never loaded, so there is nothing to reconcile. Run `pdic load "
                f"{contract.sector}.{contract.dataset}` first."
            )
