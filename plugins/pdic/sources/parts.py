"""The rows of a snapshot as queries, and their division among several sessions that see the very same snapshot."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, cast
from zoneinfo import ZoneInfo

from psycopg2 import sql

from pdic.sources.guest import behave, visit
from pdic.sources.names import Name
from pdic.sources.reading import read_columns, source_table
from pdic.warehouse import one
from pdic.warehouse.connect import stop

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

LEAST_BYTES = 32 << 20
"""A table's bytes for each session that reads it: for less, another session costs more than it brings."""

CLOCK_STEP = timedelta(minutes=15)
CLOCK_STEPS = 27 * 4
"""A zone's clocks are looked at for so many steps ahead: offsets lie within 26 hours, so later stamps are later anyway."""

TID_RANGE_SCANS = 140000
"""The first server version that finds a range of rows by their place without reading the others."""


@dataclass(frozen=True)
class Part:
    """Rows of a snapshot, and the session that reads them."""

    connection: Connection
    rows: sql.Composable

    def copy_to(self, stream: BinaryIO) -> int:
        """Write the rows as binary COPY to `stream`; returns how many."""
        with self.connection.cursor() as cursor:
            cursor.copy_expert(sql.SQL("copy ({}) to stdout (format binary)").format(self.rows), stream, size=1 << 16)
            return cursor.rowcount

    def cancel(self) -> None:
        """Stop a copy that is under way in another thread; a session that has ended needs no stopping."""
        stop(self.connection)


def select(contract: Contract, table: sql.Composable, *conditions: sql.Composable) -> sql.Composed:
    """The rows of ``table`` that meet all conditions, with the contract's columns in its order."""
    query = sql.SQL("select {columns} from {table}").format(columns=read_columns(contract), table=table)
    return query + sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else query


def written_since(xid: int) -> sql.Composed:
    """Written by transaction `xid` or a later one: a condition without an index."""
    # Rows keep 32 bits of a transaction's id; ages compare those two in the right order. Ids below 3 are not real ones.
    return sql.SQL("age(xmin) <= (select age({}::xid))").format(sql.Literal(str(max(xid % 2**32, 3))))


def stamped_since(contract: Contract, table: sql.Composable, since: datetime, *, unstamped: bool) -> sql.Composed:
    """The rows stamped at or after `since`; with `unstamped`, those without a stamp too, which are looked for each time."""
    assert contract.cursor_column is not None, "only cursor loads go by stamps"
    cursor = Name(contract.cursor_column)
    # Inclusive, so that ties are safe. Two branches, as one condition with `or` would not use the cursor's index well.
    stamped = select(contract, table, sql.SQL("{} >= {}").format(cursor, bound(contract, since)))
    if not unstamped:
        return stamped
    return sql.SQL("{} union all {}").format(stamped, select(contract, table, sql.SQL("{} is null").format(cursor)))


def earliest_local(since: datetime, zone: str) -> datetime:
    """The earliest that clocks of a time zone may show at `since` or later, without a zone.

    Where clocks are set back, an hour comes twice: what is stamped after `since` may then show less than `since` does. Such
    an hour is read again for as long as it is ahead (a day). Without a change of clocks it is `since` itself, there.
    """
    moments = [since + CLOCK_STEP * step for step in range(CLOCK_STEPS)]
    ahead = min(cast(timedelta, moment.astimezone(ZoneInfo(zone)).utcoffset()) for moment in moments)
    return since.astimezone(UTC).replace(tzinfo=None) + ahead


def bound(contract: Contract, since: datetime) -> sql.Composable:
    """A moment as the cursor's column writes it: nothing that is stamped later is less."""
    zone = contract.cursor_time_zone
    return sql.Literal(since if zone is None else earliest_local(since, zone))


def split(
    sessions: ExitStack,
    connection: Connection,
    uri: str,
    contract: Contract,
    table: sql.Composable,
    *conditions: sql.Composable,
) -> tuple[Part, ...]:
    """Divide rows that are found by reading the table among as many sessions as the contract allows and its size merits.

    The ranges are of pages, by the rows' place (`ctid`), and leave no row out or twice, however large the table is by then.
    """
    blocks, size = _extent(connection, contract) if contract.source_connections > 1 else (0, 0)
    count = min(contract.source_connections, size // LEAST_BYTES)
    if count < 2:
        return (Part(connection, select(contract, table, *conditions)),)
    with connection.cursor() as cursor:
        cursor.execute("select pg_export_snapshot()")
        (snapshot,) = one(cursor)
    parts = []
    for number in range(count):
        session = connection
        if number:
            session = sessions.enter_context(closing(visit(uri, contract, beside=connection)))
            behave(session, contract, snapshot)
        ends = [blocks * number // count, blocks * (number + 1) // count]
        between = [
            sql.SQL(f"ctid {sign} {{}}::tid").format(sql.Literal(f"({page},0)"))
            for sign, page, open_end in ((">=", ends[0], number == 0), ("<", ends[1], number == count - 1))
            if not open_end
        ]
        parts.append(Part(session, select(contract, table, *conditions, *between)))
    return tuple(parts)


def _extent(connection: Connection, contract: Contract) -> tuple[int, int]:
    """Pages and bytes of the table, of its largest partition where it has some; 0 where its rows have no place that may be read."""
    if connection.info.server_version < TID_RANGE_SCANS:
        return 0, 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with recursive family as (
                select to_regclass(%s)::oid as oid
                union
                select inhrelid from pg_inherits inner join family on inhparent = family.oid
            ),
            largest as (
                select
                    case
                        when has_column_privilege(to_regclass(%s), (-1)::smallint, 'select') -- (ctid)
                            then coalesce(max(pg_relation_size(oid)), 0)::bigint
                        else 0
                    end as bytes
                from family inner join pg_class using (oid)
                where relkind in ('r', 'm')
            )
            select bytes / current_setting('block_size')::bigint, bytes from largest
            """,
            (source_table(contract).as_string(connection),) * 2,
        )
        blocks, size = one(cursor)
    return blocks, size
