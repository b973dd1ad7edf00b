"""How fast something may go: the rate at which a guest reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Holds its callers back to `per_second` units a second together; None: to nothing. Safe to share between threads.

    Whoever takes waits until what was taken before has had its time, so nothing is saved up for a burst.
    """

    def __init__(
        self,
        per_second: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def take(self, units: int) -> None:
        """Take `units`; returns when their time has passed."""
        if self._per_second is None:
            return
        with self._lock:
            self._free_at = max(self._free_at, self._clock()) + units / self._per_second
            due = self._free_at - self._clock()
        if due > 0:
            self._sleep(due)
