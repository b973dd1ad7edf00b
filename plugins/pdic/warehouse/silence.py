"""Servers that fall silent: their connections stay open, and nothing ever comes again.

A server whose disk or machine hangs answers nobody, but its kernel (or the network between) keeps the connection alive, so that
whoever reads from it would wait without end. Every session of this process is therefore watched by a thread beside. It asks the
kernel when the last byte came, which costs the session nothing. A session that waits and has got nothing for `PDIC_SILENCE`
seconds is asked about by a second, short session:

    it answers      the server only takes its time (a sort before the first row): the session is left alone, and asked about again
    no answer       within `PDIC_ANSWER` seconds: every session with that server that has fallen silent is cut
    unknown there   the server answers, but does not know the session any more: it is cut

A read of a source ends with its own time limit too, also where its server should have ended it and has not. To cut a session is
to close it on our side: whatever waits for it gets the driver's error for a lost session, and `broken` says why it was.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import logging
import os
import select
import socket
import sys
import termios
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

import psycopg
import psycopg2
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pdic import settings, stopping

SILENCE: Final = "PDIC_SILENCE"
"""The setting: after how many seconds without a byte a server is asked whether it still lives."""
SILENCE_SECONDS: Final = 30.0
ANSWER: Final = "PDIC_ANSWER"
"""The setting: how many seconds it has for its answer."""
ANSWER_SECONDS: Final = 10.0
STOP_SECONDS: Final = 3.0
"""How long a server has to stop what it does, when it is asked to."""
GRACE_SECONDS: Final = 60.0
"""How long after its time limit a server may still end a statement itself."""

_TICK_SECONDS: Final = 1.0
_BLINK_SECONDS: Final = 0.2
_SPARE_SECONDS: Final = 0.5
_SPARE_WAITS: Final = 12
_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
"""Linux alone counts so; elsewhere a server is asked whenever somebody has waited for it for so long."""
_LAST_SENT, _LAST_RECEIVED = 44, 52
"""Where the kernel's `tcp_info` says how many milliseconds ago something was sent, and came (linux/tcp.h)."""

_log = logging.getLogger(__name__)


class NotServed(TimeoutError):
    """Whoever we asked let us in, and then gave no answer in time."""


class Answer(Enum):
    """What a server says of a session when it is asked by another one."""

    WELL = auto()
    SILENT = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    """It answers, but lets nobody in who could ask further."""


