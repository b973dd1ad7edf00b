"""Turn what readers see over: swap `live` and `candidate` and point every view at the new tables, in one transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2.errors
from psycopg2 import sql
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from pdic import settings
from pdic.contracts import compiled
from pdic.errors import ReleaseError
from pdic.warehouse import transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg2.extensions import connection as Connection

LOCK_TIMEOUT_MS = 2_000
GIVE_UP_AFTER_S = 120


@dataclass(frozen=True)
class View:
    """A reader's view: its name, its columns in order, and whether tombstones must be hidden."""

    name: str
    columns: tuple[str, ...]
    removable: bool
    comment: str
    column_comments: dict[str, str]


def views() -> tuple[View, ...]:
    """The readers' views, as the contracts of the shared tables say (compiled into `generated/shared_views.json`)."""
    path = settings.project_root() / "plugins" / "pdic" / "generated" / "shared_views.json"
    manifest = json.loads(compiled.read(path, Path("contracts/shared")))
    return tuple(_view(entry) for entry in manifest["views"])


def _view(entry: dict[str, Any]) -> View:
    columns = entry["columns"]
    return View(
        name=entry["name"],
        columns=tuple(column["name"] for column in columns),
        removable=bool(entry["removable"]),
        comment=entry["comment"],
        column_comments={column["name"]: column["comment"] for column in columns},
    )


@retry(
    retry=retry_if_exception_type((psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected)),
    stop=stop_after_delay(GIVE_UP_AFTER_S),
    wait=wait_random_exponential(multiplier=0.2, max=5),
    reraise=True,
)
def swap(
    publisher_uri: str,
    step: str,
    before: Callable[[Connection], None],
    after: Callable[[Connection], None],
    *,
    former: bool = False,
) -> None:
    """Swap the two schemas and re-create every view; `before` and `after` run inside the same transaction.

    `former`: what becomes live was published before. A table that has been shared only since is not in it, so readers lose its
    view until it is published again.
    A reader's long query can hold a view: the swap waits at most `LOCK_TIMEOUT_MS`, lets go, and tries again.
    """
    with transaction(publisher_uri, step) as publisher, publisher.cursor() as cursor:
        cursor.execute("set local lock_timeout = %s", (LOCK_TIMEOUT_MS,))
        cursor.execute("set local client_min_messages = warning")
        before(publisher)
        cursor.execute(
            """
            alter schema live rename to retiring;
            alter schema candidate rename to live;
            alter schema retiring rename to candidate;
            revoke all on schema live from pdic_transformer;
            grant usage, create on schema candidate to pdic_transformer
            """
        )
        _turn_views(publisher, _in_live(publisher) if former else None)
        after(publisher)


def _in_live(publisher: Connection) -> set[str]:
    """The names of the tables of the schema `live`."""
    with publisher.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'live'")
        return {name for (name,) in cursor.fetchall()}


def _turn_views(publisher: Connection, tables: set[str] | None = None) -> None:
    """Make the readers' views anew over `live`: those of `tables` (None: all), and no other."""
    wanted = [view for view in views() if tables is None or view.name in tables]
    with publisher.cursor() as cursor:
        cursor.execute("select viewname from pg_views where schemaname = 'shared'")
        for name in {row[0] for row in cursor.fetchall()} - {view.name for view in wanted}:
            try:
                cursor.execute(sql.SQL("drop view {}").format(sql.Identifier("shared", name)))
            except psycopg2.errors.DependentObjectsStillExist as error:
                raise ReleaseError(
                    f"shared.{name} would be taken from readers, and views or functions of others are built on it. Readers still see "
                    "what they saw: have the owners of those drop them (pg_depend names them), then run the same command again"
                ) from error
        for view in wanted:
            try:
                cursor.execute(_create(view))
            except psycopg2.errors.UndefinedColumn as error:
                if tables is None:
                    raise _breaks_readers(view, error) from error
                raise ReleaseError(
                    f"shared.{view.name}: the former release lacks a column that readers have been given since "
                    f"({str(error).splitlines()[0]}), and a rollback cannot take it from them. Readers still see what they saw: mend what "
                    "is wrong and publish a new release with `pdic release`"
                ) from error
            except psycopg2.errors.InvalidTableDefinition as error:
                raise _breaks_readers(view, error) from error
            name = sql.Identifier("shared", view.name)
            cursor.execute(sql.SQL("grant select on {} to pdic_reader").format(name))
            cursor.execute(sql.SQL("comment on view {} is {}").format(name, sql.Literal(view.comment)))
            for column, comment in view.column_comments.items():
                cursor.execute(
                    sql.SQL("comment on column {} is {}").format(
                        sql.Identifier("shared", view.name, column), sql.Literal(comment)
                    )
                )


def _breaks_readers(view: View, error: psycopg2.Error) -> ReleaseError:
    return ReleaseError(
        f"shared.{view.name}: its columns changed in a way that breaks readers ({str(error).splitlines()[0]}). Keep the old columns "
        "and append new ones, or publish the new shape under a new name in contracts/shared/."
    )


def _create(view: View) -> sql.Composed:
    return sql.SQL("create or replace view {} as select {} from {}{}").format(
        sql.Identifier("shared", view.name),
        sql.SQL(", ").join(sql.Identifier(column) for column in view.columns),
        sql.Identifier("live", view.name),
        sql.SQL(" where not _removed" if view.removable else ""),
    )
