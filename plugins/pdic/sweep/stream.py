"""Stream a query's rows from one server into a table of another: blocks, never rows."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

if TYPE_CHECKING:
    import psycopg
    from psycopg2.extensions import connection as Connection

BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Streamed:
    """What went over the wire: rows, bytes of binary COPY, and their CRC, which goes on from the former stream's."""

    rows: int
    bytes: int
    crc: int


def stream(
    source: Connection,
    query: sql.Composable,
    warehouse: psycopg.Connection[Any],
    copy_in: str,
    *,
    ready: Callable[[], object],
    crc: int = 0,
) -> Streamed:
    """Copy the rows of `query` from `source` into `warehouse` by `copy_in`, which may begin once `ready` returns.

    Raises psycopg2.Error where the source breaks off, psycopg.Error where the warehouse does.
    """
    with ExitStack() as open_copy, source.cursor() as cursor:

        def start() -> Callable[[bytes], object]:
            ready()
            return open_copy.enter_context(warehouse.cursor().copy(copy_in.encode())).write

        relay = _Relay(start, crc)
        cursor.copy_expert(sql.SQL("copy ({}) to stdout (format binary)").format(query), relay, size=1 << 16)
        relay.flush()
        return Streamed(int(cursor.rowcount), relay.bytes, relay.crc)


class _Relay:
    """A file that psycopg2 writes a COPY to: gathers blocks, keeps a CRC, and hands them on; opens its target when needed."""

    def __init__(self, start: Callable[[], Callable[[bytes], object]], crc: int) -> None:
        self.bytes = 0
        self.crc = crc
        self._start = start
        self._hand_on: Callable[[bytes], object] | None = None
        self._block = bytearray()

    def write(self, data: bytes) -> int:
        self._block += data
        if len(self._block) >= BLOCK_BYTES:
            self.flush()
        return len(data)

    def flush(self) -> None:
        if self._hand_on is None:
            self._hand_on = self._start()
        block = bytes(self._block)
        self._block.clear()
        self.crc = zlib.crc32(block, self.crc)
        self.bytes += len(block)
        self._hand_on(block)
