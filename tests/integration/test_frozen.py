"""Servers that fall silent while we wait for them: their connections stay open, and nothing comes any more."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa

from pdic import catch_up, connections, embedded, failures, load, reconcile, warehouse
from pdic.errors import SourceUnavailable, WarehouseUnavailable
from pdic.onboard.introspect import open_source
from pdic.quality import gate
from pdic.release.dbt import import_runner
from pdic.sources import session as source_session
from pdic.sources.entry import enter
from pdic.warehouse import outages, silence
from tests.conftest import Postgres
from tests.integration.logs import Source
from tests.integration.sectors import SNAPSHOT, Sector, own_sector

SECTOR, OTHER, LOGS = "dong_bang", "khong_dong_bang", "nhat_ky_dong"
ENDLESS = "select pg_sleep(600)"


class Freezing:
    """A server that can be frozen: all of its processes are stopped, and the kernel answers for it."""

    def __init__(self, home: Path) -> None:
        embedded.start(home)
        server = embedded.status(home)
        assert server is not None
        self.postgres = Postgres(home, server.port)
        self._over = threading.Event()
        self._head = psutil.Process(server.pid)

    def uri(self, dbname: str = "postgres") -> str:
        return self.postgres.uri(dbname)

    def signal(self, number: signal.Signals) -> None:
        for process in (self._head, *self._head.children()):
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def wait_for(self, query: str) -> int:
        """Waits until a session works on a query like this; returns its process."""
        with psycopg.connect(self.uri(), autocommit=True) as session:
            while not self._over.is_set():
                row = session.execute(
                    "select pid from pg_stat_activity where query ~ %s and state = 'active' and pid <> pg_backend_pid()"
                    " and wait_event in ('PgSleep', 'WalSenderWaitForWAL', 'WalSenderMain')",
                    (query,),
                ).fetchone()
                if row:
                    return int(row[0])
        raise AssertionError(f"nothing worked on {query}")

    def is_active(self, pid: int) -> bool:
        """Does a process work on a statement?"""
        with psycopg.connect(self.uri(), autocommit=True) as session:
            row = session.execute("select state from pg_stat_activity where pid = %s", (pid,)).fetchone()
        return row == ("active",)

    def thaw(self) -> None:
        """Let the server go on, and end what it still does for sessions that were given up."""
        self.signal(signal.SIGCONT)
        with psycopg.connect(self.uri(), autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where pid <> pg_backend_pid() and backend_type in ('client backend', 'walsender')"
            )

    @contextmanager
    def freezes_at(self, query: str) -> Iterator[None]:
        """While the block runs, the server freezes once a session works on a query like this."""

        def freeze() -> None:
            self.wait_for(query)
            self.signal(signal.SIGSTOP)

        freezing = threading.Thread(target=freeze)
        freezing.start()
        try:
            yield
        finally:
            self._over.set()
            freezing.join()
            self._over.clear()
            self.thaw()


@contextmanager
def at_work(execute: Callable[[str], object]) -> Iterator[list[Exception]]:
    """While the block runs, a thread runs a statement without end; it has ended when the block has. The errors that ended it are kept."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            execute(ENDLESS)
        except (psycopg.Error, psycopg2.Error) as error:
            errors.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    yield errors
    worker.join()


