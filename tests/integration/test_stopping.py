"""A command that a signal stops: one sentence, its exit code, and nothing half-done is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from pdic import connections, warehouse
from pdic.warehouse import locks
from tests.conftest import Postgres
from tests.faults.commands import Forked, import_all
from tests.integration.sectors import SNAPSHOT, Sector, own_sector

SECTOR = "dung_lai"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(scope="module")
def sector(postgres: Postgres, pdic_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    """A sector whose dataset `cham` is read by a view that waits before its last row, and whose dataset `a` comes before it."""
    import_all()
    with own_sector(SECTOR, postgres, tmp_path_factory.mktemp("project")) as found:
        for dataset in ("a", "cham"):
            found.add(dataset, capture=SNAPSHOT)
            found.source(f"insert into {dataset} select n, 'x' from generate_series(1, 1000) as n")
        found.slow_down("cham", 600)
        words = psycopg.conninfo.conninfo_to_dict(found.source_uri)
        entry = {"conn_type": "postgres", "host": words["host"], "port": int(str(words["port"]))}
        entry |= {"login": words["user"], "password": words["password"], "schema": words["dbname"]}
        connections.save(pdic_home, {f"pdic_source_{SECTOR}": entry})
        yield found


@pytest.fixture
def command(sector: Sector, pdic_home: Path, tmp_path: Path) -> Iterator[Callable[..., Forked]]:
    """Starts `pdic WORDS` in a process of its own."""
    started: list[Forked] = []

    def start(*words: str, action: Callable[[], object] | None = None) -> Forked:
        def run() -> None:
            sys.argv = ["pdic", *words]
            from pdic.start import main

            main()

        environment = {"PDIC_HOME": str(pdic_home), "PDIC_ROOT": str(sector.root)}
        started.append(Forked(action or run, environment, tmp_path / str(len(started))))
        return started[-1]

    yield start
    for each in started:
        if each.code is None:
            os.kill(each.pid, signal.SIGKILL)
            each.wait()


def sleeping(uri: str) -> bool:
    """Does anybody wait at the source, in a read of ours?"""
    with psycopg.connect(uri) as session:
        found = session.execute(
            "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        )
        return bool(found.fetchall())


def until(what: Callable[[], object], command: Forked) -> None:
    while not what():
        assert not command.wait(0.05), str(command)


def stopped(command: Forked, number: signal.Signals) -> str:
    """What a command says that gets a signal."""
    os.kill(command.pid, number)
    assert command.wait(120), str(command)
    assert command.code == 128 + number, str(command)
    said = " ".join(command.err.split())
    assert "Traceback" not in command.out + command.err
    assert f"stopped by {number.name}" in said
    assert said.count("pdic: ") == 1, said
    return said


def open_batches(sector: Sector) -> list[tuple[Any, ...]]:
    return sector.warehouse(
        f"select dataset, status from control.batch where sector = '{SECTOR}' and status in ('extracting', 'extracted', 'checked')"
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_a_load_in_the_middle_of_a_read(sector: Sector, command: Callable[..., Forked], number: signal.Signals) -> None:
    load = command("load", SECTOR)
    until(lambda: sleeping(sector.source_uri), load)
    stopped(load, number)
    assert open_batches(sector) == []
    newest = (
        "select distinct on (dataset) dataset, status, error_kind from control.batch "
        f"where sector = '{SECTOR}' order by dataset, batch_id desc"
    )
    assert sector.warehouse(newest) == [("a", "abandoned", "Interrupted"), ("cham", "abandoned", "Interrupted")]
    assert not sleeping(sector.source_uri)
    assert sector.warehouse("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def test_json_says_it_too(sector: Sector, command: Callable[..., Forked]) -> None:
    load = command("load", SECTOR, "--json")
    until(lambda: sleeping(sector.source_uri), load)
    stopped(load, signal.SIGTERM)
    assert '"kind": "Interrupted"' in load.out


def test_a_release_that_waits_for_another_one(sector: Sector, command: Callable[..., Forked], tmp_path: Path) -> None:
    with (
        closing(warehouse.connect(connections.warehouse("publisher"), "test")) as other,
        locks.hold(other, locks.RELEASE),
    ):
        release = command("release")
        until(lambda: (tmp_path / "0" / "err").exists() and "waiting for the release" in release.err, release)
        os.kill(release.pid, signal.SIGTERM)
        release.wait()
    assert release.code == 143, str(release)
    assert "stopped by SIGTERM" in " ".join(release.err.split())
    assert "Traceback" not in release.err


def test_a_statement_that_waits_for_a_table_of_the_warehouse(sector: Sector, command: Callable[..., Forked]) -> None:
    """The main thread sits in the driver, where Python hands it no signal."""
    with psycopg.connect(connections.warehouse("admin")) as other:
        other.execute("lock table control.batch in access exclusive mode")
        load = command("reconcile", f"{SECTOR}.a")

        def waits() -> bool:
            with psycopg.connect(connections.warehouse("admin"), autocommit=True) as watcher:
                found = watcher.execute(
                    "select 1 from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'pdic reconcile%'"
                )
                return bool(found.fetchall())

        until(waits, load)
        stopped(load, signal.SIGINT)


def test_a_task_that_airflow_ends(sector: Sector, command: Callable[..., Forked]) -> None:
    """Airflow calls `on_kill` by its own handler; the task fails with one sentence, and its batch is given up."""
    from pdic.operators import base
    from pdic.operators.extract import ExtractOperator

    def run() -> None:
        operator = ExtractOperator(task_id="extract", sector=SECTOR, dataset="cham")
        base.connect_to = sector.connect_to
        sys.modules[ExtractOperator.__module__].connect_to = sector.connect_to  # type: ignore[attr-defined]
        signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
        pushed = SimpleNamespace(xcom_push=lambda **_: None)
        try:
            operator.execute({"params": {}, "ti": pushed})  # type: ignore[arg-type, typeddict-item]
        except SystemExit as ended:
            print(type(ended).__name__, ended)

    task = command(action=run)
    until(lambda: sleeping(sector.source_uri), task)
    os.kill(task.pid, signal.SIGTERM)
    task.wait()
    assert "\nInterrupted stopped by SIGTERM" in task.out, str(task)
    assert open_batches(sector) == []


@pytest.mark.parametrize(
    "words", [["--help"], ["contracts", "compile", "--check"], ["contracts", "compile", "--check", "--json"]]
)
def test_output_that_nobody_reads(words: list[str], sector: Sector) -> None:
    """`pdic … | head -1` may close the pipe before the command has said all."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "pdic.cli", *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")


def test_a_signal_that_was_to_be_ignored_is(sector: Sector) -> None:
    """`nohup pdic load &`: the terminal closes, and the command goes on."""
    script = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from pdic import stopping\nstopping.heed()\nos.kill(os.getpid(), signal.SIGHUP)\nprint(stopping.asked())"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.stdout == "False\n"
