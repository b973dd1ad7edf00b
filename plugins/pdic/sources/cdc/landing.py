"""Where changes land: a temporary table of the warehouse, reduced to the newest state per key in the batch's own table."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg2 import sql

from pdic import raw
from pdic.sources.cdc import rows

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Quoter

    from pdic.contracts import Contract

BLOCK_BYTES = 1 << 18

_SEQUENCE, _OP, _WHOLE = (sql.Identifier(name) for name in rows.EXTRA_COLUMNS)


class Landing:
    """One warehouse transaction that takes a stream of changes and leaves a batch table with each key once.

    `quoter` is any open connection: identifiers are written with it.
    """

    def __init__(self, warehouse: psycopg.Connection[Any], quoter: Quoter, contract: Contract, batch_id: int) -> None:
        self.bytes, self.crc = 0, 0
        self._warehouse, self._quoter, self._contract = warehouse, quoter, contract
        self._batch = raw.batch_table(contract, batch_id)
        self._key = sql.SQL(", ").join(sql.Identifier(name) for name in contract.key)
        self._columns = raw.columns(contract)
        self._execute(raw.create_batch_table(contract, batch_id))
        self._execute(
            sql.SQL(
                """
                create temporary table arrived on commit drop as
                select 0::bigint as {sequence}, _op, true as {whole}, {columns} from {parent} with no data
                """
            ).format(sequence=_SEQUENCE, whole=_WHOLE, columns=self._columns, parent=raw.parent(contract))
        )

    @contextmanager
    def stream(self) -> Iterator[Block]:
        """Take rows in blocks; at the end of the context all of them have arrived."""
        statement = sql.SQL("copy arrived ({}, {}, {}, {}) from stdin (format binary)").format(
            _SEQUENCE, _OP, _WHOLE, self._columns
        )
        with self._warehouse.cursor() as cursor:
            with cursor.copy(statement.as_string(self._quoter)) as copy:
                block = Block(copy)
                yield block
                block.close()
            self.bytes, self.crc = block.bytes, block.crc

    def keep_newest(self, truncated_at: int) -> tuple[int, int]:
        """Fill the batch's table: of each key its newest row, tombstones for keys whose newest row is gone or came before
        the table was emptied (at `truncated_at`; 0: it was not). Rows that are not whole are left out.

        Returns how many rows and tombstones there are.
        """
        self._execute(
            sql.SQL(
                "create temporary table newest on commit drop as select max({}) as place from arrived group by {}"
            ).format(_SEQUENCE, self._key)
        )
        names = {
            "batch": self._batch,
            "key": self._key,
            "columns": self._columns,
            "sequence": _SEQUENCE,
            "whole": _WHOLE,
            "truncated": sql.Literal(truncated_at),
        }
        landed = self._execute(
            sql.SQL(
                """
                insert into {batch} ({columns}, _op)
                select {columns}, 'U' from arrived
                where _op = 'U' and {whole} and {sequence} > {truncated} and {sequence} in (select place from newest)
                """
            ).format(**names)
        )
        gone = self._execute(
            sql.SQL(
                """
                insert into {batch} ({key}, _op)
                select {key}, 'D' from arrived
                where (_op = 'D' or {sequence} <= {truncated}) and {sequence} in (select place from newest)
                """
            ).format(**names)
        )
        return landed, gone

    def keys_in_part(self, truncated_at: int, at_once: int) -> Iterator[list[tuple[str, ...]]]:
        """The keys, as text, whose newest row is not whole, a few at a time."""
        query = sql.SQL("select {keys} from arrived {where}").format(
            keys=raw.key_texts(self._contract, "arrived"),
            where=self._in_part(truncated_at),
        )
        with self._warehouse.cursor(name="keys_in_part") as cursor:
            cursor.execute(query.as_string(self._quoter))
            while keys := cursor.fetchmany(at_once):
                yield keys

    @contextmanager
    def more(self) -> Iterator[psycopg.Copy]:
        """Take whole rows, as binary COPY of the contract's columns, straight into the batch's table."""
        statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(self._batch, self._columns)
        with self._warehouse.cursor() as cursor, cursor.copy(statement.as_string(self._quoter)) as copy:
            yield copy

    def bury_missing(self, truncated_at: int) -> int:
        """A tombstone for each key whose newest row was not whole and that nobody has brought since; returns how many."""
        return self._execute(
            sql.SQL(
                """
                insert into {batch} ({key}, _op)
                select {key}, 'D' from arrived
                {where} and not exists (select 1 from {batch} as batch where {same_key})
                """
            ).format(
                batch=self._batch,
                key=self._key,
                where=self._in_part(truncated_at),
                same_key=raw.same_key(self._contract, "batch", "arrived"),
            )
        )

    def bury_known(self) -> int:
        """The table was emptied: a tombstone for each key that `raw` or the quarantine knows and the batch does not hold."""
        return self._execute(
            sql.SQL(
                """
                insert into {batch} ({key}, _op)
                select {key}, 'D'
                from ({living}) as known
                where not exists (select 1 from {batch} as batch where {same_key})
                """
            ).format(
                batch=self._batch,
                key=self._key,
                living=raw.living(self._contract, self._contract.key),
                same_key=raw.same_key(self._contract, "batch", "known"),
            )
        )

    def _in_part(self, truncated_at: int) -> sql.Composed:
        return sql.SQL(
            "where _op = 'U' and not {whole} and {sequence} > {truncated} and {sequence} in (select place from newest)"
        ).format(whole=_WHOLE, sequence=_SEQUENCE, truncated=sql.Literal(truncated_at))

    def _execute(self, statement: sql.Composed) -> int:
        return self._warehouse.execute(statement.as_string(self._quoter)).rowcount


class Block:
    """Gathers rows and hands them on in blocks, counting bytes and keeping a CRC."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self.bytes, self.crc = 0, 0
        self._copy = copy
        self._parts = [rows.HEADER]
        self._size = 0

    def add(self, row: bytes) -> None:
        """Take one or more whole rows."""
        self._parts.append(row)
        self._size += len(row)
        if self._size >= BLOCK_BYTES:
            self._hand_on()

    def close(self) -> None:
        """Hand on what is left, and the end."""
        self._parts.append(rows.TRAILER)
        self._hand_on()

    def _hand_on(self) -> None:
        block = b"".join(self._parts)
        self._parts, self._size = [], 0
        self.bytes += len(block)
        self.crc = zlib.crc32(block, self.crc)
        self._copy.write(block)
