"""Two loads of one dataset, a release beside loads, two releases: whoever comes second waits or says so, and nobody innocent fails."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from pdic import connections, ledger, load, raw, release
from pdic.errors import BatchFenced, Busy, ReleaseFenced, TableHeld
from pdic.quality import gate
from pdic.release import opening, settling, state, step, turn
from pdic.warehouse import connect, locks, open_once, transaction
from tests.conftest import Postgres, change_time
from tests.integration.sectors import Sector, own_sector

SECTOR = "together"


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector(SECTOR, postgres, tmp_path_factory.mktemp("project")) as made:
        for dataset in ("lop", "truong"):
            made.add(dataset)
            made.source(f"insert into {dataset} values (0, 'a')")
            made.load(dataset)
        yield made


@pytest.fixture(autouse=True)
def nothing_open() -> Iterator[None]:
    """Each test begins and ends without an open batch or release, also those of other modules."""
    end_all()
    yield
    end_all()


def end_all() -> None:
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute(
            "update control.batch set status = 'abandoned' where status in ('extracting', 'extracted', 'checked')"
        )
    with psycopg.connect(connections.warehouse("publisher")) as publisher:
        publisher.execute(
            "update control.release set status = 'failed' where status in ('building', 'built', 'audited')"
        )


@pytest.fixture
def row(sector: Sector) -> Callable[[str], None]:
    """Adds a row to a source table."""

    def add(dataset: str) -> None:
        sector.source(f"""insert into {dataset} (id, "Nhãn X") select max(id) + 1, 'a' from {dataset}""")

    return add


def status_of(batch_id: int) -> str:
    with psycopg.connect(connections.warehouse("loader")) as loader:
        found = loader.execute("select status from control.batch where batch_id = %s", (batch_id,)).fetchone()
    assert found is not None
    return str(found[0])


class Elsewhere:
    """Something that runs in a thread of its own; `end` gives what came back, or raises."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._found: list[Any] = []
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(action,))
        self._thread.start()

    def _run(self, action: Callable[[], Any]) -> None:
        try:
            self._found.append(action())
        except BaseException as error:
            self._error.append(error)

    def end(self) -> Any:
        self._thread.join(300)
        assert not self._thread.is_alive()
        if self._error:
            raise self._error[0]
        return self._found[0]


def when(monkeypatch: pytest.MonkeyPatch, module: Any, action: Callable[[], None]) -> list[str]:
    """Runs `action` when `module` waits for the first time, in place of waiting; returns what was done."""
    done: list[str] = []

    def sleep(_seconds: float) -> None:
        if not done:
            done.append("waited")
            action()

    change_time(monkeypatch, module, sleep=sleep)
    return done


