"""Advisory locks: no two matters share one, nobody waits for a lock that is not theirs, and a wait says for whom."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg2.extensions import connection as Connection

from pdic import connections, settings, warehouse
from pdic.errors import Busy, PdicError
from pdic.warehouse import connect, locks
from pdic.warehouse.migrate import migrate, newest, replace_functions
from tests.conftest import Postgres


@pytest.fixture(scope="module", autouse=True)
def migrated(pdic_home: Path) -> None:
    warehouse.migrate(connections.warehouse("admin"))


@pytest.fixture
def worker() -> Iterator[Connection]:
    connection = connect(connections.warehouse("loader"), "load education.lop")
    yield connection
    locks.end(connection)


@pytest.fixture
def other() -> Iterator[Connection]:
    connection = connect(connections.warehouse("loader"), "another load")
    yield connection
    locks.end(connection)


def test_no_two_matters_share_a_lock() -> None:
    keys = [
        lock.key for lock in (locks.MIGRATION, locks.RELEASE, locks.DEMO, locks.dataset("a.b"), locks.dataset("a.c"))
    ]
    assert len(set(keys)) == len(keys)


def test_locks_are_numbered_in_one_module_only() -> None:
    root = settings.project_root()
    found = {
        path.relative_to(root).as_posix(): re.findall(
            r"pg_\w*advisory\w*lock\w*\((.*?)\)", path.read_text(encoding="utf-8")
        )
        for folder in ("plugins", "demo", "dags")
        for path in (root / folder).rglob("*.py")
    }
    takers = {path: set(arguments) for path, arguments in found.items() if arguments}
    assert takers.pop("plugins/pdic/warehouse/locks.py") == {"%s, %s", ""}, (
        "all of a session's are let go of at its end"
    )
    assert takers == {"demo/seed.py": {"%s, %s"}, "demo/tick.py": {"%s, %s"}}, "these pass `locks.DEMO.key`"


def test_a_lock_that_is_taken_is_refused_with_the_name_of_its_holder(worker: Connection, other: Connection) -> None:
    lock = locks.dataset("education.lop")
    with locks.hold(worker, lock):
        with pytest.raises(Busy, match=r"^education.lop: `pdic load education.lop` \(database process \d+ since 20"):
            locks.take(other, lock)
        locks.take(other, locks.dataset("education.truong"))
    locks.take(other, lock)


def test_who_holds_up_the_sessions_of_a_library_is_logged_while_it_waits(
    worker: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SAY_AGAIN_S", 0.05)
    logged = threading.Event()
    said: list[str] = []

    def warn(text: str, *values: object) -> None:
        said.append(text % values)
        logged.set()

    monkeypatch.setattr(locks._log, "warning", warn)
    with closing(connect(connections.warehouse("admin"), "a person")) as person, person.cursor() as cursor:
        cursor.execute("lock table control.dataset in access exclusive mode")

        def wait() -> None:
            with worker, worker.cursor() as waiting:
                waiting.execute("lock table control.dataset in access share mode")

        waiting = threading.Thread(target=wait)
        with locks.told(connections.warehouse("loader"), "the models"):
            waiting.start()
            assert logged.wait(120)
            person.rollback()
            waiting.join()
        assert f"the models: waiting for `pdic a person` (database process {person.info.backend_pid})" in said


def test_another_roles_session_is_named_too(worker: Connection) -> None:
    """PostgreSQL shows every role who holds a lock and what that session is called; when it began, only its own role."""
    with connect(connections.warehouse("publisher"), "release settle") as publisher:
        locks.take(worker, locks.dataset("education.lop"))
        found = locks.holders(publisher, locks.Kind.DATASET)[locks.dataset("education.lop").objid]
        assert (found.step, found.since) == ("pdic load education.lop", None)
        assert found.pid == worker.info.backend_pid
    publisher.close()


def test_a_wait_is_logged_and_ends_when_the_lock_is_free(
    worker: Connection, other: Connection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = locks.dataset("education.lop")
    locks.take(worker, lock)
    said = threading.Event()

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.set()

    logging.getLogger("pdic.warehouse.locks").addHandler(seen := Seen())
    waiting = threading.Thread(target=locks.take, args=(other, lock, 300.0))
    try:
        waiting.start()
        assert said.wait(120)
        locks.let_go(worker, lock)
        waiting.join(120)
    finally:
        logging.getLogger("pdic.warehouse.locks").removeHandler(seen)
    assert not waiting.is_alive()
    assert "waiting for education.lop: `pdic load education.lop` (database process" in caplog.text
    with pytest.raises(Busy):
        locks.take(worker, lock)


def test_a_wait_ends_by_itself(worker: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    locks.take(worker, locks.RELEASE)
    monkeypatch.setattr(locks, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    with pytest.raises(Busy, match="it was waited for 7 s"):
        locks.take(other, locks.RELEASE, 7.0)
    assert now == [7.0]


def test_the_locks_of_a_session_that_ends_are_free_at_once(other: Connection) -> None:
    """The server itself lets go some moments after: whoever ended it may be the next to want them."""
    kept = (locks.dataset("education.lop"), locks.dataset("education.truong"))
    for _ in range(50):
        with locks.Session(connections.uri, "pdic_warehouse_loader", "load") as session:
            for lock in kept:
                session.take(lock)
        held = connect(connections.warehouse("loader"), "load")
        for lock in kept:
            locks.take(held, lock)
        locks.end(held)
        assert locks.holders(other, locks.Kind.DATASET) == {}


def test_a_session_that_broke_off_ends_without_a_word(
    postgres: Postgres, worker: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    locks.take(worker, locks.dataset("education.lop"))
    with psycopg.connect(postgres.uri("warehouse"), autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 60000)", (worker.info.backend_pid,))
    locks.end(worker)
    locks.end(worker)
    assert worker.closed
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_locks_of_a_session_that_dies_are_free(postgres: Postgres, other: Connection) -> None:
    lock = locks.dataset("education.lop")
    with locks.Session(connections.uri, "pdic_warehouse_loader", "load"):
        pass  # one that is closed
    session = locks.Session(connections.uri, "pdic_warehouse_loader", "load all")
    session.take(lock)
    held = locks.holder(other, lock)
    assert held is not None
    with psycopg.connect(postgres.uri("warehouse"), autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 60000)", (held.pid,))
    locks.take(other, lock)
    session.let_go(lock)  # what it no longer has it can give back all the same
    session.close()


def test_a_server_that_ends_idle_sessions_leaves_those_that_hold_a_lock(worker: Connection) -> None:
    with worker.cursor() as cursor:
        cursor.execute("set idle_session_timeout = '1h'")
        locks.take(worker, locks.dataset("education.lop"))
        cursor.execute("show idle_session_timeout")
        assert cursor.fetchone() == ("0",)


class TestMigrate:
    """Bringing a warehouse up to date, beside others that use it or do the same."""

    @pytest.fixture
    def admin(self) -> str:
        return connections.warehouse("admin")

    def test_a_warehouse_that_lacks_nothing_is_left_alone_whoever_holds_what(
        self, admin: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.modules[migrate.__module__], "_WAIT_S", 0.0)
        holder = connect(admin, "migrate")
        publisher = connect(connections.warehouse("publisher"), "release 7 conform")
        locks.take(holder, locks.MIGRATION)
        locks.take(publisher, locks.RELEASE)
        try:
            migrate(admin)
        finally:
            locks.end(holder)
            locks.end(publisher)

    def test_changed_functions_wait_for_another_migrator_and_for_no_release_and_no_reader(
        self, admin: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.modules[migrate.__module__], "_WAIT_S", 0.0)
        with psycopg.connect(admin) as connection:
            connection.execute("comment on schema clean is 'of another version'")
        holder = connect(admin, "migrate")
        with locks.hold(holder, locks.MIGRATION), pytest.raises(Busy, match="migrations: `pdic migrate`"):
            migrate(admin)
        holder.close()
        release = connect(connections.warehouse("publisher"), "release 7 conform")
        locks.take(release, locks.RELEASE)
        with psycopg.connect(connections.warehouse("transformer")) as reader:
            before = reader.execute("select count(*) from valid.unit").fetchone()
            impatient = admin + ("&" if "?" in admin else "?") + "options=-c%20lock_timeout%3D5000"
            assert replace_functions(impatient)
            assert reader.execute("select count(*) from valid.unit").fetchone() == before
        locks.end(release)
        assert not replace_functions(admin)

    def test_two_that_begin_at_once_both_end_well(self, postgres: Postgres) -> None:
        postgres.create_database("migrated_twice")
        uri = postgres.uri("migrated_twice")
        ended: list[str] = []
        threads = [threading.Thread(target=lambda: (migrate(uri), ended.append("well"))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ended == ["well", "well"]
        with psycopg.connect(uri) as connection:
            assert connection.execute("select version_num from control.alembic_version").fetchall() == [(newest(),)]

    def test_a_migration_does_not_wait_for_ever_for_a_table_in_use_and_leaves_all_as_it_was(
        self, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever comes after it would wait behind it: loads, releases and readers of the ledger."""
        postgres.create_database("migrated_busy")
        uri = postgres.uri("migrated_busy")
        sys.modules[migrate.__module__]._upgrade(uri, "0011")
        with monkeypatch.context() as patch, psycopg.connect(uri) as reader:
            patch.setattr(sys.modules[migrate.__module__], "_LOCK_S", 1)
            reader.execute("select count(*) from control.batch")
            with pytest.raises(
                Busy, match="cannot be migrated to .* while its tables are in use: they were waited for 1 s"
            ):
                migrate(uri)
            assert reader.execute("select version_num from control.alembic_version").fetchone() == ("0011",)
        migrate(uri)
        with psycopg.connect(uri) as connection:
            assert connection.execute("select version_num from control.alembic_version").fetchone() == (newest(),)

    def test_a_newer_warehouse_is_refused_in_words(self, postgres: Postgres) -> None:
        postgres.create_database("migrated_ahead")
        uri = postgres.uri("migrated_ahead")
        migrate(uri)
        with psycopg.connect(uri) as connection:
            connection.execute("update control.alembic_version set version_num = '9999'")
        with pytest.raises(PdicError, match="the warehouse is at migration 9999, and this version of PDIC knows"):
            migrate(uri)
