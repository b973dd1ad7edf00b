"""Move a snapshot's rows into a batch table at the speed of the two servers: blocks, never rows."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import zlib
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import raw
from pdic.arrival import Arrival
from pdic.errors import LoadError
from pdic.pace import Pace
from pdic.sources import carried
from pdic.sources.guest import reading
from pdic.warehouse import connect

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.sources.parts import Part
    from pdic.sources.postgres import Snapshot

PIPE_BYTES = 1 << 20
BLOCK_BYTES = 96 << 10
"""Below malloc's threshold for mapping (128 KiB): larger blocks left holes, and memory grew with the table."""

SWITCH_SECONDS = 0.0002
"""How long one thread of a copy may keep the interpreter from the other. Each needs it for a moment, many times a second;
Python's 5 ms cost a load 3 to 6 % of its time."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What one part of a snapshot came to: rows, bytes of the stream, its CRC."""

    rows: int
    bytes: int
    crc: int


def copy_snapshot(snapshot: Snapshot, warehouse_uri: str, batch_id: int) -> Arrival:
    """Stream the snapshot into a new batch table in constant memory; no row ever becomes an object.

    Per part, a thread lets libpq copy from the source into a pipe; another takes blocks from the pipe, keeps a CRC, and hands
    them to libpq for the warehouse. One part is one transaction with the table's creation, so that its rows arrive frozen;
    several write side by side, each in a transaction of its own, into a table that is dropped where one of them fails.
    The digest names the parts' CRCs in the order of their ranges.
    """
    sys.setswitchinterval(SWITCH_SECONDS)  # (of the whole process, which has nothing better to do)
    contract = snapshot.contract
    pace = Pace(contract.max_bytes_per_second)
    if len(snapshot.parts) == 1:
        moved = [_move(snapshot.parts[0], contract, warehouse_uri, batch_id, pace, create=True)]
    else:
        moved = _move_together(snapshot, warehouse_uri, batch_id, pace)
    return Arrival(
        rows=sum(part.rows for part in moved),
        bytes=sum(part.bytes for part in moved),
        digest="crc32:" + ",".join(f"{part.crc:08x}" for part in moved),
        drift=snapshot.drift,
        watermark_to=snapshot.seam.watermark if snapshot.seam else None,
        position=snapshot.position,
        warning=snapshot.warning,
    )


def _move_together(snapshot: Snapshot, warehouse_uri: str, batch_id: int, pace: Pace) -> list[Moved]:
    """Move every part at once. The first that fails stops the others, and nothing is left."""
    contract = snapshot.contract
    with closing(connect(warehouse_uri, f"load {contract.id}")) as warehouse:
        with warehouse, warehouse.cursor() as cursor:
            cursor.execute(raw.create_batch_table(contract, batch_id))
        try:
            with ThreadPoolExecutor(len(snapshot.parts)) as pool:
                moving = [
                    pool.submit(_move, part, contract, warehouse_uri, batch_id, pace, create=False)
                    for part in snapshot.parts
                ]
                try:
                    ended, others = wait(moving, return_when=FIRST_EXCEPTION)
                    for one in ended:
                        one.result()
                except BaseException:
                    for part in snapshot.parts:
                        part.cancel()
                    raise
            return [one.result() for one in moving]
        except BaseException:
            with warehouse:
                raw.drop_batch_table(warehouse, contract, batch_id)
            raise


def _move(part: Part, contract: Contract, warehouse_uri: str, batch_id: int, pace: Pace, *, create: bool) -> Moved:
    batch, carries = raw.batch_table(contract, batch_id), contract.encoding is not None
    copy_in = sql.SQL("copy {} ({}) from stdin (format binary{})").format(
        sql.Identifier("carried") if carries else batch,
        raw.columns(contract),
        sql.SQL(", freeze" if create and not carries else ""),
    )
    reader = _Reader(part, contract, pace)
    try:
        with (
            closing(connect(warehouse_uri, f"load {contract.id}")) as warehouse,
            warehouse,
            warehouse.cursor() as cursor,
        ):
            if create:
                cursor.execute(raw.create_batch_table(contract, batch_id))
            if carries:
                cursor.execute(carried.make_room(contract))
            reader.start()
            try:
                # The driver blocks until libpq has sent a block: where the warehouse is slower, the source waits.
                cursor.copy_expert(copy_in, reader, size=BLOCK_BYTES)  # type: ignore[arg-type]  # (it only reads)
            except Exception:
                reader.explain()
                raise
            reader.finish()
            if cursor.rowcount != reader.rows:
                raise LoadError(
                    f"{contract.id}: batch {batch_id}: the source sent {reader.rows} rows, the warehouse took "
                    f"{cursor.rowcount}. Nothing was accepted; load it again."
                )
            if carries:
                cursor.execute(carried.read_into(batch, contract))
    finally:
        reader.close()
    return Moved(reader.rows, reader.bytes, reader.crc)


class _Reader:
    """The source's side of a copy: a thread that fills a pipe, and the pipe's other end, which counts what passes."""

    def __init__(self, part: Part, contract: Contract, pace: Pace) -> None:
        self.rows, self.bytes, self.crc = 0, 0, 0
        self._part = part
        self._contract = contract
        self._pace = pace
        self._error: BaseException | None = None
        self._broken: BaseException | None = None
        self._ended = False
        self._out, self._in = os.pipe()
        fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._thread = threading.Thread(target=self._fill, name=f"copy {contract.id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def read(self, size: int = BLOCK_BYTES, /) -> bytes:
        """The next block, of at most `size` bytes; empty at the end."""
        try:
            block = os.read(self._out, size)
            self._pace.take(len(block))
        except BaseException as error:
            self._broken = error  # the driver makes an error of its own of whatever is raised here
            raise
        self.crc = zlib.crc32(block, self.crc)
        self.bytes += len(block)
        self._ended = not block
        return block

    def finish(self) -> None:
        """Wait for the thread and raise what it met: an end of the pipe alone does not mean that all rows came."""
        self._thread.join()
        with reading(self._contract):
            if self._error is not None:
                raise self._error

    def explain(self) -> None:
        """After a failed copy: raise what lies behind it, where that was an interrupt here or an early end there.

        It says more than what the driver, or the warehouse, makes of a stream that breaks off.
        """
        if self._broken is not None:
            raise self._broken
        if self._ended:
            self.finish()

    def close(self) -> None:
        """Let go of the pipe. After a failure on this side, first stop the thread."""
        if self._thread.is_alive():
            self._part.cancel()
        os.close(self._out)
        if self._thread.ident is None:
            os.close(self._in)
        else:
            self._thread.join(timeout=30)

    def _fill(self) -> None:
        try:
            with open(self._in, "wb", buffering=BLOCK_BYTES) as stream:  # noqa: PTH123 (a file descriptor, not a path)
                self.rows = self._part.copy_to(stream)
        except BaseException as error:  # (handed to the other thread by `finish`)
            self._error = error
