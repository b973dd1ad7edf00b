"""Batches that are held at the gate because they are unlike those before them: which there are, and how a person lets one go on.

A batch that breaks a rule is refused, and no consent helps. One that is only unlike the earlier ones (`expectations/history.yaml`), or
whose source lost many rows (`pdic.sweep.guard`), may be right: a person says so and why, and both are kept (`pdic.approval`).
The next load of the dataset reads the source again, and is judged again: what was put right passes, the rest is held again.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from pdic import approval, connections, contracts, ledger, load, raw, reconcile
from pdic.approval import Approval
from pdic.errors import LoadError
from pdic.warehouse import Connect, connect, locks, one, records, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Report = dict[str, Any]

_NEWEST: Final = sql.SQL(
    """
    select
        batch.sector, batch.dataset, batch.batch_id, batch.status, batch.started_at, batch.message,
        coalesce(compared.held, false) as lost_rows,
        (
            select string_agg(rule_id, ', ' order by rule_id) from control.expectation_result as result
            where result.batch_id = batch.batch_id and not result.success and (result.on_fail = 'halt' or result.raised is not null)
                and result.expectation_type not like 'pdic_history_%%'
        ) as broken,
        exists (
            select from control.expectation_result as result
            where result.batch_id = batch.batch_id and not result.success and result.on_fail = 'halt'
                and result.expectation_type like 'pdic_history_%%'
        ) as unlike,
        exists (select from control.approval where approval.batch_id = batch.batch_id) as approved
    from (
        -- First which batches these are: what is asked of them is not to be asked of all that there ever were.
        -- A load that failed after one was held has judged nothing: that one waits all the same.
        select distinct on (batch.sector, batch.dataset)
            batch.sector, batch.dataset, batch.batch_id, batch.status, batch.started_at, batch.message
        from control.batch
        where {} and batch.status <> 'abandoned'
        order by batch.sector, batch.dataset, batch.batch_id desc
    ) as batch
    left join control.reconciliation as compared on compared.batch_id = batch.batch_id
    order by batch.sector, batch.dataset
    """
)


def waiting(connect_to: Connect = connections.uri) -> list[Report]:
    """The newest batch of each dataset where that one waits for a person: sector, dataset, batch_id, started_at, message."""
    with transaction(connect_to("pdic_warehouse_publisher"), "held batches") as publisher, publisher.cursor() as cursor:
        cursor.execute(_NEWEST.format(sql.SQL("%s")), (True,))
        return [
            {name: found[name] for name in ("sector", "dataset", "batch_id", "started_at", "message")}
            for found in records(cursor)
            if _waits(found)
        ]


def approve(sector: str, dataset: str, consent: Approval, connect_to: Connect = connections.uri) -> Report:
    """Let the newest batch of a dataset go on although it was held: its good rows are accepted, its bad ones go to quarantine.

    What was held because rows are gone at the source is compared once more, and no larger deletion is applied. Approving what was
    approved and accepted changes nothing. Returns the batch's report. Raises LoadError where nothing waits for a consent, `Busy`.
    """
    contract = contracts.get(sector, dataset)
    with closing(connect(connect_to("pdic_warehouse_loader"), f"approve {contract.id}")) as loader:
        with loader:
            found = _newest(loader, contract)
        if found is not None and found["lost_rows"] and _waits(found):
            return reconcile.one_dataset(
                sector, dataset, connect_to, approve=True, approved_batch=found["batch_id"], consent=consent
            )
        locks.take(loader, locks.dataset(contract.id), load.STEP_WAIT_S)
        try:
            with locks.held_up(connect_to("pdic_warehouse_loader"), contract.id, raw.tables(contract)), loader:
                return _accept(loader, contract, consent)
        finally:
            locks.let_go(loader, locks.dataset(contract.id))


def _accept(loader: Connection, contract: contracts.Contract, consent: Approval) -> Report:
    """The consent, and what follows from it, in one transaction."""
    found = _newest(loader, contract)
    if found is None or found["status"] not in ("rejected", "accepted"):
        raise LoadError(f"{contract.id}: no batch is held. `pdic history {contract.id}` says what became of its loads")
    batch_id = found["batch_id"]
    if found["status"] == "accepted":
        if not found["approved"]:
            raise LoadError(f"{contract.id}: its newest batch {batch_id} was accepted: nothing is held")
    elif not _waits(found):
        why = f"it breaks {found['broken']}" if found["broken"] else str(found["message"])
        raise LoadError(
            f"{contract.id}: batch {batch_id} was refused, and an approval does not help: {why}. Have the source put right, or correct the "
            "rule, then load it again"
        )
    else:
        _require_all_rows(loader, contract, batch_id)
        with loader.cursor() as cursor:
            cursor.execute(
                "update control.batch set status = 'checked', message = null where batch_id = %s", (batch_id,)
            )
        approval.record(loader, "batch_id", batch_id, consent, found["message"] or "")
    return load.accept_here(loader, contract, batch_id)


def _require_all_rows(loader: Connection, contract: contracts.Contract, batch_id: int) -> None:
    """Raises LoadError where a batch lacks rows, or has others than were read: nobody consented to that."""
    table = raw.batch_table(contract, batch_id)
    with loader.cursor() as cursor:
        cursor.execute("select to_regclass(%s)", (table.as_string(loader),))
        if one(cursor) == (None,):
            raise LoadError(f"{contract.id}: the rows of batch {batch_id} are gone. Load it again")
        cursor.execute(sql.SQL("select count(*) from {} where _op = 'U'").format(table))
        (rows,) = one(cursor)
    if lost := load.rows_lost(contract, ledger.get(loader, contract, batch_id), rows, "it was to be approved"):
        raise LoadError(lost)


def _waits(found: Report) -> bool:
    """Whether a batch is held by nothing but what a person may consent to."""
    return found["status"] == "rejected" and found["broken"] is None and (found["unlike"] or found["lost_rows"])


def _newest(connection: Connection, contract: contracts.Contract) -> Report | None:
    with connection.cursor() as cursor:
        cursor.execute(
            _NEWEST.format(sql.SQL("batch.sector = %s and batch.dataset = %s")), (contract.sector, contract.dataset)
        )
        found = records(cursor)
    return found[0] if found else None
