"""The slots of published tables: which one readers see, which one is being built, and the tables themselves.

Every published table exists three times, as the partitions `slot_a`, `slot_b` and `slot_c` of `published.<table>`. One row,
`control.slot`, says which of them is live: a publish changes that row. Nothing that readers look at is created, dropped or renamed
for it, so no reader is waited for and none sees a table that is younger than the rest of what it sees.

Three and not two: the live release, the one that a rollback brings back, and the one that is being built.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import psycopg2.errors
from psycopg2 import sql

from pdic.errors import ReleaseError, ReleaseFenced
from pdic.release import views as readers_views
from pdic.release.views import View
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

CLOSE_WAIT_S: Final = 300
"""How long a slot that is to be closed waits for who still writes in it, or cleans it up. No reader waits meanwhile."""
RETIRED: Final = "retired"
"""The schema of the release that was live when slots came (migration 0013)."""
NAMES: Final = ("a", "b", "c")
PARENTS: Final = "published"
SLOT: Final = "_slot"
INTERNAL: Final = {"_source_key": "text", "_row_hash": "bigint not null", "_release_id": "bigint not null"}
"""Columns of every published table that no reader sees: the source row it was made of, the hash of its content, and the release
that put it in."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Slots:
    """The one row of `control.slot`. `live` and `former` are None where there is no such release yet, or no more."""

    live: str | None
    former: str | None
    building: str
    live_release_id: int | None
    former_release_id: int | None

    @property
    def spare(self) -> str:
        """The slot to build in once `building` has become live and `live` the former one."""
        return next(name for name in NAMES if name not in (self.live, self.building))


def schema_of(slot: str) -> str:
    """The schema that holds a slot's tables."""
    return f"slot_{slot}"


def read(connection: Connection, *, lock: bool = False) -> Slots:
    """The row as it is. `lock`: nobody else may change it until the transaction ends."""
    with connection.cursor() as cursor:
        found = "select live, former, building, live_release_id, former_release_id from control.slot"
        cursor.execute(f"{found} for update" if lock else found)
        return Slots(*one(cursor))


def publish(cursor: Cursor, release_id: int, before: Slots) -> None:
    """Show what was built to readers; what they saw becomes the former release. `before`: the slots, as they were read and locked."""
    cursor.execute(
        """
        update control.slot
        set live = building, former = live, building = %s, live_release_id = %s,
            former_release_id = case when live is not null then live_release_id end
        """,
        (before.spare, release_id),
    )


def roll_back(connection: Connection) -> None:
    """Show the former release again. There is none to go back to afterwards."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update control.slot
            set live = former, live_release_id = former_release_id, former = null, former_release_id = null
            where former is not null
            """
        )
        if cursor.rowcount != 1:
            raise ReleaseError("there is no former release to go back to")


def ensure_tables(connection: Connection, views: Iterable[View]) -> None:
    """Make the published tables, columns and candidate views that the contracts of the shared tables ask for and that are not there.

    What no reader has seen, and none will see after a rollback, may change in any way. Raises `ReleaseError` where readers would find a
    column changed, moved or gone, or another key.
    """
    with connection.cursor() as cursor:
        tables = _columns(cursor, PARENTS, "p")
        former = readers_views.of_release(cursor, read(connection).former_release_id) or {}
        shown = {name: view.types for name, view in former.items() if name in tables} | _columns(cursor, "shared", "v")
        keys = _keys(cursor)
        for view in views:
            if view.name in shown:
                _refuse_what_breaks_readers(view, shown[view.name], keys.get(view.name, view.key))
            if view.name not in tables:
                _create(cursor, view)
            elif view.name in shown:
                _change_columns(cursor, view, tables[view.name])
            elif (tables[view.name], keys.get(view.name)) != (_all_columns(view), view.key):
                _drop(cursor, view.name)
                _create(cursor, view)


