"""Going back and staying there, what a release says of itself, and whether readers see what was published."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest

from pdic import approval, connections, problems, release, status, warehouse
from pdic.errors import Busy, ReleaseError, ReleaseFenced
from pdic.release import announced, notes, publishing, slots, waits
from pdic.release import views as readers_views
from pdic.release.views import View
from pdic.warehouse import connect, locks
from tests.conftest import Postgres
from tests.integration.shared_tables import SCHOOL

CLINIC = View("clinic", {"clinic_key": "text", "beds": "integer"}, {}, ("clinic_key",), "Clinics", {})
HASH = "hashtextextended(row({})::text, 0)"


@dataclass
class Warehouse:
    """A warehouse in which releases are built by hand: rows by table, each a tuple of the contract's columns."""

    admin: str
    connect_to: Any
    views: tuple[View, ...] = (SCHOOL, CLINIC)
    built: list[int] = field(default_factory=list)

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def build(self, status_of: str = "audited", **tables: Mapping[str, int]) -> int:
        """Builds a release of these rows (key → number) as dbt does, up to a state; what is not named stays as the slot has it."""
        ((release_id,),) = self.sql(
            "insert into control.release (status, code_digest) values ('building', 'x') returning release_id"
        )
        self.built.append(release_id)
        with closing(connect(self.connect_to("pdic_warehouse_publisher"), "test")) as publisher, publisher:
            slots.ensure_tables(publisher, self.views)
            slot = slots.read(publisher).building
            slots.open_for_building(publisher, slot)
        self.sql(
            "update control.slot_content set release_id = %s, logic_digest = null where slot = %s", release_id, slot
        )
        for view in self.views:
            self._fill(view, slot, release_id, tables.get(view.name, {}))
        with closing(connect(self.connect_to("pdic_warehouse_publisher"), "test")) as publisher, publisher:
            slots.close(publisher)
        self.sql("update control.release set status = %s where release_id = %s", status_of, release_id)
        return int(release_id)

    def _fill(self, view: View, slot: str, release_id: int, rows: Mapping[str, int]) -> None:
        table, columns = f"slot_{slot}.{view.name}", [*view.types, *view.closed]
        with psycopg.connect(self.connect_to("pdic_warehouse_transformer")) as transformer:
            transformer.execute(f"create temporary table given (like {table}) on commit drop")
            for key, number in rows.items():
                content = [key, number, *["x"] * (len(columns) - 2)]
                marks = ", ".join(["%s"] * len(columns))
                transformer.execute(
                    f"insert into given ({', '.join(columns)}, _slot, _row_hash, _release_id) values ({marks}, '{slot}', 0, {release_id})",
                    content,
                )
            given = HASH.format(", ".join(f"given.{name}" for name in columns))
            transformer.execute(f"update given set _row_hash = {given}")
            transformer.execute(
                f"delete from {table} where (select count(*) from given where given._row_hash = {view.name}._row_hash) = 0"
            )
            transformer.execute(
                f"insert into {table} select given.* from given where given._row_hash not in (select _row_hash from {table})"
            )
            transformer.execute("select published.remember_columns(%s, %s)", (view.name, columns))

    def release(self, **tables: Mapping[str, int]) -> dict[str, Any]:
        return release.publish(self.build(**tables), self.connect_to)

    def seen(self, table: str = "school") -> dict[str, int]:
        with psycopg.connect(self.connect_to("pdic_warehouse_reader")) as reader:
            return {row[0]: row[1] for row in reader.execute(f"select * from shared.{table}")}

    def tables(self) -> set[str]:
        with psycopg.connect(self.connect_to("pdic_warehouse_reader")) as reader:
            found = reader.execute("select table_name from information_schema.tables where table_schema = 'shared'")
            return {name for (name,) in found} - set(readers_views.OWN)

    def rollback(self, reason: str | None = None) -> dict[str, Any]:
        return release.rollback(reason, self.connect_to)

    def resume(self, reason: str | None = None) -> dict[str, Any]:
        return release.resume(reason, self.connect_to)

    def wrong(self, expected: str | None = None) -> list[str]:
        return release.verify(expected, self.connect_to)["wrong"]

    def notes(self, release_id: int | None = None) -> dict[str | None, dict[str, Any]]:
        """The lines of a release by table; those about none by their topic."""
        found = notes.of_release(release_id, self.connect_to)
        return {line["table"] or line["topic"]: line for line in found["notes"]}

    def kinds(self) -> list[str]:
        return [kind for (kind,) in self.sql("select kind from control.ledger_entry order by seq")]