@pytest.fixture(scope="module")
def server(new_home: Callable[[], Path]) -> Iterator[Freezing]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_SILENCE", "1")
        patch.setenv("PDIC_ANSWER", "1")
        found = Freezing(new_home())
        yield found
        found.signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def sector(server: Freezing, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    """A sector on the server that freezes. Its dataset `cham` is read by a view that waits before its last row."""
    with own_sector(SECTOR, server.postgres, tmp_path_factory.mktemp("project")) as found:
        for dataset in ("cham", "nhanh"):
            found.add(dataset, capture=SNAPSHOT)
            found.source(f"insert into {dataset} select n, 'x' from generate_series(1, 1000) as n")
        found.slow_down("cham", 0)
        yield found


@pytest.fixture(scope="module")
def other(sector: Sector, postgres: Postgres) -> Sector:
    """A sector of the same project on a server that is well."""
    uri = postgres.create_database(OTHER)
    found = Sector(OTHER, sector.root, uri, uri)
    found.add("khac", capture=SNAPSHOT)
    found.source("insert into khac values (1, 'x')")
    return found


def waits(sector: Sector, seconds: float) -> None:
    sector.source(f"update cho set giay = {seconds}")


def test_a_source_that_freezes_in_mid_read_fails_its_dataset_alone(
    server: Freezing, sector: Sector, other: Sector
) -> None:
    waits(sector, 600)

    def connect_to(conn_id: str) -> str:
        return other.connect_to(conn_id) if OTHER in conn_id else sector.connect_to(conn_id)

    with server.freezes_at("copy.*cham"):
        reports = {row["dataset"]: row for row in load.load([f"{SECTOR}.cham", OTHER], connect_to)}
    assert reports["khac"]["status"] == "accepted"
    assert (reports["cham"]["status"], reports["cham"]["retryable"]) == ("failed", True)
    said = reports["cham"]["message"]
    assert said.startswith(f"{SECTOR}.cham: the source of sector {SECTOR} stopped answering: nothing came for ")
    assert said.endswith("Nothing was accepted: load it again")
    assert "\n" not in said
    newest = f"select status, error_kind from control.batch where sector = '{SECTOR}' order by batch_id desc limit 1"
    assert sector.warehouse(newest) == [("abandoned", "SourceUnavailable")]
    waits(sector, 0)
    assert sector.load("cham")["status"] == "accepted"


def test_a_read_that_waits_for_its_first_row_is_no_freeze(sector: Sector) -> None:
    """A sort takes its time. The server is asked meanwhile, and answers."""
    uri = sector.connect_to(f"pdic_source_{SECTOR}")
    with (
        closing(enter(uri, "look", "the source", "pdic_source", autocommit=True)) as session,
        session.cursor() as cursor,
    ):
        asked: list[silence.Answer] = []
        ask = silence.ask
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(silence, "ask", lambda each: (asked.append(found := ask(each)), found)[1])
            cursor.execute("select pg_sleep(3.5)")
        assert asked
        assert set(asked) == {silence.Answer.WELL}


def test_a_reconcile_of_a_frozen_source_ends(server: Freezing, sector: Sector) -> None:
    waits(sector, 0)
    assert sector.load("cham")["status"] == "accepted"
    waits(sector, 600)
    with server.freezes_at("cham"):
        (report,) = reconcile.reconcile([f"{SECTOR}.cham"], connect_to=sector.connect_to)
    assert (report["status"], report["retryable"]) == ("failed", True)
    assert f"the source of sector {SECTOR} stopped answering" in report["message"]
    waits(sector, 0)
    (report,) = reconcile.reconcile([f"{SECTOR}.cham"], connect_to=sector.connect_to)
    assert report["status"] == "accepted"


def test_a_look_into_a_frozen_source_ends(server: Freezing) -> None:
    with (
        server.freezes_at("pg_sleep"),
        pytest.raises(SourceUnavailable, match="stopped answering"),
        open_source(server.uri(), "pdic_source_x") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select pg_sleep(50)")


def test_a_log_that_freezes_in_mid_read_ends(server: Freezing, sector: Sector, monkeypatch: pytest.MonkeyPatch) -> None:
    name = LOGS
    owner = server.postgres.create_database(name)
    with psycopg.connect(server.uri(), autocommit=True) as admin:
        admin.execute(f"alter role {name}_owner replication")  # type: ignore[call-overload]
    log = Source(name, sector.root, owner, owner, server.uri(name))
    dataset = log.table("dong")
    log.run("insert into dong select n, 'x' from generate_series(1, 10) as n")
    assert log.load(dataset)["status"] == "accepted"
    log.run("insert into dong select n, repeat('x', 1000) from generate_series(11, 60000) as n")
    capture = sys.modules["pdic.sources.cdc.capture"]
    taken = capture._Reader.take
    seen: list[int] = []

    def take(self: Any, message: bytes) -> Any:
        seen.append(1)
        if len(seen) == 100:
            server.signal(signal.SIGSTOP)
        return taken(self, message)

    monkeypatch.setattr(capture._Reader, "take", take)
    try:
        (report,) = load.load([f"{name}.{dataset}"], log.connect_to)
    finally:
        server.thaw()
    assert (report["status"], report["retryable"]) == ("failed", True)
    assert f"the source of sector {name} stopped answering" in report["message"]
    monkeypatch.undo()
    assert log.load(dataset)["rows_accepted"] == 59990


def by_psycopg2(uri: str) -> Any:
    with closing(warehouse.connect(uri, "test")) as session, session.cursor() as cursor:
        cursor.execute(ENDLESS)


def by_psycopg3(uri: str) -> Any:
    with warehouse.connect_psycopg(uri, "test") as session:
        session.execute(ENDLESS)


def by_great_expectations(uri: str) -> Any:
    engine = gate._source(gate._context(gate.import_great_expectations()), uri).get_engine()
    with engine.connect() as session:
        session.execute(sa.text(ENDLESS))


def by_dbt(uri: str) -> Any:
    import_runner()
    from dbt.adapters.postgres import connections as adapter

    with closing(adapter.psycopg2.connect(uri)) as session, session.cursor() as cursor:
        cursor.execute(ENDLESS)


@pytest.mark.parametrize("way", [by_psycopg2, by_psycopg3, by_great_expectations, by_dbt])
def test_every_way_to_a_warehouse_that_freezes_ends(server: Freezing, way: Callable[[str], Any]) -> None:
    silence.forget()
    with server.freezes_at("pg_sleep"), pytest.raises(Exception) as ended:  # noqa: PT011 (each library has its own)
        way(server.uri())
    refusal = failures.in_words(ended.value)
    assert isinstance(refusal, WarehouseUnavailable)
    assert "the warehouse stopped answering" in str(refusal)
    assert "\n" not in str(refusal)


def test_to_stop_a_read_of_a_frozen_source_does_not_wait_for_it(
    server: Freezing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver asks the server to cancel, and would wait for its answer without end."""
    monkeypatch.setattr(silence, "STOP_SECONDS", 0.2)
    monkeypatch.setenv("PDIC_SILENCE", "600")
    connection = enter(server.uri(), "look", "the source", "x", autocommit=True)
    try:
        with at_work(connection.cursor().execute) as errors:
            server.wait_for("pg_sleep")
            server.signal(signal.SIGSTOP)
            warehouse.stop(connection)
    finally:
        server.thaw()
    assert outages.lost(errors[0])


def test_one_process_of_a_server_that_stops_ends_with_the_time_limit(
    server: Freezing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers, and says that its process works. The limit that it should have kept is ours too."""
    monkeypatch.setattr(silence, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(silence, "_BLINK_SECONDS", 0.1)
    limits = source_session.Limits(statement=timedelta(seconds=1), idle=timedelta(minutes=1))
    with closing(enter(server.uri(), "look", "the source", "x", autocommit=True, limits=limits)) as connection:
        assert connection.watched.backend is not None  # type: ignore[attr-defined]
        pid = connection.watched.backend[0]  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
                cursor.execute(ENDLESS)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert "longer than one statement may take" in (silence.broken("the source") or "")


def test_a_session_that_its_server_has_lost_is_cut(server: Freezing) -> None:
    """A balancer between keeps our connection and has dropped the one behind it: the server does not know our process."""
    with closing(enter(server.uri(), "look", "the source", "x", autocommit=True)) as connection:
        mine, started = connection.watched.backend  # type: ignore[attr-defined]
        for backend, answer in (
            ((2**31 - 1, started), silence.Answer.UNKNOWN),
            ((2**31 - 1, "1"), silence.Answer.WELL),  # another server answers for it: it cannot know
            (connection.watched.backend, silence.Answer.WELL),  # type: ignore[attr-defined]
        ):
            connection.watched.backend = backend  # type: ignore[attr-defined]
            connection.watched.pid = backend[0]  # type: ignore[attr-defined]
            assert silence.ask(connection.watched) is answer  # type: ignore[attr-defined]
        gone = (2**31 - 1, started)
        connection.watched.backend, connection.watched.pid = gone, mine  # type: ignore[attr-defined]
        # A pooler stands between, which may have closed that process when the last statement had ended.
        assert silence.ask(connection.watched) is silence.Answer.WELL  # type: ignore[attr-defined]
        connection.watched.pid = gone[0]  # type: ignore[attr-defined]
        with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
            cursor.execute("select pg_sleep(50)")
    assert "does not know it any more" in (silence.broken("the source") or "")


def test_a_login_that_is_refused_meanwhile_is_not_tried_again(server: Freezing) -> None:
    """The password was changed while a long read goes on. Asking with the old one could lock the account."""
    uri = server.postgres.create_database("doi_mat_khau")
    with closing(enter(uri, "look", "the source", "x", autocommit=True)) as connection:
        with psycopg.connect(server.uri(), autocommit=True) as admin:
            admin.execute("alter role doi_mat_khau_owner password 'another'")
        watched = connection.watched  # type: ignore[attr-defined]
        assert silence.ask(watched) is silence.Answer.REFUSED
        watched.ask_without_login()
        assert psycopg.conninfo.conninfo_to_dict(watched.question)["password"] == ""
        assert silence.ask(watched) is silence.Answer.REFUSED
        with connection.cursor() as cursor:
            cursor.execute("select pg_sleep(3)")


def one_connection(server: Freezing, name: str) -> str:
    """A database whose owner may have one session at a time."""
    uri = server.postgres.create_database(name)
    with psycopg.connect(server.uri(), autocommit=True) as admin:
        admin.execute(f"alter role {name}_owner connection limit 1")  # type: ignore[call-overload]
    return uri


def test_a_read_of_a_source_without_a_connection_left_is_stopped_there(server: Freezing) -> None:
    """Its login has as many connections as the load uses. To cut the session would leave the server at work."""
    uri = one_connection(server, "het_cho")
    with closing(enter(uri, "look", "the source", "x", autocommit=True)) as connection, connection.cursor() as cursor:
        assert silence.ask(connection.watched) is silence.Answer.REFUSED  # type: ignore[attr-defined]
        with at_work(cursor.execute) as errors:
            server.wait_for("pg_sleep")
            warehouse.stop(connection)
        assert [type(error) for error in errors] == [psycopg2.errors.QueryCanceled]
        cursor.execute("select 1")


def test_a_session_of_psycopg_3_is_stopped_there_too(server: Freezing) -> None:
    with warehouse.connect_psycopg(one_connection(server, "het_cho_3"), "test", autocommit=True) as session:
        with at_work(session.execute) as errors:  # type: ignore[arg-type]
            server.wait_for("pg_sleep")
            silence.stop([session.watched])  # type: ignore[attr-defined]
        assert [type(error) for error in errors] == [psycopg.errors.QueryCanceled]
        session.execute("select 1")


def test_the_kernel_ends_no_copy_whose_server_takes_nothing_for_a_while(server: Freezing) -> None:
    """A trigger, an index or a disk may hold up what takes our rows; with a limit for that the kernel ends the session."""
    with closing(warehouse.connect(server.uri(), "test")) as connection:
        line = connection.watched.line  # type: ignore[attr-defined]
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0


def test_a_process_that_stood_still_while_it_asked_takes_no_server_for_silent(
    server: Freezing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over when it goes on, and the answer lies there."""
    monkeypatch.setenv("PDIC_ANSWER", "0.000001")
    with closing(enter(server.uri(), "look", "the source", "x", autocommit=True)) as connection:
        assert silence.ask(connection.watched) is silence.Answer.WELL  # type: ignore[attr-defined]


def test_a_source_is_no_warehouse_from_its_first_statement_on(
    server: Freezing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        source_session, "_lift_transaction_limit", lambda connection: whose.append(connection.watched.whose)
    )
    whose: list[str] = []
    enter(server.uri(), "look", "the source", "x").close()
    assert whose == ["a source"]


def test_to_stop_a_session_of_a_pooler_stops_nobody_else(server: Freezing) -> None:
    """The process that worked for it when it began works for another client now."""
    with (
        closing(enter(server.uri(), "look", "the source", "x", autocommit=True)) as connection,
        psycopg.connect(server.uri(), autocommit=True) as another,
    ):
        _, started = connection.watched.backend  # type: ignore[attr-defined]
        connection.watched.backend = (another.info.backend_pid, started)  # type: ignore[attr-defined]
        with at_work(another.execute) as errors:
            pid = server.wait_for("pg_sleep")
            silence._cancel(connection.watched)  # type: ignore[attr-defined]
            assert server.is_active(pid)
            another.cancel()
        assert len(errors) == 1


def test_a_transaction_that_waits_for_a_process_of_the_pooler_has_none(server: Freezing) -> None:
    """The process of its last transaction works for another client now, or is gone: it is nothing to stop, and no loss."""
    with (
        closing(enter(server.uri(), "look", "the source", "x")) as connection,
        psycopg.connect(server.uri(), autocommit=True) as another,
        ThreadPoolExecutor() as pool,
    ):
        watched = connection.watched  # type: ignore[attr-defined]
        source_session.pin(connection, source_session.SHORT)
        assert watched.backend is not None
        mine, started = watched.backend
        connection.commit()
        os.kill(mine, signal.SIGSTOP)
        try:
            beginning = pool.submit(source_session.pin, connection, source_session.SHORT)
            while not watched.is_waiting():
                assert not beginning.done()
            watched.backend = (2**31 - 1, started)
            assert silence.ask(watched) is silence.Answer.WELL
            watched.backend = (another.info.backend_pid, started)
            with at_work(another.execute) as errors:
                pid = server.wait_for("pg_sleep")
                silence._cancel(watched)
                with pytest.raises(psycopg2.OperationalError):
                    beginning.result(10)
                assert server.is_active(pid)
                another.cancel()
            assert len(errors) == 1
        finally:
            os.kill(mine, signal.SIGCONT)


def test_a_pooler_that_has_no_process_free_is_no_silence(server: Freezing, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lets the question in, and keeps it until one of its sessions with the server is free: all of them are ours."""
    monkeypatch.setattr(silence, "_QUESTION", b"select pg_sleep(60), $1::text, $2::text")
    with closing(enter(server.uri(), "look", "the source", "x", autocommit=True)) as connection:
        watched = connection.watched  # type: ignore[attr-defined]
        assert silence.ask(watched) is silence.Answer.SILENT
        watched.pid = -1
        assert silence.ask(watched) is silence.Answer.WELL


def test_what_froze_is_caught_up(sector: Sector) -> None:
    """A frozen source is an outage like another: the dataset is asked about again by itself."""
    with psycopg.connect(connections.warehouse("admin")) as admin:
        admin.execute(
            "insert into control.dataset (sector, dataset) values (%s, 'nhanh') on conflict do nothing", (SECTOR,)
        )
        admin.execute(
            "insert into control.batch (sector, dataset, capture, status, error_kind, started_at) values"
            " (%s, 'nhanh', 'snapshot', 'abandoned', 'SourceUnavailable', now() - interval '1 hour')",
            (SECTOR,),
        )
    assert "nhanh" in catch_up.broken_off(SECTOR, sector.connect_to)
