"""A server that is away, starts again, or refuses: what is waited for, what is not, and what is said of it."""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import re
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import psycopg2
import pytest
import sqlalchemy as sa

from pdic import catch_up, connections, embedded, failures, warehouse
from pdic.errors import SourceRefused, SourceUnavailable, SourceUnreachable, WarehouseRefused, WarehouseUnavailable
from pdic.operators.base import PdicOperator
from pdic.operators.retries import LOAD_RETRIES, RELEASE_RETRIES
from pdic.quality.safe_text import safe_class, safe_text
from pdic.sources.entry import enter
from pdic.warehouse import outages
from pdic.warehouse.outages import Reason
from tests.conftest import change_time

FORK = multiprocessing.get_context("fork")
VALUE = "Nguyễn Thị Bí Mật"


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Path]) -> Path:
    """A home whose server these tests stop and break. It recovers in a moment, because it does not wait for the disk."""
    found = new_home()
    embedded.start(found)
    with psycopg.connect(embedded.superuser_uri(found), autocommit=True) as admin:
        admin.execute("alter system set fsync = off")
        admin.execute("select pg_reload_conf()")
    return found


@pytest.fixture
def uri(home: Path) -> str:
    """The loader's way to the warehouse of a server that runs."""
    embedded.start(home)
    return connections.to_uri(connections.load(home)["pdic_warehouse_loader"])


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long is waited between two tries; nobody really waits."""
    found: list[float] = []
    monkeypatch.setattr(sys.modules["pdic.warehouse.connect"], "sleep", found.append)
    return found


def crash(home: Path) -> None:
    """One backend dies by a signal, as under the out-of-memory killer: the server ends all sessions and recovers."""
    server = embedded.status(home)
    assert server is not None
    with psycopg.connect(embedded.superuser_uri(home), autocommit=True) as victim:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                victim.execute("select 1")


def terminate(home: Path) -> None:
    """An administrator ends the sessions of others."""
    with psycopg.connect(embedded.superuser_uri(home), autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")


def until_it_breaks(action: Callable[[], object]) -> None:
    """The server ends the sessions one after another: for some moments one of them may live on."""
    while True:
        action()


BREAKS = [crash, terminate]


class Speaking:
    """A server that answers every try with one error, in any language, and counts the tries.

    In a process of its own: libpq's ping lets no other thread of this one run.
    """

    def __init__(self, state: str, text: str, encoding: str = "utf-8") -> None:
        fields = {"S": "NGHIÊM TRỌNG", "V": "FATAL", "C": state, "M": text}
        body = (
            b"".join(code.encode() + words.encode(encoding, "replace") + b"\0" for code, words in fields.items())
            + b"\0"
        )
        listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"postgresql://ann:secret@127.0.0.1:{listener.getsockname()[1]}/health?sslmode=disable"
        self._tries = FORK.Value("i", 0)
        answer = b"E" + struct.pack("!I", len(body) + 4) + body
        self._process = FORK.Process(target=self._serve, args=(listener, answer), daemon=True)
        self._process.start()
        listener.close()

    @property
    def tries(self) -> int:
        return int(self._tries.value)

    def _serve(self, listener: socket.socket, answer: bytes) -> None:
        while True:
            session, _ = listener.accept()
            with session:
                session.recv(4096)
                with self._tries.get_lock():
                    self._tries.value += 1
                session.sendall(answer)

    def close(self) -> None:
        self._process.kill()
        self._process.join()


@pytest.fixture
def speaking() -> Iterator[Callable[..., Speaking]]:
    """Makes servers that refuse."""
    made: list[Speaking] = []

    def make(state: str, text: str, encoding: str = "utf-8") -> Speaking:
        made.append(Speaking(state, text, encoding))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.mark.parametrize(
    ("state", "text", "reason"),
    [
        ("57P03", "the database system is in recovery mode", Reason.STARTING),
        ("57P03", "hệ thống cơ sở dữ liệu đang khởi động", Reason.STARTING),
        ("53300", "sorry, too many clients already", Reason.FULL),
        ("28P01", 'password authentication failed for user "ann"', Reason.REFUSED),
        ("28P01", 'xác thực mật khẩu thất bại cho người dùng "ann"', Reason.REFUSED),
        ("3D000", "la base de données « health » n’existe pas", Reason.REFUSED),
        ("28000", 'no pg_hba.conf entry for host "10.0.0.7", user "ann"', Reason.REFUSED),
    ],
)
def test_why_there_is_no_session_is_known_in_every_language(
    speaking: Callable[..., Speaking], state: str, text: str, reason: Reason
) -> None:
    server = speaking(state, text)
    with pytest.raises(psycopg2.OperationalError) as refused:
        warehouse.open_once(server.uri, "test")
    assert outages.reason(server.uri, refused.value) is reason


@pytest.mark.parametrize("encoding", ["latin-1", "cp1258", "euc-jp"])
def test_a_refusal_in_another_encoding_is_a_refusal(speaking: Callable[..., Speaking], encoding: str) -> None:
    server = speaking("28P01", "authentification échouée pour l'utilisateur ann", encoding)
    with pytest.raises(SourceRefused, match="refuses the login of connection pdic_source_health"):
        enter(server.uri, "test", "the source of sector health", "pdic_source_health")


def test_a_server_that_is_not_there_and_a_name_that_does_not_resolve_may_come_back(dead_port: int) -> None:
    with pytest.raises(SourceUnreachable, match="does not answer") as refused:
        enter(f"postgresql://ann@127.0.0.1:{dead_port}/d", "test", "the source of sector health", "pdic_source_health")
    assert LOAD_RETRIES.evaluate(refused.value, 1, 12).action.value == "retry"
    unknown = psycopg2.OperationalError(
        'could not translate host name "db.health" to address: Name or service not known'
    )
    assert outages.reason("postgresql://ann@db.health/d", unknown) is Reason.AWAY


def test_the_warehouse_is_waited_for_while_it_starts(
    home: Path, uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    embedded.stop(home)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        embedded.start(home)

    monkeypatch.setattr(sys.modules["pdic.warehouse.connect"], "sleep", wait)
    with warehouse.transaction(uri, "test") as session, session.cursor() as cursor:
        cursor.execute("select 1")
        assert warehouse.one(cursor) == (1,)
    assert len(waited) == 1
    assert "does not answer: waiting for it, at most 45 s" in caplog.text
    assert "answers again" in caplog.text
    assert connections.load(home)["pdic_warehouse_loader"]["password"] not in caplog.text


def test_all_ways_to_the_warehouse_outlast_a_recovery(home: Path, uri: str) -> None:
    admin_uri = connections.to_uri(connections.load(home)["pdic_warehouse_admin"])
    crash(home)
    with ThreadPoolExecutor() as pool:
        ways = [
            pool.submit(warehouse.migrate, admin_uri),
            pool.submit(lambda: warehouse.connect(uri, "test").close()),
            pool.submit(lambda: warehouse.connect_psycopg(uri, "test").close()),
        ]
        assert [way.exception() for way in ways] == [None, None, None]


def test_the_wait_has_an_end_and_is_not_begun_again(dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    clock = itertools.count()
    monkeypatch.setattr(sys.modules["pdic.warehouse.connect"], "sleep", waited.append)
    monkeypatch.setattr(sys.modules["pdic.warehouse.connect"], "monotonic", lambda: float(next(clock)))
    gone = f"postgresql://ann:secret@127.0.0.1:{dead_port}/warehouse"
    for tries in (45, 0):  # a command that closes many things on its way out waits once
        waited.clear()
        with pytest.raises(WarehouseUnavailable, match=r"the warehouse at 127\.0\.0\.1:\d+ does not answer") as refused:
            warehouse.connect(gone, "test")
        assert tries - 2 <= len(waited) <= tries
        assert "secret" not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_refused_password_or_a_missing_database_is_not_waited_for(uri: str, waits: list[float]) -> None:
    for wrong in (re.sub(r":[^:@]+@", ":wrong@", uri), re.sub(r"/warehouse$", "/no_such", uri)):
        with pytest.raises(WarehouseRefused, match="refuses the login"):
            warehouse.connect(wrong, "test")
    assert waits == []


def test_a_refused_login_at_a_source_is_tried_once(speaking: Callable[..., Speaking]) -> None:
    server = speaking("28P01", 'password authentication failed for user "ann"')
    with pytest.raises(SourceRefused, match="not tried again by itself") as refused:
        enter(server.uri, "test", "health.xml1: the source of sector health", "pdic_source_health")
    assert server.tries == 1
    assert not isinstance(refused.value, SourceUnavailable)
    for policy in (LOAD_RETRIES, RELEASE_RETRIES):
        assert policy.evaluate(refused.value, 1, 12).action.value == "fail"


@pytest.mark.parametrize("breaking", BREAKS)
def test_a_server_that_goes_away_is_the_cause_that_is_told(
    home: Path, uri: str, breaking: Callable[[Path], None]
) -> None:
    with pytest.raises(psycopg2.Error) as raised, warehouse.transaction(uri, "test") as session:
        session.cursor().execute("select 1")
        breaking(home)
        until_it_breaks(lambda: session.cursor().execute("select %s", (VALUE,)))
    assert "already closed" not in str(raised.value)
    said = failures.in_words(raised.value)
    assert isinstance(said, WarehouseUnavailable)
    assert "run the same command again" in str(said)
    assert VALUE not in str(said)


def test_what_comes_after_the_loss_does_not_hide_it(home: Path, uri: str) -> None:
    def broken() -> None:
        session = warehouse.connect(uri, "test")
        try:
            session.cursor().execute("select 1")
            terminate(home)
            session.cursor().execute("select 1")
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()

    with pytest.raises(psycopg2.OperationalError) as raised:
        broken()
    assert isinstance(failures.in_words(raised.value), WarehouseUnavailable)


def test_a_rollback_that_fails_for_another_reason_is_told(uri: str) -> None:
    session = warehouse.connect(uri, "test")
    session.close()
    session.rollback()
    with pytest.raises(psycopg2.InterfaceError):
        session.commit()


@pytest.mark.parametrize("breaking", BREAKS)
def test_every_driver_tells_of_a_loss(home: Path, uri: str, breaking: Callable[[Path], None]) -> None:
    engine = sa.create_engine(uri.replace("postgresql://", "postgresql+psycopg2://", 1), poolclass=sa.pool.NullPool)
    with engine.connect() as session, warehouse.connect_psycopg(uri, "test") as other:
        session.execute(sa.text("select 1"))
        other.execute("select 1")
        breaking(home)
        with pytest.raises(sa.exc.DBAPIError) as by_sqlalchemy:
            until_it_breaks(lambda: session.execute(sa.text("select 1")))
        with pytest.raises(psycopg.Error) as by_psycopg:
            until_it_breaks(lambda: other.execute("select 1"))
    for raised in (by_sqlalchemy.value, by_psycopg.value):
        assert isinstance(failures.in_words(raised), WarehouseUnavailable)
    # Great Expectations and dbt hand on no error, only its text.
    written = "".join(traceback.format_exception(by_sqlalchemy.value))
    for text in (safe_text(by_sqlalchemy.value), safe_class(written), str(by_psycopg.value)):
        assert outages.says_lost(text), text


def test_an_error_of_a_statement_is_no_loss(uri: str) -> None:
    with pytest.raises(psycopg2.Error) as raised, warehouse.transaction(uri, "test") as session:
        session.cursor().execute("select %s::int", (VALUE,))
    assert failures.in_words(raised.value) is None
    assert not outages.says_lost(safe_text(raised.value))
    assert VALUE not in failures.trace(raised.value)
    assert "test_outages.py" in failures.trace(raised.value)


def test_a_dataset_that_broke_off_is_caught_up_and_a_refused_one_is_not(home: Path, uri: str) -> None:
    admin = connections.to_uri(connections.load(home)["pdic_warehouse_admin"])
    warehouse.migrate(admin)
    batches = [
        ("xml1", "abandoned", "SourceUnreachable"),
        ("xml2", "abandoned", "SourceUnavailable"),
        ("xml2", "accepted", None),
        ("xml3", "abandoned", "SourceRefused"),
        ("giay_bao_tu", "abandoned", "DriftError"),
        ("gone", "abandoned", "SourceUnreachable"),
    ]
    with psycopg.connect(admin) as session:
        session.cursor().executemany(
            "insert into control.batch (sector, dataset, capture, status, error_kind) values ('health', %s, 'cursor', %s, %s)",
            batches,
        )
    assert catch_up.broken_off("health", lambda _: uri) == ["xml1"]
    assert catch_up.broken_off("education", lambda _: uri) == []


@pytest.mark.parametrize(
    ("kind", "ago", "due"),
    [
        # Hours ago at which the dataset was tried in vain, the oldest first.
        ("SourceUnavailable", [1.1, 1.0], True),
        ("TableHeld", [2.1, 1.0], False),
        ("TableHeld", [3.1, 2.0], True),
        ("SourceUnavailable", [9.0, 7.0, 3.0], False),
        ("DiskFull", [9.0, 7.0, 5.0], True),
        ("Busy", [200.0, 100.0, 23.0], False),
        ("Busy", [200.0, 100.0, 25.0], True),
        ("SourceUnreachable", [200.0, 100.0, 1.0], True),
        ("WarehouseUnavailable", [9.0, 1.0], True),
    ],
)
def test_trouble_of_its_own_is_asked_about_ever_more_seldom(
    home: Path, uri: str, kind: str, ago: list[float], due: bool
) -> None:
    admin = connections.to_uri(connections.load(home)["pdic_warehouse_admin"])
    warehouse.migrate(admin)
    tried = [(99.0, "abandoned", kind), (300.0, "accepted", None), *((hours, "abandoned", kind) for hours in ago)]
    with psycopg.connect(admin) as session:
        session.execute("delete from control.batch where sector = 'education'")
        session.cursor().executemany(
            "insert into control.batch (sector, dataset, capture, started_at, status, error_kind)"
            " values ('education', 'truong', 'snapshot', clock_timestamp() - make_interval(secs => 3600 * %s), %s, %s)",
            tried,
        )
    assert catch_up.broken_off("education", lambda _: uri) == (["truong"] if due else [])


class Told:
    """The part of a task instance that a step tells of its refusal."""

    def xcom_push(self, key: str, value: str) -> None:
        assert "run the same command again" in value


def test_airflow_tries_again_what_a_lost_warehouse_broke(home: Path, uri: str) -> None:
    class Step(PdicOperator):
        def run(self, context: Any) -> dict[str, Any]:
            with warehouse.transaction(uri, "test") as session:
                session.cursor().execute("select 1")
                terminate(home)
                session.cursor().execute("select 1")
            return {}

    with pytest.raises(WarehouseUnavailable) as raised:
        Step(task_id="step").execute({"ti": Told()})
    for policy in (LOAD_RETRIES, RELEASE_RETRIES):
        assert policy.evaluate(raised.value, 1, 12).action.value == "retry"


def test_a_server_of_record_that_still_starts_is_waited_for_and_not_killed(
    home: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = embedded.status(home)
    assert server is not None
    pidfile = home / "pgdata" / "postmaster.pid"
    ready = pidfile.read_text(encoding="utf-8")
    pidfile.write_text(ready.replace("ready   ", "starting"), encoding="utf-8")
    assert embedded.status(home) is None
    change_time(monkeypatch, embedded, sleep=lambda _: pidfile.write_text(ready, encoding="utf-8"))
    assert embedded.start(home) == server
    with psycopg.connect(uri) as session:
        assert session.execute("select 1").fetchone() == (1,)


def test_a_source_that_ends_a_session_in_mid_copy_leaves_no_traceback(
    uri: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """psycopg2 prints the first of the two errors that it meets then. What is raised is told; what is printed was a traceback."""

    class Ending:
        blocks = 0

        def write(self, block: bytes) -> None:
            self.blocks += 1
            if self.blocks == 100:
                with psycopg.connect(uri, autocommit=True) as other:
                    other.execute("select pg_terminate_backend(%s)", (reader.info.backend_pid,))

    for _ in range(5):
        with (
            contextlib.closing(psycopg2.connect(uri)) as reader,
            reader.cursor() as cursor,
            failures.driver_silent(logging.getLogger("pdic")),
            pytest.raises((psycopg2.Error, SystemError)),
        ):
            cursor.copy_expert(
                "copy (select repeat('x', 1000) from generate_series(1, 1000000)) to stdout", Ending(), size=1 << 16
            )
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err + printed.out
    assert "AdminShutdown" not in printed.err + printed.out
