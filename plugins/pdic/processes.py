"""Processes PDIC started: told apart from strangers that got the same process id, and ended with all their children."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

MARK: Final = "PDIC_PART"
START_TOLERANCE = 0.05  # seconds; psutil reads start times in clock ticks (1/100 s)


@dataclass(frozen=True)
class Started:
    """One process: its id and when it started (seconds since the epoch), which together name it for good."""

    pid: int
    started: float

    def alive(self) -> bool:
        """Whether this very process still runs; one that has ended but was not collected (a zombie) does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < START_TOLERANCE
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def started(pid: int) -> Started:
    """Names the running process `pid`. Raises psutil.NoSuchProcess where there is none."""
    return Started(pid, psutil.Process(pid).create_time())


def session_of(leader: Started) -> list[Started]:
    """Every running process of the session that `leader` began, whether it still lives or not.

    While any of them runs, the system gives the leader's id to nobody else; so where somebody else has it, there are none.
    """
    if not leader.alive() and psutil.pid_exists(leader.pid) and not _is_zombie(leader.pid):
        return []
    return _search(lambda process: os.getsid(process.pid) == leader.pid)


def mark(home: Path, part: str) -> dict[str, str]:
    """What the environment of a part of `home` holds, so that `marked` finds it, and whatever it starts."""
    return {MARK: f"{part} of {home}"}


def marked(home: Path, part: str) -> list[Started]:
    """Every running process of a part of `home`: also where whoever started it died before it could record that."""
    wanted = mark(home, part)[MARK]
    return _search(lambda process: process.environ().get(MARK) == wanted)


def working_in(folder: str, program: str) -> list[Started]:
    """Every process called `program` whose working folder is `folder`."""
    return _search(lambda process: process.name() == program and process.cwd() == folder)


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _search(matches: Callable[[psutil.Process], bool]) -> list[Started]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and matches(process) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(Started(process.pid, process.create_time()))
    return sorted(found, key=lambda process: process.pid)


def end(find: Callable[[], list[Started]], seconds: float) -> bool:
    """Ends the processes that `find` returns, politely and after `seconds` by force; returns whether there were any."""
    targets = find()
    were = bool(targets)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if targets:
            send(targets, number)
            wait_gone(targets, seconds)
            targets = find()
    return were


def send(targets: Iterable[Started], number: signal.Signals) -> None:
    """Sends a signal to those of `targets` that still run."""
    for process in targets:
        if process.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)


def wait_gone(targets: Iterable[Started], seconds: float) -> list[Started]:
    """Waits until none of `targets` runs, at most `seconds`; returns those that still do."""
    left = list(targets)
    deadline = time.monotonic() + seconds
    while True:
        for process in left:
            _collect(process.pid)
        left = [process for process in left if process.alive()]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.05)


def _collect(pid: int) -> None:
    """Takes the exit status of a child of ours, so that it does not stay as a zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