@dataclass(eq=False)
class Watched:
    """One session: the way to its server, and its socket as the kernel knows it."""

    conninfo: str = field(repr=False)
    waits: Callable[[], bool]
    pid: int
    """The session's process at the server, as far as the driver knows."""
    whose: str = ""
    """Whose server it is, as it reads in a sentence; empty for the warehouse."""
    backend: tuple[int, str] | None = None
    """The session's process at the server, and when that server started."""
    pinned: bool = False
    """That process works for the transaction that is under way: until its end a pooler gives it to nobody else."""
    longest: float | None = None
    """How many seconds the server may work on one statement."""
    talks: bool = False
    """We send something all the time, so that only what comes tells anything."""
    well_at: float = field(default_factory=time.monotonic)
    born: float = field(default_factory=time.monotonic)
    asked: bool = True
    question: str = field(default="", repr=False)
    """The conninfo by which its server is asked whether it lives, where that is not the session's own."""
    interrupt: Callable[[], object] | None = None
    """What the driver has to stop a session. It needs no login, but psycopg2 waits for the server with the whole process."""
    line: socket.socket = field(init=False, repr=False)
    _in_use: Any = field(default_factory=threading.RLock, init=False, repr=False)
    _ended: bool = field(default=False, init=False)

    def hold(self, descriptor: int) -> None:
        """Keep the session's socket, by a number of our own: the driver's number may soon be that of another file."""
        self.line = socket.socket(fileno=os.dup(descriptor))

    def cut(self) -> None:
        """End the session on this side: whoever waits for it stops waiting."""
        with self._in_use, contextlib.suppress(OSError):  # (it has ended)
            self.line.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Watch it no longer."""
        with self._in_use:  # the driver is about to forget the session, and nobody may ask it then
            self._ended = True
            self.line.close()  # (nor cut what gets its number next)
        with _lock:
            if self in _open:
                _open.remove(self)

    def alone(self) -> None:
        """In a forked process: the session is another one's, and a thread that is not here may hold the lock."""
        self._in_use = threading.RLock()
        self.line.close()

    def ask_without_login(self) -> None:
        """From now on send no password: what the server says to that is an answer too, and no refused try of the login."""
        words = {name: value for name, value in conninfo_to_dict(self.conninfo).items() if name != "password"}
        self.question = make_conninfo("", **words | {"password": "", "passfile": "/nonexistent"})

    def moves(self) -> bool:
        """May a pooler have given the session another process since, and its former one to somebody else?"""
        return self.behind_a_pooler() and not self.pinned

    def stop_by_driver(self) -> bool:
        """Have the driver stop what the session does, at a server that answers. Returns whether it could."""
        with self._in_use:
            if self.interrupt is None or self._ended:
                return False
            try:
                self.interrupt()
            except (psycopg.Error, psycopg2.Error):
                return False
            return True

    def behind_a_pooler(self) -> bool:
        """Is the process that works for the session another one than the one that let it in?"""
        return self.backend is not None and self.backend[0] != self.pid

    def is_waiting(self) -> bool:
        """Does somebody wait for the server?"""
        with self._in_use:
            return not self._ended and self.waits()

    @property
    def server(self) -> str:
        """The address of its server."""
        with contextlib.suppress(OSError):
            return str(self.line.getpeername())
        return "gone"

    def unheard(self) -> float:
        """For how many seconds nothing has come although something is waited for, and nobody has vouched for the server."""
        now = time.monotonic()
        if not self.is_waiting() or self._unread():
            self.well_at = now
            return 0.0
        return min(now - self.well_at, self._quiet())

    def _quiet(self) -> float:
        """For how many seconds nothing has come, nor gone, by the kernel's count; without end where it counts nothing."""
        if _TCP_INFO is None:
            return float("inf")
        with contextlib.suppress(OSError):
            told = self.line.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LAST_RECEIVED + 4)
            sent, received = (int.from_bytes(told[at : at + 4], sys.byteorder) for at in (_LAST_SENT, _LAST_RECEIVED))
            return (received if self.talks else min(sent, received)) / 1000
        return float("inf")

    def overdue(self) -> bool:
        """Has the server worked for longer than it may, without a byte, and not ended that itself?"""
        if self.longest is None or not self.is_waiting() or self._unread():
            return False
        return self.longest + GRACE_SECONDS < self._quiet() < float("inf")

    def _unread(self) -> bool:
        """Has something come that we have yet to read? Then it is we who take our time."""
        size = array.array("i", [0])
        with contextlib.suppress(OSError, ValueError):  # (its number is -1 once it is closed)
            fcntl.ioctl(self.line, termios.FIONREAD, size)
        return size[0] > 0


_lock = threading.RLock()
_open: list[Watched] = []
_broken: dict[str, str] = {}
"""Whose sessions were cut, and why."""
_thread: threading.Thread | None = None


def watch(
    descriptor: int,
    conninfo: str,
    host: str,
    port: int | str,
    *,
    waits: Callable[[], bool],
    pid: int,
) -> Watched:
    """Watch a session from now on, until its `end`. `conninfo` led to it, to the server `host`, `port` of those that it names.

    Raises PdicError where a setting is no number of seconds.
    """
    # A wrong setting is refused here, where somebody is told: the thread beside could only end.
    silence_seconds(), answer_seconds()
    watched = Watched("", waits, pid)
    watched.hold(descriptor)
    words = {name: value for name, value in conninfo_to_dict(conninfo).items() if name not in _NOT_ASKED_WITH}
    address = {}
    if watched.line.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # it is gone already, as its driver will find
            address["hostaddr"] = str(watched.line.getpeername()[0])
    watched.conninfo = make_conninfo(
        "", **words | address | {"host": host, "port": str(port), "application_name": "pdic ask whether it lives"}
    )
    global _thread
    with _lock:
        _open.append(watched)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="silence", daemon=True)
            _thread.start()
    return watched


