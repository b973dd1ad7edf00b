"""What each table of a release holds, in counts and sums: as a whole, and by commune or agency.

A table is read once, and only where a row of it changed since it was last read: the warehouse keeps, with the rows, which release last
changed each table of a slot (`published.table_content`). Nothing about a person is kept: of few rows only their number.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from pdic.release import slots
from pdic.release.views import View
from pdic.warehouse.statements import execute_values

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

FEW: Final = 20
"""Of fewer rows only their number is kept: their sums would be about persons."""
GROUPS: Final = ("commune_unit_key", "agency_key")
"""How the names of columns end by which a table is also counted."""
KEPT: Final = 30
"""Profiles by commune or agency are kept of the last so many releases."""

MANY: Final = 20_000
LOOKED_UP: Final = 5_000
"""Of a table of more than MANY rows, about so many are looked up to say how many keys are gone."""

Groups = Mapping[tuple[str, str], "Profile"]
"""By column and its value."""


@dataclass(frozen=True)
class Profile:
    """Some rows: how many, how many without a value by column, the sum and the largest amount's digits by column."""

    rows: int
    nulls: Mapping[str, int] = field(default_factory=dict)
    sums: Mapping[str, Decimal] = field(default_factory=dict)
    digits: Mapping[str, int] = field(default_factory=dict)
    checksum: Decimal | None = None


@dataclass(frozen=True)
class TableProfile:
    """A table of a release. `content` is the release whose build last changed it; `keys_gone` counts the keys of the live release's
    rows that it no longer has (of a large table about), None where that was not asked."""

    content: int
    whole: Profile
    groups: Groups = field(default_factory=dict)
    keys_gone: int | None = None


def take(auditor: Connection, publisher: Connection, release_id: int, views: Iterable[View]) -> int:
    """Profile every table of the slot that was built, as its auditor. Returns how many had to be read.

    Both connections are committed. May be repeated.
    """
    with publisher:
        found = slots.read(publisher)
        built, live = (_contents(publisher, slot) for slot in (found.building, found.live))
        before = wholes_of(publisher, [found.live_release_id or 0]).get(found.live_release_id or 0, {})
    read = 0
    with auditor, auditor.cursor() as cursor:
        cursor.execute("delete from control.release_table where release_id = %s", (release_id,))
        cursor.execute("delete from control.release_profile where release_id = %s", (release_id,))
        cursor.execute(
            "select table_name, release_id from control.release_profile where grouped_by = '' and release_id = any(%s)",
            (list(set(built.values())),),
        )
        known = set(cursor.fetchall())
    for view in views:
        content = built.get(view.name, release_id)
        gone = None
        if content != live.get(view.name) and view.name in before and found.live is not None:
            with publisher, publisher.cursor() as cursor:
                gone = _keys_gone(cursor, view, found.live, found.building, before[view.name].rows)
        with auditor, auditor.cursor() as cursor:
            if (view.name, content) not in known:
                read += 1
                content = release_id
                _record(cursor, release_id, view.name, _scan(cursor, view))
            cursor.execute(
                "insert into control.release_table values (%s, %s, %s, %s)", (release_id, view.name, content, gone)
            )
    with auditor, auditor.cursor() as cursor:
        _forget_old_groups(cursor)
    return read


def of_release(connection: Connection, release_id: int) -> dict[str, TableProfile]:
    """The profiles of a release's tables, by name; none where it was built before there were any."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_name, profile_release_id, keys_gone from control.release_table where release_id = %s order by 1",
            (release_id,),
        )
        described = cursor.fetchall()
        cursor.execute(
            """
            select table_name, grouped_by, group_key, rows, nulls, sums, digits, checksum
            from control.profile_of_release where release_id = %s order by 1, 2, 3
            """,
            (release_id,),
        )
        wholes: dict[str, Profile] = {}
        groups: dict[str, dict[tuple[str, str], Profile]] = defaultdict(dict)
        for table, grouped_by, group_key, *counts in cursor.fetchall():
            if grouped_by:
                groups[table][grouped_by, group_key] = _profile(*counts)
            else:
                wholes[table] = _profile(*counts)
    return {table: TableProfile(content, wholes[table], groups[table], gone) for table, content, gone in described}


def wholes_of(connection: Connection, releases: Sequence[int]) -> dict[int, dict[str, Profile]]:
    """By release and table, the table as a whole."""
    found: dict[int, dict[str, Profile]] = {release_id: {} for release_id in releases}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select release_id, table_name, rows, nulls, sums, digits, checksum
            from control.profile_of_release where release_id = any(%s) and grouped_by = ''
            """,
            (list(releases),),
        )
        for release_id, table, *counts in cursor.fetchall():
            found[release_id][table] = _profile(*counts)
    return found


def group_columns(view: View) -> tuple[str, ...]:
    """The columns of communes and agencies by which a table is counted: not those that name its own rows."""
    return tuple(
        name
        for name in view.types
        if name.endswith(GROUPS) and name not in view.key and not name.startswith("successor_")
    )


def _profile(rows: int, nulls: dict[str, int], sums: dict[str, str], digits: dict[str, int], checksum: Any) -> Profile:
    return Profile(rows, nulls, {name: Decimal(value) for name, value in sums.items()}, digits, checksum)


def _contents(publisher: Connection, slot: str | None) -> dict[str, int]:
    """By table, the release whose build last changed it in a slot."""
    with publisher.cursor() as cursor:
        cursor.execute("select model, release_id from published.table_content where slot = %s", (slot,))
        return dict(cursor.fetchall())


