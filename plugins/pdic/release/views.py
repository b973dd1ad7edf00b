"""The views by which readers see the live release: `shared.<table>`, as the contracts of the shared tables say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg2.errors
from psycopg2 import sql

from pdic import settings
from pdic.contracts import compiled
from pdic.errors import ReleaseError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

SCHEMA: Final = "shared"
MONEY: Final = "VND"
"""What the unit of every amount of money holds ('VND', 'million VND')."""
OWN: Final = ("release", "release_note")
"""Views of the schema that no contract asks for."""
_SHOWS: Final = (
    "create or replace view {name} as select {columns} from {table} where _slot = (select live from control.slot)"
)


@dataclass(frozen=True)
class View:
    """A reader's view: its name, its columns in order with their types, and its key. `closed` are columns that its table has beside.

    `required` are columns that always have a value, `amounts` those whose unit is money, `limits` what the contract says of how much a
    release may differ in this table.
    """

    name: str
    types: dict[str, str]
    closed: dict[str, str]
    key: tuple[str, ...]
    comment: str
    column_comments: dict[str, str]
    required: frozenset[str] = frozenset()
    amounts: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)


def views() -> tuple[View, ...]:
    """The readers' views, as the contracts of the shared tables say (compiled into `generated/shared_views.json`)."""
    path = settings.project_root() / "plugins" / "pdic" / "generated" / "shared_views.json"
    manifest = json.loads(compiled.read(path, Path("contracts/shared")))
    return tuple(_view(entry) for entry in manifest["views"])


def _view(entry: dict[str, Any]) -> View:
    columns = entry["columns"]
    return View(
        name=entry["name"],
        types={column["name"]: column["type"] for column in columns},
        closed=dict(entry["closed"]),
        key=tuple(entry["key"]),
        comment=entry["comment"],
        column_comments={column["name"]: column["comment"] for column in columns},
        required=frozenset(column["name"] for column in columns if column.get("required")),
        amounts=tuple(column["name"] for column in columns if MONEY in column.get("unit", "")),
        limits=entry.get("limits", {}),
    )


def up_to_date(publisher: Connection) -> list[str] | None:
    """Where the readers' views are as the contracts say, the names in `control.shown_view`, in order; else None.

    A rollback may change them later: then the names are others. To be called between transactions.
    """
    with publisher, publisher.cursor() as cursor:
        if _known(cursor, _there(cursor)) != {view.name: _digests(view) for view in views()}:
            return None
        cursor.execute("select name from control.shown_view order by name")
        return [name for (name,) in cursor.fetchall()]


def bring_up(publisher: Connection) -> None:
    """Make the readers' views as the contracts say, where they are not so already.

    An ordinary publish changes none, and so waits for no reader. Raises `ReleaseError` where others have built on a view that
    would go, or where one would change in a way that breaks readers.
    """
    wanted = {view.name: view for view in views()}
    with publisher.cursor() as cursor:
        there = _there(cursor)
        known = _known(cursor, there)
        digests = {name: _digests(view) for name, view in wanted.items()}
        for name in sorted(there - set(wanted)):
            _drop(cursor, name)
        for name, view in wanted.items():
            if known.get(name) == digests[name]:
                continue
            if name not in known or known[name][0] != digests[name][0]:
                _make(cursor, view)
            _comment(cursor, view)
            _remember(cursor, name, digests[name])


def go_back_to(publisher: Connection, former: Mapping[str, View]) -> None:
    """Show the tables that an earlier release showed, by name, and no others.

    The views of tables that both have stay as they are: a column that came later is empty in the earlier release. Raises
    `ReleaseError` where others have built on a view that would go.
    """
    with publisher.cursor() as cursor:
        there = _there(cursor)
        for name in sorted(there - set(former)):
            _drop(cursor, name)
        for name in sorted(set(former) - there):
            _make(cursor, former[name])
            _comment(cursor, former[name])
            _remember(cursor, name, _digests(former[name]))


