"""Readers' views turn with the release, also to a release that lacks a table which has been shared only since."""

from __future__ import annotations

from pathlib import Path

import psycopg2.errors
import pytest
from psycopg2.extensions import connection as Connection

from pdic import connections, warehouse
from pdic.errors import ReleaseError
from pdic.release import swap as swapping
from pdic.release.swap import View, swap

OLD, NEW = (View(name, ("id",), removable=False, comment="c", column_comments={"id": "c"}) for name in ("old", "new"))


class Undo(Exception):
    """Ends the swap's transaction, so that the session's warehouse stays as it was."""


@pytest.fixture
def publisher_uri(pdic_home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    warehouse.migrate(connections.warehouse("admin"))
    monkeypatch.setattr(swapping, "views", lambda: (OLD, NEW))
    return connections.warehouse("publisher")


def shared_only_in_the_live_release(publisher: Connection) -> None:
    with publisher.cursor() as cursor:
        cursor.execute(
            "create table live.old (id int); create table candidate.old (id int); create table live.new (id int)"
        )


def test_a_rollback_to_before_a_table_was_shared_takes_its_view_away(publisher_uri: str) -> None:
    shown: list[str] = []

    def look(publisher: Connection) -> None:
        with publisher.cursor() as cursor:
            cursor.execute("select viewname from pg_views where schemaname = 'shared'")
            shown.extend(name for (name,) in cursor.fetchall())
        raise Undo

    with pytest.raises(Undo):
        swap(publisher_uri, "rollback", shared_only_in_the_live_release, look, former=True)
    assert shown == ["old"]


def test_a_publish_that_lacks_a_table_changes_nothing(publisher_uri: str) -> None:
    def never(_: Connection) -> None:
        raise AssertionError("the swap went on without a table")

    with pytest.raises(psycopg2.errors.UndefinedTable):
        swap(publisher_uri, "publish", shared_only_in_the_live_release, never)


def test_a_rollback_to_before_a_column_was_shared_is_refused_in_words(publisher_uri: str) -> None:
    """Its advice is none of a publish, which would be to do what was done: to append a column."""

    def with_a_column_that_came_since(publisher: Connection) -> None:
        with publisher.cursor() as cursor:
            cursor.execute(
                "create table live.old (id int); create table candidate.old (more int); create table live.new (id int)"
            )

    def never(_: Connection) -> None:
        raise AssertionError("the swap went on without a column")

    with pytest.raises(ReleaseError, match=r"the former release lacks a column .*\"id\".*a rollback cannot take it"):
        swap(publisher_uri, "rollback", with_a_column_that_came_since, never, former=True)
    with pytest.raises(ReleaseError, match="Keep the old columns and append new ones"):
        swap(publisher_uri, "publish", with_a_column_that_came_since, never)


def test_a_view_on_which_others_built_is_not_taken_away_without_a_word(publisher_uri: str) -> None:
    def built_on(publisher: Connection) -> None:
        shared_only_in_the_live_release(publisher)
        with publisher.cursor() as cursor:
            cursor.execute(
                "create view shared.new as select id from live.new; create view candidate.own as select * from shared.new"
            )

    def never(_: Connection) -> None:
        raise AssertionError("the swap went on")

    with pytest.raises(ReleaseError, match=r"shared\.new would be taken from readers"):
        swap(publisher_uri, "rollback", built_on, never, former=True)
