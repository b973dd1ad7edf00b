"""Published tables, their slots and the views of readers: what contracts ask for is made, what would break readers is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import psycopg2.errors
import pytest
from psycopg2.extensions import connection as Connection

from pdic import connections, warehouse
from pdic.errors import ReleaseError, ReleaseFenced
from pdic.release import slots
from pdic.release import views as readers_views
from pdic.release.views import View
from pdic.warehouse import connect
from tests.conftest import Postgres
from tests.integration.shared_tables import SCHOOL


@pytest.fixture
def publisher(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A publisher's transaction that is undone, in a warehouse where only SCHOOL is shared."""
    warehouse.migrate(connections.warehouse("admin"))
    show(monkeypatch, SCHOOL)
    connection = connect(connections.warehouse("publisher"), "test")
    yield connection
    connection.rollback()
    connection.close()


def show(monkeypatch: pytest.MonkeyPatch, *wanted: View) -> None:
    monkeypatch.setattr(readers_views, "views", lambda: wanted)


def publish(publisher: Connection, release_id: int, pupils: int) -> None:
    """Put one school into the slot that is being built, and show it."""
    slot = slots.read(publisher).building
    with publisher.cursor() as cursor:
        cursor.execute(f"delete from slot_{slot}.school")
        cursor.execute(
            f"insert into slot_{slot}.school (school_key, pupils, head, _row_hash, _release_id) values ('a', %s, 'x', 0, %s)",
            (pupils, release_id),
        )
    readers_views.bring_up(publisher)
    with publisher.cursor() as cursor:
        slots.publish(cursor, release_id, slots.read(publisher, lock=True))


def seen(publisher: Connection) -> list[tuple[object, ...]]:
    with publisher.cursor() as cursor:
        cursor.execute("select * from shared.school")
        return cursor.fetchall()


def test_readers_see_the_live_slot_and_the_former_one_after_a_rollback(publisher: Connection) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    for release_id in (1, 2, 3, 4):
        publish(publisher, release_id, release_id * 10)
        assert seen(publisher) == [("a", release_id * 10)]
    slots.roll_back(publisher)
    assert seen(publisher) == [("a", 30)]
    found = slots.read(publisher)
    assert (found.live_release_id, found.former, found.former_release_id) == (3, None, None)
    publish(publisher, 5, 50)
    slots.roll_back(publisher)
    assert seen(publisher) == [("a", 30)], "what was built after a rollback did not overwrite what readers saw"


def test_a_session_can_say_which_release_it_sees(publisher: Connection) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    found = []
    with publisher.cursor() as cursor:
        for release_id in (1, 2):
            publish(publisher, release_id, release_id)
            cursor.execute("select release_id, was_brought_back from shared.release")
            found.append(cursor.fetchone())
    assert found == [(1, False), (2, False)]