def keep(publisher: Connection, release_id: int, views: Iterable[View]) -> None:
    """Keep by which views readers will see a release, for a rollback to it; those of releases that no rollback brings back go.

    To be called between transactions.
    """
    with publisher, publisher.cursor() as cursor:
        shown = json.dumps([asdict(view) for view in views], default=_plain)
        cursor.execute("update control.release set shown = %s where release_id = %s", (shown, release_id))
        cursor.execute(
            """
            update control.release set shown = null
            where shown is not null and release_id <> %s and release_id not in (
                select unnest(array[live_release_id, former_release_id]) from control.slot
            )
            """,
            (release_id,),
        )


def of_release(cursor: Cursor, release_id: int | None) -> dict[str, View] | None:
    """By name, the views by which readers saw a release; None where that is not known."""
    cursor.execute("select shown from control.release where release_id = %s", (release_id,))
    row = cursor.fetchone()
    if row is None or row[0] is None:
        return None
    return {entry["name"]: _view_that_was_kept(entry) for entry in row[0]}


def _view_that_was_kept(entry: dict[str, Any]) -> View:
    return View(
        name=entry["name"],
        types=entry["types"],
        closed=entry["closed"],
        key=tuple(entry["key"]),
        comment=entry["comment"],
        column_comments=entry["column_comments"],
    )


def _plain(value: Any) -> Any:
    """What JSON has no word for, in a view's own limits and sets."""
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def _there(cursor: Cursor) -> set[str]:
    """The views of tables that readers have now."""
    cursor.execute("select relname from pg_class where relnamespace = to_regnamespace(%s) and relkind = 'v'", (SCHEMA,))
    return {name for (name,) in cursor.fetchall()} - set(OWN)


def _known(cursor: Cursor, there: set[str]) -> dict[str, tuple[str, str]]:
    """By name, how the views were made that are there: the digests of their statements and comments."""
    cursor.execute("select name, statement, comments from control.shown_view")
    return {name: (statement, comments) for name, statement, comments in cursor.fetchall() if name in there}


def _digests(view: View) -> tuple[str, str]:
    """Of the statement that makes a view, and of its comments."""
    return _digest(_SHOWS, view.types), _digest(view.comment, view.column_comments)


def _remember(cursor: Cursor, name: str, digests: tuple[str, str]) -> None:
    cursor.execute(
        """
        insert into control.shown_view (name, statement, comments) values (%s, %s, %s)
        on conflict (name) do update set statement = excluded.statement, comments = excluded.comments
        """,
        (name, *digests),
    )


def _digest(*said: object) -> str:
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _drop(cursor: Cursor, name: str) -> None:
    try:
        cursor.execute(sql.SQL("drop view {}").format(sql.Identifier(SCHEMA, name)))
        cursor.execute("delete from control.shown_view where name = %s", (name,))
    except psycopg2.errors.DependentObjectsStillExist as error:
        raise ReleaseError(
            f"shared.{name} would be taken from readers, and views or functions of others are built on it. Readers still see "
            "what they saw: have the owners of those drop them (pg_depend names them), then run the same command again"
        ) from error


def _make(cursor: Cursor, view: View) -> None:
    name = sql.Identifier(SCHEMA, view.name)
    columns = sql.SQL(", ").join(map(sql.Identifier, view.types))
    try:
        cursor.execute(sql.SQL(_SHOWS).format(name=name, columns=columns, table=sql.Identifier("published", view.name)))
    except psycopg2.errors.InvalidTableDefinition as error:
        raise ReleaseError(
            f"shared.{view.name}: its columns changed in a way that breaks readers ({str(error).splitlines()[0]}). Keep the old columns "
            "and append new ones, or publish the new shape under a new name in contracts/shared/."
        ) from error
    except (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn) as error:
        raise ReleaseError(
            f"shared.{view.name}: published.{view.name} is not there, or lacks a column that its contract shows: the contract is newer "
            "than what was built. Run `pdic release`, which makes it as the contract says; readers keep what they see until then"
        ) from error
    cursor.execute(sql.SQL("grant select on {} to pdic_reader").format(name))


def _comment(cursor: Cursor, view: View) -> None:
    name = sql.Identifier(SCHEMA, view.name)
    cursor.execute(sql.SQL("comment on view {} is {}").format(name, sql.Literal(view.comment)))
    for column, comment in view.column_comments.items():
        column_name = sql.Identifier(SCHEMA, view.name, column)
        cursor.execute(sql.SQL("comment on column {} is {}").format(column_name, sql.Literal(comment)))
