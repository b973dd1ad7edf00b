"""Find the rows in which a source and the warehouse differ, and land them in a batch table.

Both servers add up their rows by buckets of keys at the same time: a count and the exclusive or of the rows' hashes. Only
rows of buckets that differ cross the wire; there they are compared with what is known byte by byte, so a hash only ever
decides where to look. A table that is small, or whose buckets nearly all differ, crosses whole.

Everything happens in one repeatable-read snapshot of the source and one transaction of the warehouse; rows stay in the
servers and in blocks on their way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic import raw
from pdic.encodings import SQL_ASCII
from pdic.sources import carried
from pdic.sources.carried import server_encoding
from pdic.sources.guest import reading
from pdic.sources.names import Name
from pdic.sources.reading import names, read_column
from pdic.sweep import difference, known
from pdic.sweep.findings import Findings
from pdic.sweep.hashing import SAMPLE, Hashing
from pdic.sweep.stream import stream
from pdic.warehouse.formats import CLIENT_ENCODING

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

SMALL_TABLE = 20_000
"""Tables with fewer rows are compared row by row: two scans would cost more than the rows."""

ROWS_A_BUCKET = 12
"""The least: with a power of two for the number of buckets, they hold 12 to 24 rows. More rows cross the wire per
difference where they are fuller, and adding up takes longer where they are many."""
MOST_BUCKETS = 1 << 20
"""What a server keeps while it adds up: some 64 MB at most. Larger tables get fuller buckets."""

WORTH_NARROWING = 0.25
"""Where a larger share of the buckets differs, all rows are fetched: a list of buckets would save little."""


@dataclass
class Comparison:
    """One comparison: the source's ``table`` in its snapshot, the warehouse in a transaction of the caller's."""

    contract: Contract
    source: Connection
    table: sql.Composable
    warehouse: psycopg.Connection[Any]
    there: Contract
    quoter: Connection
    bytes: int = 0
    crc: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def land(self, batch_id: int, watermark: datetime | None) -> Findings:
        """Make the batch's table of what differs, if anything does; returns what was found.

        `watermark` is where the next load by cursor starts; rows stamped since are its news.
        """
        with reading(self.contract):
            self._settle_sessions()
            # Bytes that the warehouse has yet to read cannot be added up as it holds them: such rows all cross.
            hashing = None if self.contract.encoding else self._hashing()
            buckets = self._buckets(hashing) if hashing else 0
        source_rows: int | None = None
        differing = 0
        only: sql.Composable = sql.SQL("true")
        if hashing and buckets:
            with self._timed("checksums"):
                source_rows, differing, numbers = self._add_up(hashing, buckets)
            if not differing:
                return Findings(source_rows, source_rows, 0, 0, 0, 0, buckets, 0, 0)
            if differing <= buckets * WORTH_NARROWING:
                bucket = hashing.bucket("version", buckets)
                only = sql.SQL("{} = any({}::integer[])").format(bucket, sql.Literal(numbers))
        with self._timed("fetch"):
            fetched = self._fetch(only)
        with self._timed("difference"):
            missing, changed, missing_news, changed_news, deleted = self._difference(watermark)
            if missing + changed + deleted:
                self._land(batch_id)
        source_rows = fetched if source_rows is None else source_rows
        return Findings(
            source_rows=source_rows,
            known_rows=source_rows - missing + deleted,
            late=missing - missing_news,
            changed=changed - changed_news,
            news=missing_news + changed_news,
            deleted=deleted,
            buckets=buckets,
            buckets_differing=differing,
            rows_fetched=fetched,
        )

    def discard(self, batch_id: int) -> None:
        """Take back what `land` landed."""
        self.run(sql.SQL("drop table if exists {}").format(raw.batch_table(self.contract, batch_id)))

    def _settle_sessions(self) -> None:
        # A guest works with one process at a time unless the contract allows more. The warehouse does about the same work
        # meanwhile, so it takes no more. Nobody gains from compiling these queries, and estimates must not tempt the
        # warehouse into comparing each row with each.
        helpers = sql.Literal(self.contract.source_connections - 1)
        both = sql.SQL("set local jit = off; set local max_parallel_workers_per_gather = {}; ").format(helpers)
        with self.source.cursor() as cursor:
            cursor.execute(both + sql.SQL("set local work_mem = '32MB'"))
        self.run(both + sql.SQL("set local work_mem = '64MB'; set local enable_nestloop = off"))

    def _hashing(self) -> Hashing:
        if server_encoding(self.source) not in (CLIENT_ENCODING, SQL_ASCII):
            # The same text is other bytes there. What binary COPY sends is UTF-8 on both sides.
            return Hashing(self.contract, native=False)
        with self.source.cursor() as cursor:
            cursor.execute(SAMPLE)
            there = cursor.fetchone()
        return Hashing(self.contract, native=there == self.run(SAMPLE).fetchone())

    def _buckets(self, hashing: Hashing) -> int:
        """How many buckets to compare: a power of two that grows with the table; 0 to compare all rows."""
        explain = "explain (format json) select from {}"
        with self.source.cursor() as cursor:
            cursor.execute(sql.SQL(explain).format(self.table))
            ((plan,),) = cursor.fetchall()
        ((here,),) = self.run(sql.SQL(explain).format(raw.parent(self.contract))).fetchall()
        rows = int(max(plan[0]["Plan"]["Plan Rows"], here[0]["Plan"]["Plan Rows"]))
        if rows < SMALL_TABLE or not hashing.has_buckets:
            return 0
        return int(min(MOST_BUCKETS, 1 << (rows // ROWS_A_BUCKET).bit_length() - 1))

    def _add_up(self, hashing: Hashing, buckets: int) -> tuple[int, int, str]:
        """Compare both sides' sums by bucket.

        Returns the rows at the source, how many buckets differ, and their numbers as the text of an array.
        """
        sums = "select bucket, count(*) as row_count, bit_xor(hash) as hash from ({}) as hashed group by bucket"
        values = sql.SQL("{} as bucket, {} as hash").format(hashing.bucket("version", buckets), hashing.row("version"))
        there = sql.SQL(sums).format(sql.SQL("select {} from {} as version").format(values, self._rows))
        newest = known.newest(self.contract, self._base(), sql.SQL("{}, version._op").format(values))
        here = sql.SQL(sums).format(sql.SQL("select bucket, hash from ({}) as newest where _op = 'U'").format(newest))
        self.run(
            sql.SQL("create temporary table source_sum (bucket integer, row_count bigint, hash bigint) on commit drop")
        )
        add_up_here = sql.SQL("create temporary table known_sum on commit drop as {}").format(here)
        with self._meanwhile(add_up_here) as added_up:
            self._stream(there, sql.SQL("copy source_sum from stdin (format binary)"), ready=added_up)
        ((rows, differing, numbers),) = self.run(
            sql.SQL(
                """
                select
                    coalesce(sum(row_count), 0)::bigint,
                    count(*) filter (where differs),
                    array_agg(bucket) filter (where differs)::text
                from (
                    select
                        bucket,
                        source_sum.row_count,
                        (source_sum.row_count, source_sum.hash) is distinct from (known_sum.row_count, known_sum.hash)
                            as differs
                    from source_sum full join known_sum using (bucket)
                ) as compared
                """
            )
        ).fetchall()
        return int(rows), int(differing), numbers

    def _fetch(self, only: sql.Composable) -> int:
        """Bring the source's rows that `only` names into the temporary table `landed`, and what is known of them into `known`.

        Returns how many landed.
        """
        columns = raw.columns(self.contract)
        self.run(
            sql.SQL(
                """
                create temporary table landed on commit drop as
                select {columns}, true as _pdic_here from {parent} limit 0;
                alter table landed alter column _pdic_here set default true
                """
            ).format(columns=columns, parent=raw.parent(self.contract))
        )
        query = sql.SQL("select {} from {} as version where {}").format(names(self.there), self._rows, only)
        carries = self.contract.encoding is not None
        if carries:
            self.run(carried.make_room(self.contract))
        copy = sql.SQL("copy {} ({}) from stdin (format binary)").format(
            sql.Identifier("carried" if carries else "landed"), columns
        )
        values = sql.SQL("{}, version._op").format(difference.columns(self.contract, "version"))
        find = sql.SQL("create temporary table known on commit drop as {}").format(
            known.newest(self.contract, self._base(), values, only)
        )
        with self._meanwhile(find) as found:
            fetched = self._stream(query, copy, ready=found)
        if carries:
            self.run(carried.read_into(sql.Identifier("landed"), self.contract))
        return fetched

    @contextmanager
    def _meanwhile(self, statement: sql.Composable) -> Iterator[Callable[[], object]]:
        """The warehouse works on a statement while the source works on its own; gives what to call to wait for its end."""
        with ThreadPoolExecutor(1) as other:
            done = other.submit(self.run, statement)
            try:
                yield done.result
            except BaseException:
                self.warehouse.cancel_safe()
                raise

    def _difference(self, watermark: datetime | None) -> tuple[int, int, int, int, int]:
        """Make the temporary table `difference` from `landed` and `known`; returns its five counts."""
        self.run(difference.create(self.contract))
        if self.run(difference.has_nameless(self.contract)).fetchall() == [(True,)]:
            self.run(difference.forget_nameless(self.contract))
        self.run(difference.add_doubles(self.contract))
        counts: tuple[int, int, int, int, int]
        (counts,) = self.run(difference.count(self.contract, watermark)).fetchall()
        return counts

    def _land(self, batch_id: int) -> None:
        self.run(raw.create_batch_table(self.contract, batch_id))
        self.run(
            sql.SQL("insert into {batch} ({columns}, _op) select {columns}, _op from difference").format(
                batch=raw.batch_table(self.contract, batch_id), columns=raw.columns(self.contract)
            )
        )

    def _stream(self, query: sql.Composable, copy_in: sql.Composable, ready: Callable[[], object]) -> int:
        """Copy a query's rows from the source into the warehouse, once `ready` returns. Returns how many."""
        with reading(self.contract):
            sent = stream(self.source, query, self.warehouse, copy_in.as_string(self.quoter), ready=ready, crc=self.crc)
        self.bytes += sent.bytes
        self.crc = sent.crc
        return sent.rows

    def _base(self) -> int | None:
        parent = sql.Literal(raw.parent(self.contract).as_string(self.quoter))
        return known.largest_batch(self.run(known.PARTITIONS.format(parent=parent)).fetchall())

    @property
    def _rows(self) -> sql.Composable:
        """The source's rows as the warehouse takes them: types that are carried by a cast or as bytes, and names included."""
        if self.contract.encoding is None and all(
            column.source_type is None and column.renamed_from is None for column in self.contract.columns
        ):
            return self.table
        columns = (
            sql.SQL("{} as {}").format(read_column(self.there, column), Name(column.source_name))
            for column in self.there.columns
        )
        return sql.SQL("(select {} from {})").format(sql.SQL(", ").join(columns), self.table)

    def run(self, statement: sql.Composable) -> psycopg.Cursor[Any]:
        """Run a statement in the warehouse's transaction."""
        return self.warehouse.execute(statement.as_string(self.quoter).encode())

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step] = round(time.monotonic() - began, 3)
