"""Is what readers see what was published, and is the ledger that says so whole?

The ledger's chain is computed again (`pdic.release.ledger`), and its entries are held against who may write them and against the
approvals that are kept. Then the hash of every row of the live release is computed, and compared with the one that was kept with
the row; the ledger knows the sum of the hashes of each table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from pdic import connections
from pdic.release import ledger, slots
from pdic.warehouse import Connect, connect, one

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

Report = dict[str, Any]

WRITER: Final = "pdic_publisher"
"""The login that writes the ledger's entries."""

_ENTRIES: Final = sql.SQL("""
select
    seq, at, kind, role, payload,
    coalesce(
        case kind
            when 'publish' then
                payload ->> 'release_id' ~ '^[0-9]{1,18}$' and jsonb_typeof(payload -> 'tables') = 'object'
                and not payload @? '$.tables.* ? (
                    !(@.rows.type() == "number") || !(@.checksum.type() == "string")
                    || !(@.columns.type() == "array" || @.columns.type() == "null")
                )'
            when 'rollback' then
                payload ->> 'release_id' ~ '^[0-9]{1,18}$' and payload ->> 'taken_back' ~ '^[0-9]{1,18}$'
            when 'resume' then payload ->> 'taken_back' ~ '^[0-9]{1,18}$'
            when 'approve' then payload ->> 'release_id' ~ '^[0-9]{1,18}$' and payload ?& '{by,account,reason}'
        end,
        false
    ) as known
from control.ledger_entry
""")
"""Every entry, and whether it is one that a publish, a rollback, a resume or an approval writes."""


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
                wrong += _of_entries(cursor)
                wrong += _of_approvals(cursor)
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


def _of_entries(cursor: Cursor) -> Iterator[str]:
    """Which entries of the ledger none of our commands wrote. What they say is not believed below."""
    cursor.execute(
        sql.SQL("select seq, kind, role, known from ({}) as entry where role <> %s or not known order by seq").format(
            _ENTRIES
        ),
        (WRITER,),
    )
    for seq, kind, role, known in cursor.fetchall():
        if role != WRITER:
            yield f"entry {seq} of the ledger was written by {role}, and {WRITER} alone writes there: ask who did it, and what for"
        if not known:
            yield (
                f"entry {seq} of the ledger ({kind}) is of no shape that this version writes: somebody else wrote it, or a newer version"
            )


def _of_approvals(cursor: Cursor) -> Iterator[str]:
    """Where the approvals of releases that are kept differ from those that the ledger tells of. Names of columns, and no value."""
    cursor.execute(
        sql.SQL("""
        select coalesce(approval.release_id, entry.release_id), entry.seq, approval.release_id is not null, array_remove(array[
            case when approval.said_by is distinct from payload ->> 'by' then 'said_by' end,
            case when approval.os_user is distinct from payload ->> 'account' then 'os_user' end,
            case when approval.reason is distinct from payload ->> 'reason' then 'reason' end,
            case when approval.db_role is distinct from role then 'db_role' end,
            case when payload ? 'findings' and approval.findings is distinct from payload ->> 'findings' then 'findings' end,
            case when abs(extract(epoch from approval.approved_at - entry.at)) > 3600 then 'approved_at' end
        ], null)
        from (select * from control.approval where release_id is not null) as approval
        full join (
            select distinct on (release_id) *
            from (
                select seq, at, role, payload, (payload ->> 'release_id')::bigint as release_id
                from ({}) as entry where known and role = %s and kind = 'approve'
            ) as entry
            order by release_id, seq
        ) as entry on approval.release_id = entry.release_id
        order by 1
        """).format(_ENTRIES),
        (WRITER,),
    )
    for release_id, seq, is_kept, differs in cursor.fetchall():
        if seq is None:
            yield (
                f"the approval of release {release_id} in control.approval has no entry in the ledger: it did not come by `pdic release "
                "approve`; ask who wrote it"
            )
        elif not is_kept:
            yield f"entry {seq} of the ledger tells of an approval of release {release_id}, which control.approval lacks: it was removed"
        elif differs:
            yield (
                f"the approval of release {release_id} in control.approval was changed after it was written: {', '.join(differs)} "
                f"as entry {seq} of the ledger has it no more"
            )


def _said_of_live(cursor: Cursor, live: int | None) -> tuple[Mapping[str, Any], list[str]]:
    """By table, what the ledger says that the live release was published with; and what is wrong about that."""
    cursor.execute(
        sql.SQL("""
        select (payload ->> 'release_id')::bigint from ({}) as entry
        where known and role = %s and kind in ('publish', 'rollback') order by seq desc limit 1
        """).format(_ENTRIES),
        (WRITER,),
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
        sql.SQL("""
        select payload -> 'tables' from ({}) as entry
        where known and role = %s and kind = 'publish' and payload ->> 'release_id' = %s order by seq desc limit 1
        """).format(_ENTRIES),
        (WRITER, str(live)),
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
