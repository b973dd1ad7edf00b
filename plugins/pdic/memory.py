"""How much memory this process has used at most."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

_PROCESS = Path("/proc/self")


def forget_peak() -> None:
    """Begin to measure anew: the peak falls to what is used now. Where the system does not allow it, nothing happens."""
    with suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")


def peak() -> int:
    """The most that was resident since `forget_peak`, in bytes."""
    # Not ru_maxrss where it can be helped: a process inherits the peak of the one that started it, and cannot forget it.
    with suppress(OSError):
        return _resident("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def used() -> int:
    """What is resident now, in bytes; 0 where the system does not say."""
    with suppress(OSError):
        return _resident("VmRSS")
    return 0


def _resident(field: str) -> int:
    status = (_PROCESS / "status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024
