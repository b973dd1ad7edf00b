"""When a source last wrote, from a batch's rows and the ledger; and the verdict on a batch completed by its freshness.

What is found is kept in `control.batch_freshness`: an increment without rows is judged by what those before it brought.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from pdic.contracts import pg_types
from pdic.quality import freshness, history
from pdic.quality.batch import message_of
from pdic.quality.freshness import Clock, Reading
from pdic.quality.results import BatchVerdict
from pdic.warehouse import one

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

PROVINCE_ZONE: Final = "Asia/Ho_Chi_Minh"
"""Whose time a moment without zone is, where the contract does not say (`cursorTimeZone`)."""

READINGS: Final = 10_000
"""So many of the last readings are looked at: 90 days of one every 13 minutes."""


@dataclass(frozen=True)
class _Batch:
    """What the ledger knows of a batch: when it was read, by this centre's clock; the source's, if it was asked; what came."""

    here_at: datetime
    clock: datetime | None
    skew: timedelta
    landed: int
    deleted: int

    @property
    def read_at(self) -> datetime:
        return self.clock or self.here_at


@dataclass(frozen=True)
class _Known:
    """What accepted batches told: the newest moment, since when nothing was written, and the last READINGS readings."""

    newest_at: datetime | None
    quiet_since: datetime | None
    readings: tuple[Reading, ...]


def complete(
    connection: Connection, contract: Contract, verdict: BatchVerdict, table: sql.Identifier, root: Path
) -> BatchVerdict:
    """The verdict on a batch, with the result of its freshness, where that could be judged; one that is held stays as it is.

    `table` is the batch's, `root` the project root, `connection` the auditor's; what was found is kept, the caller commits.
    Raises RuleError for a wrong file of limits.
    """
    if verdict.halted:
        return verdict
    bounds, path = history.limits(root, contract.id), history.path_of(root)
    column = freshness.measure(contract, bounds, path)
    batch = _batch(connection, verdict.batch_id)
    known = _known(connection, contract, verdict.batch_id, column)
    newest_at, clock = known.newest_at, Clock(skew=batch.skew)
    if not column:
        # The first reading brings everything and tells of no change.
        newest_at = batch.read_at if known.readings and batch.landed + batch.deleted else newest_at
    elif batch.landed:
        tolerated = timedelta(minutes=bounds.ahead_minutes)
        brought, clock = _moments(connection, contract, column, table, batch, tolerated)
        newest_at = max(filter(None, (newest_at, brought)), default=None)
    quiet_since = max(filter(None, (known.quiet_since or batch.read_at, newest_at)))
    now = Reading(batch.read_at, quiet_since)
    judged = freshness.judge(
        contract, verdict.batch_id, bounds, now, known.readings, clock, newest_at=newest_at, path=path
    )
    _keep(connection, verdict.batch_id, column, dataclasses.replace(now, stale=judged.stale), newest_at, judged.limit)
    if judged.result is None:
        return verdict
    results = (*verdict.results, judged.result)
    halting = [judged.result] if judged.result.halts else []
    name = f"{contract.sector}/{contract.dataset} batch {verdict.batch_id}"
    text = message_of(name, results, halting, verdict.rows)
    said = None if halting else judged.result.finding  # of a batch that is held, the message says it
    warning = "; ".join(filter(None, (verdict.warning, said))) or None
    return dataclasses.replace(verdict, results=results, halted=bool(halting), message=text, warning=warning)


def _batch(connection: Connection, batch_id: int) -> _Batch:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                started_at + make_interval(secs => coalesce((seconds ->> 'extract')::double precision, 0)),
                case when capture = 'cursor' then position_to end,
                coalesce(rows_extracted, 0) - coalesce(rows_unchanged, 0),
                coalesce(rows_deleted, 0)
            from control.batch where batch_id = %s
            """,
            (batch_id,),
        )
        here_at, position, landed, deleted = one(cursor)
    clock, skew = _source_clock(position or {})
    return _Batch(here_at, clock, skew, landed, deleted)


