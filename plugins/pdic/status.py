"""How things stand: every dataset's rows accounted for, the live release, what the shared tables hold."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic import balance, connections, contracts, history, sweep
from pdic.quarantine import desk
from pdic.release import broken_rules, pin, turn
from pdic.release.views import OWN
from pdic.sources.cdc import watch
from pdic.warehouse import Connect, one, readers, records, rights, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

Report = dict[str, Any]

ABOUT_LOADS = "quality_"
"""How the names of shared tables begin that tell of batches and checks, and not of what the sources hold."""


def status(
    connect_to: Connect = connections.uri,
    *,
    checksums: bool = False,
    sector: str | None = None,
    recount: bool = False,
    sources: bool = True,
) -> Report:
    """Datasets (of one sector, or of all), releases and shared tables as plain values. `recount` and `sources` as in `datasets`.

    `checksums` adds one per shared table: independent of row order, of which schema holds it, and of when it was built.
    """
    return {
        "datasets": datasets(connect_to, sector, recount=recount, sources=sources),
        "unreadable": [
            {"sector": of, "dataset": dataset, "message": str(error)}
            for (of, dataset), error in contracts.unreadable().items()
            if sector in (None, of)
        ],
        "release": releases(connect_to),
        "quality": quality(connect_to),
        "quarantine": desk.counts(connect_to),
        "slots": watch.slots(connect_to, sector),
        "shared": shared_tables(connect_to, checksums=checksums),
        "readers": readers.status(connect_to),
        "rights": {
            "in_force": rights.in_force(connect_to("pdic_warehouse_publisher")),
            "unguarded": rights.unguarded(connect_to("pdic_warehouse_publisher")),
        },
    }


def datasets(
    connect_to: Connect = connections.uri, sector: str | None = None, *, recount: bool = False, sources: bool = True
) -> list[Report]:
    """Per dataset (of one sector, or of all): rows at the source, and how many of their keys are accepted, quarantined, or deleted since.

    `balanced` is source rows = accepted + quarantined. While the source changes it holds only after the next load. Where the
    source does not answer, its rows and the balance are None and `source_problem` is the kind of error; without ``sources``
    none is asked. A dataset whose contract cannot be read is left out. ``recount`` counts all keys anew (:mod:`pdic.balance`).
    """
    known = [contract for contract in contracts.readable().values() if sector in (None, contract.sector)]
    stands = history.standings(connect_to)
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(balance.source_rows, known if sources else [], connect_to)
        counted = pool.submit(balance.key_counts, known, connect_to, recount=recount)
        with transaction(connect_to("pdic_warehouse_loader"), "status") as loader:
            ledger = _ledger(loader)
            reconciled = sweep.newest_of_all(loader)
        source_rows, counts = asked.result(), counted.result()
    reports = []
    for contract in known:
        rows, problem = source_rows.get(contract.id, (None, None))
        of = counts[contract.id]
        standing = ledger.get((contract.sector, contract.dataset), {"watermark": None, "last_batch": None})
        report = {
            "sector": contract.sector,
            "dataset": contract.dataset,
            "source_rows": rows,
            "source_problem": problem,
            "accepted": of.accepted,
            "quarantined": of.quarantined,
            "deleted": of.deleted,
            "balanced": None if rows is None else rows == of.accepted + of.quarantined,
            **standing,
            "last_reconcile": reconciled.get((contract.sector, contract.dataset)),
        }
        reports.append(
            report | _promise(contract, report, stands.get((contract.sector, contract.dataset), history.NEVER))
        )
    return reports


def _promise(contract: Contract, report: Report, standing: Mapping[str, Any]) -> Report:
    """How a dataset stands against what its contract promises. `late`: its last good load is older than that."""
    promised, age = contract.freshness.total_seconds(), standing["age_seconds"]
    known = report["accepted"] + report["quarantined"]
    return {
        **standing,
        "promised_seconds": promised,
        "late": age is not None and age > promised,
        "quarantined_percent": round(100 * report["quarantined"] / known, 1) if known else None,
    }


def _ledger(loader: Connection) -> dict[tuple[str, str], Report]:
    """Of every dataset that was ever begun: where its next load starts, and its newest batch."""
    with loader.cursor() as cursor:
        cursor.execute(
            """
            select dataset.sector, dataset.dataset, dataset.watermark, batch.*
            from control.dataset
            left join lateral (
                select batch_id, status, rows_extracted, rows_accepted, rows_quarantined, rows_unchanged, rows_deleted,
                    digest, drift, warning, message
                from control.batch
                where batch.sector = dataset.sector and batch.dataset = dataset.dataset
                order by batch_id desc limit 1
            ) as batch on true
            """
        )
        found = {}
        for row in records(cursor):
            sector, dataset, watermark = row.pop("sector"), row.pop("dataset"), row.pop("watermark")
            found[sector, dataset] = {
                "watermark": watermark.isoformat() if watermark else None,
                "last_batch": row if row["batch_id"] is not None else None,
            }
        return found


def releases(connect_to: Connect = connections.uri) -> Report:
    """The live release, the one a rollback would bring back (None where there is none whole), and the newest attempts.

    `pin` says who took a release back and why, while that keeps releases from going out; `left_behind` is the newest one where its
    process was killed; else both are None. `warnings` are the rules that only warn and that the live release breaks.
    """
    with transaction(connect_to("pdic_warehouse_publisher"), "status") as publisher, publisher.cursor() as cursor:
        cursor.execute("select live_release_id, former_release_id from control.slot")
        live, former = one(cursor)
        cursor.execute(
            """
            select release_id, status, full_refresh, message, seconds, started_at, published_at, data_docs
            from control.release order by release_id desc limit 5
            """
        )
        newest = records(cursor)
        cursor.execute(
            """
            select publication.published_at from control.publication
            where publication.release_id = %s order by publication_id desc limit 1
            """,
            (live,),
        )
        since = cursor.fetchone()
        cursor.execute("select data_docs from control.release where release_id = %s", (live,))
        live_docs = cursor.fetchone()
        warnings = broken_rules.warned(cursor, live)
        pinned = pin.read(publisher)
        left_behind = turn.left_behind(publisher)
    for release in newest:
        for name in ("started_at", "published_at"):
            release[name] = release[name].isoformat() if release[name] else None
    return {
        "live": live,
        "live_since": since[0].isoformat() if since else None,
        "former": former,
        "data_docs": live_docs[0] if live_docs else None,
        "newest": newest,
        "pin": pinned.as_report() if pinned else None,
        "left_behind": left_behind,
        "warnings": warnings,
    }


def quality(connect_to: Connect = connections.uri) -> list[Report]:
    """Per sector: the rules of each dataset's newest batch that brought rows; and, as `shared`, the live release's audit."""
    with transaction(connect_to("pdic_warehouse_loader"), "status") as loader, loader.cursor() as cursor:
        cursor.execute(
            """
            with newest as (
                select distinct on (sector, dataset) batch_id
                from control.batch
                where status in ('accepted', 'rejected') and rows_extracted > coalesce(rows_unchanged, 0)
                order by sector, dataset, batch_id desc
            ),
            results as (
                select sector, success, failed, on_fail from control.expectation_result
                inner join newest using (batch_id)
                union all
                select sector, success, failed, on_fail from control.expectation_result
                where
                    release_id = (
                        select release_id from control.publication order by publication_id desc limit 1
                    )
            )
            select
                sector,
                count(*) as rules,
                count(*) filter (where success) as hold,
                coalesce(sum(failed) filter (where on_fail = 'quarantine'), 0)::bigint as failures_quarantined,
                coalesce(sum(failed) filter (where on_fail = 'warn'), 0)::bigint as failures_warned
            from results
            group by sector
            order by sector = 'shared', sector
            """
        )
        return records(cursor)


def shared_tables(connect_to: Connect = connections.uri, *, checksums: bool = False) -> list[Report]:
    """Every table a reader sees, with its rows: not what `shared` says about the release itself. All are of one release.

    Tables about the loads themselves (`quality_…`) have the checksum None: two ways to the same data differ in them.
    """
    # By the owner of their views: no reader can use up the connections that this needs.
    with transaction(connect_to("pdic_warehouse_publisher"), "status") as publisher, publisher.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        # Values are compared as text: the session decides how times are written.
        cursor.execute("set local timezone = 'UTC'; set local datestyle = 'ISO'; set local extra_float_digits = 1")
        cursor.execute("select table_name from information_schema.tables where table_schema = 'shared' order by 1")
        names = [name for (name,) in cursor.fetchall() if name not in OWN]
        tables = []
        for name in names:
            checksum = "null"
            if checksums and not name.startswith(ABOUT_LOADS):
                checksum = "coalesce(sum(('x' || substr(md5((t.*)::text), 1, 16))::bit(64)::bigint::numeric), 0)::text"
            cursor.execute(
                sql.SQL("select count(*), {} from {} as t").format(sql.SQL(checksum), sql.Identifier("shared", name))
            )
            rows, digest = one(cursor)
            tables.append({"table": name, "rows": rows} | ({"checksum": digest} if checksums else {}))
    return tables