_NOT_ASKED_WITH: Final = (
    "hostaddr", "options", "replication", "target_session_attrs", "load_balance_hosts", "connect_timeout",
)  # fmt: skip


def broken(whose: str = "") -> str | None:
    """Why sessions of this process with a server were cut, in words that follow its name; None where none was."""
    return _broken.get(whose)


def forget(whose: str = "") -> None:
    """A server lets us in (again): what was said of it is over."""
    _broken.pop(whose, None)


def sessions() -> list[Watched]:
    """The sessions that are open now."""
    with _lock:
        return list(_open)


def stop(watched: Collection[Watched]) -> None:
    """Stop what sessions do for other threads. Their servers are asked to; a session whose server does not answer is cut."""
    stopping_them = [
        threading.Thread(target=_cancel, args=(each,), daemon=True) for each in watched if each.is_waiting()
    ]
    for thread in stopping_them:
        thread.start()
    for thread in stopping_them:
        thread.join()


def _stop_all() -> None:
    """Stop what the sessions do that were open when this process was asked to stop. Later ones give up what was under way."""
    asked_at = stopping.asked_at()
    stop([each for each in sessions() if asked_at is None or each.born < asked_at])


stopping.on_stop(_stop_all)


def _cancel(watched: Watched) -> None:
    """Ask the server to stop what it does for a session; where that cannot be asked in time, end the session on this side."""
    if watched.moves():
        # Nobody can say which process it is; the pooler gives up what is under way for a client that leaves.
        watched.cut()
        return
    pid = watched.backend[0] if watched.backend else watched.pid
    try:
        _told(watched.conninfo, b"select pg_catalog.pg_cancel_backend($1::pg_catalog.int4)", [str(pid)], STOP_SECONDS)
    except TimeoutError:
        watched.cut()
    except ConnectionRefusedError:  # it answers, but has no connection left for us
        if watched.behind_a_pooler() or not watched.stop_by_driver():  # (a pooler would wait for the server)
            watched.cut()


def silence_seconds() -> float:
    """After how many seconds without a byte a server is asked whether it still lives."""
    return settings.seconds(SILENCE, SILENCE_SECONDS)


def answer_seconds() -> float:
    """How many seconds a server has for its answer."""
    return settings.seconds(ANSWER, ANSWER_SECONDS)


def look() -> None:
    """Look once at every session: ask about those that have fallen silent, and cut those whose server is gone."""
    limit = silence_seconds()
    silent: dict[str, list[Watched]] = {}
    for each in sessions():
        if not each.asked:
            continue
        if each.overdue():
            _cut(
                each,
                f"has sent nothing for longer than one statement may take there ({each.longest:.0f} s), and did not end it",
            )
        elif each.unheard() >= limit:
            silent.setdefault(each.server, []).append(each)
    for of_server in silent.values():
        for each in of_server:
            if each.unheard() < limit:  # it came while another one was asked about
                continue
            answer = ask(each)
            if answer is Answer.SILENT:
                if all(one.unheard() >= limit for one in of_server):
                    for one in of_server:
                        _cut(
                            one,
                            "stopped answering: nothing came for {:.0f} s, and a second connection got no answer either",
                        )
                # Else something came, or ended, while the answer was waited for: the server lives, and is asked again.
                break
            if answer is Answer.UNKNOWN and each.unheard() >= limit:
                _cut(each, "has lost this session: nothing came for {:.0f} s, and the server does not know it any more")
            if answer is Answer.REFUSED:
                each.ask_without_login()
            each.well_at = time.monotonic()


def ask(watched: Watched) -> Answer:
    """Ask a server by a session of its own whether it lives, and works for the session that is watched."""
    pid, started = watched.backend or (0, "")
    try:
        unknown = _told(watched.question or watched.conninfo, _QUESTION, (str(pid), started), answer_seconds())
    except NotServed:
        # A pooler lets us in itself. While every process of the server that it has works, it answers nothing more, and the server may be
        # well: what ends a session there is its time limit (`overdue`).
        return Answer.WELL if watched.behind_a_pooler() else Answer.SILENT
    except TimeoutError:
        return Answer.SILENT
    except ConnectionRefusedError:
        return Answer.REFUSED
    return Answer.UNKNOWN if unknown == b"t" and watched.backend and not watched.moves() else Answer.WELL


