"""A table read over several sessions: one snapshot, no row left out or twice, and nothing left where a session fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg2 import errors, sql

from pdic import connections, memory, raw, transfer, warehouse
from pdic.contracts.model import Contract
from pdic.errors import LoadError, PdicError, SourceUnavailable
from pdic.pace import Pace
from pdic.sources import parts, postgres, session
from tests.conftest import Postgres
from tests.integration.late_commits import CONTRACT

ROWS = 20_000
TABLES = {
    "plain": "create table plain (id bigint, label text, stamped timestamptz)",
    "divided": """
        create table divided (id bigint, label text, stamped timestamptz) partition by range (id);
        create table divided_1 partition of divided for values from (0) to (5000);
        create table divided_2 partition of divided for values from (5000) to (1000000)
    """,
}


@pytest.fixture(scope="module")
def source(postgres: Postgres) -> Iterator[str]:
    """A source with one table of each kind, and the warehouse's table for them."""
    warehouse.migrate(connections.warehouse("admin"))
    uri = postgres.create_database("wide")
    with psycopg.connect(uri) as admin:
        for name, create in TABLES.items():
            admin.execute(create)  # type: ignore[call-overload]
            admin.execute(
                f"insert into {name} select i, repeat('x', i % 200), now() from generate_series(1, {ROWS}) as i"  # type: ignore[call-overload]
            )
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute(
            """
            create table raw.thu__record (
                id bigint, label text, stamped timestamptz, _batch_id bigint not null, _op "char" not null default 'U'
            ) partition by list (_batch_id)
            """
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "LEAST_BYTES", 1 << 16)
        yield uri
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute("drop table raw.thu__record")


def contract(table: str, sessions: int = 3, **more: Any) -> Contract:
    return replace(CONTRACT, table=f"public.{table}", source_connections=sessions, **more)


def landed(batch: int) -> list[Any]:
    table = raw.batch_table(CONTRACT, batch).strings
    with psycopg.connect(connections.warehouse("loader")) as loader:
        found = loader.execute(f"select id, label, stamped from {'.'.join(table)} order by id").fetchall()  # type: ignore[call-overload]
        loader.execute(f"drop table {'.'.join(table)}")  # type: ignore[call-overload]
    return found


def at_source(uri: str, table: str) -> list[Any]:
    with psycopg.connect(uri) as source:
        return source.execute(f"select id, label, stamped from {table} order by id").fetchall()  # type: ignore[call-overload]


@pytest.mark.parametrize("table", TABLES)
def test_all_ranges_are_of_one_snapshot(source: str, table: str) -> None:
    """Rows that come, change and go after the snapshot, at the table's end too, are not of it."""
    wanted = at_source(source, table)
    with postgres.snapshot(source, contract(table)) as view:
        assert len(view.parts) == 3
        with psycopg.connect(source) as writer:
            writer.execute(f"insert into {table} select i, 'later' from generate_series(30001, 32000) as i")  # type: ignore[call-overload]
            writer.execute(f"update {table} set label = 'changed' where id % 7 = 0")  # type: ignore[call-overload]
            writer.execute(f"delete from {table} where id % 11 = 0")  # type: ignore[call-overload]
        arrival = transfer.copy_snapshot(view, connections.warehouse("loader"), 1)
    assert landed(1) == wanted
    assert arrival.rows == ROWS
    assert arrival.digest.removeprefix("crc32:").count(",") == 2
    # And what is new by transaction id, in ranges as well.
    position = {**(arrival.position or {})}
    with postgres.snapshot(source, contract(table), None, position) as view:
        assert len(view.parts) == 3
        transfer.copy_snapshot(view, connections.warehouse("loader"), 2)
    brought = landed(2)
    known = set(wanted)
    assert brought == [row for row in at_source(source, table) if row not in known]
    assert len(brought) > 4000


def test_one_session_unless_the_contract_allows_more(source: str) -> None:
    with postgres.snapshot(source, contract("plain", sessions=1)) as view:
        assert len(view.parts) == 1
        assert transfer.copy_snapshot(view, connections.warehouse("loader"), 3).digest.count(",") == 0
    landed(3)


