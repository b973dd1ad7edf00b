"""How long a source has to let a session in."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from pdic.errors import SourceUnreachable
from pdic.sources import entry
from pdic.warehouse.connect import CONNECT_SECONDS

URI = "postgresql://reader@127.0.0.1:1/x"


def test_only_a_server_that_gave_no_answer_has_less_time_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who refuses at once is full or starts: two seconds may be too few for its login when it is well again."""
    tries = [False, False, True, True, False, False]
    """Does the server hang?"""
    given: list[int] = []
    now = [0.0]

    def open_session(*_: Any, patience: int, **__: Any) -> Any:
        hangs = tries[len(given)]
        given.append(patience)
        now[0] += patience + 0.01 if hangs else 0.0
        raise psycopg2.OperationalError("timeout expired" if hangs else "Connection refused")

    monkeypatch.setattr(entry, "_away", set())
    monkeypatch.setattr(entry, "open_session", open_session)
    monkeypatch.setattr(entry, "monotonic", lambda: now[0])
    for _ in tries:
        with pytest.raises(SourceUnreachable):
            entry.enter(URI, "look", "the source", "pdic_source_x")
    least, whole = entry.AGAIN_SECONDS, CONNECT_SECONDS
    assert given == [whole, whole, whole, least, least, whole]
