"""The watch of open sessions, without a server."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from pdic.warehouse import silence


@dataclass
class Line:
    """A session that is watched, and its server's end."""

    watched: silence.Watched
    here: socket.socket
    there: socket.socket

    def is_cut(self) -> bool:
        self.there.setblocking(False)
        try:
            return self.there.recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def open_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Line]]:
    """Opens a session that has been quiet for long; only `look` looks at it."""
    monkeypatch.setenv(silence.SILENCE, "0.01")
    monkeypatch.setattr(silence, "_open", [])
    monkeypatch.setattr(silence, "_TCP_INFO", None)  # (it would count from the moment in which a line was opened)
    opened: list[Line] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def open_it() -> Line:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
        watched = silence.Watched("", lambda: True, 1, well_at=time.monotonic() - 60.0)
        watched.hold(here.fileno())
        silence._open.append(watched)
        opened.append(Line(watched, here, there))
        return opened[-1]

    with listener:
        yield open_it
    for line in opened:
        for each in (line.watched.line, line.here, line.there):
            each.close()


def test_a_server_without_an_answer_loses_its_sessions(
    open_line: Callable[[], Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [open_line(), open_line()]
    monkeypatch.setattr(silence, "ask", lambda _: silence.Answer.SILENT)
    silence.look()
    assert [line.is_cut() for line in lines] == [True, True]


def test_what_comes_while_an_answer_is_waited_for_keeps_the_sessions(
    open_line: Callable[[], Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is too slow to let a session in, but sends rows to those that it has."""
    first, second = open_line(), open_line()

    def ask(_: silence.Watched) -> silence.Answer:
        second.there.send(b"x")
        while not second.watched._unread():
            pass
        return silence.Answer.SILENT

    monkeypatch.setattr(silence, "ask", ask)
    silence.look()
    assert [first.is_cut(), second.is_cut()] == [False, False]


def test_a_forked_child_ends_a_session_whose_lock_was_held(open_line: Callable[[], Line]) -> None:
    line = open_line()
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with line.watched._in_use:
            held.set()
            over.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        line.watched.end()
        os._exit(0)
    over.set()
    holder.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not line.is_cut()


def test_where_the_kernel_does_not_count_a_server_is_asked_and_has_no_time_limit(
    open_line: Callable[[], Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "TCP_INFO")
    line = open_line()
    line.watched.longest = 0.001
    assert line.watched.unheard() >= 60.0
    assert not line.watched.overdue()
