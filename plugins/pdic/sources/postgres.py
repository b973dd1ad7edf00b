"""Read a dataset from a sector's PostgreSQL: one snapshot, exact types, nothing lost at the seam between two loads.

The house belongs to somebody else: one connection, read only, with time-outs and a name in `pg_stat_activity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from pdic.errors import DriftError, SourceUnavailable
from pdic.warehouse import connect, one

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


@dataclass(frozen=True)
class Snapshot:
    """One repeatable-read view of a source table, with the columns the contract names."""

    connection: Connection
    contract: Contract
    bounds: Bounds | None
    drift: str | None

    def copy_to(self, stream: BinaryIO) -> int:
        """Write the snapshot's rows as binary COPY to `stream`; returns how many."""
        with self.connection.cursor() as cursor:
            query = _select(self.contract, self.bounds)
            cursor.copy_expert(sql.SQL("copy ({}) to stdout (format binary)").format(query), stream, size=1 << 16)
            return cursor.rowcount

    def cancel(self) -> None:
        """Stop a copy that is under way in another thread."""
        self.connection.cancel()


@contextmanager
def snapshot(uri: str, contract: Contract, watermark: datetime | None) -> Iterator[Snapshot]:
    """Open a snapshot of the contract's table, after checking it against the contract.

    `watermark` is the lower bound of a cursor load (None: everything). Raises `DriftError` where the table no longer is
    what the contract says, `SourceUnavailable` where the server cannot be reached.
    """
    try:
        connection = connect(uri, f"load {contract.sector}.{contract.dataset}")
    except psycopg2.OperationalError as error:
        raise SourceUnavailable(
            f"{contract.id}: the source of sector {contract.sector} cannot be reached ({_first_line(error)}). "
            f"Check the connection pdic_source_{contract.sector} and that the server is up, then load again."
        ) from error
    try:
        # The open transactions are listed before the snapshot is taken: whoever begins later stamps later.
        connection.autocommit = True
        upper = _next_lower_bound(connection, contract, watermark)
        connection.autocommit = False
        connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = '4h'; set local idle_in_transaction_session_timeout = '1h'")
        drift = _check_drift(connection, contract)
        bounds = Bounds(watermark, upper) if upper is not None else None
        yield Snapshot(connection, contract, bounds, drift)
    finally:
        connection.close()


def count_rows(uri: str, contract: Contract) -> int:
    """How many rows the source table holds now, soft-deleted ones included."""
    schema, table = _split(contract.table)
    connection = connect(uri, "status")
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table)))
            return int(one(cursor)[0])
    finally:
        connection.close()


def _next_lower_bound(connection: Connection, contract: Contract, watermark: datetime | None) -> datetime | None:
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


def _check_drift(connection: Connection, contract: Contract) -> str | None:
    """Compare the table's catalogue with the contract. Returns a remark about added columns, if any."""
    schema, table = _split(contract.table)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                attribute.attname,
                -- A domain travels as the type beneath it.
                format_type(
                    case when type.typtype = 'd' then type.typbasetype else attribute.atttypid end,
                    case when type.typtype = 'd' then type.typtypmod else attribute.atttypmod end
                )
            from pg_attribute as attribute
            inner join pg_type as type on type.oid = attribute.atttypid
            where attribute.attrelid = to_regclass(%s) and attribute.attnum > 0 and not attribute.attisdropped
            order by attribute.attnum
            """,
            (sql.Identifier(schema, table).as_string(connection),),
        )
        found = dict(cursor.fetchall())
    if not found:
        raise DriftError(
            f"{contract.id}: the source has no table {contract.table} that this role may see. If it was renamed, change "
            f"schema/physicalName in {contract.path}; if it is gone, retire the contract."
        )
    problems = []
    for column in contract.columns:
        actual = found.get(column.source_name)
        if actual is None:
            problems.append(f"column {column.source_name} is gone (contract: {column.physical_type})")
        elif actual != column.physical_type:
            problems.append(f"column {column.source_name} is {actual} (contract: {column.physical_type})")
    if problems:
        raise DriftError(
            f"{contract.id}: {contract.table} differs from its contract: {'; '.join(problems)}. Nothing was moved. "
            f"Agree the change with {contract.owner_agency}, edit {contract.path}, run `pdic contracts compile`, load again."
        )
    added = sorted(set(found) - {column.source_name for column in contract.columns})
    return f"columns not in the contract: {', '.join(added)}" if added else None


def _select(contract: Contract, bounds: Bounds | None) -> sql.Composed:
    schema, table = _split(contract.table)
    query = sql.SQL("select {columns} from {table}").format(
        columns=sql.SQL(", ").join(sql.Identifier(column.source_name) for column in contract.columns),
        table=sql.Identifier(schema, table),
    )
    if bounds is None or bounds.lower is None or contract.cursor_column is None:
        return query
    cursor = sql.Identifier(contract.cursor_column)
    # Inclusive, so that ties are safe; a row without a stamp can only be found by looking at it each time.
    return sql.SQL("{query} where {cursor} >= {lower} or {cursor} is null").format(
        query=query, cursor=cursor, lower=sql.Literal(bounds.lower)
    )


def _split(table: str) -> tuple[str, str]:
    schema, _, name = table.partition(".")
    return (schema, name) if name else ("public", schema)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
