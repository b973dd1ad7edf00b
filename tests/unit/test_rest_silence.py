"""A service that takes connections and never answers, and what is said of the demo's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdic import logins, settings
from pdic.errors import SourceUnavailable
from pdic.sources.rest import session
from pdic.sources.rest.endpoint import read_endpoint
from pdic.sources.rest.session import Session

LIMITS = '{"read_seconds": 0.1, "tries": 3}'


class Mute:
    """Takes connections and says nothing. Counts them."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.asked = 0
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}/?extra={LIMITS}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._taken.append(self._listener.accept()[0])
            self.asked += 1


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mute]:
    monkeypatch.setattr(session, "_away", set())
    yield Mute()


def ask(service: Mute, conn_id: str, what: str) -> str:
    """What is said of a service that is asked."""
    asking = Session(read_endpoint(conn_id, service.uri), what, sleep=lambda _: None)
    with pytest.raises(SourceUnavailable) as refused:
        asking.get("/", {}, lambda reply: reply)
    asking.close()
    return str(refused.value)


def test_a_service_that_never_answers_is_given_up_and_holds_the_next_feed_up_once(mute: Mute) -> None:
    said = ask(mute, "pdic_source_x", "x.a")
    assert mute.asked == 3
    assert "broke off (ReadTimeout) (after 3 tries)" in said
    assert said.endswith("see that the service is well (connection pdic_source_x), then load again.")
    assert "(after 1 try)" in ask(mute, "pdic_source_x", "x.b")
    assert mute.asked == 4


@pytest.mark.parametrize("beside", [True, False])
def test_of_the_demos_service_it_is_said_that_the_next_command_starts_it(
    mute: Mute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    """In containers it is somebody else's: the engine starts it again."""
    monkeypatch.setenv("PDIC_HOME", str(tmp_path))
    if beside:
        settings.write_state(tmp_path, logins.ONE_STOP, {"port": 1})
    said = ask(mute, logins.ONE_STOP_SOURCE, "one_stop.a")
    assert ("run this one again, or `pdic up`" in said) is beside
    assert ("see that the service is well" in said) is not beside
