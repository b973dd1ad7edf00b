"""The window of a cursor load: which stamps to read now, and where the next load must start so that nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

BLIND_OVERLAP = timedelta(minutes=15)
"""How far back the next load reads where the role may not see when other transactions began."""

CLOCK_GRAIN = timedelta(seconds=1)
"""A transaction takes its start time a moment before `pg_stat_activity` shows it."""


@dataclass(frozen=True)
class Bounds:
    """The half-open window of a cursor load: rows stamped at or after `lower`; the next load starts at `upper`."""

    lower: datetime | None
    upper: datetime


def next_lower_bound(connection: Connection, contract: Contract, watermark: datetime | None) -> datetime | None:
    """Where the next cursor load must start so that no row is lost (DESIGN: the commit-order gap).

    The oldest start among the transactions open now: any of them may have stamped its rows already and commit later.
    An unprivileged role sees no start times, so it goes back by the contract's overlap, or `BLIND_OVERLAP`.
    A prepared transaction hides its start: while one exists the bound stays where it was.
    """
    if contract.capture != "cursor":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                clock_timestamp(),
                pg_has_role(current_user, 'pg_read_all_stats', 'usage'),
                (
                    select min(xact_start)
                    from pg_stat_activity
                    where pid <> pg_backend_pid() and datname = current_database()
                ),
                exists (select 1 from pg_prepared_xacts where database = current_database())
            """
        )
        now: datetime
        now, sees_others, oldest, prepared = one(cursor)
    if prepared:
        return watermark if watermark is not None else datetime.min.replace(tzinfo=now.tzinfo)
    if not sees_others:
        return now - max(contract.overlap, BLIND_OVERLAP)
    # Where the clock has stepped back the bound falls with it, and rows are read again.
    return min(now, oldest or now) - contract.overlap - CLOCK_GRAIN
