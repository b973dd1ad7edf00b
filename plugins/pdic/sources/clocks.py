"""How much time has passed here, said by a clock that nobody sets: what a source's own clock is judged by."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on this machine: seconds since it booted (sleep included), which boot that was, and the wall clock."""

    boot: str
    uptime: float
    wall: float

    def seconds_since(self, former: Instant) -> float:
        """Seconds from `former` to here: exact within one boot, else (another machine, a restart) by the wall clocks."""
        if self.boot and self.boot == former.boot:
            return self.uptime - former.uptime
        return self.wall - former.wall

    def as_json(self) -> list[Any]:
        """The three values, for the ledger."""
        return [self.boot, round(self.uptime, 3), round(self.wall, 3)]


def here() -> Instant:
    """This moment. Where the system does not say which boot it is, only the wall clock counts."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Instant(boot, time.clock_gettime(clock), time.time())
