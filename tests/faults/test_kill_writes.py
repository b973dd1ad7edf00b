"""Fault: `kill -9` while something is written or started outside the database. Invariant: done again, nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdic import airflow_stack, connections, demo_service, logins, processes, settings
from pdic.quality import data_docs
from tests.faults.killing import killed_at


def killed(action: Callable[[], object]) -> bool:
    """Runs an action in a process of its own; returns whether it was killed there."""
    return killed_at(-1, action)


def dies(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("at", ["fsync", "fdopen", "rename", "replace"])
@pytest.mark.parametrize("written", ["state.json", "connections.json", "identity_key"])
def test_no_half_written_file_stays(at: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        if written == "state.json":
            settings.write_state(tmp_path, "postgres", {"port": 1})
        elif written == "connections.json":
            connections.save(tmp_path, {"mine": {"host": "h"}})
        else:
            settings.secret(written, create=True, of=tmp_path)

    with monkeypatch.context() as patch:
        patch.setattr(Path if at in ("rename", "replace") else os, at, dies)
        hit = [killed(write) for _ in range(3)]
    assert all(hit) or at in ("rename", "replace"), "one of the two ends the writing"
    write()
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {"state.lock"}
    assert files == {written}


def test_no_half_written_data_docs_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDIC_HOME", str(tmp_path))
    pages = [data_docs.Page("education", name, 1, []) for name in ("lop", "truong")]
    monkeypatch.setattr(data_docs, "_read", lambda release_id, _: (release_id, pages))
    monkeypatch.setattr(data_docs, "_rules", lambda *_: {})
    monkeypatch.setattr(data_docs, "render", lambda page, _: page.name)
    data_docs.build(1)
    for place, at in ((data_docs, "_rules"), (data_docs, "_index"), (Path, "rename")):
        with monkeypatch.context() as patch:
            patch.setattr(place, at, dies)
            assert killed(lambda: data_docs.build(2))
    data_docs.build(3)
    assert {path.name for path in (tmp_path / "data_docs").iterdir()} == {"release-1", "release-3"}
    assert {path.name for path in (tmp_path / "data_docs" / "release-3").iterdir()} == {
        "education.lop.html",
        "education.truong.html",
        "index.html",
    }


@pytest.mark.parametrize("then", [demo_service.ensure, demo_service.stop])
def test_a_service_that_nobody_recorded_is_found(
    then: Callable[[Path], bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "x", "password": "x", "schema": "x"}
    connections.save(tmp_path, {logins.ONE_STOP_OWNER: entry})
    monkeypatch.setattr(demo_service, "_has_dossiers", lambda _: True)
    with monkeypatch.context() as patch:
        patch.setattr(settings, "write_state", dies)  # the service runs by then
        assert killed(lambda: demo_service.ensure(tmp_path))
    assert not demo_service.running(tmp_path)
    assert len(processes.marked(tmp_path, demo_service.SECTION)) == 1
    try:
        assert then(tmp_path)
        running = processes.marked(tmp_path, demo_service.SECTION)
        recorded = settings.read_state(tmp_path, demo_service.SECTION).get("pid")
        assert [process.pid for process in running] == ([recorded] if recorded else [])
        assert demo_service.running(tmp_path) == bool(recorded)
    finally:
        demo_service.stop(tmp_path)
    assert processes.marked(tmp_path, demo_service.SECTION) == []


@pytest.mark.parametrize("then", ["up", "down"])
def test_a_part_of_airflow_that_nobody_recorded_is_found(
    then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "airflow").mkdir()
    begin = subprocess.Popen

    def sleeper(_: list[str], **more: Any) -> subprocess.Popen[bytes]:
        return begin([sys.executable, "-c", "import time; time.sleep(600)"], **more)

    monkeypatch.setattr(subprocess, "Popen", sleeper)

    def start() -> None:
        airflow_stack._launch_recorded(tmp_path, {}, {}, "scheduler")

    with monkeypatch.context() as patch:
        patch.setattr(settings, "write_state", dies)
        assert killed(start)
    (stray,) = processes.marked(tmp_path, "scheduler")
    try:
        if then == "up":
            start()
        else:
            assert airflow_stack.down(tmp_path)
        assert not stray.alive()
        assert len(processes.marked(tmp_path, "scheduler")) == (then == "up")
    finally:
        airflow_stack.down(tmp_path)
    assert processes.marked(tmp_path, "scheduler") == []
