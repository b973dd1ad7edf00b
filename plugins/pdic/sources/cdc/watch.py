"""How far each slot lags, and a warning before one that nobody reads fills the source's disk."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import psycopg2

from pdic import contracts
from pdic.contracts.model import default_connection
from pdic.errors import PdicError
from pdic.sources.cdc import lsn, slot
from pdic.sources.cdc.slot import Slot
from pdic.sources.session import open_session
from pdic.warehouse import Connect, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

SHARE_OF_LIMIT: Final = 0.8
"""From this share of the source's `max_slot_wal_keep_size` on, a slot is in danger of being given up."""

Report = dict[str, Any]


def slots(connect_to: Connect, sector: str | None = None) -> list[Report]:
    """Every slot of this installation (of one sector's source, or of all), and each cdc dataset that should have one.

    Per slot: sector, dataset, slot, active, lag (bytes of log that a load would read), retained (bytes of log that the
    source keeps for it), wal_status, safe (bytes until the source gives it up; None: no limit), warning.
    """
    expected: dict[str, dict[str, Contract]] = {}
    for (of, dataset), contract in contracts.readable().items():
        if contract.capture == "cdc":
            expected.setdefault(of, {})[dataset] = contract
    with transaction(connect_to("pdic_warehouse_loader"), "status") as warehouse:
        prefix = f"{slot.PREFIX}{slot.installation(warehouse)}_"
        positions = _positions(warehouse)
    wanted = sorted(of for of in {*expected, *positions} if sector in (None, of))
    return [
        report
        for of in wanted
        for report in _of_sector(connect_to, of, f"{prefix}{of}__", expected.get(of, {}), positions.get(of, {}))
    ]


def warnings(connect_to: Connect, sector: str) -> list[str]:
    """What an operator has to know of a sector's slots."""
    found = slots(connect_to, sector)
    return [f"{each['sector']}.{each['dataset']}: {each['warning']}" for each in found if each["warning"]]


def limit(source: Connection) -> int | None:
    """The most log, in bytes, that the source keeps for a slot; None where it keeps all of it."""
    with source.cursor() as cursor:
        cursor.execute(
            "select nullif(setting::bigint, -1) * 1024 * 1024 from pg_settings where name = 'max_slot_wal_keep_size'"
        )
        found = one(cursor)[0]
    return int(found) if found is not None else None


def warning(contract: Contract, found: Slot, keeps: int | None) -> str | None:
    """The warning that a slot deserves, or None."""
    if found.wal_status == "lost":
        return (
            f"the source has given up slot {found.name}. Run `pdic load {contract.id} --full`: the table "
            "is copied anew."
        )
    threshold = min(
        contract.max_retained_bytes, int(SHARE_OF_LIMIT * keeps) if keeps is not None else contract.max_retained_bytes
    )
    if found.retained < threshold and found.wal_status != "unreserved":
        return None
    kept = f" (the source keeps at most {_size(keeps)} and then gives the slot up)" if keeps is not None else ""
    return (
        f"slot {found.name} makes the source keep {_size(found.retained)} of its log{kept}; the mark is "
        f"{_size(threshold)}. Load {contract.id} now, and more often; where it is no longer wanted, run `pdic slot drop "
        f"{contract.id}` before the source's disk is full."
    )


def _of_sector(
    connect_to: Connect,
    sector: str,
    prefix: str,
    expected: dict[str, Contract],
    positions: dict[str, dict[str, Any] | None],
) -> list[Report]:
    """The slots of a sector, whose datasets may lie with several servers."""
    retired = set(positions) - set(expected)
    ways = {default_connection(sector): retired} if retired else {}
    for dataset, contract in expected.items():
        ways.setdefault(contract.source_connection, set()).add(dataset)
    reports = []
    for conn_id, datasets in sorted(ways.items()):
        others = (set(expected) | set(positions)) - datasets
        here = {dataset: contract for dataset, contract in expected.items() if dataset in datasets}
        known = {dataset: position for dataset, position in positions.items() if dataset in datasets}
        found = _of_source(connect_to, conn_id, sector, prefix, here, known)
        reports += [report for report in found if report["dataset"] not in others]
    return reports


def _of_source(
    connect_to: Connect,
    conn_id: str,
    sector: str,
    prefix: str,
    expected: dict[str, Contract],
    positions: dict[str, dict[str, Any] | None],
) -> list[Report]:
    try:
        with closing(open_session(connect_to(conn_id), "status", autocommit=True)) as source:
            now = slot.current_position(source)
            found = {each.name.removeprefix(prefix): each for each in slot.with_prefix(source, prefix)}
            keeps = limit(source)
    except (psycopg2.OperationalError, psycopg2.InterfaceError, PdicError):
        return [
            _report(sector, dataset, warning="the source cannot be reached; its slot may be growing.")
            for dataset in sorted({*expected, *(dataset for dataset, position in positions.items() if position)})
        ]
    reports = []
    for dataset in sorted({*found, *expected}):
        each, contract, position = found.get(dataset), expected.get(dataset), positions.get(dataset)
        if each is None:
            gone = f"its slot is gone. Run `pdic load {sector}.{dataset} --full`."
            reports.append(_report(sector, dataset, warning=gone if position else None))
            continue
        words = warning(contract, each, keeps) if contract else _unread(sector, dataset, each)
        reports.append(
            _report(
                sector,
                dataset,
                slot=each.name,
                active=each.active,
                lag=max(0, now - lsn.number(position["lsn"])) if position else None,
                retained=each.retained,
                wal_status=each.wal_status,
                safe=each.safe,
                warning=words,
            )
        )
    return reports


def _unread(sector: str, dataset: str, found: Slot) -> str:
    if (sector, dataset) in contracts.names() and (sector, dataset) not in contracts.readable():
        return f"the contract that reads slot {found.name} cannot be read, and the source keeps its log: mend the contract."
    return (
        f"no contract reads slot {found.name} any more, and it makes the source keep its log. Run "
        f"`pdic slot drop {sector}.{dataset}`."
    )


def _report(sector: str, dataset: str, **found: Any) -> Report:
    names = ("slot", "active", "lag", "retained", "wal_status", "safe", "warning")
    return {"sector": sector, "dataset": dataset, **dict.fromkeys(names), **found}


def _positions(warehouse: Connection) -> dict[str, dict[str, dict[str, Any] | None]]:
    """Sector → dataset → position in the log, of every dataset that was ever read by cdc: its slot may still be there."""
    with warehouse.cursor() as cursor:
        cursor.execute(
            """
            select sector, dataset, case when position ? 'slot' then position end
            from control.dataset
            where exists (
                select 1 from control.batch
                where batch.sector = dataset.sector and batch.dataset = dataset.dataset and capture = 'cdc'
            )
            """
        )
        found: dict[str, dict[str, dict[str, Any] | None]] = {}
        for sector, dataset, position in cursor.fetchall():
            found.setdefault(sector, {})[dataset] = position
        return found


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.1f} MiB"