@pytest.mark.parametrize(
    "holding, named",
    [
        (
            "lock table raw.together__lop in access exclusive mode",
            "raw.together__lop is held by `psql of a person` of pdic_loader",
        ),
        ("lock table quarantine.together__lop in access exclusive mode", "quarantine.together__lop is held by"),
        (
            "select from control.dataset where sector = 'together' and dataset = 'lop' for update",
            "control.dataset is held by",
        ),
        ("select count(*) from raw.together__lop", None),
    ],
)
def test_a_session_that_holds_a_table_holds_up_its_dataset_only_and_is_named(
    holding: str, named: str | None, sector: Sector, row: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's session holds a table of one dataset and does not end its transaction; one that only reads is in nobody's way."""
    monkeypatch.setattr(sys.modules["pdic.warehouse.connect"], "LOCK_WAIT_S", 0.2)
    row("lop")
    row("truong")
    with closing(open_once(connections.warehouse("loader"), "x")) as person, person.cursor() as cursor:
        cursor.execute("set application_name = 'psql of a person'")
        cursor.execute(holding)
        pid = person.info.backend_pid
        lop, truong = load.load([f"{SECTOR}.lop", f"{SECTOR}.truong"], sector.connect_to)
        person.rollback()  # a session that is closed holds the table some moments longer
    assert truong["status"] == "accepted"
    if named is None:
        assert lop["status"] == "accepted"
        return
    assert (lop["status"], lop["retryable"]) == ("failed", True)
    assert named in lop["message"]
    assert f"(database process {pid})" in lop["message"]
    assert load.load([f"{SECTOR}.lop"], sector.connect_to)[0]["status"] == "accepted"


def test_a_table_that_is_held_while_a_batch_is_checked_or_accepted_ends_in_the_same_words(
    sector: Sector, row: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch waits for the next try (`final=False`), which goes well once the table is free."""
    monkeypatch.setattr(sys.modules["pdic.warehouse.connect"], "LOCK_WAIT_S", 0.2)
    monkeypatch.setattr(gate, "SESSION", "-c lock_timeout=200ms")
    row("lop")
    batch = sector.extract("lop")
    with closing(open_once(connections.warehouse("loader"), "a person")) as person, person.cursor() as cursor:
        cursor.execute(f"lock table raw_batch.together__lop__{batch} in access exclusive mode")
        report = load.check(SECTOR, {"lop": batch}, sector.connect_to, final=False)["lop"]
        assert (report["status"], report["retryable"]) == ("failed", True)
        assert "`pdic a person` of pdic_loader" in report["message"]
        person.rollback()
        assert load.check(SECTOR, {"lop": batch}, sector.connect_to)["lop"]["status"] == "checked"
        cursor.execute("lock table raw.together__lop in access exclusive mode")
        with pytest.raises(TableHeld, match="raw.together__lop is held by `pdic a person`"):
            load.accept(SECTOR, "lop", batch, sector.connect_to, final=False)
        person.rollback()
    assert load.accept(SECTOR, "lop", batch, sector.connect_to)["status"] == "accepted"


def test_a_leftover_that_somebody_holds_holds_up_no_load(sector: Sector, row: Callable[[str], None]) -> None:
    """A dead load's session may still write into its table: the next load leaves it, and the one after takes it away."""
    leftover, unheld = (f"raw_batch.{SECTOR}__lop__{number}" for number in (900_000_001, 900_000_002))

    def there() -> list[bool]:
        (found,) = sector.warehouse(
            f"select to_regclass('{leftover}') is not null, to_regclass('{unheld}') is not null"
        )
        return list(found)

    with psycopg.connect(connections.warehouse("loader")) as loader:
        for table in (leftover, unheld):
            loader.execute(f"create table {table} (like raw.{SECTOR}__lop)")  # type: ignore[call-overload]
    with closing(open_once(connections.warehouse("loader"), "a dead load")) as dead, dead.cursor() as cursor:
        cursor.execute(f"lock table {leftover} in row exclusive mode")
        row("lop")
        assert sector.load("lop")["status"] == "accepted"
        assert there() == [True, False]
        dead.rollback()
    row("lop")
    assert sector.load("lop")["status"] == "accepted"
    assert there() == [False, False]


def test_tables_of_replies_that_somebody_holds_are_left_too(sector: Sector) -> None:
    """Of three tables one is held and one has just gone: the third goes, and the transaction goes on."""
    names = [f"{SECTOR}__tin__{number}" for number in (1, 2, 3)]
    with psycopg.connect(connections.warehouse("loader")) as loader:
        for name in names[:2]:
            loader.execute(f"create table landing.{name} (id int)")  # type: ignore[call-overload]
    with (
        closing(open_once(connections.warehouse("loader"), "a reader")) as reader,
        reader.cursor() as cursor,
        transaction(connections.warehouse("loader"), "test") as connection,
        connection.cursor() as mine,
    ):
        cursor.execute(f"lock table landing.{names[0]} in access share mode")
        raw.drop_unheld(mine, "landing", names)
        mine.execute("select to_regclass('landing.' || name) is not null from unnest(%s) as name", (names,))
        assert mine.fetchall() == [(True,), (False,), (False,)]
        reader.rollback()
        raw.drop_unheld(mine, "landing", names)


class TestLoads:
    """A dataset that another load is at work on."""

    def test_a_superseded_batch_fails_neither_itself_nor_those_beside_it(
        self, sector: Sector, row: Callable[[str], None]
    ) -> None:
        """`pdic load` runs between the DAG's extract and its check."""
        row("lop")
        row("truong")
        batches = {dataset: sector.extract(dataset) for dataset in ("lop", "truong")}
        newer = sector.load("lop")["batch_id"]
        reports = load.check(SECTOR, batches, sector.connect_to)
        assert reports["truong"]["status"] == "checked"
        assert (reports["lop"]["status"], reports["lop"]["newer"]) == ("superseded", newer)
        assert f"superseded by batch {newer} of another load" in reports["lop"]["message"]
        with pytest.raises(BatchFenced) as raised:
            load.accept(SECTOR, "lop", batches["lop"], sector.connect_to)
        assert raised.value.newer == newer
        load.accept(SECTOR, "truong", batches["truong"], sector.connect_to)
        found = load.standing(SECTOR, dict(batches), None, sector.connect_to)
        assert found == {
            "lop": load.Standing(None, f"was loaded by batch {newer} of another load"),
            "truong": load.Standing(None, ""),
        }

    def test_a_load_waits_for_the_one_that_is_at_work_and_loads_the_others_first(
        self,
        sector: Sector,
        row: Callable[[str], None],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Two loads on the command line: the first is in the middle of `lop`, and the second wants `lop` and `truong`."""
        row("lop")
        reading, go_on = threading.Event(), threading.Event()
        capture = load.CAPTURES["cursor"]

        def slow(contract: Any, batch: Any, connect_to: Any) -> Any:
            if contract.dataset == "lop" and not reading.is_set():
                reading.set()
                assert go_on.wait(300)
            return capture(contract, batch, connect_to)

        monkeypatch.setitem(load.CAPTURES, "cursor", slow)
        first = Elsewhere(lambda: load.load([f"{SECTOR}.lop"], sector.connect_to))
        assert reading.wait(300)
        told: list[tuple[str, str]] = []

        def tell(name: str, step: str) -> None:
            told.append((name, step))
            if step == "wait for":
                go_on.set()

        second = load.load([f"{SECTOR}.lop", f"{SECTOR}.truong"], sector.connect_to, progress=tell)
        (one,) = first.end()
        assert one["status"] == "accepted"
        assert {report["dataset"]: report["status"] for report in second} == {"lop": "accepted", "truong": "accepted"}
        assert told.index((f"{SECTOR}.truong", "accept")) < told.index((f"{SECTOR}.lop", "wait for"))
        with psycopg.connect(sector.source_uri) as source:
            expected = source.execute("select count(*) from lop").fetchone()
        assert sector.warehouse(f"select count(distinct id) from raw.{SECTOR}__lop") == [expected]

    def test_a_load_that_waits_in_vain_says_for_whom_and_fails_that_dataset_alone(
        self, sector: Sector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(load, "LOAD_WAIT_S", 0.0)
        with locks.Session(sector.connect_to, "pdic_warehouse_loader", "reconcile together.lop") as session:
            session.take(locks.dataset(f"{SECTOR}.lop"))
            reports = {report["dataset"]: report for report in load.load([SECTOR], sector.connect_to)}
        assert {name: report["status"] for name, report in reports.items()} == {"lop": "failed", "truong": "accepted"}
        assert reports["lop"]["message"].startswith(f"{SECTOR}.lop: `pdic reconcile together.lop` (database process ")

    def test_a_step_that_finds_another_at_work_goes_by_what_that_one_did(
        self, sector: Sector, row: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another load has the lock while the DAG checks: what it took over is superseded, what it did not is judged after it."""
        row("lop")
        batch = sector.extract("lop")
        session = locks.Session(sector.connect_to, "pdic_warehouse_loader", "load together")
        session.take(locks.dataset(f"{SECTOR}.lop"))
        when(monkeypatch, locks, session.close)
        assert load.check(SECTOR, {"lop": batch}, sector.connect_to)["lop"]["status"] == "checked"
        with locks.Session(sector.connect_to, "pdic_warehouse_loader", "load together") as session:
            session.take(locks.dataset(f"{SECTOR}.lop"))
            newer = load.extract(SECTOR, "lop", sector.connect_to, held=True)["batch_id"]
            with pytest.raises(BatchFenced, match=f"superseded by batch {newer}"):
                load.accept(SECTOR, "lop", batch, sector.connect_to)
            found = load.standing(SECTOR, {"lop": batch}, None, sector.connect_to)["lop"]
            assert found.trouble is None
            assert found.note is not None
            assert found.note.startswith("is being loaded by `pdic load together`")
        gone = load.standing(SECTOR, {"lop": batch}, None, sector.connect_to)["lop"]
        assert gone.trouble == f"was not checked (batch {newer}): see the log of its task", "and then it died"

    def test_an_extract_that_lost_the_lock_does_not_come_back_behind_a_newer_load(
        self, sector: Sector, row: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The session that held the lock broke off in the middle of the read, and another load ran from begin to end."""
        row("lop")
        capture = load.CAPTURES["cursor"]
        newer: list[int] = []

        def slow(contract: Any, batch: Any, connect_to: Any) -> Any:
            arrival = capture(contract, batch, connect_to)
            if not newer:
                newer.append(batch.batch_id)
                newer.append(sector.load("lop")["batch_id"])
            return arrival

        monkeypatch.setitem(load.CAPTURES, "cursor", slow)
        with pytest.raises(BatchFenced, match=f"{SECTOR}.lop: batch .* was superseded by batch") as raised:
            load.extract(SECTOR, "lop", sector.connect_to, held=True)
        older, later = newer
        assert raised.value.newer == later
        assert (status_of(older), status_of(later)) == ("abandoned", "accepted")

    def test_whoever_waits_for_one_dataset_holds_no_other(
        self, sector: Sector, row: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two checks that each held what the other waits for would both give up after a minute."""
        for dataset in ("lop", "truong"):
            row(dataset)
        batches = {dataset: sector.extract(dataset) for dataset in ("lop", "truong")}
        sessions = {}
        for dataset in batches:
            sessions[dataset] = locks.Session(sector.connect_to, "pdic_warehouse_loader", f"load {dataset}")
            sessions[dataset].take(locks.dataset(f"{SECTOR}.{dataset}"))
        watcher = connect(connections.warehouse("loader"), "watcher")
        held: list[bool] = []

        def held_now(dataset: str) -> bool:
            return locks.holder(watcher, locks.dataset(f"{SECTOR}.{dataset}")) is not None

        def sleep(_seconds: float) -> None:
            """What the load does while it waits: for `lop` first, then for `truong`."""
            held.append(held_now("lop"))
            if len(held) == 1:
                sessions["lop"].close()
            else:
                sessions["truong"].close()

        change_time(monkeypatch, locks, sleep=sleep)
        found = load.check(SECTOR, batches, sector.connect_to)
        assert {name: report["status"] for name, report in found.items()} == dict.fromkeys(batches, "checked")
        assert held == [True, False]
        watcher.close()

    def test_what_a_newer_load_could_not_bring_is_counted_as_missing(
        self, sector: Sector, row: Callable[[str], None]
    ) -> None:
        row("lop")
        batch = sector.extract("lop")
        newer = sector.extract("lop")
        with transaction(connections.warehouse("loader"), "test") as loader:
            ledger.give_up(loader, newer, "the source went away", OSError())
        found = load.standing(SECTOR, {"lop": batch, "truong": None}, None, sector.connect_to)
        assert found["lop"].trouble == f"was not accepted (batch {newer}): the source went away"
        assert found["truong"].trouble is not None
        assert found["truong"].trouble.startswith("was not extracted")


class TestSettle:
    """What a release waits for, and what it does not."""

    def test_a_load_that_died_is_ended_at_once(self, sector: Sector, caplog: pytest.LogCaptureFixture) -> None:
        """Nobody holds its lock, and nobody would have given it back."""
        dead = connect(connections.warehouse("loader"), "load together.lop")
        contract = load.contracts.get(SECTOR, "lop")
        batch = ledger.begin(dead, contract)
        with dead, dead.cursor() as cursor:
            cursor.execute(load.raw.create_batch_table(contract, batch.batch_id))
        dead.close()
        release.settle(0.0, sector.connect_to)
        assert status_of(batch.batch_id) == "abandoned"
        assert sector.warehouse(f"select to_regclass('raw_batch.{SECTOR}__lop__{batch.batch_id}')") == [(None,)]
        assert "was given up: its load died" in caplog.text
        assert "waits" not in caplog.text

    @pytest.mark.parametrize("step", ["extract", "check"])
    def test_a_batch_between_two_steps_is_waited_for_half_a_minute(
        self, sector: Sector, step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        batch = sector.extract("lop")
        if step == "check":
            load.check(SECTOR, {"lop": batch}, sector.connect_to)

        def pass_by() -> None:
            with psycopg.connect(connections.warehouse("loader")) as loader:
                loader.execute(
                    "update control.batch set let_go_at = let_go_at - interval '31 s' where batch_id = %s", (batch,)
                )

        waited = when(monkeypatch, settling, pass_by)
        release.settle(3600.0, sector.connect_to)
        assert waited
        assert f"the release waits for {SECTOR}.lop (batch {batch}, begun " in caplog.text
        assert status_of(batch) == {"extract": "extracted", "check": "checked"}[step], "its next step may still come"
        assert load.check(SECTOR, {"lop": batch}, sector.connect_to)["lop"]["status"] == "checked"

    def test_a_living_load_is_waited_for_however_old_it_is(
        self, sector: Sector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        session = locks.Session(sector.connect_to, "pdic_warehouse_loader", "load together")
        session.take(locks.dataset(f"{SECTOR}.lop"))
        batch = load.extract(SECTOR, "lop", sector.connect_to, held=True)["batch_id"]
        with psycopg.connect(connections.warehouse("loader")) as loader:
            loader.execute(
                "update control.batch set started_at = started_at - interval '7 hours' where batch_id = %s", (batch,)
            )
        waited = when(monkeypatch, settling, session.close)
        release.settle(3600.0, sector.connect_to)
        assert waited
        assert "held by `pdic load together` (database process" in caplog.text
        assert status_of(batch) == "abandoned", "its session died, and with it the load"

    def test_a_wait_is_bounded(self, sector: Sector, caplog: pytest.LogCaptureFixture) -> None:
        with locks.Session(sector.connect_to, "pdic_warehouse_loader", "load together") as session:
            session.take(locks.dataset(f"{SECTOR}.lop"))
            load.extract(SECTOR, "lop", sector.connect_to, held=True)
            release.settle(0.0, sector.connect_to)
        assert f"the release goes on without {SECTOR}.lop" in caplog.text


def release_status(release_id: int) -> str:
    with psycopg.connect(connections.warehouse("publisher")) as publisher:
        found = publisher.execute("select status from control.release where release_id = %s", (release_id,)).fetchone()
    assert found is not None
    return str(found[0])


def set_release(release_id: int, assignment: str) -> None:
    with psycopg.connect(connections.warehouse("publisher")) as publisher:
        publisher.execute(f"update control.release set {assignment} where release_id = %s", (release_id,))  # type: ignore[call-overload]


class TestReleases:
    """Two releases at once."""

    @pytest.fixture(autouse=True)
    def loaded(self, sector: Sector) -> None:
        """`sector` has accepted batches."""

    def test_the_second_says_who_builds_the_first_and_ends_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(opening, "RELEASE_WAIT_S", 0.0)
        with locks.Session(connections.uri, "pdic_warehouse_publisher", "release 7 conform") as first:
            first.take(locks.RELEASE)
            found = release.release(force=True)
        assert found["status"] == "under way"
        assert "`pdic release 7 conform` (database process " in found["message"]

    def test_a_release_between_two_steps_of_airflow_is_not_taken_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`pdic release` between the DAG's `open` and `conform`, when nobody holds the lock."""
        monkeypatch.setattr(opening, "RELEASE_WAIT_S", 0.0)
        first = release.open_release(force=True)["release_id"]
        found = release.release(force=True)
        assert (found["release_id"], found["status"]) == (first, "under way")
        with pytest.raises(Busy, match=f"release {first} is being built"):
            release.open_release(force=True, wait=0.0)
        assert release_status(first) == "building"

    def test_the_second_begins_when_the_first_has_ended(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = release.open_release(force=True)["release_id"]
        waited = when(monkeypatch, turn, lambda: set_release(first, "status = 'failed'"))
        second = release.open_release(force=True)["release_id"]
        assert waited
        assert second > first
        assert f"release {first} is being built, and its next step is about to begin: waiting for it" in caplog.text
        assert release_status(first) == "failed"

    @pytest.mark.parametrize("held", [True, False], ids=["command line", "Airflow"])
    def test_a_release_that_died_is_taken_over(self, held: bool) -> None:
        """In one process the lock would be held; in Airflow the next step would have begun within a minute."""
        dead = release.open_release(force=True, held=held)["release_id"]
        if not held:
            set_release(dead, "let_go_at = let_go_at - interval '61 s'")
        newer = release.open_release(force=True, wait=0.0)["release_id"]
        assert newer > dead
        assert release_status(dead) == "abandoned"

    @pytest.mark.parametrize("step", ["conform", "audit", "publish"])
    def test_a_step_that_was_overtaken_ends_at_once_though_the_newer_one_is_at_work(self, step: str) -> None:
        dead = release.open_release(force=True, held=True)["release_id"]
        newer = release.open_release(force=True, held=True)["release_id"]
        with locks.Session(connections.uri, "pdic_warehouse_publisher", f"release {newer} conform") as session:
            session.take(locks.RELEASE)
            with pytest.raises(ReleaseFenced, match=f"release {dead} was overtaken by a newer one"):
                getattr(release, step)(dead)
            assert release.overtaken_by(dead) == newer
        assert release_status(newer) == "building"

    def test_what_a_newer_release_does_not_bring_is_not_said_to_be_brought(self) -> None:
        dead = release.open_release(force=True, held=True)["release_id"]
        newer = release.open_release(force=True, held=True)["release_id"]
        assert release.overtaken_by(dead) is None, "nobody builds it any more"
        set_release(newer, "let_go_at = clock_timestamp()")
        assert release.overtaken_by(dead) == newer, "its next step is about to begin"
        set_release(newer, "status = 'published'")
        assert release.overtaken_by(dead) == newer
        set_release(dead, "full_refresh = true")
        assert release.overtaken_by(dead) is None, "tables were to be built anew"
        set_release(dead, "full_refresh = false")
        set_release(newer, "status = 'failed', let_go_at = null")
        assert release.overtaken_by(dead) is None

    @pytest.mark.parametrize("came_to", ["built", "audited"])
    def test_a_step_that_lost_the_lock_does_not_bring_back_what_was_abandoned(self, came_to: str) -> None:
        """The session that held the lock broke off, another release began, and the step of the first one ends."""
        first = release.open_release(force=True, held=True)["release_id"]
        newer = release.open_release(force=True, held=True)["release_id"]
        with (
            pytest.raises(ReleaseFenced, match=f"release {first} was overtaken"),
            transaction(connections.warehouse("publisher"), "test") as publisher,
        ):
            state.move_on(publisher, first, came_to, {})
        assert release_status(first) == "abandoned"
        assert release_status(newer) == "building"

    def test_a_step_that_fails_when_its_session_is_gone_says_why_it_failed(self, postgres: Postgres) -> None:
        """The cause, not `connection already closed`."""
        release_id = release.open_release(force=True, held=True)["release_id"]
        with (
            pytest.raises(ZeroDivisionError),
            step.of_release(connections.uri, release_id, "conform", "building", held=False) as (publisher, _),
        ):
            with psycopg.connect(postgres.uri("warehouse"), autocommit=True) as admin:
                admin.execute("select pg_terminate_backend(%s, 60000)", (publisher.info.backend_pid,))
            raise ZeroDivisionError
        with psycopg.connect(connections.warehouse("publisher")) as reading:
            found = reading.execute(
                "select status, message from control.release where release_id = %s", (release_id,)
            ).fetchone()
        assert found is not None
        assert found[0] == "failed"
        assert found[1].startswith("ZeroDivisionError")
