"""The one-stop system's feeds, out of its database: `hoso` and `qua_trinh`, in the order in which they changed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from demo import store
from demo.service import Service, Unavailable

FEEDS = ("hoso", "qua_trinh")
TIME, NUMBER = "sauThoiGian", "sauMa"


class DatabaseFeeds:
    """Reads one page under one snapshot. `uri` is asked for each time a connection is made: servers move."""

    def __init__(self, uri: Callable[[], str]) -> None:
        self._uri = uri
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def page(self, feed: str, after: Mapping[str, str], limit: int) -> tuple[int, list[dict[str, Any]]] | None:
        """See `demo.service.Feeds`."""
        if feed not in FEEDS:
            return None
        bound = (after.get(TIME, "-infinity"), after.get(NUMBER, str(2**63 - 1 if TIME in after else 0)))
        if set(after) - {TIME, NUMBER} or not bound[1].isdigit():
            raise ValueError(after)
        with self._lock:
            try:
                return self._read(feed, bound, limit)
            except psycopg.DataError as error:
                raise ValueError(after) from error
            except psycopg.Error:  # the server was started again, or the database is not filled yet
                self._close()
            try:
                return self._read(feed, bound, limit)
            except psycopg.Error as error:
                self._close()
                raise Unavailable from error

    def _read(self, feed: str, bound: tuple[str, str], limit: int) -> tuple[int, list[dict[str, Any]]]:
        if self._connection is None or self._connection.closed:
            self._connection = store.connect(self._uri())
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
        names = {"feed": sql.Identifier("public", feed), "time": sql.Identifier("ThoiGianCapNhat")}
        where = sql.SQL('from {feed} where ({time}, "IdBanGhi") > (%s::timestamptz, %s::bigint)').format(**names)
        order = sql.SQL('order by {time}, "IdBanGhi" limit %s').format(**names)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            total = cursor.execute(sql.SQL("select count(*) {}").format(where), bound).fetchone()
            found = cursor.execute(
                sql.SQL("select to_jsonb(record) from (select * {} {}) as record").format(where, order), (*bound, limit)
            ).fetchall()
        return (0 if total is None else int(total[0])), [row[0] for row in found]

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
        self._connection = None


def serve(uri: Callable[[], str], api_key: str, host: str, port: int) -> None:
    """Run the service until the process ends."""
    Service(DatabaseFeeds(uri), api_key, host=host, port=port).run()
