"""Move a snapshot's rows into a batch table at the speed of the two servers: blocks, never rows."""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from typing import TYPE_CHECKING

import psycopg

from pdic import raw
from pdic.arrival import Arrival
from pdic.errors import LoadError

if TYPE_CHECKING:
    from pdic.sources.postgres import Snapshot

PIPE_BYTES = 1 << 20
BLOCK_BYTES = 1 << 18


def copy_snapshot(snapshot: Snapshot, warehouse_uri: str, batch_id: int) -> Arrival:
    """Stream the snapshot into a new batch table: one transaction, constant memory, no row ever becomes an object.

    A thread lets libpq copy from the source into a pipe; this one takes blocks from the pipe, keeps a CRC, and hands them
    to libpq for the warehouse. The table is created in the same transaction, so rows arrive frozen.
    """
    contract = snapshot.contract
    text = snapshot.connection
    create = raw.create_batch_table(contract, batch_id).as_string(text)
    copy_in = f"copy {raw.batch_table(contract, batch_id).as_string(text)} ({raw.columns(contract).as_string(text)}) "
    reader = _Reader(snapshot)
    crc, size = 0, 0
    with (
        psycopg.connect(warehouse_uri, application_name=f"pdic load {contract.id}"[:63]) as warehouse,
        warehouse.cursor() as cursor,
    ):
        cursor.execute(create)
        try:
            with cursor.copy(copy_in + "from stdin (format binary, freeze)") as copy:
                reader.start()
                while block := reader.read():
                    crc = zlib.crc32(block, crc)
                    size += len(block)
                    copy.write(block)
                reader.finish()
        except BaseException:
            reader.abandon()
            raise
        if cursor.rowcount != reader.rows:
            raise LoadError(
                f"{contract.id}: batch {batch_id}: the source sent {reader.rows} rows, the warehouse took {cursor.rowcount}. "
                "Nothing was accepted; load it again."
            )
    return Arrival(
        rows=reader.rows,
        bytes=size,
        digest=f"crc32:{crc:08x}",
        drift=snapshot.drift,
        watermark_to=snapshot.seam.watermark if snapshot.seam else None,
        position=snapshot.seam.position() if snapshot.seam else None,
        warning=snapshot.warning,
    )


class _Reader:
    """The source's side of a copy: a thread that fills a pipe, and the pipe's other end."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.rows = 0
        self._snapshot = snapshot
        self._error: BaseException | None = None
        self._out, self._in = os.pipe()
        fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._thread = threading.Thread(target=self._fill, name=f"copy {snapshot.contract.id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def read(self) -> bytes:
        """The next block; empty at the end."""
        return os.read(self._out, BLOCK_BYTES)

    def finish(self) -> None:
        """Wait for the thread and raise what it met: an end of the pipe alone does not mean that all rows came."""
        self._thread.join()
        os.close(self._out)
        if self._error is not None:
            raise LoadError(
                f"{self._snapshot.contract.id}: the source broke off during the copy ({type(self._error).__name__}). "
                "Nothing was accepted; load it again."
            ) from self._error

    def abandon(self) -> None:
        """Stop the thread after a failure on this side."""
        if self._thread.is_alive():
            self._snapshot.cancel()
        try:
            os.close(self._out)
        except OSError:
            return  # `finish` closed it
        if self._thread.ident is None:
            os.close(self._in)
        else:
            self._thread.join(timeout=30)

    def _fill(self) -> None:
        try:
            with open(self._in, "wb", buffering=BLOCK_BYTES) as stream:  # noqa: PTH123 (a file descriptor, not a path)
                self.rows = self._snapshot.copy_to(stream)
        except BaseException as error:  # (handed to the other thread by `finish`)
            self._error = error
