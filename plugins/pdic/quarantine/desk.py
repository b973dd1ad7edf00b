"""What a steward sees and decides: the register's records, and waivers.

A record's key is shown only where no column of it is personal; values are shown in correction files alone
(:mod:`pdic.quarantine.correction`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pdic import connections, contracts, quality, settings
from pdic.errors import PdicError
from pdic.quarantine.terms import today
from pdic.warehouse import Connect, one, records, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

Report = dict[str, Any]
STANDINGS = ("open", "returned", "expired", "waived", "corrected")
UNSETTLED = ("open", "returned", "expired")

_COLUMNS = """
    record_id, sector, dataset, key, agency, reasons, severity, standing, times, first_batch_id, last_batch_id,
    first_seen, last_seen, due_on, waived_until, closed_at, closed_batch_id
"""


class QuarantineError(PdicError):
    """Something asked of the quarantine cannot be done; nothing was changed."""


@dataclass(frozen=True)
class Wanted:
    """Which records: of the named `targets` (`SECTOR`, `SECTOR.DATASET`; none: all), agency, standings, rule.

    `unreturned_only` leaves out those that an agency has a file of.
    """

    targets: Sequence[str] = ()
    agency: str | None = None
    standings: Sequence[str] = UNSETTLED
    rule: str | None = None
    unreturned_only: bool = False

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.standings) - set(STANDINGS)):
            raise QuarantineError(f"no record is ever {', '.join(unknown)}: say one of {', '.join(STANDINGS)}")

    def condition(self) -> tuple[str, list[Any]]:
        """As SQL over `quarantine.standing`, with its parameters."""
        parts = ["standing = any(%s)"]
        values: list[Any] = [list(self.standings)]
        if self.targets:
            parts.append("(sector = any(%s) or sector || '.' || dataset = any(%s))")
            values += [_known(self.targets)] * 2
        for condition, value in (("agency = %s", self.agency), ("%s = any(reasons)", self.rule)):
            if value is not None:
                parts.append(condition)
                values.append(value)
        if self.unreturned_only:
            parts.append("state <> 'returned'")
        return " and ".join(parts), values


def listed(wanted: Wanted, limit: int | None = 100, connect_to: Connect = connections.uri) -> list[Report]:
    """Records, those due first; `key` is None where it is personal. `limit` None: all."""
    condition, values = wanted.condition()
    with transaction(connect_to("pdic_warehouse_loader"), "quarantine list") as loader, loader.cursor() as cursor:
        cursor.execute(
            f"select {_COLUMNS} from quarantine.standing where {condition} order by due_on, record_id limit %s",  # noqa: S608
            [*values, limit],
        )
        return [_fit_to_show(record) for record in records(cursor)]


def shown(record_id: int, connect_to: Connect = connections.uri) -> Report:
    """One record with its `events`. Raises QuarantineError where there is none."""
    with transaction(connect_to("pdic_warehouse_loader"), "quarantine show") as loader, loader.cursor() as cursor:
        record = _get(cursor, record_id)
        cursor.execute(
            "select happened_at, what, batch_id, who, note from quarantine.event where record_id = %s order by event_id",
            (record_id,),
        )
        return _fit_to_show(record) | {"events": records(cursor)}


def summary(wanted: Wanted | None = None, connect_to: Connect = connections.uri) -> list[Report]:
    """Counts by sector, dataset and agency: a column per standing, the first day due, and the closing rate in percent.

    The closing rate is the corrected records' share of all.
    """
    condition, values = (wanted or Wanted(standings=STANDINGS)).condition()
    counts = ", ".join(f"count(*) filter (where standing = '{standing}') as {standing}" for standing in STANDINGS)
    with transaction(connect_to("pdic_warehouse_loader"), "quarantine summary") as loader, loader.cursor() as cursor:
        cursor.execute(
            f"""
            select
                sector, dataset, agency, {counts},
                min(due_on) filter (where standing in ('open', 'returned', 'expired')) as first_due,
                round(100.0 * count(*) filter (where standing = 'corrected') / count(*), 1)::float as closed_percent
            from quarantine.standing where {condition} group by 1, 2, 3 order by 1, 2, 3
            """,  # noqa: S608 (our own words; what is asked for goes by parameters)
            values,
        )
        return records(cursor)


def waive(
    record_ids: Iterable[int], *, who: str, why: str, until: dt.date, connect_to: Connect = connections.uri
) -> list[Report]:
    """Let rows pass although they break rules, up to and including the day `until`; who decided that, and why, is kept.

    A waiver covers what the row breaks today: a version of it that breaks another rule is refused again. It may be renewed.
    Raises QuarantineError for a corrected or unknown record, a day that has passed, an empty reason.
    """
    ids = sorted(set(record_ids))
    if not ids:
        raise QuarantineError("name the records to waive: `pdic quarantine list` shows their numbers")
    if not who.strip() or not why.strip():
        raise QuarantineError("a waiver needs who decides it and why: say --by and --why")
    if until < today():
        raise QuarantineError(f"the waiver would have ended on {until}: name a day from today on")
    rules_of = cache(_rule_ids)
    with transaction(connect_to("pdic_warehouse_loader"), "quarantine waive") as loader, loader.cursor() as cursor:
        for record_id in ids:
            record = _get(cursor, record_id, lock=True)
            if record["standing"] == "corrected":
                raise QuarantineError(f"record {record_id} is settled already: a good row came. Nothing was waived")
            if unreadable := sorted(set(record["reasons"]) - rules_of(record["sector"], record["dataset"])):
                raise QuarantineError(
                    f"record {record_id} ({record['sector']}.{record['dataset']}) is held for {', '.join(unreadable)}, which no "
                    "rule says: its value could not be read at all, or the rule is gone (then say `pdic quarantine retry`). "
                    "Nothing was waived"
                )
            cursor.execute(
                "update quarantine.record set state = 'waived', waived_until = %s where record_id = %s",
                (until, record_id),
            )
            cursor.execute(
                "insert into quarantine.event (record_id, what, who, note) values (%s, 'waived', %s, %s)",
                (record_id, who.strip(), f"{why.strip()} (until {until})"),
            )
        cursor.execute(
            f"select {_COLUMNS} from quarantine.standing where record_id = any(%s) order by record_id",  # noqa: S608
            (ids,),
        )
        return [_fit_to_show(record) for record in records(cursor)]


def has_personal_key(contract: contracts.Contract) -> bool:
    """Whether a source key says something of a person (or may identify one), so that it is not shown."""
    return not all(contract.column(name).is_open for name in contract.key)


def _known(targets: Sequence[str]) -> list[str]:
    names = {name for sector, dataset in contracts.names() for name in (sector, f"{sector}.{dataset}")}
    if unknown := sorted(set(targets) - names):
        raise QuarantineError(f"nothing is called {', '.join(unknown)}: write SECTOR or SECTOR.DATASET")
    return list(targets)


def _get(cursor: Cursor, record_id: int, *, lock: bool = False) -> Report:
    if lock:
        cursor.execute("select 1 from quarantine.record where record_id = %s for update", (record_id,))
    cursor.execute(f"select {_COLUMNS} from quarantine.standing where record_id = %s", (record_id,))  # noqa: S608
    found = records(cursor)
    if not found:
        raise QuarantineError(f"there is no record {record_id}: `pdic quarantine list` shows those that stand")
    return found[0]


def _rule_ids(sector: str, dataset: str) -> frozenset[str]:
    return frozenset(rule.id for rule in quality.rules_for_batch(settings.project_root(), sector, dataset))


def _fit_to_show(record: Report) -> Report:
    contract = contracts.readable().get((record["sector"], record["dataset"]))
    if contract is None or has_personal_key(contract):
        return record | {"key": None}
    return record


def counts(connect_to: Connect = connections.uri) -> Report:
    """How many records stand how, over all datasets."""
    with transaction(connect_to("pdic_warehouse_loader"), "quarantine counts") as loader, loader.cursor() as cursor:
        names = ", ".join(f"count(*) filter (where standing = '{standing}')" for standing in STANDINGS)
        cursor.execute(f"select {names} from quarantine.standing")  # noqa: S608
        return dict(zip(STANDINGS, one(cursor), strict=True))
