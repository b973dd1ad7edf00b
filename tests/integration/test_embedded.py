"""The embedded PostgreSQL against what can happen to it: kill -9, stale files, closed folders, taken ports, two starters."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import scalar_row

from pdic import connections, embedded, processes, settings, warehouse
from pdic.errors import PdicError, WarehouseUnavailable


@pytest.fixture
def home(fresh_home: Path) -> Path:
    """The shorter name of a home without a server."""
    return fresh_home


def server_processes(home: Path) -> list[processes.Started]:
    return processes.working_in(str(home / "pgdata"), "postgres")


def scalar(uri: str, query: str) -> object:
    with psycopg.connect(uri, autocommit=True, row_factory=scalar_row) as connection:
        return connection.execute(query).fetchone()  # type: ignore[arg-type]


def uri_of(home: Path, conn_id: str) -> str:
    return connections.to_uri(connections.load(home)[conn_id])


def plant(home: Path) -> None:
    with psycopg.connect(uri_of(home, "pdic_demo_health")) as connection:
        connection.execute("create table planted as select 42 as answer")


def assert_planted(home: Path) -> None:
    assert scalar(uri_of(home, "pdic_demo_health"), "select answer from planted") == 42


def test_starting_again_changes_nothing_and_stopping_leaves_no_process(home: Path) -> None:
    first = embedded.start(home)
    plant(home)
    assert embedded.start(home) == first
    assert embedded.status(home) == first
    assert embedded.stop(home)
    assert server_processes(home) == []
    assert embedded.status(home) is None
    assert not embedded.stop(home)
    again = embedded.start(home)
    assert again.port == first.port
    assert_planted(home)


@pytest.mark.parametrize("victims", ["all", "postmaster"])
def test_a_server_killed_outright_comes_back_with_what_was_committed(home: Path, victims: str) -> None:
    server = embedded.start(home)
    plant(home)
    # A session in the middle of something: its server process outlives a killed postmaster for a moment.
    with pytest.raises(psycopg.OperationalError), psycopg.connect(uri_of(home, "pdic_demo_health")) as busy:
        busy.execute("insert into planted values (43)")
        killed = server_processes(home) if victims == "all" else [processes.started(server.pid)]
        processes.send(killed, signal.SIGKILL)
        assert processes.wait_gone(killed, 60) == []
        embedded.start(home)
        busy.execute("select 1")
    assert scalar(uri_of(home, "pdic_demo_health"), "select count(*) from planted") == 1
    assert_planted(home)


def test_a_lock_file_that_names_a_stranger_does_not_stop_it(home: Path) -> None:
    embedded.start(home)
    lock = (home / "pgdata" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    processes.send(server_processes(home), signal.SIGKILL)
    assert processes.wait_gone(server_processes(home), 60) == []
    (home / "pgdata" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lock[1:]]), encoding="utf-8")
    assert embedded.status(home) is None
    assert embedded.start(home).pid != os.getpid()


def test_a_taken_port_is_left_to_its_owner_and_connections_follow(home: Path) -> None:
    first = embedded.start(home)
    plant(home)
    embedded.stop(home)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind((embedded.HOST, first.port))
        squatter.listen()
        assert embedded.start(home).port != first.port
        assert_planted(home)


def test_an_initdb_cut_short_is_done_again(home: Path) -> None:
    (home / "pgdata.init" / "data" / "base").mkdir(parents=True)
    (home / "pgdata.init" / "data" / "PG_VERSION").write_text("18", encoding="utf-8")
    embedded.start(home)
    plant(home)
    assert not (home / "pgdata.init").exists()


def test_a_folder_of_someone_elses_is_not_overwritten(home: Path) -> None:
    (home / "pgdata").mkdir(parents=True)
    (home / "pgdata" / "thesis.odt").touch()
    with pytest.raises(PdicError, match="not a PostgreSQL data folder"):
        embedded.start(home)
    assert (home / "pgdata" / "thesis.odt").exists()


def test_it_runs_below_folders_closed_to_others(home: Path) -> None:
    folders = [home.parent, home, home / "a", home / "a" / "b"]
    folders[-1].mkdir(parents=True)
    for folder in folders:
        folder.chmod(0o700)
    try:
        embedded.start(folders[-1])
        plant(folders[-1])
        assert stat.S_IMODE((folders[-1] / "pgdata").stat().st_mode) == 0o700
        # Passing is all that may have been granted: nobody else can list or read.
        assert not any(stat.S_IMODE(folder.stat().st_mode) & 0o066 for folder in folders)
    finally:
        embedded.stop(folders[-1])


def test_two_starters_at_once_get_the_same_server(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pdic import embedded; print(embedded.start(Path(sys.argv[1])).pid)"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True) for _ in "ab"]
    pids = {starter.communicate()[0].strip() for starter in both}
    assert [starter.returncode for starter in both] == [0, 0]
    server = embedded.status(home)
    assert server is not None
    assert pids == {str(server.pid)}


def test_secrets_are_private_and_an_identity_key_put_there_beforehand_is_kept(home: Path) -> None:
    settings.make_private(home / "secrets")
    settings.secret_path("identity_key", home).write_text("shared by two homes\n", encoding="utf-8")
    embedded.start(home)
    assert settings.secret("identity_key", of=home) == "shared by two homes"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "secrets").iterdir()} == {0o600}
    passwords = [entry["password"] for entry in connections.load(home).values()]
    assert len(set(passwords)) == len(passwords)


def test_lost_connections_are_made_again(home: Path) -> None:
    embedded.start(home)
    plant(home)
    settings.secret_path(connections.FILE, home).unlink()
    embedded.start(home)
    assert_planted(home)


def test_the_server_log_holds_nothing_that_people_own(home: Path) -> None:
    embedded.start(home)
    secret_value = "079301000001"
    failing: list[tuple[str, list[str]]] = [
        (f"select '{secret_value}'::date", []),
        ("select %s::date", [secret_value]),
        (f"do $$ begin raise exception 'no {secret_value}'; end $$", []),
        (f"do $$ begin raise warning 'no {secret_value}'; end $$", []),
        ("create temp table once (who text primary key)", []),
        ("insert into once values (%s)", [secret_value]),
        ("insert into once values (%s)", [secret_value]),
        ("alter role education_owner password %s", [secret_value]),
    ]
    with psycopg.connect(uri_of(home, "pdic_demo_education"), autocommit=True) as connection:
        failed = 0
        for statement, parameters in failing:
            try:
                connection.execute(statement, parameters)  # type: ignore[arg-type]
            except psycopg.Error:
                failed += 1
        connection.execute("create temp table dated (day date)")
        with pytest.raises(psycopg.errors.DataError), connection.cursor().copy("copy dated from stdin") as copy:
            copy.write(f"{secret_value}\n".encode())
    assert failed >= 4
    assert secret_value not in (home / "log" / "postgres.log").read_text(encoding="utf-8")


class TestLogins:
    """Who may go where, in the session's server."""

    def test_no_warehouse_role_gets_into_the_truth_or_a_source(self, pdic_home: Path) -> None:
        for role in connections.WAREHOUSE_ROLES:
            for database in ("truth", "health", "airflow", "postgres"):
                with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                    psycopg.connect(connections.warehouse(role), dbname=database)

    def test_a_sectors_reader_reads_tables_made_later_and_writes_nothing(self, pdic_home: Path) -> None:
        with psycopg.connect(connections.uri("pdic_demo_investment")) as owner:
            owner.execute("create table made_later as select 7 as seven")
        assert scalar(connections.source("investment"), "select seven from made_later") == 7
        with psycopg.connect(connections.source("investment"), autocommit=True) as reader:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                reader.execute("create table public.mine (a int)")
            reader.execute("set default_transaction_read_only = off")
            for writing in ("create table public.mine (a int)", "insert into made_later values (8)"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(writing)  # type: ignore[arg-type]
        for other in ("warehouse", "truth", "health"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(connections.source("investment"), dbname=other)

    def test_a_sectors_reader_sees_when_others_transactions_began(self, pdic_home: Path) -> None:
        query = "select bool_and(xact_start is not null) from pg_stat_activity where state like '%in transaction' and pid = "
        with psycopg.connect(connections.uri("pdic_demo_investment")) as writer:
            writer.execute("select 1")
            assert scalar(connections.source("investment"), f"{query} {writer.info.backend_pid}") is True

    def test_the_admin_can_make_objects_that_belong_to_the_service_roles(self, pdic_home: Path) -> None:
        with psycopg.connect(connections.warehouse("admin")) as admin:
            for role in ("loader", "transformer", "auditor", "publisher"):
                admin.execute(f"create schema made_for_{role} authorization pdic_{role}")  # type: ignore[arg-type]
            admin.rollback()

    def test_nothing_is_let_in_without_a_password(self, pdic_home: Path) -> None:
        server = embedded.status(pdic_home)
        assert server is not None
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host=embedded.HOST, port=server.port, user="pdic_admin", dbname="warehouse", password="x")


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Lets connections start the server of a home again, as a command does. They give up at once where that does not help."""
    connecting = sys.modules["pdic.warehouse.connect"]
    monkeypatch.setattr(connecting, "_menders", [])
    monkeypatch.setattr(connecting, "_given_up", set())
    monkeypatch.setenv("PDIC_WAREHOUSE_WAIT", "0")
    return lambda home: warehouse.mend_by(partial(embedded.revive, home))


def end(victims: list[processes.Started]) -> None:
    processes.send(victims, signal.SIGKILL)
    assert processes.wait_gone(victims, 60) == []


@pytest.mark.parametrize("victims", ["all", "postmaster"])
def test_a_command_goes_on_after_its_server_was_killed(
    home: Path, victims: str, mended: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embedded.start(home)
    plant(home)
    mended(home)
    monkeypatch.setenv("PDIC_WAREHOUSE_WAIT", "45")
    end(server_processes(home) if victims == "all" else [processes.started(first.pid)])
    with warehouse.connect_psycopg(uri_of(home, "pdic_demo_health"), "test") as session:
        assert session.execute("select answer from planted").fetchone() == (42,)
    again = embedded.status(home)
    assert again is not None
    assert (again.pid != first.pid, again.port) == (True, first.port)


def test_a_server_that_was_stopped_stays_stopped(home: Path, mended: Callable[[Path], None]) -> None:
    embedded.start(home)
    mended(home)
    embedded.stop(home)
    with pytest.raises(WarehouseUnavailable, match="pdic up"):
        warehouse.connect(uri_of(home, "pdic_warehouse_loader"), "test")
    assert embedded.status(home) is None


def test_a_killed_server_whose_port_was_taken_is_left_to_the_next_command(home: Path) -> None:
    first = embedded.start(home)
    end(server_processes(home))
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind((embedded.HOST, first.port))
        squatter.listen()
        assert embedded.revive(home) is None
        assert uri_of(home, "pdic_demo_health").count(str(first.port)) == 1
        assert embedded.start(home).port != first.port


def test_two_commands_that_lost_their_server_get_one(home: Path) -> None:
    embedded.start(home)
    end(server_processes(home))
    with ThreadPoolExecutor(2) as pool:
        revived = list(pool.map(embedded.revive, [home, home]))
    assert revived == [embedded.status(home)] * 2
    assert revived[0] is not None


def test_a_server_that_recovers_for_long_is_left_to_recover(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To end it would make the next start begin from where this one began, for ever."""
    embedded.start(home)
    end(server_processes(home))
    program = tmp_path / "bin" / "postgres"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    program.chmod(0o755)
    (program.parent / "initdb").touch()
    tmp_path.chmod(0o777)
    monkeypatch.setenv(embedded.BINARIES, str(tmp_path))
    monkeypatch.setattr(embedded, "START_SECONDS", 0)
    with pytest.raises(
        WarehouseUnavailable, match=r"process (\d+).*goes on recovering.*run the same command again later"
    ) as refused:
        embedded.revive(home)
    (process_id,) = re.findall(r"process (\d+)", str(refused.value))
    recovering = processes.started(int(process_id))
    assert recovering.alive()
    end([recovering])