def copy_table(connection: Connection, view: View, release_id: int) -> None:
    """Bring a table of the slot that is to be built to what the live one holds, row by row that differs.

    For a slot that other logic built, or a build that broke off: to copy is cheaper than to compute everything again. The marks of its
    models are another matter (`copy_marks`). Raises `ReleaseFenced` where a newer release builds in the slot.
    """
    found = _of_build(connection, release_id)
    if found.live is None:
        raise ReleaseError("there is no live release to copy")
    own, live = (sql.Identifier(schema_of(slot), view.name) for slot in (found.building, found.live))
    same_key = sql.SQL(" and ").join(
        sql.SQL("live.{0} = own.{0}").format(sql.Identifier(column)) for column in view.key
    )
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in _all_columns(view) if name != SLOT)
    with connection.cursor() as cursor:
        # Statistics say that a slot is empty while it is filled: a nested loop would read all of it again for each row.
        cursor.execute("set local enable_nestloop = off; set local work_mem = '128MB'; set local jit = off")
        # The copy of a release that was killed ends, too: the next one waits for what it has locked.
        cursor.execute("set local client_connection_check_interval = '5s'")
        cursor.execute(
            sql.SQL(
                "delete from {own} as own where not exists"
                " (select from {live} as live where {same_key} and live._row_hash = own._row_hash)"
            ).format(own=own, live=live, same_key=same_key)
        )
        cursor.execute(
            sql.SQL(
                "insert into {own} ({columns}) select {columns} from {live} as live"
                " where not exists (select from {own} as own where {same_key}) order by {key}"
            ).format(
                own=own,
                live=live,
                same_key=same_key,
                columns=columns,
                key=sql.SQL(", ").join(map(sql.Identifier, view.key)),  # an index takes ordered keys twice as fast
            )
        )
        cursor.execute("select published.sample_where_it_grew(%s)", (view.name,))


def _of_build(connection: Connection, release_id: int) -> Slots:
    """The slots, while this release is the one that is being built: a newer one cannot take its slot before the transaction ends.

    Raises `ReleaseFenced` where one has: then the session that held the release's lock was lost, and this process does not know it yet.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select from control.slot_content where slot = (select building from control.slot) and release_id = %s
            for share
            """,
            (release_id,),
        )
        if cursor.rowcount != 1:
            raise ReleaseFenced(f"release {release_id} was overtaken by a newer one; nothing to do")
    return read(connection)


def largest_first(connection: Connection, views: Iterable[View]) -> list[View]:
    """In the order of their tables' size in the live slot. To be called between transactions."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select relname, pg_relation_size(oid) from pg_class where relnamespace = to_regnamespace(%s)",
            (schema_of(str(read(connection).live)),),
        )
        size = dict(cursor.fetchall())
    return sorted(views, key=lambda view: -size.get(view.name, 0))


def drop_marks(connection: Connection, release_id: int) -> None:
    """Forget up to where the models of the slot that is to be built were brought, and what its tables hold. Raises `ReleaseFenced`."""
    _of_build(connection, release_id)
    with connection.cursor() as cursor:
        for table in ("table_content", "applied_release"):
            cursor.execute(
                sql.SQL("delete from {} where slot = (select building from control.slot)").format(
                    sql.Identifier(PARENTS, table)
                )
            )


def copy_marks(connection: Connection, release_id: int) -> None:
    """Say of the slot that is to be built what is said of the live one, whose tables it holds now. Raises `ReleaseFenced`."""
    drop_marks(connection, release_id)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into published.table_content (slot, model, release_id, columns)
            select slot.building, model, release_id, columns
            from published.table_content as content inner join control.slot on slot.live = content.slot
            """
        )
        cursor.execute(
            """
            insert into published.applied_release (slot, model, release_id, generation)
            select slot.building, model, release_id, generation
            from published.applied_release as applied inner join control.slot on slot.live = applied.slot
            """
        )


def open_for_building(connection: Connection, slot: str) -> None:
    """Let the transformer write in one slot, and in no other."""
    close(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("grant select, insert, update, delete on all tables in schema {} to pdic_transformer").format(
                sql.Identifier(schema_of(slot))
            )
        )