@pytest.fixture
def centre(postgres: Postgres, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    """A warehouse of the test's own, with two releases of which readers see the second."""
    name = f"pin_{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as server:
        server.execute(f"create database {name} template {template(postgres)}")
        server.execute(
            f"grant connect, temporary on database {name} to pdic_publisher, pdic_transformer, pdic_auditor, pdic_reader"
        )

    def connect_to(conn_id: str) -> str:
        return connections.uri(conn_id).replace("/warehouse", f"/{name}")

    found = Warehouse(postgres.uri(name), connect_to)
    monkeypatch.setattr(readers_views, "views", lambda: found.views)
    monkeypatch.setattr(publishing, "_write_docs", lambda *_: "none")
    monkeypatch.setattr("pdic.release.code.digest", lambda *_: "x")
    found.release(school={"a": 10, "b": 20}, clinic={"k": 1})
    found.release(school={"a": 11, "c": 30}, clinic={"k": 1})
    yield found
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as server:
        server.execute(f"drop database {name} with (force)")


def template(postgres: Postgres) -> str:
    """A migrated warehouse that holds nothing, made once."""
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as server:
        if server.execute("select from pg_database where datname = 'pin_template'").fetchone() is not None:
            return "pin_template"
    postgres.create_database("pin_template")
    warehouse.migrate(postgres.uri("pin_template"))
    return "pin_template"


# Going back, and staying there.


def test_a_rollback_says_what_it_took_away_and_what_readers_see(centre: Warehouse) -> None:
    first, second = centre.built
    report = centre.rollback("amounts of Đakrông are doubled")
    assert (report["release_id"], report["taken_back"], report["status"]) == (first, second, "live")
    assert f"release {second} is taken back, and readers see release {first}" in report["message"]
    assert centre.seen() == {"a": 10, "b": 20}
    assert report["pin"]["reason"] == "amounts of Đakrông are doubled"
    assert centre.kinds()[-1] == "rollback"


def test_releases_are_built_and_audited_after_it_and_not_published_until_resume(centre: Warehouse) -> None:
    first, second = centre.built
    centre.rollback("wrong")
    for rows in ({"a": 66}, {"a": 77}):
        report = centre.release(school=rows)
        assert report["status"] == "ready"
        assert f"release {second} was taken back" in report["message"]
        assert "(wrong)" in report["message"]
        assert centre.seen() == {"a": 10, "b": 20}
        centre.sql("update control.release set status = 'abandoned' where release_id = %s", centre.built[-2])
    report = centre.resume("the source is mended")
    assert (report["status"], report["release_id"]) == ("published", centre.built[-1])
    assert centre.seen() == {"a": 77}
    assert centre.kinds()[-2:] == ["resume", "publish"]
    assert centre.release(school={"a": 88})["status"] == "published", "and so is the next one"
    assert centre.rollback()["release_id"] == centre.built[-2], "what was published meanwhile can be gone back to"


def test_the_first_release_cannot_be_taken_back_and_that_is_said_simply(centre: Warehouse) -> None:
    centre.sql("delete from control.publication where release_id = %s", centre.built[0])
    centre.sql("update control.slot set former_release_id = null, former = null")
    with pytest.raises(
        ReleaseError, match=f"release {centre.built[1]} is the first that was published, and there is none before it"
    ):
        centre.rollback()


def test_a_repeated_rollback_changes_nothing_and_brings_nothing_back(centre: Warehouse) -> None:
    first, second = centre.built
    centre.rollback("first reason")
    before = centre.sql("select * from control.slot"), centre.kinds(), centre.sql("select * from control.publication")
    for reason in (None, "another"):
        report = centre.rollback(reason)
        assert (report["status"], report["release_id"]) == ("unchanged", first)
        assert f"release {second} was taken back" in report["message"]
        assert report["pin"]["reason"] == "first reason"
    centre.build(school={"a": 1})
    centre.rollback()
    assert before == (
        centre.sql("select * from control.slot"),
        centre.kinds(),
        centre.sql("select * from control.publication"),
    )
    centre.resume()
    with pytest.raises(ReleaseError, match="there is no former release to go back to"):
        centre.rollback()
    assert centre.seen() == {"a": 10, "b": 20}


def test_without_a_reason_it_pins_all_the_same(centre: Warehouse) -> None:
    centre.rollback()
    assert centre.release(school={"a": 1})["status"] == "ready"
    found = status.releases(centre.connect_to)
    assert found["pin"]["reason"] == "no reason was given"


def test_status_tells_who_keeps_releases_from_going_out_and_why(centre: Warehouse) -> None:
    assert status.releases(centre.connect_to)["pin"] is None
    centre.rollback("amounts are doubled")
    report = {"datasets": [], "unreadable": [], "slots": []}
    (said,) = problems.problems(report | {"release": status.releases(centre.connect_to)})
    first, second = centre.built
    for words in (
        approval.person(),
        f"release {second} back",
        "amounts are doubled",
        f"see release {first}",
        "pdic release resume",
    ):
        assert words in said["what"]
    ready = centre.release(school={"a": 1})["release_id"]
    (said,) = problems.problems(report | {"release": status.releases(centre.connect_to)})
    assert f"release {ready} is ready" in said["what"]


def test_resume_without_a_release_that_is_ready(centre: Warehouse) -> None:
    assert centre.resume()["status"] == "unchanged"
    centre.rollback("wrong")
    report = centre.resume("mended")
    assert report["status"] == "resumed"
    assert "the next `pdic release` is published" in report["message"]
    assert centre.seen() == {"a": 10, "b": 20}
    assert centre.release(school={"a": 5})["status"] == "published"


def test_a_release_that_is_under_way_is_published_where_resume_came_meanwhile(centre: Warehouse) -> None:
    centre.rollback("wrong")
    building = centre.build("built", school={"a": 5})
    with locks.Session(centre.connect_to, "pdic_warehouse_publisher", "release 3 conform") as session:
        session.take(locks.RELEASE)
        report = centre.resume("mended")
        assert f"release {building} is being built, and is published once" in report["message"]
    centre.sql("update control.release set status = 'audited' where release_id = %s", building)
    assert release.publish(building, centre.connect_to)["status"] == "published"


def test_a_resume_that_cannot_publish_what_is_ready_says_so(centre: Warehouse) -> None:
    """Fault: somebody else's step holds the release's lock."""
    centre.rollback("wrong")
    ready = centre.release(school={"a": 5})["release_id"]
    with locks.Session(centre.connect_to, "pdic_warehouse_publisher", "release 9 publish") as session:
        session.take(locks.RELEASE)
        report = centre.resume("mended")
    assert report["status"] == "resumed"
    assert f"release {ready} is ready and was not published (" in report["message"]
    assert centre.sql("select count(*) from control.pin") == [(0,)]


@pytest.mark.parametrize("how", ["built", "failed", "audited", "building"])
def test_no_build_takes_away_what_one_could_go_back_to(centre: Warehouse, how: str) -> None:
    """A failed audit, a failed build, one that waits and one that still runs; the build's process holds the release's lock."""
    first, _ = centre.built
    for rows in ({"a": 99}, {"z": 1}):
        centre.sql("update control.release set status = 'abandoned' where status in ('building', 'built', 'audited')")
        centre.build(how, school=rows)
    with locks.Session(centre.connect_to, "pdic_warehouse_publisher", "release") as session:
        session.take(locks.RELEASE)
        assert centre.rollback("wrong")["release_id"] == first, "it waits for no build"
    assert centre.seen() == {"a": 10, "b": 20}


def test_a_release_that_was_about_to_be_published_is_not_published_over_a_rollback(
    centre: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rollback comes between the comparison and the publish."""
    third = centre.build(school={"a": 99})
    lines = notes.lines

    def rolled_back_meanwhile(*given: Any) -> Any:
        said = lines(*given)
        other = threading.Thread(target=centre.rollback, args=("wrong",))
        other.start()
        other.join()
        return said

    monkeypatch.setattr(notes, "lines", rolled_back_meanwhile)
    assert release.publish(third, centre.connect_to)["status"] == "ready"
    assert centre.seen() == {"a": 10, "b": 20}
    monkeypatch.setattr(notes, "lines", lines)
    centre.resume()
    assert centre.seen() == {"a": 99}
    assert centre.notes()["school"]["rows_before"] == 2, "it was compared with what readers saw in the end"
    assert centre.notes()["school"]["removed"] == 1


def test_a_ready_release_that_is_too_unlike_what_readers_see_is_held(
    centre: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was audited before the rollback, so it was compared with the release that was taken back."""
    first, _ = centre.built
    third = centre.build(school={"a": 99})
    centre.rollback("wrong")
    assert release.publish(third, centre.connect_to)["status"] == "ready"
    centre.sql("update control.release set held_against = release_id - 1 where release_id = %s", third)
    monkeypatch.setattr("pdic.release.comparison.made", lambda *_: f"release {third} is held")
    report = centre.resume("mended")
    assert (report["status"], report["release_id"]) == ("resumed", first)
    assert f"release {third} is held" in report["message"]
    assert centre.seen() == {"a": 10, "b": 20}
    assert centre.sql("select status from control.release where release_id = %s", third) == [("held",)]


def test_a_build_after_the_ready_one_takes_its_place(centre: Warehouse) -> None:
    centre.rollback("wrong")
    ready = centre.release(school={"a": 66})["release_id"]
    centre.build("building", school={"a": 77})
    with pytest.raises(ReleaseFenced, match="holds another release"):
        release.resume("mended", centre.connect_to)
    assert centre.seen() == {"a": 10, "b": 20}
    assert centre.sql("select status from control.release where release_id = %s", ready) == [("ready",)]


def test_notes_are_written_of_what_readers_saw_although_a_rollback_and_a_resume_came_in_between(
    centre: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = centre.build(school={"a": 99})
    lines = notes.lines

    def meanwhile(*given: Any) -> Any:
        said = lines(*given)
        centre.rollback("wrong")
        centre.resume("mended")
        return said

    monkeypatch.setattr(notes, "lines", meanwhile)
    with pytest.raises(Busy, match=f"release {third} was compared with another release"):
        release.publish(third, centre.connect_to)
    assert centre.seen() == {"a": 10, "b": 20}
    monkeypatch.setattr(notes, "lines", lines)
    assert release.publish(third, centre.connect_to)["status"] == "published"
    assert centre.notes()["school"]["changed"] == 1


def test_the_tables_of_the_former_release_come_back_with_it(centre: Warehouse) -> None:
    """One was withdrawn, one is new, one gained a column, and readers hold none of them."""
    tram = View("tram", {"tram_key": "text", "beds": "integer"}, {}, ("tram_key",), "Trạm", {"beds": "Giường"})
    grown = replace(SCHOOL, types=SCHOOL.types | {"level": "text"})
    centre.views = (grown, tram)
    centre.release(school={"a": 12}, tram={"t": 3})
    assert (centre.tables(), centre.seen("tram")) == ({"school", "tram"}, {"t": 3})
    centre.rollback("the clinics are needed")
    assert centre.tables() == {"school", "clinic"}
    assert (centre.seen(), centre.seen("clinic")) == ({"a": 11, "c": 30}, {"k": 1})
    assert centre.rollback()["status"] == "unchanged"
    assert centre.tables() == {"school", "clinic"}
    centre.resume()
    centre.release(school={"a": 12}, tram={"t": 4})
    assert (centre.tables(), centre.seen("tram")) == ({"school", "tram"}, {"t": 4})


def test_a_reader_of_a_new_table_does_not_hold_the_rollback_up(
    centre: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_WAIT_S", 0.2)
    tram = View("tram", {"tram_key": "text", "beds": "integer"}, {}, ("tram_key",), "Trạm", {})
    centre.views = (SCHOOL, CLINIC, tram)
    centre.release(school={"a": 12}, clinic={"k": 1}, tram={"t": 3})
    with psycopg.connect(centre.connect_to("pdic_warehouse_reader")) as reader:
        reader.execute("select * from shared.tram")
        report = centre.rollback("wrong")
        assert centre.seen() == {"a": 11, "c": 30}
        assert "shared.tram is held by" in report["message"]
    assert "still there" not in centre.rollback()["message"]
    assert centre.tables() == {"school", "clinic"}


def test_a_rollback_that_waits_for_a_reader_takes_no_table_from_what_was_published_meanwhile(
    centre: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: between its commit and its change of views somebody resumes, and the ready release is published."""
    tram = View("tram", {"tram_key": "text", "beds": "integer"}, {}, ("tram_key",), "Trạm", {})
    centre.views = (SCHOOL, CLINIC, tram)
    centre.release(school={"a": 12}, clinic={"k": 1}, tram={"t": 3})
    reshape = waits.for_readers

    def late(*given: Any) -> Any:
        monkeypatch.setattr(waits, "for_readers", reshape)
        centre.resume()
        centre.release(school={"a": 13}, clinic={"k": 1}, tram={"t": 4})
        return reshape(*given)

    monkeypatch.setattr(waits, "for_readers", late)
    centre.rollback("wrong")
    assert centre.tables() == {"school", "clinic", "tram"}
    assert centre.seen("tram") == {"t": 4}


# What a release says of itself.


def test_the_notes_say_what_changed_and_what_did_not(centre: Warehouse) -> None:
    found = centre.notes()
    assert {name: found["school"][name] for name in ("rows_before", "rows", "added", "changed", "removed")} == {
        "rows_before": 2,
        "rows": 2,
        "added": 1,
        "changed": 1,
        "removed": 1,
    }
    assert found["school"]["vi"] == "Số dòng 2 → 2; thêm 1; sửa 1; bỏ 1."
    assert found["school"]["en"] == "Rows 2 → 2; added 1; changed 1; removed 1."
    assert "clinic" not in found
    assert found["release"]["en"] == "1 table changed, 1 is as before."
    assert centre.notes(centre.built[0])["clinic"]["en"] == "New table, 1 row."


def test_new_columns_new_and_withdrawn_tables_are_named(centre: Warehouse) -> None:
    centre.views = (replace(SCHOOL, types=SCHOOL.types | {"level": "text"}), replace(CLINIC, name="tram"))
    centre.release(school={"a": 11, "c": 30}, tram={"t": 3})
    found = centre.notes()
    assert "new columns: level" in found["school"]["en"]
    assert "cột mới: level" in found["school"]["vi"]
    assert found["tram"]["vi"] == "Bảng mới, 1 dòng."
    assert found["clinic"]["en"] == "This table is no longer there."


@pytest.mark.parametrize(
    ("anew", "is_refused"),
    [
        ({"types": {"clinic_key": "text", "staff": "integer"}}, True),
        ({"key": ("clinic_key", "beds")}, True),
        ({"types": CLINIC.types | {"staff": "integer"}}, False),
        ({"closed": {"head": "text"}}, False),
    ],
)
def test_a_table_that_was_withdrawn_and_comes_anew_keeps_what_a_rollback_brings_back(
    centre: Warehouse, anew: dict[str, Any], is_refused: bool
) -> None:
    """No reader sees it now; the former release has it."""
    centre.views = (SCHOOL,)
    centre.release(school={"a": 12})
    assert centre.tables() == {"school"}
    centre.views = (SCHOOL, replace(CLINIC, **anew))
    if is_refused:
        with pytest.raises(ReleaseError, match=r"shared\.clinic"):
            centre.build(school={"a": 13})
    else:
        centre.build(school={"a": 13})
    centre.rollback("the clinics are needed")
    assert centre.seen("clinic") == {"k": 1}


def test_a_table_is_not_read_again_where_no_build_changed_it(
    centre: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three releases every slot holds the clinics, and each is known."""
    same = {"k": 1}
    centre.release(school={"a": 1}, clinic=same)
    read: list[str] = []
    module = __import__("pdic.release.content", fromlist=["x"])
    reading = module._read

    def counted(cursor: Any, table: str, *more: Any) -> Any:
        read.append(table)
        return reading(cursor, table, *more)

    monkeypatch.setattr(module, "_read", counted)
    centre.release(school={"a": 2}, clinic=same)
    assert read == ["school"]
    centre.release(school={"a": 3}, clinic={"k": 2})
    assert read == ["school", "school", "clinic"]
    assert centre.notes()["clinic"]["changed"] == 1


def test_a_row_that_went_to_and_fro_is_counted_too(centre: Warehouse) -> None:
    """The slot that is built has it as it was three releases ago, and again now: no build put it in since."""
    centre.release(school={"a": 11, "c": 30}, clinic={"k": 1})
    centre.release(school={"a": 10, "c": 30}, clinic={"k": 1})
    found = centre.notes()["school"]
    assert {name: found[name] for name in ("added", "changed", "removed")} == {"added": 0, "changed": 1, "removed": 0}


def test_a_row_that_went_to_and_fro_is_counted_also_where_others_are_gone(centre: Warehouse) -> None:
    centre.release(school={"a": 10, "b": 1}, clinic={"k": 1})
    centre.release(school={"a": 11, "b": 1}, clinic={"k": 1})
    centre.release(school={"a": 12, "b": 1}, clinic={"k": 1})
    centre.release(school={"a": 10}, clinic={"k": 1})
    found = centre.notes()["school"]
    assert {name: found[name] for name in ("added", "changed", "removed")} == {"added": 0, "changed": 1, "removed": 1}


def test_many_rows_are_counted_as_they_are(centre: Warehouse) -> None:
    before = {f"s{number}": number for number in range(60)}
    centre.release(school=before, clinic={"k": 1})
    now = {f"s{number}": number + (number % 5 == 0) for number in range(10, 75)}
    centre.release(school=now, clinic={"k": 1})
    found = centre.notes()["school"]
    assert {name: found[name] for name in ("added", "changed", "removed")} == {
        "added": len(now.keys() - before.keys()),
        "changed": sum(now[key] != before[key] for key in now.keys() & before.keys()),
        "removed": len(before.keys() - now.keys()),
    }


def test_consumers_are_told_once_that_keys_were_made_anew(centre: Warehouse) -> None:
    """A warehouse from before there were slots, whose readers still see the old release's tables (migration 0013)."""
    first, second = centre.built
    centre.sql(
        "update control.slot set live = null, former = null, live_release_id = %s, former_release_id = null", second
    )
    centre.release(school={"a": 12}, clinic={"k": 1})
    said = centre.notes()["keys"]
    assert f"a key kept from release {second} or before matches none of this one" in said["en"]
    assert "được tạo lại" in said["vi"]
    centre.release(school={"a": 13}, clinic={"k": 1})
    assert "keys" not in centre.notes()


def test_batches_warnings_and_approvals_are_in_the_notes(centre: Warehouse) -> None:
    third = centre.build(school={"a": 12}, clinic={"k": 1})
    centre.sql("insert into control.dataset (sector, dataset) values ('education', 'lop')")
    ((batch,),) = centre.sql(
        """
        insert into control.batch (
            sector, dataset, capture, status, rows_extracted, rows_accepted, rows_quarantined, rows_unchanged, rows_deleted
        )
        values ('education', 'lop', 'cursor', 'accepted', 1240, 1234, 6, 0, 0) returning batch_id
        """
    )
    centre.sql("insert into control.release_batch values (%s, 'education', 'lop', %s)", third, batch)
    centre.sql(
        """
        insert into control.expectation_result (
            run_kind, release_id, sector, dataset, rule_id, expectation_type, severity, dimension, on_fail, success, checked, failed
        )
        values ('release', %s, 'shared', 'school', 'school.pupils.range', 'x', 'warning', 'accuracy', 'warn', false, 10, 3)
        """,
        third,
    )
    centre.sql(
        "insert into control.approval (release_id, os_user, said_by, reason, findings) values (%s, 'x', 'Lê Văn A', 'đã đối chiếu', 'x')",
        third,
    )
    release.publish(third, centre.connect_to)
    found = centre.notes(third)
    assert found["batches"]["vi"].startswith("1 lô dữ liệu mới của 1 tập dữ liệu: 1.234 dòng nhận vào, 6 dòng cách ly")
    assert "education.lop" in found["batches"]["en"]
    assert "Lê Văn A" in found["approval"]["vi"]
    lines = notes.of_release(third, centre.connect_to)["notes"]
    assert [line["en"] for line in lines if line["topic"] == "warning"] == [
        "Rule school.pupils.range is broken (3 rows)."
    ]


def test_a_reader_sees_the_notes_of_its_own_release_and_of_former_ones(centre: Warehouse) -> None:
    first, second = centre.built
    query = "select distinct release_id from shared.release_note order by 1"
    with psycopg.connect(centre.connect_to("pdic_warehouse_reader")) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert reader.execute(query).fetchall() == [(first,), (second,)]
        third = centre.release(school={"a": 1})["release_id"]
        assert reader.execute(query).fetchall() == [(first,), (second,)], "it goes on seeing its own release"
        reader.commit()
        assert reader.execute(query).fetchall() == [(first,), (second,), (third,)]
        reader.commit()
        centre.rollback("wrong")
        assert reader.execute(query).fetchall() == [(first,), (second,)]
        reader.commit()
        centre.resume()
        centre.release(school={"a": 2})
        taken_back = "select distinct release_id from shared.release_note where taken_back_at is not null"
        assert reader.execute(taken_back).fetchall() == [(third,)]


def test_a_release_without_notes_says_why(centre: Warehouse) -> None:
    building = centre.build("built", school={"a": 1})
    with pytest.raises(ReleaseError, match=f"release {building} has no notes: it is built"):
        notes.of_release(building, centre.connect_to)
    with pytest.raises(ReleaseError, match="there is no release 999"):
        notes.of_release(999, centre.connect_to)


# What is announced to Airflow.


def test_only_tables_that_changed_are_announced_each_once(centre: Warehouse) -> None:
    first, second = centre.built
    assert announced.take("run 1", centre.connect_to).tables.keys() == {"school", "clinic"}, (
        "the first release brought both"
    )
    assert announced.take("run 2", centre.connect_to) == announced.News()
    third = centre.release(school={"a": 12}, clinic={"k": 1})["release_id"]
    news = announced.take("run 3", centre.connect_to)
    assert (news.release_id, set(news.tables), news.tables["school"]["rows"]) == (third, {"school"}, 1)
    assert news.tables["school"]["checksum"] == centre.notes()["school"]["checksum"]
    assert announced.take("run 3", centre.connect_to) == news, "a run that died and is tried again"
    centre.rollback("wrong")
    news = announced.take("run 4", centre.connect_to)
    assert (news.release_id, set(news.tables)) == (second, {"school"}), "a rollback changes what readers see"
    centre.release(school={"a": 13}, clinic={"k": 2})
    assert announced.take("run 5", centre.connect_to) == announced.News(), "what is kept back is not announced"
    centre.resume()
    assert announced.take("run 6", centre.connect_to).tables.keys() == {"school", "clinic"}


def test_a_checksum_of_readers_gives_no_single_row_away(centre: Warehouse) -> None:
    """The sum of the hashes does: less the sum before it, it is the hash of the row that came, closed columns included."""
    many = {f"s{number}": number for number in range(25)}
    third = centre.release(school=many, clinic={"k": 2})["release_id"]
    with psycopg.connect(centre.connect_to("pdic_warehouse_reader")) as reader:
        query = "select table_name, checksum from shared.release_note where release_id = %s and topic = 'table'"
        seen = dict(reader.execute(query, (third,)).fetchall())
    ((total,),) = centre.sql(
        "select checksum::text from control.release_content where release_id = %s and table_name = 'school'", third
    )
    assert seen["clinic"] is None, "it has one row"
    assert seen["school"] not in (None, total)
    assert announced.take("run 1", centre.connect_to).tables["school"]["checksum"] == seen["school"]


# Whether readers see what was published.


def test_rows_and_checksums_of_the_status_are_those_of_one_release(
    centre: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release is published once the first table was read."""
    before = status.shared_tables(centre.connect_to, checksums=True)
    third = centre.build(school={"a": 5}, clinic={"k": 1, "l": 2})
    one = status.one

    def published_meanwhile(cursor: Any) -> Any:
        monkeypatch.setattr(status, "one", one)
        found = one(cursor)
        release.publish(third, centre.connect_to)
        return found

    monkeypatch.setattr(status, "one", published_meanwhile)
    assert status.shared_tables(centre.connect_to, checksums=True) == before
    assert (centre.seen(), centre.seen("clinic")) == ({"a": 5}, {"k": 1, "l": 2})


def test_what_was_published_is_what_readers_see(centre: Warehouse) -> None:
    assert centre.wrong() == []
    centre.rollback("wrong")
    assert centre.wrong() == [], "after a rollback it is the former release that is compared"
    centre.release(school={"a": 1})
    centre.resume()
    report = release.verify(None, centre.connect_to)
    assert (report["wrong"], report["tables"]) == ([], 2)
    assert report["entries"] == len(centre.kinds())
    assert centre.wrong(report["last_hash"].upper()) == []


TAMPERED = {
    "a value": (
        "update {0}.school set pupils = 12 where school_key = 'a'",
        ["shared.school: 1 row was changed after release {1} was built"]),
    "a value and its hash": (
        "update {0}.school set pupils = 12, _row_hash = hashtextextended(row(school_key, 12, head)::text, 0) where school_key = 'a'",
        ["shared.school has other rows than those with which release {1} was published"],
    ),
    "a closed column": ("update {0}.school set head = 'y'", ["shared.school: 2 rows were changed after release {1} was built"]),
    "a row gone": ("delete from {0}.clinic", ["shared.clinic holds 0 rows, and release {1} was published with 1"]),
    "a row put in": (
        "insert into {0}.clinic (clinic_key, beds, _row_hash, _release_id)"
        " values ('n', 1, hashtextextended(row('n'::text, 1)::text, 0), 1)",
        ["shared.clinic holds 2 rows, and release {1} was published with 1"],
    ),
    "a table gone": ("drop table published.clinic cascade", ["shared.clinic is gone, with which release {1} was published"]),
    "another release shown": (
        "update control.slot set live = former, former = live, live_release_id = former_release_id, former_release_id = live_release_id",
        ["readers see release {2}, and by the ledger they should see release {1}"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_changed_behind_the_ledger_is_named(centre: Warehouse, how: str) -> None:
    statement, said = TAMPERED[how]
    ((live,),) = centre.sql("select live::text from control.slot")
    first, second = centre.built
    centre.sql(statement.format(f"slot_{live}"))
    assert centre.wrong() == [sentence.format(live, second, first) for sentence in said]


ADDED = """
insert into control.approval (release_id, os_user, said_by, reason, findings, db_role)
values ({0}, 'lan', 'Lan', 'x', 'y', 'pdic_publisher')
"""
CONSENT = approval.Approval("lan", "Nguyễn Thị Lan", "đã đối chiếu")
CHANGED = "the approval of release {1} in control.approval was changed after it was written: {0} as entry {2} of the ledger has it no more"
APPROVALS = {
    "removed": (
        "delete from control.approval",
        ["entry {2} of the ledger tells of an approval of release {1}, which control.approval lacks: it was removed"],
    ),
    "added": (
        ADDED,
        ["the approval of release {0} in control.approval has no entry in the ledger: it did not come by `pdic release approve`; "
         "ask who wrote it"],
    ),
    "another person": ("update control.approval set said_by = 'x', os_user = 'x'", [CHANGED.replace("{0}", "said_by, os_user")]),
    "another reason": ("update control.approval set reason = 'x'", [CHANGED.replace("{0}", "reason")]),
    "other findings": ("update control.approval set findings = 'x'", [CHANGED.replace("{0}", "findings")]),
    "another day": ("update control.approval set approved_at = approved_at - interval '1 day'", [CHANGED.replace("{0}", "approved_at")]),
}  # fmt: skip


@pytest.mark.parametrize("how", APPROVALS)
def test_an_approval_that_was_changed_behind_the_ledger_is_named(centre: Warehouse, how: str) -> None:
    statement, said = APPROVALS[how]
    held = centre.build("held", school={"a": 1})
    release.approve(held, CONSENT, centre.connect_to)
    assert centre.wrong() == []
    ((entry,),) = centre.sql("select seq from control.ledger_entry where kind = 'approve'")
    centre.sql(statement.format(centre.built[0]))
    assert centre.wrong() == [sentence.format(centre.built[0], held, entry) for sentence in said]


FOREIGN = {
    "of another role": ("publish", '{"release_id": 1, "tables": {}}', ["was written by"]),
    "of another role and shape": ("publish", "{}", ["was written by", "(publish) is of no shape"]),
    "of an unknown kind": ("hallo", '{"release_id": 1}', ["was written by", "(hallo) is of no shape"]),
}


@pytest.mark.parametrize("how", FOREIGN)
def test_an_entry_that_somebody_else_wrote_is_told_and_not_believed(centre: Warehouse, how: str) -> None:
    kind, payload, said = FOREIGN[how]
    ((seq, role),) = centre.sql(
        "select written_seq, session_user::text from control.append_to_ledger(%s, %s::jsonb)", kind, payload
    )
    found = centre.wrong()
    assert [f"entry {seq} of the ledger {words}" in told for words, told in zip(said, found, strict=True)] == [
        True
    ] * len(said)
    assert f"written by {role}, and pdic_publisher alone" in found[0]


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        '{"release_id": "x", "tables": {}}',
        '{"release_id": 1, "tables": []}',
        '{"release_id": 1, "tables": {"school": 1}}',
    ],
)
def test_an_entry_of_the_publishers_that_no_command_writes_is_told(centre: Warehouse, payload: str) -> None:
    with psycopg.connect(centre.connect_to("pdic_warehouse_publisher")) as publisher:
        (seq,) = (
            publisher.execute(
                "select written_seq from control.append_to_ledger('publish', %s::jsonb)", (payload,)
            ).fetchone()
            or ()
        )
    (told,) = centre.wrong()
    assert told.startswith(f"entry {seq} of the ledger (publish) is of no shape that this version writes")
