"""Rows that the log does not give whole, read again at the source.

A change that leaves a large value (TOAST) as it was does not repeat it, unless the table's replica identity is FULL. Such a
row is taken from the table itself, as it stands now: a later state of the same row, whose own changes the next load brings.
A key that is gone by now gets its tombstone a load early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from pdic.contracts import key_identity
from pdic.sources.cdc.landing import Landing

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

KEYS_AT_ONCE: Final = 1000


def reread(source: Connection, landing: Landing, contract: Contract, truncated_at: int) -> tuple[int, int]:
    """Bring the rows that are not whole into the batch's table; returns how many came and how many keys are gone.

    `source` must be idle and in autocommit; it is left so.
    """
    source.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True, autocommit=False)
    try:
        with source.cursor() as cursor:
            came = 0
            for keys in landing.keys_in_part(truncated_at, KEYS_AT_ONCE):
                with landing.more() as copy:
                    cursor.copy_expert(_select(source, contract, keys), _Into(copy))
                    came += cursor.rowcount
        return came, landing.bury_missing(truncated_at)
    finally:
        source.rollback()
        source.set_session(autocommit=True)


class _Into:
    """What psycopg2 copies to: hands each piece on to the warehouse's copy, so that no row is kept."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._copy = copy

    def write(self, piece: bytes) -> None:
        self._copy.write(piece)


def _select(source: Connection, contract: Contract, keys: list[tuple[str, ...]]) -> str:
    """COPY the rows with these keys, found by the key's index."""
    names = [sql.Identifier(name) for name in contract.key_at_source]
    types = [sql.SQL(key_identity.literal_type(contract.column(name).physical_type)) for name in contract.key]
    wanted = [sql.Identifier(f"key_{number}") for number in range(len(names))]
    table = sql.Identifier(contract.table_schema, contract.table_name)
    return (
        sql.SQL(
            "copy (select {columns} from {table} inner join unnest({values}) as wanted ({aliases}) on {same}) "
            "to stdout (format binary)"
        )
        .format(
            columns=sql.SQL(", ").join(
                sql.SQL("{}.{}").format(table, sql.Identifier(column.name_at_source)) for column in contract.columns
            ),
            table=table,
            values=sql.SQL(", ").join(
                sql.SQL("{}::text[]").format(sql.Literal([key[number] for key in keys])) for number in range(len(names))
            ),
            aliases=sql.SQL(", ").join(wanted),
            same=sql.SQL(" and ").join(
                sql.SQL("{}.{} = wanted.{}::{}").format(table, name, alias, kind)
                for name, alias, kind in zip(names, wanted, types, strict=True)
            ),
        )
        .as_string(source)
    )
