"""Compare a whole feed with what the warehouse knows of it: a batch of what differs, with tombstones for what is gone.

A feed has no checksums to ask for, so every page of it is read. The newest version still wins: a record that the service
gives in an older version than the one held is left as it is.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import raw
from pdic.ledger import RECONCILE
from pdic.sources import rest
from pdic.sweep import difference, guard, known, record
from pdic.sweep.findings import Findings
from pdic.warehouse import one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.arrival import Arrival
    from pdic.contracts import Contract
    from pdic.ledger import Batch
    from pdic.warehouse import Connect


def feed(contract: Contract, batch: Batch, connect_to: Connect, approval: guard.Approval | None = None) -> Arrival:
    """Land the records in which service and warehouse differ, tombstones included, and record what was found.

    The next load goes on after the last record. Raises `SweepHeld` where the guard objects and `approval` does not cover what was
    found, and what a load of the feed raises.
    """
    began = time.monotonic()
    arrival = rest.capture(contract, batch, connect_to, whole=True)
    fetched = time.monotonic()
    with (
        transaction(connect_to("pdic_warehouse_loader"), f"compare {contract.id}") as loader,
        loader.cursor() as cursor,
    ):
        findings = _compare(loader, contract, batch)
        objection = guard.objection(contract, findings, approval)
        if objection:
            raw.drop_batch_table(loader, contract, batch.batch_id)
        else:
            _reduce(loader, contract, batch)
        seconds = {"fetch": round(fetched - began, 3), "difference": round(time.monotonic() - fetched, 3)}
        cursor.execute(record.insert(batch.batch_id, findings, seconds, held=bool(objection), approval=approval))
    if objection:
        raise guard.SweepHeld(objection)
    return replace(
        arrival,
        deleted=findings.deleted,
        unchanged=findings.source_rows - findings.landed,
        called=RECONCILE,
    )


def _compare(loader: Connection, contract: Contract, batch: Batch) -> Findings:
    """Make the temporary table `compared`, a row for each record that came or is known, and count."""
    assert contract.feed is not None
    version = sql.Identifier(contract.feed.version)
    with loader.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                create temporary table compared on commit drop as
                select
                    {key},
                    landed.ctid as _pdic_place,
                    known._op = 'U' as _pdic_living,
                    known._op = 'U' and (
                        known.{version} > landed.{version} or record_image_eq(row({landed}), row({known}))
                    ) as _pdic_unchanged,
                    {news} as _pdic_news
                from {batch} as landed
                full join ({newest}) as known on {same_key}
                """
            ).format(
                key=sql.SQL(", ").join(
                    sql.SQL("coalesce({}, {}) as {}").format(
                        sql.Identifier("landed", name), sql.Identifier("known", name), sql.Identifier(name)
                    )
                    for name in contract.key
                ),
                version=version,
                landed=difference.columns(contract, "landed"),
                known=difference.columns(contract, "known"),
                news=rest.is_after(contract, (batch.position_from or {}).get("cursor"), "landed"),
                batch=raw.batch_table(contract, batch.batch_id),
                newest=known.newest(
                    contract, None, sql.SQL("{}, version._op").format(difference.columns(contract, "version"))
                ),
                same_key=raw.same_key(contract, "landed", "known"),
            )
        )
        cursor.execute(
            """
            select
                count(*) filter (where _pdic_place is not null),
                count(*) filter (where _pdic_living),
                count(*) filter (where _pdic_place is not null and _pdic_living is not true and not _pdic_news),
                count(*) filter (where _pdic_place is not null and _pdic_living and not _pdic_unchanged and not _pdic_news),
                count(*) filter (where _pdic_place is not null and _pdic_unchanged is not true and _pdic_news),
                count(*) filter (where _pdic_place is null and _pdic_living)
            from compared
            """
        )
        rows, living, late, changed, news, gone = one(cursor)
    return Findings(
        source_rows=rows,
        known_rows=living,
        late=late,
        changed=changed,
        news=news,
        deleted=gone,
        buckets=0,
        buckets_differing=0,
        rows_fetched=rows,
    )


def _reduce(loader: Connection, contract: Contract, batch: Batch) -> None:
    """Leave in the batch's table what differs, and add the tombstones."""
    table = raw.batch_table(contract, batch.batch_id)
    key = sql.SQL(", ").join(map(sql.Identifier, contract.key))
    with loader.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "delete from {} as landed using compared where landed.ctid = compared._pdic_place and _pdic_unchanged"
            ).format(table)
        )
        cursor.execute(
            sql.SQL(
                "insert into {} ({key}, _op) select {key}, 'D' from compared where _pdic_place is null and _pdic_living"
            ).format(table, key=key)
        )
