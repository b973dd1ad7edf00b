"""Move a snapshot's rows into a batch table at the speed of the two servers: blocks, never rows."""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from pdic import raw
from pdic.arrival import Arrival
from pdic.errors import LoadError
from pdic.pace import Pace
from pdic.sources.guest import reading
from pdic.warehouse import connect

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.sources.parts import Part
    from pdic.sources.postgres import Snapshot

PIPE_BYTES = 1 << 20
BLOCK_BYTES = 1 << 18


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
        position=snapshot.seam.position() if snapshot.seam else None,
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
    reader = _Reader(part, contract)
    text = part.connection
    copy_in = f"copy {raw.batch_table(contract, batch_id).as_string(text)} ({raw.columns(contract).as_string(text)}) "
    crc, size = 0, 0
    try:
        with (
            psycopg.connect(warehouse_uri, application_name=f"pdic load {contract.id}"[:63]) as warehouse,
            warehouse.cursor() as cursor,
        ):
            if create:
                cursor.execute(raw.create_batch_table(contract, batch_id).as_string(text))
            with cursor.copy(copy_in + f"from stdin (format binary{', freeze' if create else ''})") as copy:
                reader.start()
                while block := reader.read():
                    pace.take(len(block))
                    crc = zlib.crc32(block, crc)
                    size += len(block)
                    copy.write(block)
                reader.finish()
            if cursor.rowcount != reader.rows:
                raise LoadError(
                    f"{contract.id}: batch {batch_id}: the source sent {reader.rows} rows, the warehouse took "
                    f"{cursor.rowcount}. Nothing was accepted; load it again."
                )
    finally:
        reader.close()
    return Moved(reader.rows, size, crc)


class _Reader:
    """The source's side of a copy: a thread that fills a pipe, and the pipe's other end."""

    def __init__(self, part: Part, contract: Contract) -> None:
        self.rows = 0
        self._part = part
        self._contract = contract
        self._error: BaseException | None = None
        self._out, self._in = os.pipe()
        fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._thread = threading.Thread(target=self._fill, name=f"copy {contract.id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def read(self) -> bytes:
        """The next block; empty at the end."""
        return os.read(self._out, BLOCK_BYTES)

    def finish(self) -> None:
        """Wait for the thread and raise what it met: an end of the pipe alone does not mean that all rows came."""
        self._thread.join()
        with reading(self._contract):
            if self._error is not None:
                raise self._error

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
