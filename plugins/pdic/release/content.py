"""What each table of a release holds, in rows and a checksum, and how it differs from the release that readers see.

The checksum is the sum of the rows' hashes: the same content gives the same one, in whichever slot and order. Rows and checksum are
those that the audit counted (`pdic.release.profile`), so that no table is read a second time for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from psycopg2 import sql

from pdic.release import keys, profile, slots
from pdic.release.profile import FEW, Profile
from pdic.release.views import View
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

SMALL: Final = 100_000
"""A table of up to so many rows, of which some are gone, is joined as a whole: in a tenth of a second or so."""
NOTHING: Final = 0
"""What `control.release.compared_with` says where there was no release to compare with."""


@dataclass(frozen=True, slots=True)
class Holds:
    """What one table holds. `columns` are those of which its rows' hashes were made; None where that is not known."""

    rows: int
    checksum: Decimal
    columns: tuple[str, ...] | None

    @property
    def digest(self) -> str | None:
        """What readers get of the checksum; None of few rows.

        Rows are hashed with columns that no reader sees. The difference of two sums is the hash of the row that came between them: who
        knows its other columns finds the rest by trial. Of a digest there is no difference.
        """
        return (
            hashlib.sha256(str(self.checksum).encode()).hexdigest()[:32].translate(keys.LETTERS)
            if self.rows >= FEW
            else None
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """How a table differs from the release before. `rows_before` is None where that had no such table, and with it the rest."""

    rows_before: int | None = None
    added: int | None = None
    changed: int | None = None
    removed: int | None = None


def compare(publisher: Connection, release_id: int, views: Iterable[View]) -> None:
    """Record what each table of the slot that was built holds, and how it differs from what readers see.

    To be called between transactions. Done once, and again where readers see another release meanwhile.
    """
    with publisher, publisher.cursor() as cursor:
        found = slots.read(publisher)
        against = found.live_release_id if found.live is not None else None
        cursor.execute("select compared_with from control.release where release_id = %s", (release_id,))
        if one(cursor)[0] == (against or NOTHING):
            return
        built, live = (_marks(cursor, slot) for slot in (found.building, found.live))
        before = of_release(cursor, against)
        profiled = profile.wholes_of(publisher, [release_id])[release_id]
        cursor.execute("delete from control.release_content where release_id = %s", (release_id,))
    for view in views:
        with publisher, publisher.cursor() as cursor:
            # The models' own: a join of two large tables is not to be written to a disk in pieces.
            cursor.execute("set local work_mem = '128MB'; set local jit = off")
            mark, columns = built.get(view.name, (None, None))
            holds = of_release(cursor, mark, view.name).get(view.name) if mark != release_id else None
            had = before.get(view.name)
            if holds is not None and had == holds:
                difference = Difference(had.rows, 0, 0, 0)
            elif found.live is not None and (view.name in live or had is not None):
                holds = _counted(cursor, view.name, found.building, columns, profiled.get(view.name))
                followed = _follow(cursor, view, found, had, holds) if had is not None else None
                difference = followed or _differs(cursor, view, found.building, found.live)
            else:
                holds = _counted(cursor, view.name, found.building, columns, profiled.get(view.name))
                difference = Difference()
            _record(cursor, release_id, view.name, holds, difference)
    with publisher, publisher.cursor() as cursor:
        cursor.execute(
            "update control.release set compared_with = %s where release_id = %s", (against or NOTHING, release_id)
        )


def of_release(cursor: Cursor, release_id: int | None, table: str | None = None) -> dict[str, Holds]:
    """What is recorded of a release's tables, or of one of them; nothing where it was never compared."""
    cursor.execute(
        """
        select table_name, rows, checksum, columns from control.release_content
        where release_id = %s and (%s::text is null or table_name = %s) order by 1
        """,
        (release_id, table, table),
    )
    return {
        name: Holds(rows, checksum, tuple(columns) if columns else None)
        for name, rows, checksum, columns in cursor.fetchall()
    }


def _marks(cursor: Cursor, slot: str | None) -> dict[str, tuple[int, list[str] | None]]:
    """By table of a slot, the release whose build last changed it, and of which columns its rows' hashes are made."""
    cursor.execute("select model, release_id, columns from published.table_content where slot = %s", (slot,))
    return {model: (release_id, columns) for model, release_id, columns in cursor.fetchall()}


def _counted(cursor: Cursor, table: str, slot: str, columns: list[str] | None, profiled: Profile | None) -> Holds:
    """What a table of a slot holds: as its audit counted it, when the slot was closed already; else it is read."""
    if profiled is None or profiled.checksum is None:
        return _read(cursor, table, slot, columns)
    return Holds(profiled.rows, profiled.checksum, tuple(columns) if columns else None)


def _read(cursor: Cursor, table: str, slot: str, columns: list[str] | None) -> Holds:
    cursor.execute(
        sql.SQL("select count(*), coalesce(sum(_row_hash), 0) from {}").format(
            sql.Identifier(slots.schema_of(slot), table)
        )
    )
    rows, checksum = one(cursor)
    return Holds(rows, checksum, tuple(columns) if columns else None)


def _follow(cursor: Cursor, view: View, found: slots.Slots, had: Holds, holds: Holds) -> Difference | None:
    """How a table differs, from the rows alone that were put in since the live release: they are marked with a later one.

    None where the checksums do not prove it: a row went to and fro between three releases, so that its mark is old. Where rows are gone
    the checksums cannot prove it: None then of a table of up to `SMALL` rows, and the count of a larger one.
    """
    same_key = _same_key(view)
    cursor.execute(
        sql.SQL(
            """
            select
                count(*) filter (where live._row_hash is null),
                count(*) filter (where live._row_hash <> built._row_hash),
                coalesce(sum(built._row_hash), 0) - coalesce(sum(live._row_hash), 0)
            from {built} as built
            left join {live} as live on live._slot = {slot} and {same_key}
            where built._release_id > %s
            """
        ).format(
            built=sql.Identifier(slots.schema_of(found.building), view.name),
            live=sql.Identifier(slots.schema_of(str(found.live)), view.name),
            slot=sql.Literal(found.live),  # the index of the key begins with it
            same_key=same_key,
        ),
        (found.live_release_id,),
    )
    added, changed, more = one(cursor)
    removed = had.rows + added - holds.rows
    if removed < 0 or (removed > 0 and had.rows <= SMALL) or (removed == 0 and had.checksum + more != holds.checksum):
        return None
    return Difference(had.rows, added, changed, removed)


def _same_key(view: View) -> sql.Composed:
    return sql.SQL(" and ").join(sql.SQL("built.{0} = live.{0}").format(sql.Identifier(column)) for column in view.key)


def _differs(cursor: Cursor, view: View, building: str, live: str) -> Difference:
    """How a table differs, by all its rows."""
    same_key = _same_key(view)
    cursor.execute(
        sql.SQL(
            """
            select
                count(live._row_hash),
                count(*) filter (where live._row_hash is null),
                count(*) filter (where live._row_hash <> built._row_hash),
                count(*) filter (where built._row_hash is null)
            from {built} as built
            full join {live} as live on {same_key}
            """
        ).format(
            built=sql.Identifier(slots.schema_of(building), view.name),
            live=sql.Identifier(slots.schema_of(live), view.name),
            same_key=same_key,
        )
    )
    return Difference(*one(cursor))


def _record(cursor: Cursor, release_id: int, table: str, holds: Holds, difference: Difference) -> None:
    cursor.execute(
        """
        insert into control.release_content (
            release_id, table_name, rows, checksum, digest, columns, rows_before, added, changed, removed
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            release_id,
            table,
            holds.rows,
            holds.checksum,
            holds.digest,
            list(holds.columns) if holds.columns else None,
            difference.rows_before,
            difference.added,
            difference.changed,
            difference.removed,
        ),
    )