def close(connection: Connection) -> None:
    """Take the right to write from the transformer in every slot, once all that it began has ended.

    By taking rights, not by a policy: a session that began in the time of the build would go on seeing that time.
    """
    with connection.cursor() as cursor:
        cursor.execute("select set_config('lock_timeout', %s, true)", (f"{CLOSE_WAIT_S}s",))
        for slot in NAMES:
            cursor.execute(
                """
                select relation.relname
                from pg_class as relation
                cross join lateral aclexplode(relation.relacl) as granted
                where relation.relnamespace = to_regnamespace(%s) and relation.relkind = 'r'
                    and granted.grantee = 'pdic_transformer'::regrole
                    and granted.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
                group by 1 order by 1
                """,
                (schema_of(slot),),
            )
            tables = [sql.Identifier(schema_of(slot), name) for (name,) in cursor.fetchall()]
            if tables:
                listed = sql.SQL(", ").join(tables)
                # In this order: an autovacuum that the lock waits for would itself wait for a revoke that has begun.
                cursor.execute(sql.SQL("lock table {} in share mode").format(listed))
                cursor.execute(sql.SQL("revoke all on {} from pdic_transformer").format(listed))


def drop_retired(connection: Connection) -> None:
    """Drop the tables of the release that was live before there were slots, once no reader and nothing of others holds on to them.

    What is in the way is told, and tried again at the next publish: it takes room and nothing else.
    """
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "select relname from pg_class where relnamespace = to_regnamespace(%s) and relkind = 'r'", (RETIRED,)
            )
            tables = [sql.Identifier(RETIRED, name) for (name,) in cursor.fetchall()]
            if not tables:
                return
            cursor.execute("set local lock_timeout = '50ms'")
            cursor.execute(sql.SQL("drop table {}").format(sql.SQL(", ").join(tables)))
            cursor.execute(sql.SQL("drop schema {}").format(sql.Identifier(RETIRED)))
    except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DependentObjectsStillExist) as error:
        _log.info("the schema %s is still in use (%s); the next publish tries again", RETIRED, type(error).__name__)


def _columns(cursor: Cursor, schema: str, kind: str) -> dict[str, dict[str, str]]:
    """By table or view of a schema, the types of its columns in order, as `format_type` writes them."""
    cursor.execute(
        """
        select relation.relname, attribute.attname, format_type(attribute.atttypid, attribute.atttypmod)
        from pg_class as relation
        inner join pg_attribute as attribute on attribute.attrelid = relation.oid and attribute.attnum > 0
        where relation.relnamespace = to_regnamespace(%s) and relation.relkind = %s and not attribute.attisdropped
        order by 1, attribute.attnum
        """,
        (schema, kind),
    )
    found: dict[str, dict[str, str]] = {}
    for table, column, type_of in cursor.fetchall():
        found.setdefault(table, {})[column] = type_of
    return found


def _keys(cursor: Cursor) -> dict[str, tuple[str, ...]]:
    """By published table, the columns of its key, as its unique index has them."""
    cursor.execute(
        """
        select relation.relname, attribute.attname
        from pg_class as relation
        inner join pg_index as index on index.indrelid = relation.oid and index.indisunique
        cross join unnest(index.indkey) with ordinality as part (attnum, place)
        inner join pg_attribute as attribute on attribute.attrelid = relation.oid and attribute.attnum = part.attnum
        where relation.relnamespace = to_regnamespace(%s) and relation.relkind = 'p' and attribute.attname <> %s
        order by 1, part.place
        """,
        (PARENTS, SLOT),
    )
    found: dict[str, tuple[str, ...]] = {}
    for table, column in cursor.fetchall():
        found[table] = (*found.get(table, ()), column)
    return found


def _contract_columns(view: View) -> dict[str, str]:
    """The columns that come from the contract, with their types."""
    return {**view.types, **view.closed}


def _all_columns(view: View) -> dict[str, str]:
    """All columns of a published table, with their types as `format_type` writes them."""
    internal = {name: kind.removesuffix(" not null") for name, kind in INTERNAL.items()}
    return {SLOT: '"char"', **_contract_columns(view), **internal}


