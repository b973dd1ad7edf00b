"""A source whose clock, transactions and loads are driven step by step, so that every interleaving can be played exactly.

The rows, transactions, snapshots and prepared transactions are PostgreSQL's own. Only time is played: the source's
`clock_timestamp()` and the transactions' start times come from a schema that a patch puts before pg_catalog in the
reader's search_path, and the time that passes on the loader's side from `instant`.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from pdic.contracts.model import Column, Contract
from pdic.sources import postgres
from pdic.sources.clocks import Instant

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
Role = Literal["monitor", "plain"]
Stamp = Literal["start", "clock", "behind", "none"]
Row = tuple[int, str, datetime | None]

SCHEMA = """
create table record (id bigint primary key, label text, stamped timestamptz);
create index on record (stamped);
create schema played;
create table played.time (now timestamptz);
insert into played.time values ('2026-01-01+00');
create table played.session (pid int primary key, start timestamptz);
create function played.clock_timestamp() returns timestamptz language sql as 'select now from played.time';
create view played.pg_stat_activity as
select datname, pid, state, query_start, backend_type, start as xact_start
from pg_catalog.pg_stat_activity left join played.session using (pid);
grant usage on schema played to plain, monitor;
grant select on all tables in schema played to plain, monitor;
grant select on record to plain, monitor;
"""


def _column(name: str, kind: str, **more: Any) -> Column:
    return Column(name, name, kind, "internal", name, name, **more)


CONTRACT = Contract(
    id="thu.record",
    sector="thu",
    dataset="record",
    entity="record",
    version="1.0.0",
    status="active",
    title="",
    description="",
    description_en="",
    owner_agency="",
    table="public.record",
    capture="cursor",
    cursor_column="stamped",
    deletes="none",
    soft_delete_column=None,
    overlap=timedelta(),
    cadence="0 1 * * *",
    freshness=timedelta(hours=26),
    min_rows=0,
    key=("id",),
    columns=(
        _column("id", "bigint", primary_key=True, required=True),
        _column("label", "text"),
        _column("stamped", "timestamp with time zone"),
    ),
    path=Path("contracts/thu/record.odcs.yaml"),
)


@dataclass
class Writer:
    """A session at the source, and since when its transaction is open by the source's clock."""

    connection: psycopg.Connection[Any]
    start: datetime | None = None


class Source:
    """The driven source. `played`: what the loads so far have brought, the newest version of each row."""

    def __init__(self, uri: str, readers: dict[Role, str], writers: int = 3) -> None:
        self.control = psycopg.connect(uri, autocommit=True)
        self.writers = [Writer(psycopg.connect(uri, options="-c lock_timeout=2ms")) for _ in range(writers)]
        self._readers = readers
        self.begin_example()

    def begin_example(self, overlap: timedelta = timedelta()) -> None:
        """Empties everything and sets all clocks to the beginning."""
        self.contract = replace(CONTRACT, overlap=overlap)
        for writer in self.writers:
            self.end(writer, "rollback")
        for gid in self.prepared():
            self.control.execute(sql.SQL("rollback prepared {}").format(gid))
        self.control.execute("delete from record; delete from played.session")
        self.passed, self.offset, self.stepped = 0.0, 0.0, 0.0
        self.watermark: datetime | None = None
        self.position: dict[str, Any] | None = None
        self.loaded: dict[int, Row] = {}
        self.count = 0
        self._set_clock()

    @property
    def clock(self) -> datetime:
        """What the source's clock shows."""
        return EPOCH + timedelta(seconds=self.passed + self.offset)

    def instant(self) -> Instant:
        """The loader's own clock, which nobody sets."""
        return Instant("played", self.passed, self.passed)

    def advance(self, seconds: float) -> None:
        self.passed += seconds
        self._set_clock()

    def step(self, seconds: float) -> None:
        """Sets the source's clock. Back and forth between the same two loads leaves no trace: only one way is played."""
        if seconds * self.stepped >= 0:
            self.stepped += seconds
            self.offset += seconds
            self._set_clock()

    def _set_clock(self) -> None:
        self.control.execute("update played.time set now = %s", (self.clock,))

    def begin(self, writer: Writer) -> None:
        """Opens a transaction that has written nothing yet."""
        if writer.start is None:
            writer.start = self.clock
            writer.connection.execute("select 1")
            pid = writer.connection.info.backend_pid
            self.control.execute("insert into played.session values (%s, %s)", (pid, writer.start))

    def write(self, writer: Writer, key: int, stamp: Stamp, *, savepoint: bool) -> None:
        """Inserts or updates a row; where another transaction holds it, the writer's is rolled back, as a program would."""
        self.begin(writer)
        assert writer.start is not None
        behind = self.clock - self.contract.overlap
        when = {"start": writer.start, "clock": self.clock, "behind": behind, "none": None}[stamp]
        self.count += 1
        try:
            with writer.connection.transaction() if savepoint else nullcontext():
                writer.connection.execute(
                    """
                    insert into record values (%s, %s, %s)
                    on conflict (id) do update set label = excluded.label, stamped = excluded.stamped
                    """,
                    (key, f"version {self.count}", when),
                )
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InFailedSqlTransaction):
            self.end(writer, "rollback")

    def end(self, writer: Writer, how: Literal["commit", "rollback", "prepare"]) -> None:
        if how == "commit":
            writer.connection.commit()
        elif how == "prepare" and writer.start is not None:
            self.count += 1
            writer.connection.execute(sql.SQL("prepare transaction {}").format(f"p{self.count}"))
            writer.connection.rollback()
        else:
            writer.connection.rollback()
        writer.start = None
        self.control.execute("delete from played.session where pid = %s", (writer.connection.info.backend_pid,))

    def prepared(self) -> list[str]:
        return [gid for (gid,) in self.control.execute("select gid from pg_prepared_xacts order by gid")]

    def end_prepared(self, at: int, how: Literal["commit", "rollback"]) -> None:
        if found := self.prepared():
            self.control.execute(sql.SQL("{} prepared {}").format(sql.SQL(how), found[at % len(found)]))

    def load(self, role: Role) -> str | None:
        """One load, through the capture's own snapshot; returns its remark. Newer rows take the place of older ones."""
        with postgres.snapshot(self._readers[role], self.contract, self.watermark, self.position) as view:
            (part,) = view.parts
            with part.connection.cursor() as cursor:
                cursor.execute(part.rows)
                self.loaded |= {row[0]: row for row in cursor.fetchall()}
            assert view.seam is not None
            self.watermark, self.position = view.seam.watermark, view.seam.position()
            self.stepped = 0
            return view.warning

    def rows(self) -> dict[int, Row]:
        """What is committed at the source."""
        return {row[0]: row for row in self.control.execute("select id, label, stamped from record").fetchall()}