def _source_clock(position: dict[str, Any]) -> tuple[datetime | None, timedelta]:
    """The source's clock when it was read, and how far it was ahead of this centre's; a standby is not asked (`sources.window`)."""
    if not position.get("clock"):
        return None, timedelta(0)
    clock = datetime.fromisoformat(position["clock"])
    _, _, wall = position["instant"]
    return clock, timedelta(seconds=clock.timestamp() - wall)


def _known(connection: Connection, contract: Contract, batch_id: int, column: str) -> _Known:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select found.newest_at, found.quiet_since, found.read_at, found.stale
            from control.batch_freshness as found
            inner join control.batch using (batch_id)
            where
                batch.sector = %s and batch.dataset = %s and batch.status = 'accepted' and batch.batch_id < %s
                and found.measure = %s
            order by batch.batch_id desc limit %s
            """,
            (contract.sector, contract.dataset, batch_id, column, READINGS),
        )
        rows = cursor.fetchall()
    return _Known(
        max((newest for newest, *_ in rows if newest is not None), default=None),
        max((quiet_since for _, quiet_since, *_ in rows), default=None),
        tuple(Reading(read_at, quiet_since, stale) for _, quiet_since, read_at, stale in rows),
    )


def _moments(
    connection: Connection, contract: Contract, column: str, table: sql.Identifier, batch: _Batch, tolerated: timedelta
) -> tuple[datetime | None, Clock]:
    """The newest moment of a batch's rows that is not ahead of the reading, and what lies ahead."""
    until, read_at = sql.Literal(batch.read_at + tolerated), sql.Literal(batch.read_at)
    statement = sql.SQL(
        """
        select
            max(moment) filter (where moment <= {until}),
            count(*) filter (where moment > {until}),
            extract(epoch from max(moment) - {read_at})::double precision
        from (
            select {moment} as moment from {table}
            where _op = 'U' and {column} > '0001-01-02' and {column} < '9999-12-31'
        ) as sent
        """
    ).format(
        until=until,
        read_at=read_at,
        moment=_moment(contract, column, read_at),
        table=table,
        column=sql.Identifier(column),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        newest_at, ahead, seconds = one(cursor)
    by = timedelta(seconds=seconds) if ahead else timedelta(0)
    return newest_at, Clock(ahead, by, batch.skew)


def _moment(contract: Contract, column: str, read_at: sql.Composable) -> sql.Composable:
    """The column's value as a moment. Of a day nobody knows the hour: the last there may have been, no later than the reading."""
    name, type_ = sql.Identifier(column), contract.column(column).physical_type
    zone = sql.Literal(contract.cursor_time_zone or PROVINCE_ZONE)
    if pg_types.logical_type(type_) == "date":
        return sql.SQL(
            "greatest({0}::timestamp at time zone {1}, least(({0} + 1)::timestamp at time zone {1}, {2}))"
        ).format(name, zone, read_at)
    return sql.SQL("{} at time zone {}").format(name, zone) if "without time zone" in type_ else name


def _keep(
    connection: Connection,
    batch_id: int,
    column: str,
    reading: Reading,
    newest_at: datetime | None,
    found: freshness.Limit | None,
) -> None:
    """A batch that is checked again, after others were accepted, is written anew."""
    seconds = found.length.total_seconds() if found else None
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into control.batch_freshness (batch_id, measure, read_at, newest_at, quiet_since, limit_seconds, stale)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (batch_id) do update set
                measure = excluded.measure, read_at = excluded.read_at, newest_at = excluded.newest_at,
                quiet_since = excluded.quiet_since, limit_seconds = excluded.limit_seconds, stale = excluded.stale
            """,
            (batch_id, column, reading.read_at, newest_at, reading.quiet_since, seconds, reading.stale),
        )
