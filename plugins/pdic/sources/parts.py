"""The rows of a snapshot as queries, and their division among several sessions that see the very same snapshot."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

import psycopg2
from psycopg2 import sql

from pdic.sources.guest import behave, visit
from pdic.sources.reading import read_columns, source_table
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

LEAST_BYTES = 32 << 20
"""A table's bytes for each session that reads it: for less, another session costs more than it brings."""

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
        with suppress(psycopg2.Error):
            self.connection.cancel()


def select(contract: Contract, *conditions: sql.Composable) -> sql.Composed:
    """The rows that meet all conditions, with the contract's columns in its order."""
    query = sql.SQL("select {columns} from {table}").format(
        columns=read_columns(contract),
        table=source_table(contract),
    )
    return query + sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else query


def written_since(xid: int) -> sql.Composed:
    """Written by transaction `xid` or a later one: a condition without an index."""
    # Rows keep 32 bits of a transaction's id; ages compare those two in the right order. Ids below 3 are not real ones.
    return sql.SQL("age(xmin) <= (select age({}::xid))").format(sql.Literal(str(max(xid % 2**32, 3))))


def stamped_since(contract: Contract, since: datetime, *, unstamped: bool) -> sql.Composed:
    """The rows stamped at or after `since`; with `unstamped`, those without a stamp too, which are looked for each time."""
    assert contract.cursor_column is not None, "only cursor loads go by stamps"
    cursor = sql.Identifier(contract.cursor_column)
    # Inclusive, so that ties are safe. Two branches, as one condition with `or` would not use the cursor's index well.
    stamped = select(contract, sql.SQL("{} >= {}").format(cursor, bound(contract, since)))
    if not unstamped:
        return stamped
    return sql.SQL("{} union all {}").format(stamped, select(contract, sql.SQL("{} is null").format(cursor)))


def bound(contract: Contract, since: datetime) -> sql.Composable:
    """A moment as the cursor's column writes it."""
    if contract.cursor_time_zone is None:
        return sql.Literal(since)
    return sql.SQL("({} at time zone {})").format(sql.Literal(since), sql.Literal(contract.cursor_time_zone))


def split(
    sessions: ExitStack, connection: Connection, uri: str, contract: Contract, *conditions: sql.Composable
) -> tuple[Part, ...]:
    """Divide rows that are found by reading the table among as many sessions as the contract allows and its size merits.

    The ranges are of pages, by the rows' place (`ctid`), and leave no row out or twice, however large the table is by then.
    """
    blocks, size = _extent(connection, contract) if contract.source_connections > 1 else (0, 0)
    count = min(contract.source_connections, size // LEAST_BYTES)
    if count < 2:
        return (Part(connection, select(contract, *conditions)),)
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
        parts.append(Part(session, select(contract, *conditions, *between)))
    return tuple(parts)


def _extent(connection: Connection, contract: Contract) -> tuple[int, int]:
    """Pages and bytes of the table, of its largest partition where it has some; 0 where its rows have no place (a view)."""
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
                select coalesce(max(pg_relation_size(oid)), 0)::bigint as bytes
                from family inner join pg_class using (oid)
                where relkind in ('r', 'm')
            )
            select bytes / current_setting('block_size')::bigint, bytes from largest
            """,
            (source_table(contract).as_string(connection),),
        )
        blocks, size = one(cursor)
    return blocks, size
