"""A limit on the whole of one exchange. Time-outs of a socket start anew with every byte: a slow drip never meets them."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from pdic import stopping


class Watchdog:
    """Knows the sockets that are open and cuts them when an exchange takes too long."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self.barked = False
        _watchdogs.add(self)

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Cut every connection after `seconds`; whatever was waiting for bytes then fails, and `barked` says why."""
        self.barked = False
        timer = threading.Timer(max(seconds, 0.001), self._bark)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def adapter(self) -> HTTPAdapter:
        """What to mount on a session so that its connections are known here."""
        return _Adapter(self)

    def opened(self, connection: socket.socket | None) -> None:
        """Take note of a connection's socket."""
        if connection is not None:
            self._sockets = [known for known in self._sockets if known.fileno() >= 0] + [connection]

    def cut(self) -> None:
        """Cut every connection now."""
        for connection in self._sockets:
            with contextlib.suppress(OSError):  # closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    def _bark(self) -> None:
        self.barked = True
        self.cut()


_watchdogs: weakref.WeakSet[Watchdog] = weakref.WeakSet()


def _cut_all() -> None:
    """This process is to stop: nobody waits for a service any more."""
    for each in tuple(_watchdogs):
        each.cut()


stopping.on_stop(_cut_all)


class _Adapter(HTTPAdapter):
    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        watchdog = self._watchdog

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                watchdog.opened(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                watchdog.opened(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
