"""Judge rows of the quarantine once more, after a rule was corrected or a row waived.

They go the way of every batch: a batch of their own, checked, accepted in one transaction. Those that still fail go back to
quarantine with what they break now. The source is not asked, and the watermark stays where it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic import connections, contracts, load, quarantine, raw
from pdic.arrival import Arrival
from pdic.warehouse import Connect, locks, one, transaction

if TYPE_CHECKING:
    from pdic.ledger import Batch

Report = dict[str, Any]


def retry(
    targets: Iterable[str], *, record_ids: Collection[int] | None = None, connect_to: Connect = connections.uri
) -> list[Report]:
    """One report a dataset that has rows to judge, as `load` gives them. `record_ids` limits it to some records.

    A dataset that fails stops alone. A row of which a value could not be read when it came is left out: only its source can
    send it anew.
    """
    reports = []
    for sector, datasets in load.resolve_targets(targets).items():
        for dataset in datasets:
            try:
                contract = contracts.get(sector, dataset)
                if _waiting(contract, record_ids, connect_to):
                    reports.append(_one_dataset(contract, record_ids, connect_to))
            except Exception as error:
                reports.append(load.failed(sector, dataset, "retry", error))
    return reports


def _one_dataset(contract: contracts.Contract, record_ids: Collection[int] | None, connect_to: Connect) -> Report:
    sector, dataset = contract.sector, contract.dataset
    with locks.Session(connect_to, "pdic_warehouse_loader", f"retry {contract.id}") as session:
        session.take(locks.dataset(contract.id), load.LOAD_WAIT_S)
        batch = load.bring(contract, partial(_capture, record_ids), connect_to, called=quarantine.AGAIN, held=True)
        checked = load.check(sector, {dataset: batch["batch_id"]}, connect_to, held=True)[dataset]
        if checked["status"] != "checked":
            return checked
        return load.accept(sector, dataset, batch["batch_id"], connect_to, held=True)


def _waiting(contract: contracts.Contract, record_ids: Collection[int] | None, connect_to: Connect) -> bool:
    with transaction(connect_to("pdic_warehouse_loader"), f"retry {contract.id}") as loader, loader.cursor() as cursor:
        if not raw.is_there(cursor, raw.quarantine(contract)):
            return False
        cursor.execute(sql.SQL("select exists ({})").format(_rows(contract, record_ids)))
        return bool(one(cursor)[0])


def _capture(
    record_ids: Collection[int] | None, contract: contracts.Contract, batch: Batch, connect_to: Connect
) -> Arrival:
    with transaction(connect_to("pdic_warehouse_loader"), f"retry {contract.id}") as loader, loader.cursor() as cursor:
        cursor.execute(raw.create_batch_table(contract, batch.batch_id))
        table = raw.batch_table(contract, batch.batch_id)
        cursor.execute(
            sql.SQL("insert into {} ({}) {}").format(table, raw.columns(contract), _rows(contract, record_ids))
        )
        cursor.execute(
            sql.SQL(
                "select count(*), coalesce(to_hex((sum(hashtextextended((held.*)::text, 0)) % 4611686018427387904)::bigint), '0')"
                " from (select {} from {}) as held"
            ).format(raw.columns(contract), table)
        )
        rows, digest = one(cursor)
    return Arrival(
        rows=rows,
        bytes=0,
        digest=f"sum64:{digest}",
        watermark_to=batch.watermark_from,
        position=batch.position_from,
    )


def _rows(contract: contracts.Contract, record_ids: Collection[int] | None) -> sql.Composed:
    """The held rows' newest versions, as they were sent."""
    return sql.SQL(
        """
        select {columns}
        from quarantine.record as record
        inner join {quarantine} as held on record.last_batch_id = held._batch_id and record.key = {key}
        where
            record.sector = {sector}
            and record.dataset = {dataset}
            and record.closed_batch_id is null
            and {chosen}
            and not exists (
                select from unnest(record.reasons) as reason
                where reason = any ({unreadable}::text[])
            )
        """
    ).format(
        columns=sql.SQL(", ").join(sql.SQL("held.{}").format(sql.Identifier(c.source_name)) for c in contract.columns),
        quarantine=raw.quarantine(contract),
        key=raw.key_text(contract, "held"),
        sector=sql.Literal(contract.sector),
        dataset=sql.Literal(contract.dataset),
        chosen=sql.SQL("true")
        if record_ids is None
        else sql.SQL("record.record_id = any ({}::bigint[])").format(sql.Literal(sorted(record_ids))),
        unreadable=sql.Literal(
            [f"{contract.dataset}.{column.source_name}.type" for column in contract.columns] if contract.feed else []
        ),
    )
