"""The two sides of `source rows = accepted + quarantined`: what the sources hold now, and what became of their keys here.

The sources are asked each time, one session a source. The keys of a dataset are counted when a batch of it was accepted since
they were last counted: raw and quarantine change in the transaction that accepts a batch, and at no other time. The counts are
kept in `control.key_count` with that batch's id (docs/decisions/0027).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from pdic import raw
from pdic.errors import PdicError
from pdic.raw import KeyCounts
from pdic.sources import postgres, rest
from pdic.warehouse import Connect, connect

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

SOURCES_AT_ONCE: Final = 4

SourceRows = tuple[int | None, str | None]
"""A dataset's rows at the source and None, or None and the kind of error that kept them from being counted."""


def source_rows(contracts: Iterable[Contract], connect_to: Connect) -> dict[str, SourceRows]:
    """By dataset id, the rows that each source holds now. One that is away or has changed leaves the others as they are."""
    by_source: dict[str, list[Contract]] = {}
    for contract in contracts:
        by_source.setdefault(contract.source_connection, []).append(contract)
    with ThreadPoolExecutor(SOURCES_AT_ONCE) as pool:
        counted = pool.map(lambda item: _of_source(item[0], item[1], connect_to), by_source.items())
        return {dataset: found for of_source in counted for dataset, found in of_source.items()}


def _of_source(conn_id: str, contracts: Sequence[Contract], connect_to: Connect) -> dict[str, SourceRows]:
    tables = [contract for contract in contracts if contract.capture != "feed"]
    found: dict[str, SourceRows] = {}
    try:
        uri = connect_to(conn_id)
        for dataset, rows in postgres.count_rows_of(uri, tables).items() if tables else ():
            found[dataset] = (None, type(rows).__name__) if isinstance(rows, PdicError) else (rows, None)
    except PdicError as error:
        return {contract.id: (None, type(error).__name__) for contract in contracts}
    for contract in contracts:
        if contract.capture == "feed":
            found[contract.id] = _tried(partial(rest.count_rows, uri, contract))
    return found


def _tried(count: Callable[[], int]) -> SourceRows:
    try:
        return count(), None
    except PdicError as error:
        return None, type(error).__name__


def key_counts(contracts: Sequence[Contract], connect_to: Connect, *, recount: bool = False) -> dict[str, KeyCounts]:
    """By dataset id, what became of each source key. With ``recount`` nothing is taken from `control.key_count`."""
    loader = connect(connect_to("pdic_warehouse_loader"), "status keys")
    try:
        loader.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
        with loader:
            newest = _newest_accepted(loader, contracts)
            known = {} if recount else _known(loader, newest)
        counts = {}
        for contract in contracts:
            if newest[contract.id] is None:
                counts[contract.id] = KeyCounts(0, 0, 0)
            elif (contract.id, newest[contract.id], contract.key) in known:
                counts[contract.id] = known[contract.id, newest[contract.id], contract.key]
            else:
                counts[contract.id] = _counted(loader, contract)
        return counts
    finally:
        loader.close()


_Known = tuple[str, int | None, tuple[str, ...]]


def _newest_accepted(loader: Connection, contracts: Sequence[Contract]) -> dict[str, int | None]:
    """By dataset id, the newest accepted batch; None where there is none, so neither raw nor quarantine holds anything."""
    with loader.cursor() as cursor:
        cursor.execute(
            """
            select asked.sector || '.' || asked.dataset, newest.batch_id
            from unnest(%s, %s) as asked (sector, dataset)
            left join lateral (
                select batch_id from control.batch
                where batch.sector = asked.sector and batch.dataset = asked.dataset and status = 'accepted'
                order by batch_id desc limit 1
            ) as newest on true
            """,
            ([contract.sector for contract in contracts], [contract.dataset for contract in contracts]),
        )
        return dict(cursor.fetchall())


def _known(loader: Connection, newest: Mapping[str, int | None]) -> dict[_Known, KeyCounts]:
    with loader.cursor() as cursor:
        cursor.execute(
            "select sector || '.' || dataset, batch_id, key, accepted, quarantined, deleted from control.key_count"
        )
        return {
            (dataset, batch_id, tuple(key)): KeyCounts(*counts)
            for dataset, batch_id, key, *counts in cursor.fetchall()
            if newest.get(dataset) == batch_id
        }


def _counted(loader: Connection, contract: Contract) -> KeyCounts:
    """Count a dataset's keys and keep the counts with the batch they are of: all of one snapshot. Commits."""
    with loader:
        newest = _newest_accepted(loader, [contract])[contract.id]
        counts = raw.count_keys(loader, contract)
    with loader, loader.cursor() as cursor:
        # Whoever else asks for the status keeps the same: of two in a snapshot of their own, the later one would be refused.
        cursor.execute("set transaction isolation level read committed")
        cursor.execute(
            """
            insert into control.key_count (sector, dataset, batch_id, key, accepted, quarantined, deleted)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (sector, dataset) do update
            set batch_id = excluded.batch_id, key = excluded.key, accepted = excluded.accepted,
                quarantined = excluded.quarantined, deleted = excluded.deleted, counted_at = excluded.counted_at
            where key_count.batch_id <= excluded.batch_id
            """,
            (
                contract.sector,
                contract.dataset,
                newest,
                list(contract.key),
                counts.accepted,
                counts.quarantined,
                counts.deleted,
            ),
        )
    return counts
