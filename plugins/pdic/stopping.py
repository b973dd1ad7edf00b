"""Signals that ask a process to stop: Ctrl-C, `systemctl stop`, a terminal that closes, Airflow ending a task.

Python hands a signal to the main thread, once that runs Python. A thread that waits for a database does not: it sits in the driver
until the server answers. So a thread beside learns of the signal at once, and ends what others wait for (`on_stop`). The main
thread then finds `Stopped` raised, every `finally` runs, and what was under way is given up.

Nothing here imports more than the standard library: `pdic` heeds signals from its first moment on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pdic.errors import Interrupted

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AT_ONCE_S: Final = 5.0
"""So long after the first signal another one ends the process at once, whatever it does. Before that, it is the same request."""

AGAIN_S: Final = 1.0
_BLINK_S: Final = 0.05

_number: signal.Signals | None = None
_asked_at = 0.0
_enders: list[Callable[[], object]] = []

_log = logging.getLogger(__name__)


class Stopped(KeyboardInterrupt):
    """A signal asked this process to stop. Libraries that know what to do at Ctrl-C do the same at the other signals."""


def asked(within: float = 0.0) -> bool:
    """Was this process asked to stop, or is it within so many seconds?

    Looks again and again: an event to wait for has a lock, and a signal's handler runs within whatever holds it.
    """
    until = time.monotonic() + within
    while _number is None and time.monotonic() < until:
        time.sleep(_BLINK_S)
    return _number is not None


def check() -> None:
    """Raises `Stopped` where this process was asked to stop: for threads, which no signal reaches."""
    if asked():
        raise Stopped


def pause(seconds: float) -> None:
    """Wait. Raises `Stopped` as soon as this process is asked to stop."""
    if asked(within=seconds):
        raise Stopped


def asked_at() -> float | None:
    """When this process was asked to stop, by the monotonic clock; None where nobody has."""
    return _asked_at if asked() else None


def on_stop(ender: Callable[[], object]) -> None:
    """From now on, `ender` is called when the process is asked to stop, from a thread of its own: it ends what others wait for."""
    _enders.append(ender)


def exit_code() -> int:
    """What shells expect of a process that a signal ended."""
    return 128 + (_number or signal.SIGINT)


def refusal() -> Interrupted | None:
    """What is said of work that was stopped so; None where nobody asked for it."""
    if _number is None:
        return None
    from pdic.errors import Interrupted

    how = " (Ctrl-C)" if _number is signal.SIGINT else ""
    return Interrupted(
        f"stopped by {_number.name}{how}. What was under way was given up, and nothing of it was accepted or published: run the same "
        "command again"
    )


def heed() -> None:
    """From now on the signals end this process in order. One that it was started to ignore (`nohup`) stays ignored."""
    _begin_to_listen(SIGNALS)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    former = sys.unraisablehook

    def hook(found: Any) -> None:
        if isinstance(found.exc_value, Stopped):
            _raise_again()
        else:
            former(found)

    sys.unraisablehook = hook


def let_be() -> None:
    """The work is done: signals end this process as they end any other."""
    for number in SIGNALS:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """While the block runs in the main thread, what it waits for ends when a signal comes that somebody else handles.

    A timer's signal counts too: what is waited for ends, and nobody is asked to stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former, told = _begin_to_listen((*SIGNALS, signal.SIGALRM))
    try:
        yield
    finally:
        signal.set_wakeup_fd(former, warn_on_full_buffer=False)
        _lines.remove(told)
        told.close()
        _forget()


def _begin_to_listen(numbers: Sequence[signal.Signals]) -> tuple[int, socket.socket]:
    """Start the thread that learns of signals; returns where they were told before, and where they are told now."""
    here, there = socket.socketpair()
    there.setblocking(False)
    threading.Thread(target=_listen, args=(here, numbers), name="signals", daemon=True).start()
    _lines.append(there)
    return signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False), there


_lines: list[socket.socket] = []
"""Where signals are told: kept, because the interpreter knows their numbers only."""


def _listen(here: socket.socket, numbers: Sequence[signal.Signals]) -> None:
    """End what others wait for at a signal, and after a request to stop again and again: they may just have begun to wait."""
    poll = select.poll()
    poll.register(here, select.POLLIN)
    with here:
        while poll.poll(AGAIN_S * 1000 if asked() else None):
            told = here.recv(64)
            if not told:
                return
            coming = [number for number in numbers if number in told]
            for number in coming:
                if number is not signal.SIGALRM:
                    _note(number)
            if coming:
                _end_all()
        while asked():
            _end_all()
            time.sleep(AGAIN_S)


def _end_all() -> None:
    for ender in tuple(_enders):
        try:
            ender()
        except Exception as error:  # the others end what they can all the same, and so does this one a moment later
            _log.warning("what was under way could not be stopped (%s): it is tried again", type(error).__name__)


def _note(number: signal.Signals) -> None:
    global _number, _asked_at
    if _number is None:
        _asked_at = time.monotonic()
        _number = number


def _forget() -> None:
    global _number
    _number = None


def _handle(number: int, _: FrameType | None) -> None:
    global _raised
    _note(signal.Signals(number))
    if not _raised:
        _raised = True
        raise Stopped
    if time.monotonic() - _asked_at > AT_ONCE_S:
        os._exit(128 + number)


def _raise_again() -> None:
    """`Stopped` was raised where Python can only forget it (a clean-up of memory): it is raised anew a moment later."""
    global _raised
    _raised = False
    timer = threading.Timer(0.05, os.kill, (os.getpid(), exit_code() - 128))
    timer.daemon = True
    timer.start()


_raised = False


def _alone() -> None:
    """A forked process has no thread that listens, and its signals are not its parent's: they share the line that tells of them."""
    former = signal.set_wakeup_fd(-1)
    if former not in [each.fileno() for each in _lines]:
        signal.set_wakeup_fd(former, warn_on_full_buffer=False)
    for each in _lines:
        each.close()


os.register_at_fork(after_in_child=_alone)
