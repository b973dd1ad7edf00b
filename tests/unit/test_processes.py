"""Processes are told apart from strangers with the same id, and found with everything they began."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pdic import ports, processes
from pdic.processes import Started

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
# A leader whose child moves to a process group of its own, as Airflow's tasks do.
FAMILY = [
    sys.executable,
    "-c",
    f"import os, subprocess, time; subprocess.Popen({SLEEPER!r}, process_group=0); time.sleep(600)",
]


def test_a_stranger_with_the_same_id_is_not_taken_for_ours() -> None:
    child = subprocess.Popen(SLEEPER, start_new_session=True)
    ours = processes.started(child.pid)
    former = Started(ours.pid, ours.started - 100)
    try:
        assert ours.alive()
        assert not former.alive()
        processes.send([former], signal.SIGKILL)
        assert processes.session_of(former) == []
        assert ours.alive()
    finally:
        processes.send([ours], signal.SIGKILL)
    assert processes.wait_gone([ours], 60) == []


@pytest.mark.parametrize("leader_first", [False, True])
def test_a_session_is_found_whole_even_after_its_leaders_death(leader_first: bool) -> None:
    leader = processes.started(subprocess.Popen(FAMILY, start_new_session=True).pid)
    deadline = time.monotonic() + 120
    while len(processes.session_of(leader)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if leader_first:
        processes.send([leader], signal.SIGKILL)
        assert processes.wait_gone([leader], 60) == []
    family = processes.session_of(leader)
    assert len(family) == (1 if leader_first else 2)
    processes.send(family, signal.SIGKILL)
    assert processes.wait_gone(family, 60) == []
    assert processes.session_of(leader) == []


def test_waiting_returns_those_that_stay() -> None:
    child = processes.started(subprocess.Popen(SLEEPER, start_new_session=True).pid)
    try:
        assert processes.wait_gone([child], 0.1) == [child]
    finally:
        processes.send([child], signal.SIGKILL)
    assert processes.wait_gone([child], 60) == []


def test_a_process_is_found_by_where_it_works(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "600"], cwd=tmp_path)
    try:
        assert [found.pid for found in processes.working_in(str(tmp_path.resolve()), "sleep")] == [child.pid]
        assert processes.working_in(str(tmp_path.resolve()), "postgres") == []
    finally:
        child.kill()
        child.wait()
    assert not Started(child.pid, time.time()).alive()
    assert os.getpid() not in [found.pid for found in processes.working_in(os.getcwd(), "python")]  # noqa: PTH109


def test_a_free_port_is_kept_and_a_taken_one_is_not() -> None:

    port = ports.keep_or_find(None)
    assert ports.keep_or_find(port) == port
    with socket.socket() as taken:
        taken.bind((ports.HOST, port))
        taken.listen()
        assert not ports.is_free(port)
        assert ports.keep_or_find(port) != port