def test_a_session_that_ends_takes_the_batch_with_it(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the source ends one of three sessions while all read. Invariant: an error, and no table is left."""
    copy_to = parts.Part.copy_to

    def ended(part: parts.Part, stream: Any) -> int:
        if not killed:
            killed.append(part.connection.info.backend_pid)
            with psycopg.connect(source, autocommit=True) as killer:
                killer.execute("select pg_terminate_backend(%s, 5000)", (killed[0],))
        return copy_to(part, stream)

    killed: list[int] = []
    monkeypatch.setattr(parts.Part, "copy_to", ended)
    with pytest.raises(SourceUnavailable, match="broke off"), postgres.snapshot(source, contract("plain")) as view:
        transfer.copy_snapshot(view, connections.warehouse("loader"), 4)
    assert killed
    with psycopg.connect(connections.warehouse("loader")) as loader:
        assert loader.execute("select to_regclass('raw_batch.thu__record__4')").fetchone() == (None,)


def test_a_table_that_may_not_be_read_is_refused_in_words(source: str) -> None:
    with psycopg.connect(source) as owner:
        owner.execute("create table closed (like plain)")
        owner.execute("revoke select on closed from current_user")
    closed = contract("closed", 1)
    with (
        pytest.raises(LoadError, match=r"grant select on public\.closed to") as raised,
        postgres.snapshot(source, closed) as view,
    ):
        transfer.copy_snapshot(view, connections.warehouse("loader"), 5)
    assert not raised.value.retryable


def test_a_locked_table_is_left_alone(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the table is being altered. Invariant: the load waits no longer than its limit, and may be tried again."""
    monkeypatch.setattr(session, "LOCK_TIMEOUT", timedelta(milliseconds=50))
    with psycopg.connect(source) as owner:
        owner.execute("lock table plain in access exclusive mode")
        with (
            pytest.raises(PdicError, match="another session there is changing it") as raised,
            postgres.snapshot(source, contract("plain", 1)) as view,
        ):
            transfer.copy_snapshot(view, connections.warehouse("loader"), 6)
    assert raised.value.retryable


def test_a_pace_lets_no_more_through_than_it_says() -> None:
    now = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(100, clock=lambda: now[0], sleep=sleep)
    for _ in range(10):
        pace.take(50)
    assert now[0] == pytest.approx(5.0)
    now[0] += 60
    pace.take(50)
    assert slept[-1] == pytest.approx(0.5), "time not used is not saved up"
    Pace(None, clock=lambda: 0.0, sleep=lambda _: pytest.fail("no rate, no wait")).take(10**9)


def test_the_source_is_read_no_faster_than_the_contract_says(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    class Counted(Pace):
        def take(self, units: int) -> None:
            taken.append(units)

    rates: list[float | None] = []
    monkeypatch.setattr(transfer, "Pace", lambda rate: (rates.append(rate), Counted(rate))[1])
    with postgres.snapshot(source, contract("plain", 2, max_bytes_per_second=5_000_000)) as view:
        arrival = transfer.copy_snapshot(view, connections.warehouse("loader"), 7)
    landed(7)
    assert rates == [5_000_000], "one pace for all sessions together"
    assert sum(taken) == arrival.bytes


@pytest.mark.parametrize("sessions", [1, 3])
def test_a_warehouse_that_refuses_a_row_stops_the_source(
    source: str, sessions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: the warehouse takes no more while the source still sends. Invariant: an error at once, no table, no thread left."""
    create, checked = raw.create_batch_table, sql.SQL("; alter table {} add check (id < 100)")
    monkeypatch.setattr(
        raw,
        "create_batch_table",
        lambda contract, batch: create(contract, batch) + checked.format(raw.batch_table(contract, batch)),
    )
    with pytest.raises(errors.CheckViolation), postgres.snapshot(source, contract("plain", sessions)) as view:
        transfer.copy_snapshot(view, connections.warehouse("loader"), 8)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("copy ")]
    with psycopg.connect(connections.warehouse("loader")) as loader:
        assert loader.execute("select to_regclass('raw_batch.thu__record__8')").fetchone() == (None,)


def test_a_large_table_costs_no_more_memory_than_a_small_one(source: str) -> None:
    """80 MB pass through; where the warehouse is the slower side, the source waits."""
    with psycopg.connect(source) as owner:
        made = (
            "select i::bigint as id, repeat('x', 1000) as label, now() as stamped from generate_series(1, 80000) as i"
        )
        owner.execute(f"create table heavy as {made}")
    with postgres.snapshot(source, contract("heavy", 1)) as view:
        memory.forget_peak()
        before = memory.used()
        arrival = transfer.copy_snapshot(view, connections.warehouse("loader"), 9)
        grown = memory.peak() - before
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute("drop table raw_batch.thu__record__9")
    assert arrival.bytes > 80_000_000
    assert grown < 12_000_000


@pytest.mark.parametrize("full", [False, True])
def test_sessions_for_ranges_are_opened_by_who_reads_ranges(
    source: str, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison reads in one session: nothing is opened at the source that nobody uses, whatever the contract allows."""
    opened: list[str] = []
    visit = parts.visit

    def counted(*arguments: Any, **more: Any) -> Any:
        opened.append("range")
        return visit(*arguments, **more)

    monkeypatch.setattr(parts, "visit", counted)
    for cursor in (None, "stamped"):
        with postgres.snapshot(source, contract("plain", cursor_column=cursor), full=full) as view:
            assert opened == []
            assert len(view.parts) == len(view.parts) == 3
            assert opened == ["range"] * 2
        opened.clear()