def _keys_gone(cursor: Cursor, view: View, live: str, building: str, rows: int) -> int:
    """How many of the `rows` of the live slot have a key that the built one does not; of many rows, estimated from some of them."""
    was, now = (sql.Identifier(slots.schema_of(slot), view.name) for slot in (live, building))
    # The slot first: the index of the key begins with it.
    same_key = sql.SQL(" and ").join(
        [
            sql.SQL("now._slot = {}").format(sql.Literal(building)),
            *(sql.SQL("now.{0} = was.{0}").format(sql.Identifier(name)) for name in view.key),
        ]
    )
    if rows <= MANY:
        cursor.execute(
            sql.SQL(
                "select count(*) from {was} as was where not exists (select from {now} as now where {same_key})"
            ).format(was=was, now=now, same_key=same_key)
        )
        ((gone,),) = cursor.fetchall()
        return int(gone)
    # Pages at random, and an index look-up for each of their rows: the cost does not grow with the table.
    cursor.execute(
        sql.SQL(
            """
            select count(*), count(*) filter (where not exists (select from {now} as now where {same_key}))
            from {was} as was tablesample system ({percent}) repeatable (1)
            """
        ).format(was=was, now=now, same_key=same_key, percent=sql.Literal(100 * LOOKED_UP / rows))
    )
    ((asked, gone),) = cursor.fetchall()
    return round(gone * rows / asked) if asked else 0


def _scan(cursor: Cursor, view: View) -> TableProfile:
    """Read a table of the candidate once."""
    by = group_columns(view)
    may_be_empty = [name for name in view.types if name not in view.required]
    asked = [
        sql.SQL("count(*)"),
        sql.SQL("coalesce(sum(_row_hash), 0)"),
        *(sql.SQL("count(*) - count({})").format(sql.Identifier(name)) for name in may_be_empty),
        *(sql.SQL("coalesce(sum({}), 0)::numeric").format(sql.Identifier(name)) for name in view.amounts),
        *(sql.SQL("coalesce(max(abs({})), 0)::numeric").format(sql.Identifier(name)) for name in view.amounts),
    ]
    groups = [sql.SQL("{}::text").format(sql.Identifier(name)) for name in by]
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join([*groups, *asked]), sql.Identifier("candidate", view.name)
    )
    if by:
        query += sql.SQL(" group by {}").format(sql.SQL(", ").join(map(sql.Identifier, by)))
    cursor.execute(query)
    whole = _Sum(may_be_empty, view.amounts)
    parts: dict[tuple[str, str], _Sum] = defaultdict(lambda: _Sum(may_be_empty, view.amounts))
    for row in cursor.fetchall():
        counts = row[len(by) :]
        whole.add(counts)
        for column, value in zip(by, row, strict=False):
            if value is not None:
                parts[column, value].add(counts)
    return TableProfile(0, whole.profile(of_table=True), {group: part.profile() for group, part in parts.items()})


class _Sum:
    """Rows of a scan, added up."""

    def __init__(self, may_be_empty: Sequence[str], amounts: Sequence[str]) -> None:
        self._names = may_be_empty, amounts
        self._totals: list[Any] = [0] * (2 + len(may_be_empty) + len(amounts))
        self._largest: list[Decimal] = [Decimal(0)] * len(amounts)

    def add(self, counts: Sequence[Any]) -> None:
        summed = len(self._totals)
        self._totals = [total + count for total, count in zip(self._totals, counts[:summed], strict=True)]
        self._largest = [max(pair) for pair in zip(self._largest, counts[summed:], strict=True)]

    def profile(self, *, of_table: bool = False) -> Profile:
        may_be_empty, amounts = self._names
        rows, checksum = self._totals[:2]
        checksum = Decimal(checksum) if of_table else None
        if rows < FEW:
            return Profile(rows, checksum=checksum)
        counts = self._totals[2:]
        return Profile(
            rows,
            nulls=dict(zip(may_be_empty, counts, strict=False)),
            sums=dict(zip(amounts, counts[len(may_be_empty) :], strict=True)),
            digits={name: len(str(int(value))) for name, value in zip(amounts, self._largest, strict=True)}
            if of_table
            else {},
            checksum=checksum,
        )


def _record(cursor: Cursor, release_id: int, table: str, found: TableProfile) -> None:
    profiles = {("", ""): found.whole, **found.groups}
    execute_values(
        cursor,
        """
        insert into control.release_profile
            (release_id, table_name, grouped_by, group_key, rows, nulls, sums, digits, checksum)
        values %s
        """,
        [
            (
                release_id,
                table,
                *group,
                profile.rows,
                json.dumps(profile.nulls),
                json.dumps(profile.sums, default=str),
                json.dumps(profile.digits),
                profile.checksum,
            )
            for group, profile in profiles.items()
        ],
    )


def _forget_old_groups(cursor: Cursor) -> None:
    """Only those of the live release, and of the one that a rollback brings back, are asked for again; people look at the last ones."""
    cursor.execute(
        """
        delete from control.release_profile as profile
        where profile.grouped_by <> '' and not exists (
            select from control.release_table as described
            where described.table_name = profile.table_name and described.profile_release_id = profile.release_id
                and (
                    described.release_id > (select max(release_id) - %s from control.release)
                    or described.release_id in (select unnest(array[live_release_id, former_release_id]) from control.slot)
                )
        )
        """,
        (KEPT,),
    )
