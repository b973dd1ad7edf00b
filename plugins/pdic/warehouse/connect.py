"""Connections to PostgreSQL, opened the same way everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2

from pdic.warehouse.formats import CLIENT_ENCODING

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

Connect = Callable[[str], str]
"""Resolves a connection id (`pdic_source_health`, `pdic_warehouse_loader`, …) to a URI.

libpq's, or a web address where the source is a service.
"""

KEEPALIVES: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def connect(uri: str, step: str, *, autocommit: bool = False) -> Connection:
    """Open a psycopg2 connection; `step` appears in `pg_stat_activity` as `pdic <step>`."""
    connection: Connection = psycopg2.connect(
        uri,
        application_name=f"pdic {step}"[:63],
        client_encoding=CLIENT_ENCODING,
        connect_timeout=10,
        **KEEPALIVES,
    )
    connection.autocommit = autocommit
    return connection


@contextmanager
def transaction(uri: str, step: str) -> Iterator[Connection]:
    """One connection, one transaction: committed at the end, rolled back on any error, closed either way."""
    connection = connect(uri, step)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def one(cursor: Cursor) -> tuple[Any, ...]:
    """The only row of a statement that always has one."""
    row = cursor.fetchone()
    if row is None:
        raise LookupError("a statement that always returns a row returned none")
    return row


def records(cursor: Cursor) -> list[dict[str, Any]]:
    """The remaining rows as dictionaries by column name."""
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
