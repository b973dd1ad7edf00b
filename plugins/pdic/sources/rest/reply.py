"""What a service answers, apart from how it is asked: whoever reads replies loads no HTTP library."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its decoded body, and what lets the same question be asked again cheaply."""

    status: int
    body: bytes
    content_type: str
    etag: str | None
    modified: str | None

    @property
    def unchanged(self) -> bool:
        """Whether the service says that nothing changed since the validators that were sent."""
        return self.status == 304


class Transient(Exception):
    """An attempt failed in a way that may pass; `retry_after` is what the service asked for, in seconds.

    `away`: there was no connection with the service.
    """

    def __init__(self, what: str, retry_after: float | None = None, *, away: bool = False) -> None:
        super().__init__(what)
        self.retry_after = retry_after
        self.away = away


def from_json(text: str | bytes, **how: Any) -> Any:
    """What a JSON text says; ``how`` goes to `json.loads`. Raises ValueError, for one that is nested too deep as well.

    Deep nesting uses up the stack. A finalizer that the garbage collector ran at that moment would fail for want of it, and Python
    would print its traceback: so the collector waits.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return json.loads(text, **how)
    except RecursionError:
        raise ValueError("nested too deep") from None
    finally:
        if collects:
            gc.enable()
