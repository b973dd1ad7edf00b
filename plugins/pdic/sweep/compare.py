"""Find the rows in which a source and the warehouse differ, and land them in a batch table.

Both servers add up their rows by buckets of keys at the same time: a count and the exclusive or of the rows' hashes. Only
rows of buckets that differ cross the wire; there they are compared with what is known byte by byte, so a hash only ever
decides where to look. A table that is small, or whose buckets nearly all differ, crosses whole.

Everything happens in one repeatable-read snapshot of the source and one transaction of the warehouse; rows stay in the
servers and in blocks on their way.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql

from pdic import raw
from pdic.errors import SourceUnavailable
from pdic.sources.reading import read_column, source_table
from pdic.sweep import known
from pdic.sweep.findings import Findings
from pdic.sweep.hashing import SAMPLE, Hashing

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

SMALL_TABLE = 20_000
"""Tables with fewer rows are compared row by row: two scans would cost more than the rows."""

ROWS_A_BUCKET = 16
MOST_BUCKETS = 1 << 20
"""What a server keeps while it adds up: some 64 MB at most. Larger tables get fuller buckets."""

WORTH_NARROWING = 0.25
"""Where a larger share of the buckets differs, all rows are fetched: a list of buckets would save little."""

BLOCK_BYTES = 1 << 18


@dataclass
class Comparison:
    """One comparison: the source in its snapshot, the warehouse in a transaction of the caller's."""

    contract: Contract
    source: Connection
    warehouse: psycopg.Connection[Any]
    bytes: int = 0
    crc: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def land(self, batch_id: int, watermark: datetime | None) -> Findings:
        """Make the batch's table of what differs, if anything does; returns what was found.

        `watermark` is where the next load by cursor starts; rows stamped since are its news.
        """
        self._settle_sessions()
        hashing = self._hashing()
        buckets = self._buckets(hashing)
        source_rows: int | None = None
        differing: list[int] | None = None
        if buckets:
            with self._timed("checksums"):
                source_rows, differing = self._add_up(hashing, buckets)
        if source_rows is not None and not differing:
            return Findings(source_rows, source_rows, 0, 0, 0, 0, buckets, 0, 0)
        only: sql.Composable = sql.SQL("true")
        if differing is not None and len(differing) <= buckets * WORTH_NARROWING:
            wanted = sql.Literal("{" + ",".join(map(str, differing)) + "}")
            only = sql.SQL("{} = any({}::integer[])").format(hashing.bucket("version", buckets), wanted)
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
            buckets_differing=len(differing or ()),
            rows_fetched=fetched,
        )

    def discard(self, batch_id: int) -> None:
        """Take back what `land` landed."""
        self.run(sql.SQL("drop table if exists {}").format(raw.batch_table(self.contract, batch_id)))

    def _settle_sessions(self) -> None:
        # A guest works with one process at a time unless the contract allows more; nobody gains from compiling these queries.
        with self.source.cursor() as cursor:
            cursor.execute("set local jit = off; set local work_mem = '32MB'")
            helpers = sql.Literal(self.contract.source_connections - 1)
            cursor.execute(sql.SQL("set local max_parallel_workers_per_gather = {}").format(helpers))
        self.run(sql.SQL("set local jit = off; set local work_mem = '64MB'; set local enable_nestloop = off"))

    def _hashing(self) -> Hashing:
        with self.source.cursor() as cursor:
            cursor.execute(SAMPLE)
            there = cursor.fetchone()
        return Hashing(self.contract, native=there == self.run(SAMPLE).fetchone())

    def _buckets(self, hashing: Hashing) -> int:
        """How many buckets to compare: a power of two that grows with the table; 0 to compare all rows."""
        explain = "explain (format json) select from {}"
        with self.source.cursor() as cursor:
            cursor.execute(sql.SQL(explain).format(source_table(self.contract)))
            ((plan,),) = cursor.fetchall()
        ((here,),) = self.run(sql.SQL(explain).format(raw.parent(self.contract))).fetchall()
        rows = int(max(plan[0]["Plan"]["Plan Rows"], here[0]["Plan"]["Plan Rows"]))
        if rows < SMALL_TABLE or not hashing.has_buckets:
            return 0
        return int(min(MOST_BUCKETS, 1 << (rows // ROWS_A_BUCKET).bit_length()))

    def _add_up(self, hashing: Hashing, buckets: int) -> tuple[int, list[int]]:
        """Compare both sides' sums by bucket. Returns the rows at the source, and the buckets that differ."""
        sums = "select bucket, count(*), bit_xor(hash) from ({}) as hashed group by bucket"
        values = sql.SQL("{} as bucket, {} as hash").format(hashing.bucket("version", buckets), hashing.row("version"))
        there = sql.SQL(sums).format(sql.SQL("select {} from {} as version").format(values, self._rows))
        here = known.newest(self.contract, self._base(), sql.SQL("{}, version._op").format(values))
        living = sql.SQL("select bucket, hash from ({}) as newest where _op = 'U'").format(here)
        columns = "(bucket integer, row_count bigint, hash bigint)"
        self.run(
            sql.SQL(f"create temporary table known_sum {columns} on commit drop;"
                    f"create temporary table source_sum {columns} on commit drop")
        )  # fmt: skip
        add_up_here = sql.SQL("insert into known_sum {}").format(sql.SQL(sums).format(living))
        with self._meanwhile(add_up_here) as added_up:
            self._stream(there, sql.SQL("copy source_sum from stdin (format binary)"), ready=added_up)
        ((rows, differing),) = self.run(
            sql.SQL(
                """
                select
                    coalesce(sum(source_sum.row_count), 0)::bigint,
                    coalesce(
                        array_agg(bucket) filter (
                            where (source_sum.row_count, source_sum.hash)
                            is distinct from (known_sum.row_count, known_sum.hash)
                        ),
                        '{}'
                    )
                from source_sum full join known_sum using (bucket)
                """
            )
        ).fetchall()
        return int(rows), differing

    def _fetch(self, only: sql.Composable) -> int:
        """Bring the source's rows that `only` names into the temporary table `landed`, and what is known of them into `known`.

        Returns how many landed.
        """
        columns = raw.columns(self.contract)
        self.run(
            sql.SQL(
                """
                create temporary table landed on commit drop as
                select {columns}, true as _here from {parent} limit 0;
                alter table landed alter column _here set default true
                """
            ).format(columns=columns, parent=raw.parent(self.contract))
        )
        query = sql.SQL("select {} from {} as version where {}").format(columns, self._rows, only)
        copy = sql.SQL("copy landed ({}) from stdin (format binary)").format(columns)
        values = sql.SQL("{}, version._op").format(_columns(self.contract, "version"))
        find = sql.SQL("create temporary table known on commit drop as {}").format(
            known.newest(self.contract, self._base(), values, only)
        )
        with self._meanwhile(find) as found:
            return self._stream(query, copy, ready=found)

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
        """Fill the temporary table `difference` from `landed` and `known`.

        Returns the counts of rows missing here, rows changed, missing and changed ones that are news, and ghosts.
        """
        contract = self.contract
        self.run(
            sql.SQL(
                """
                create temporary table difference on commit drop as
                select
                    {merged},
                    (case when landed._here then 'U' else 'D' end)::"char" as _op,
                    known._op = 'U' as _living
                from landed
                full join known on {same_key}
                where
                    case
                        when landed._here is null then known._op = 'U' and {named}
                        when known._op = 'U' then not record_image_eq(row({landed}), row({known_columns}))
                        else true
                    end
                """
            ).format(
                merged=sql.SQL(", ").join(_merged(contract, column.source_name) for column in contract.columns),
                same_key=known.same_key(contract, "landed", "known"),
                named=_named(contract, "known"),
                landed=_columns(contract, "landed"),
                known_columns=_columns(contract, "known"),
            )
        )
        self._forget_nameless()
        self._keep_doubles()
        counts: tuple[int, int, int, int, int]
        (counts,) = self.run(
            sql.SQL(
                """
                select
                    count(*) filter (where _op = 'U' and _living is not true),
                    count(*) filter (where _op = 'U' and _living),
                    count(*) filter (where _op = 'U' and _living is not true and {news}),
                    count(*) filter (where _op = 'U' and _living and {news}),
                    count(*) filter (where _op = 'D')
                from difference
                """
            ).format(news=self._is_news(watermark))
        ).fetchall()
        return counts

    def _is_news(self, watermark: datetime | None) -> sql.Composable:
        if self.contract.cursor_column is None:
            return sql.SQL("false")
        if watermark is None:
            return sql.SQL("true")
        stamp = sql.Identifier(self.contract.cursor_column)
        return sql.SQL("({stamp} is null or {stamp} >= {watermark})").format(
            stamp=stamp, watermark=sql.Literal(watermark)
        )

    def _forget_nameless(self) -> None:
        """A row without a whole key equals no other by key: it is known where an identical one is."""
        nameless = sql.SQL("not ({})").format(_named(self.contract, "difference"))
        ((found,),) = self.run(sql.SQL("select exists (select from difference where {})").format(nameless)).fetchall()
        if found:
            self.run(
                sql.SQL(
                    """
                    delete from difference using ({versions}) as version
                    where {nameless} and record_image_eq(row({difference}), row({version}))
                    """
                ).format(
                    versions=known.versions(
                        self.contract, sql.SQL("not ({})").format(_named(self.contract, "version"))
                    ),
                    nameless=nameless,
                    difference=_columns(self.contract, "difference"),
                    version=_columns(self.contract, "version"),
                )
            )

    def _keep_doubles(self) -> None:
        """Where a key occurs twice at the source, all its rows land: the rule that keys are unique judges what landed."""
        key = sql.SQL(", ").join(sql.Identifier(name) for name in self.contract.key)
        self.run(
            sql.SQL(
                """
                insert into difference ({columns}, _op, _living)
                select {landed}, 'U', true from landed
                inner join (
                    select {key} from landed where {named} group by {key} having count(*) > 1
                ) as doubled on {same_key}
                """
            ).format(
                columns=raw.columns(self.contract),
                landed=_columns(self.contract, "landed"),
                key=key,
                named=_named(self.contract, "landed"),
                same_key=known.same_key(self.contract, "landed", "doubled"),
            )
        )

    def _land(self, batch_id: int) -> None:
        self.run(raw.create_batch_table(self.contract, batch_id))
        self.run(
            sql.SQL("insert into {batch} ({columns}, _op) select {columns}, _op from difference").format(
                batch=raw.batch_table(self.contract, batch_id), columns=raw.columns(self.contract)
            )
        )

    def _stream(self, query: sql.Composable, copy: sql.Composable, ready: Callable[[], object] = lambda: None) -> int:
        """Copy a query's rows from the source into a table of the warehouse, once `ready` returns. Returns how many."""
        with ExitStack() as open_copy, self.source.cursor() as cursor:

            def start() -> Callable[[bytes], object]:
                ready()
                return open_copy.enter_context(self.warehouse.cursor().copy(copy.as_string(self.source))).write

            relay = _Relay(start, self.crc)
            out = sql.SQL("copy ({}) to stdout (format binary)").format(query)
            try:
                cursor.copy_expert(out, relay, size=1 << 16)
            except psycopg2.Error as error:
                raise SourceUnavailable(
                    f"{self.contract.id}: the source broke off during the comparison ({type(error).__name__}). "
                    "Nothing was changed; the same command may succeed later."
                ) from error
            relay.flush()
            self.bytes += relay.bytes
            self.crc = relay.crc
            return int(cursor.rowcount)

    def _base(self) -> int | None:
        parent = sql.Literal(raw.parent(self.contract).as_string(self.source))
        return known.largest_batch(self.run(known.PARTITIONS.format(parent=parent)).fetchall())

    @property
    def _rows(self) -> sql.Composable:
        """The source's rows as the warehouse holds them: where a type is carried by a cast, that too."""
        table = source_table(self.contract)
        if all(column.source_type is None for column in self.contract.columns):
            return table
        columns = (
            sql.SQL("{} as {}").format(read_column(column), sql.Identifier(column.source_name))
            for column in self.contract.columns
        )
        return sql.SQL("(select {} from {})").format(sql.SQL(", ").join(columns), table)

    def run(self, statement: sql.Composable) -> psycopg.Cursor[Any]:
        """Run a statement in the warehouse's transaction."""
        return self.warehouse.execute(statement.as_string(self.source).encode())

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step] = round(time.monotonic() - began, 3)


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


def _columns(contract: Contract, alias: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, column.source_name) for column in contract.columns)


def _merged(contract: Contract, name: str) -> sql.Composed:
    """A column of the difference: the source's value; of a ghost, which the source has not, the key."""
    here, there = sql.Identifier("known", name), sql.Identifier("landed", name)
    value = sql.SQL("coalesce({}, {})").format(there, here) if name in contract.key else there
    return sql.SQL("{} as {}").format(value, sql.Identifier(name))


def _named(contract: Contract, alias: str) -> sql.Composed:
    """A condition: no part of the key is missing."""
    return sql.SQL(" and ").join(sql.SQL("{} is not null").format(sql.Identifier(alias, name)) for name in contract.key)
