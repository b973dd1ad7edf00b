"""Kill an action outright at a step of its own: a step is the entry to, or the exit from, a function of the package.

The action runs in a forked process, so that the kill takes all of it, threads and open connections too, and nothing of its
clean-up runs: what `kill -9` does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg

import pdic
from pdic import connections

PACKAGE = str(Path(pdic.__file__).parent)
PURE = (f"{PACKAGE}/contracts/", f"{PACKAGE}/settings.py", f"{PACKAGE}/connections.py")
"""What reads files only: to die there is to die before or after it."""


class Steps:
    """Counts the steps that begin in this process, and ends it at number `last`."""

    def __init__(self, last: int | None = None) -> None:
        self.count = 0
        self._last = last

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event not in ("call", "return") or not name.startswith(PACKAGE) or name.startswith(PURE):
            return
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def steps_of(action: Callable[[], object]) -> int:
    """Runs the action here, to its end; how many steps it took."""
    steps = Steps()
    threading.setprofile(steps)
    sys.setprofile(steps)
    try:
        action()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return steps.count


def killed_at(step: int, action: Callable[[], object]) -> bool:
    """Runs the action in a process of its own that dies at `step`; False where the action had ended before."""
    child = os.fork()
    if child == 0:
        steps = Steps(step)
        threading.setprofile(steps)
        sys.setprofile(steps)
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the action failed before it could be killed"
    return False


def warehouse_sessions() -> set[int]:
    """The server processes of all sessions with the warehouse, but for the one that asks."""
    with psycopg.connect(connections.warehouse("loader")) as loader:
        others = "select pid from pg_stat_activity where datname = current_database() and usename is not null and pid <> pg_backend_pid()"
        return {pid for (pid,) in loader.execute(others)}


def wait_for_the_end_of_others(there: set[int]) -> None:
    """Waits until the warehouse has ended every session but `there`: those of a dead process hold their tables some moments longer."""
    while warehouse_sessions() - there:
        time.sleep(0.01)


def killed_and_gone(step: int, action: Callable[[], object]) -> bool:
    """`killed_at`, and the server has noticed it too."""
    there = warehouse_sessions()
    killed = killed_at(step, action)
    wait_for_the_end_of_others(there)
    return killed


def spread(steps: int, kills: int) -> list[int]:
    """Steps to die at, evenly from the first to the last."""
    return sorted({1 + at * (steps - 1) // (kills - 1) for at in range(kills)})
