"""Is what readers see what was published, and is the ledger that says so whole?

The ledger's chain is computed again (`pdic.release.ledger`). Then the hash of every row of the live release is, and compared with
the one that was kept with the row; the ledger knows the sum of the hashes of each table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic import connections
from pdic.release import ledger, slots
from pdic.warehouse import Connect, connect, one

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

Report = dict[str, Any]


def verify(expected: str | None = None, connect_to: Connect = connections.uri) -> Report:
    """What is `wrong`, a sentence each, with the numbers of `entries` and `tables` that were looked at and the `last_hash`.

    `expected`: the hash of an entry that was noted elsewhere, in hexadecimal digits. Reads every live table once, as of one moment.
    """
    with closing(connect(connect_to("pdic_warehouse_publisher"), "verify")) as publisher:
        publisher.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with publisher:
            chain = ledger.check(publisher, expected.lower() if expected else None)
            wrong = list(chain.wrong)
            with publisher.cursor() as cursor:
                found = slots.read(publisher)
                published, said = _said_of_live(cursor, found.live_release_id)
                wrong += said
                for table, holds in sorted(published.items()):
                    wrong += _of_table(cursor, str(found.live), table, holds, found.live_release_id)
    return {
        "release_id": found.live_release_id,
        "entries": chain.entries,
        "last_hash": chain.last_hash,
        "tables": len(published),
        "wrong": wrong,
    }


def _said_of_live(cursor: Cursor, live: int | None) -> tuple[Mapping[str, Any], list[str]]:
    """By table, what the ledger says that the live release was published with; and what is wrong about that."""
    cursor.execute(
        """
        select (payload ->> 'release_id')::bigint from control.ledger_entry
        where kind in ('publish', 'rollback') order by seq desc limit 1
        """
    )
    last = cursor.fetchone()
    if last is None:
        return {}, [
            "the ledger knows of no publish: the next `pdic release` is the first that it tells of"
        ] if live else []
    wrong = []
    if last[0] != live:
        wrong.append(f"readers see release {live or 'none'}, and by the ledger they should see release {last[0]}")
    cursor.execute(
        """
        select payload -> 'tables' from control.ledger_entry
        where kind = 'publish' and payload ->> 'release_id' = %s order by seq desc limit 1
        """,
        (str(live),),
    )
    row = cursor.fetchone()
    if row is None and last[0] == live:
        wrong.append(
            f"the ledger does not say with which content release {live} was published: it is older than the ledger"
        )
    return (row[0] if row else {}), wrong


def _of_table(cursor: Cursor, live: str, table: str, holds: Mapping[str, Any], release_id: int | None) -> Iterator[str]:
    """What is wrong with one table of the live slot."""
    name = sql.Identifier(slots.schema_of(live), table)
    cursor.execute(
        """
        select attname::text from pg_attribute
        where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
        """,
        (name.as_string(cursor),),
    )
    there = {column for (column,) in cursor.fetchall()}
    if not there:
        yield f"shared.{table} is gone, with which release {release_id} was published"
        return
    columns = holds["columns"] or []
    if missing := sorted(set(columns) - there):
        yield f"shared.{table} lacks columns with which release {release_id} was published: {', '.join(missing)}"
        return
    cursor.execute(
        sql.SQL("select count(*), coalesce(sum(_row_hash), 0)::text, {} from {} as standing").format(
            _broken(columns), name
        )
    )
    rows, checksum, broken = one(cursor)
    if broken:
        was = "row was" if broken == 1 else "rows were"
        yield f"shared.{table}: {broken:,} {was} changed after release {release_id} was built"
    if rows != holds["rows"]:
        yield f"shared.{table} holds {rows:,} rows, and release {release_id} was published with {holds['rows']:,}"
    elif checksum != holds["checksum"]:
        yield f"shared.{table} has other rows than those with which release {release_id} was published"


def _broken(columns: list[str]) -> sql.Composable:
    """How many rows are not what their hash says, as `row_hash` of the dbt macros makes it; of no columns, that is not known."""
    if not columns:
        return sql.SQL("0")
    content = sql.SQL(", ").join(sql.Identifier("standing", column) for column in columns)
    return sql.SQL("count(*) filter (where _row_hash <> hashtextextended(row({})::text, 0))").format(content)
