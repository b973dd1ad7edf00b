"""Run a program and see how long it takes and how much memory it has at most."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

LOOKS_PER_SECOND = 20


def watched(command: list[str], folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Runs it; returns seconds and the peak memory (MB) of all its processes together, looked at twenty times a second.

    Raises RuntimeError with the end of what it said where it fails.
    """
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as running:
        ended, peak = threading.Event(), [0.0]

        def look() -> None:
            while not ended.wait(1 / LOOKS_PER_SECOND):
                peak[0] = max(peak[0], _resident(running.pid))

        watcher = threading.Thread(target=look)
        watcher.start()
        said, _ = running.communicate()
        seconds = time.monotonic() - began
        ended.set()
        watcher.join()
    if running.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {' | '.join(said.strip().splitlines()[-12:])}")
    return {"seconds": round(seconds, 4), "memory": round(peak[0] / 1e6, 1)}


def _resident(pid: int) -> float:
    total = 0.0
    try:
        program = psutil.Process(pid)
        for process in (program, *program.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:
        return total
    return total