def test_a_column_that_a_contract_gained_is_there_and_empty_in_older_releases(
    publisher: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    publish(publisher, 1, 10)
    grown = replace(
        SCHOOL, types=SCHOOL.types | {"level": "text"}, column_comments=SCHOOL.column_comments | {"level": "Level"}
    )
    show(monkeypatch, grown)
    slots.ensure_tables(publisher, [grown])
    readers_views.bring_up(publisher)
    assert seen(publisher) == [("a", 10, None)]


BREAKING = [
    ({"types": {"school_key": "text", "pupils": "bigint"}}, "shared.school.pupils: readers know it as integer"),
    ({"types": {"school_key": "text"}}, "its contract no longer shows pupils"),
    (
        {"types": {"school_key": "text", "level": "text", "pupils": "integer"}},
        "level now stands where readers have pupils",
    ),
    ({"types": {"school_key": "text"}, "closed": {"pupils": "integer"}}, "its contract no longer shows pupils"),
    ({"key": ("school_key", "pupils")}, "readers know school_key as its key"),
]


@pytest.mark.parametrize(("change", "said"), BREAKING)
def test_what_would_break_readers_is_refused_before_anything_is_built(
    publisher: Connection, change: dict[str, Any], said: str
) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    publish(publisher, 1, 10)
    with pytest.raises(ReleaseError, match=said):
        slots.ensure_tables(publisher, [replace(SCHOOL, **change)])


@pytest.mark.parametrize("change", [change for change, _ in BREAKING])
def test_what_no_reader_has_seen_may_change_in_any_way(
    publisher: Connection, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """A contract that was wrong, and whose release failed, is corrected."""
    slots.ensure_tables(publisher, [replace(SCHOOL, **change)])
    slots.ensure_tables(publisher, [SCHOOL])
    publish(publisher, 1, 10)
    assert seen(publisher) == [("a", 10)]


def test_columns_that_no_reader_has_seen_may_change_beside_those_that_they_see(publisher: Connection) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    publish(publisher, 1, 10)
    more = SCHOOL.types | {"level": "text"}
    for types, closed in ((more, {"head": "text"}), (SCHOOL.types, {"head": "integer"}), (SCHOOL.types, {})):
        slots.ensure_tables(publisher, [replace(SCHOOL, types=types, closed=closed)])
    with publisher.cursor() as cursor:
        cursor.execute("select * from candidate.school")
        assert {column.name for column in cursor.description or ()} == {
            "_slot",
            "school_key",
            "pupils",
            *slots.INTERNAL,
        }
    assert seen(publisher) == [("a", 10)]


def made_by_bring_up(publisher: Connection) -> list[str]:
    """Brings the readers' views up; which of them were made, so that their readers had to wait."""

    def statements() -> dict[str, str]:
        with publisher.cursor() as cursor:
            cursor.execute(
                """
                select view.relname, rule.ctid::text from pg_rewrite as rule inner join pg_class as view on view.oid = rule.ev_class
                where view.relnamespace = 'shared'::regnamespace
                """
            )
            return dict(cursor.fetchall())

    before = statements()
    readers_views.bring_up(publisher)
    return sorted(name for name, version in statements().items() if version != before.get(name))


def test_only_what_changed_is_made_anew(publisher: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(SCHOOL, name="other")
    show(monkeypatch, SCHOOL, other)
    slots.ensure_tables(publisher, [SCHOOL, other])
    assert made_by_bring_up(publisher) == ["other", "school"]
    assert made_by_bring_up(publisher) == []
    show(monkeypatch, SCHOOL, replace(other, comment="said otherwise"))
    assert made_by_bring_up(publisher) == [], "a comment takes no lock that readers wait for"
    with publisher.cursor() as cursor:
        cursor.execute("select obj_description('shared.other'::regclass)")
        assert cursor.fetchone() == ("said otherwise",)
        cursor.execute("drop view shared.school")
    assert made_by_bring_up(publisher) == ["school"]


@pytest.mark.parametrize(
    "newer", [replace(SCHOOL, name="later"), replace(SCHOOL, types={**SCHOOL.types, "later": "text"})]
)
def test_a_contract_that_is_newer_than_the_tables_is_told_in_a_sentence(
    publisher: Connection, monkeypatch: pytest.MonkeyPatch, newer: View
) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    show(monkeypatch, newer)
    with pytest.raises(
        ReleaseError, match=rf"published\.{newer.name} is not there, or lacks a column.* Run `pdic release`"
    ):
        readers_views.bring_up(publisher)


def test_a_view_on_which_others_built_is_not_taken_away_without_a_word(
    publisher: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    publish(publisher, 1, 10)
    with publisher.cursor() as cursor:
        cursor.execute("create view candidate.own as select * from shared.school")
    show(monkeypatch)
    with pytest.raises(ReleaseError, match=r"shared\.school would be taken from readers"):
        readers_views.bring_up(publisher)


def test_closed_columns_are_in_the_table_and_in_no_view_of_readers(publisher: Connection) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    publish(publisher, 1, 10)
    with publisher.cursor() as cursor:
        cursor.execute("select head from candidate.school")
        cursor.execute("savepoint before")
        with pytest.raises(psycopg2.errors.UndefinedColumn):
            cursor.execute("select head from shared.school")
        cursor.execute("rollback to before")


def test_a_slot_that_is_out_of_date_is_brought_to_what_the_live_one_holds(publisher: Connection) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    publish(publisher, 1, 10)
    with publisher.cursor() as cursor:
        cursor.execute("insert into published.applied_release values ('a', 'school', 1, 5), ('b', 'school', 0, 4)")
        cursor.execute(
            """
            insert into slot_b.school (school_key, pupils, head, _row_hash, _release_id)
            values ('a', 9, 'x', 1, 0), ('gone', 1, 'x', 0, 0)
            """
        )
        cursor.execute("update control.slot_content set release_id = 2 where slot = 'b'")
        slots.copy_table(publisher, SCHOOL, 2)
        slots.copy_marks(publisher, 2)
        cursor.execute("select school_key, pupils, head, _row_hash, _release_id from slot_b.school")
        assert cursor.fetchall() == [("a", 10, "x", 0, 1)]
        cursor.execute("select slot, release_id, generation from published.applied_release order by 1")
        assert cursor.fetchall() == [("a", 1, 5), ("b", 1, 5)]


@pytest.mark.parametrize(
    "copy",
    [
        lambda of: slots.copy_table(of, SCHOOL, 2),
        lambda of: slots.drop_marks(of, 2),
        lambda of: slots.copy_marks(of, 2),
    ],
    ids=["table", "old marks", "new marks"],
)
def test_a_release_that_was_overtaken_copies_nothing_into_what_the_newer_one_builds(
    publisher: Connection, copy: Callable[[Connection], None]
) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    publish(publisher, 1, 10)
    with publisher.cursor() as cursor:
        cursor.execute("update control.slot_content set release_id = 3 where slot = 'b'")
    with pytest.raises(ReleaseFenced, match="release 2 was overtaken"):
        copy(publisher)


def test_the_transformer_writes_in_the_slot_that_is_open_and_in_none_once_it_is_closed(publisher: Connection) -> None:
    slots.ensure_tables(publisher, [SCHOOL])
    may = """
        select array_agg(slot order by slot) from unnest(array['a', 'b', 'c']) as slot
        where has_table_privilege('pdic_transformer', 'slot_' || slot || '.school', 'insert')
    """
    with publisher.cursor() as cursor:
        for slot in slots.NAMES:
            cursor.execute("update control.slot set building = %s", (slot,))
            slots.open_for_building(publisher, slot)
            cursor.execute(may)
            assert cursor.fetchone() == ([slot],)
        slots.close(publisher)
        cursor.execute(may)
        assert cursor.fetchone() == (None,)


def test_a_standing_warehouse_shows_its_release_until_the_next_is_published(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrated from schemas that were renamed: readers' own views stay, what others built on the old tables is not dropped."""
    postgres.create_database("standing")
    admin = postgres.uri("standing")
    sys.modules[warehouse.migrate.__module__]._upgrade(admin, "0012")
    publisher_uri = connections.warehouse("publisher").replace("/warehouse", "/standing")
    with psycopg.connect(admin) as connection:
        connection.execute(
            """
            grant connect on database standing to pdic_publisher;
            set role pdic_publisher;
            update live.release_slot set release_id = 7, complete = true;
            create table live.school (school_key text, pupils integer, _removed boolean);
            insert into live.school values ('a', 70, false), ('b', 1, true);
            create view shared.school as select school_key, pupils from live.school where not _removed;
            reset role;
            create schema own;
            create view own.of_shared as select pupils from shared.school;
            create view own.of_live as select pupils from live.school;
            """
        )
    warehouse.migrate(admin)
    show(monkeypatch, SCHOOL)
    with psycopg.connect(admin, autocommit=True) as person, closing(connect(publisher_uri, "test")) as publisher:
        assert person.execute("select release_id from shared.release").fetchall() == [(7,)]
        assert person.execute("select * from shared.school").fetchall() == [("a", 70)]
        slots.ensure_tables(publisher, [SCHOOL])
        publisher.commit()
        assert person.execute("select * from shared.school").fetchall() == [("a", 70)], "a build changes nothing"
        publish(publisher, 8, 80)
        publisher.commit()
        for seen_by in ("shared.school", "own.of_shared"):
            assert person.execute(f"select pupils from {seen_by}").fetchall() == [(80,)]
        slots.drop_retired(publisher)
        assert person.execute("select to_regclass('retired.school') is not null").fetchall() == [(True,)], (
            "of_live needs it"
        )
        person.execute("drop view own.of_live")
        slots.drop_retired(publisher)
        assert person.execute("select to_regnamespace('retired')").fetchall() == [(None,)]