def _refuse_what_breaks_readers(view: View, shown: dict[str, str], key: tuple[str, ...]) -> None:
    """Raises `ReleaseError` unless readers keep every column, with its type and in its place, and the key."""
    advice = "Keep what readers have and append new columns at the end, or publish the new shape under a new name in contracts/shared/"
    for (column, kind), (now, now_kind) in zip_longest(shown.items(), view.types.items(), fillvalue=("", "")):
        if not column:
            break
        if column not in view.types:
            raise ReleaseError(
                f"shared.{view.name}: its contract no longer shows {column}, which readers see. {advice}"
            )
        if now != column:
            raise ReleaseError(f"shared.{view.name}: {now} now stands where readers have {column}. {advice}")
        if now_kind != kind:
            raise ReleaseError(
                f"shared.{view.name}.{column}: readers know it as {kind}, and its contract says {now_kind} now. {advice}"
            )
    if key != view.key:
        raise ReleaseError(
            f"shared.{view.name}: readers know {', '.join(key)} as its key, and its contract says {', '.join(view.key)} now. {advice}"
        )


def _drop(cursor: Cursor, name: str) -> None:
    """Take away a published table that no reader has seen."""
    cursor.execute(sql.SQL("drop view if exists {}").format(sql.Identifier("candidate", name)))
    cursor.execute(sql.SQL("drop table {}").format(sql.Identifier(PARENTS, name)))
    cursor.execute("delete from published.applied_release where model = %s", (name,))
    cursor.execute("delete from published.table_content where model = %s", (name,))


def _create(cursor: Cursor, view: View) -> None:
    parent = sql.Identifier(PARENTS, view.name)
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in _contract_columns(view).items()
    ]
    internal = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in INTERNAL.items()]
    slot = sql.Identifier(SLOT)
    cursor.execute(
        sql.SQL("create table {} ({}) partition by list ({})").format(
            parent, sql.SQL(", ").join([sql.SQL('{} "char" not null').format(slot), *columns, *internal]), slot
        )
    )
    for name in NAMES:
        table = sql.Identifier(schema_of(name), view.name)
        cursor.execute(
            sql.SQL("create table {} partition of {} for values in ({})").format(table, parent, sql.Literal(name))
        )
        cursor.execute(sql.SQL("alter table {} alter {} set default {}").format(table, slot, sql.Literal(name)))
        # Not on the whole table: a statement that names a slot's table fires that one's triggers alone.
        cursor.execute(
            sql.SQL(
                "create trigger marks_change after insert or update or delete or truncate on {}"
                " for each statement execute function published.mark_changed()"
            ).format(table)
        )
    key = sql.SQL(", ").join(map(sql.Identifier, view.key))
    cursor.execute(sql.SQL("create unique index on {} ({}, {})").format(parent, slot, key))
    cursor.execute(sql.SQL("create index on {} (_source_key) where _source_key is not null").format(parent))
    cursor.execute(sql.SQL("create index on {} using brin (_release_id)").format(parent))
    _show_candidate(cursor, view.name)


def _change_columns(cursor: Cursor, view: View, found: dict[str, str]) -> None:
    """Bring the columns of a table that readers see to what the contract says. Only such change that no reader sees."""
    wanted = _all_columns(view)
    gone = [name for name, kind in found.items() if wanted.get(name) != kind]
    new = [name for name, kind in wanted.items() if found.get(name) != kind]
    if not gone and not new:
        return
    cursor.execute(sql.SQL("drop view if exists {}").format(sql.Identifier("candidate", view.name)))
    changes = [sql.SQL("drop column {}").format(sql.Identifier(name)) for name in gone]
    changes += [sql.SQL("add column {} {}").format(sql.Identifier(name), sql.SQL(wanted[name])) for name in new]
    cursor.execute(sql.SQL("alter table {} {}").format(sql.Identifier(PARENTS, view.name), sql.SQL(", ").join(changes)))
    _show_candidate(cursor, view.name)


def _show_candidate(cursor: Cursor, table: str) -> None:
    """The view by which models, tests and the audit read the slot that is being built."""
    view = sql.Identifier("candidate", table)
    cursor.execute(
        sql.SQL("create view {} as select * from {} where {} = (select building from control.slot)").format(
            view, sql.Identifier(PARENTS, table), sql.Identifier(SLOT)
        )
    )
    cursor.execute(sql.SQL("grant select on {} to pdic_transformer, pdic_auditor").format(view))