def _told(conninfo: str, question: bytes, values: Sequence[str], limit: float) -> bytes | None:
    """What a server answers to a question in a session of its own, within so many seconds; None where it answers something else.

    Spoken over libpq itself, because the drivers wait without a limit, one of them with the whole process. Raises TimeoutError
    (`NotServed` where it let us in), and ConnectionRefusedError where it lets nobody in.
    """
    patience = _Patience(limit)
    session = pq.PGconn.connect_start(conninfo.encode())
    try:
        wanted = pq.PollingStatus.WRITING
        while wanted in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
            _wait(session, patience, write=wanted is pq.PollingStatus.WRITING)
            wanted = pq.PollingStatus(session.connect_poll())
        if session.status != pq.ConnStatus.OK:
            raise ConnectionRefusedError
        try:
            result = _result(session, question, values, patience)
        except TimeoutError:
            raise NotServed from None
        return result.get_value(0, 0) if result and result.status == pq.ExecStatus.TUPLES_OK else None
    except psycopg.Error:
        return None  # it answered, if only to end the session; what becomes of the other one is seen there
    finally:
        session.finish()


def _result(
    session: pq.abc.PGconn, question: bytes, values: Sequence[str], patience: _Patience
) -> pq.abc.PGresult | None:
    session.nonblocking = 1
    session.send_query_params(question, [value.encode() for value in values])
    while session.flush():
        _wait(session, patience, write=True)
    while session.is_busy():
        _wait(session, patience, write=False)
        session.consume_input()
    return session.get_result()


class _Patience:
    """How long to wait for each of several things, which together may take so many seconds.

    When the time is over, some waits still get a moment: this process may have stood still (it was stopped, or a library let no other
    thread run), and then the answer may be there already.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._spare = _SPARE_WAITS

    def seconds(self) -> float:
        left = self._until - time.monotonic()
        if left >= _SPARE_SECONDS or not self._spare:
            return max(left, 0.0)
        self._spare -= 1
        return _SPARE_SECONDS


def _wait(session: pq.abc.PGconn, patience: _Patience, *, write: bool) -> None:
    """Wait until a session's socket can be written to, or read from. Raises TimeoutError when the time is over."""
    poll = select.poll()
    poll.register(session.socket, select.POLLOUT if write else select.POLLIN)
    if not poll.poll(patience.seconds() * 1000):
        raise TimeoutError


STARTED: Final = "(extract(epoch from pg_catalog.pg_postmaster_start_time()) * 1000)::pg_catalog.int8::pg_catalog.text"
"""When a server started, written alike whatever a session has set."""
_QUESTION: Final = f"""
select {STARTED} operator(pg_catalog.=) $2::pg_catalog.text
    and not exists (select from pg_catalog.pg_stat_activity where pid operator(pg_catalog.=) $1::pg_catalog.int4)
""".encode()  # noqa: S608 (constants of this module)
"""Is this the server where the session was, and is the session unknown there? (Behind one address there may be several servers.)"""


def _cut(watched: Watched, why: str) -> None:
    reason = why.format(time.monotonic() - watched.well_at)
    _broken[watched.whose] = reason
    _log.info("%s %s", watched.whose or "the warehouse", reason)
    watched.cut()
    watched.asked = False


def _run() -> None:
    while True:
        time.sleep(min(_TICK_SECONDS, max(silence_seconds() / 4, _BLINK_SECONDS)))
        try:
            look()
        except Exception:  # the watch of all sessions must not end with one of them
            _log.exception("a look at the open sessions failed")


def _alone() -> None:
    """A forked process has no thread, and the sessions of the one that it comes from are not its own."""
    global _lock, _thread
    _lock, _thread = threading.RLock(), None
    for each in _open:
        each.alone()
    _open.clear()


os.register_at_fork(after_in_child=_alone)
