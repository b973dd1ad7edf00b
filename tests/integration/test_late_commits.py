"""Cursor loads lose nothing: random interleavings of slow and fast writers against repeated loads, and each known trap alone."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pdic import connections, embedded, ports
from pdic.errors import SourceUnavailable
from pdic.reach import runner
from pdic.sources import clocks, parts, postgres, session, standing
from pdic.sources.guest import prefer_standby
from tests.integration.late_commits import EPOCH, SCHEMA, Role, Source

OVERLAP = timedelta(minutes=5)
WRITERS = 3


@pytest.fixture(scope="module")
def server(new_home: Callable[[], Path]) -> Iterator[embedded.Server]:
    """A server of the module's own, which allows prepared transactions, admits without a password, and can be replicated."""
    home = new_home()
    embedded.start(home)
    with psycopg.connect(embedded.superuser_uri(home), autocommit=True) as admin:
        admin.execute("alter system set max_prepared_transactions = 50")
        admin.execute("create role monitor login in role pg_monitor")
        admin.execute("create role plain login")
        admin.execute("create database late")
    embedded.stop(home)
    started = embedded.start(home)
    (home / "pgdata" / "pg_hba.conf").write_text("host all,replication all 127.0.0.1/32 trust\n", encoding="ascii")
    with psycopg.connect(embedded.superuser_uri(home, "late"), autocommit=True) as admin:
        admin.execute("select pg_reload_conf()")
        admin.execute(SCHEMA)
    yield started


def uri(server: embedded.Server, role: str, port: int | None = None) -> str:
    return f"postgresql://{role}@{embedded.HOST}:{port or server.port}/late"


@pytest.fixture(scope="module")
def source(server: embedded.Server) -> Iterator[Source]:
    made = Source(uri(server, "postgres"), {"monitor": uri(server, "monitor"), "plain": uri(server, "plain")}, WRITERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standing, "here", made.instant)
        patch.setattr(session, "FIRST_IN_PATH", "played, pg_catalog")
        yield made
    for connection in (made.control, *(writer.connection for writer in made.writers)):
        connection.close()


writers = st.integers(0, WRITERS - 1)
stamps = st.sampled_from(["start", "clock", "behind", "none"])
steps = st.one_of(
    st.tuples(st.just("load")),
    st.tuples(st.just("advance"), st.sampled_from([0.001, 2, 300, 5000, 100_000])),
    st.tuples(st.just("begin"), writers),
    st.tuples(st.just("write"), writers, st.integers(0, 5), stamps, st.booleans()),
    st.tuples(st.just("end"), writers, st.sampled_from(["commit", "rollback", "prepare"])),
    st.tuples(st.just("end_prepared"), st.integers(0, 3), st.sampled_from(["commit", "commit", "rollback"])),
    st.tuples(st.just("step"), st.sampled_from([-7200, -60, 60, 7200])),
)
schedules = st.lists(steps, min_size=4, max_size=30)
roles = st.sampled_from(["monitor", "monitor", "plain"])
overlaps = st.sampled_from([timedelta(), OVERLAP])


def play(source: Source, schedule: list[tuple[Any, ...]], role: Role, overlap: timedelta) -> None:
    """Plays a schedule; after every load, what was loaded must be what is committed at the source, row for row.

    Without `pg_monitor` an overlap is the contract's word that no transaction lasts longer: then none is let last longer.
    """
    source.begin_example(overlap)
    for name, *arguments in [*schedule, ("finish",), ("load",)]:
        open_ = source.prepared() or any(writer.start for writer in source.writers)
        if role == "plain" and overlap and open_ and name in ("advance", "step"):
            continue
        match name:
            case "load":
                source.load(role)
                assert source.loaded == source.rows()
            case "begin":
                source.begin(source.writers[arguments[0]])
            case "write":
                at, key, stamp, savepoint = arguments
                source.write(source.writers[at], key, stamp, savepoint=savepoint)
            case "end":
                source.end(source.writers[arguments[0]], arguments[1])
            case "finish":
                for writer in source.writers:
                    source.end(writer, "commit")
                while source.prepared():
                    source.end_prepared(0, "commit")
            case _:
                getattr(source, name)(*arguments)


KNOWN: dict[str, list[tuple[Any, ...]]] = {
    "late": [
        *(("begin", 0), ("write", 0, 1, "start", False), ("advance", 300), ("write", 1, 2, "clock", False)),
        *(("end", 1, "commit"), ("load",), ("advance", 2), ("load",), ("end", 0, "commit"), ("load",)),
    ],
    "set back": [("load",), ("step", -7200), ("write", 0, 1, "clock", False), ("end", 0, "commit"), ("load",)],
    "open while set back": [
        *(("load",), ("begin", 0), ("step", -7200), ("write", 0, 1, "clock", False), ("advance", 300), ("load",)),
        *(("advance", 2), ("load",), ("end", 0, "commit"), ("load",)),
    ],
    "prepared": [
        *(("load",), ("write", 0, 1, "start", False), ("end", 0, "prepare"), ("advance", 5000), ("load",)),
        *(("advance", 2), ("load",), ("end_prepared", 0, "commit"), ("load",)),
    ],
    "prepared after being set back": [
        *(("load",), ("step", -7200), ("write", 0, 1, "clock", False), ("end", 0, "prepare"), ("advance", 300)),
        *(("load",), ("end_prepared", 0, "commit"), ("load",)),
    ],
    "not stamped": [("load",), ("write", 0, 1, "none", True), ("end", 0, "commit"), ("load",)],
}


def examples(count: int) -> Callable[[Any], Any]:
    def decorate(test: Any) -> Any:
        checked = settings(
            max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, database=None
        )(given(schedule=schedules, role=roles, overlap=overlaps)(test))
        for role in ("monitor", "plain"):
            for known in KNOWN.values():
                checked = example(schedule=known, role=role, overlap=timedelta())(checked)
        return checked

    return decorate


@examples(100)
def test_loads_equal_the_source_after_any_interleaving(
    source: Source, schedule: list[tuple[Any, ...]], role: Role, overlap: timedelta
) -> None:
    play(source, schedule, role, overlap)


@pytest.mark.histories
@examples(1000)
def test_loads_equal_the_source_after_a_thousand_interleavings(
    source: Source, schedule: list[tuple[Any, ...]], role: Role, overlap: timedelta
) -> None:
    play(source, schedule, role, overlap)


def test_a_transaction_left_open_is_remarked(source: Source) -> None:
    """Fault: a session at the source stays idle in a transaction. Invariant: loads go on, cost little, and say so."""
    source.begin_example()
    source.begin(source.writers[0])
    source.load("monitor")
    source.advance(7200)
    assert "is open since about" in str(source.load("monitor"))
    source.advance(200_000)
    assert "read by transaction id" in str(source.load("monitor"))
    assert source.watermark is None
    source.end(source.writers[0], "rollback")
    source.load("monitor")
    assert source.load("monitor") is None


def test_a_restored_source_is_read_whole(source: Source) -> None:
    """Fault: a backup is put back, so that transaction ids begin anew. Invariant: everything is read, and it is said."""
    source.begin_example()
    source.load("monitor")
    assert source.position is not None
    source.position |= {"xmax": source.position["xmax"] + 10**6}
    source.control.execute("insert into record values (1, 'a', '2020-01-01')")
    assert "gone back" in str(source.load("monitor"))
    assert source.loaded == source.rows()


def test_what_changed_is_found_by_index(server: embedded.Server, source: Source) -> None:
    """1 % of a table comes without reading the rest, and so do rows without a stamp."""
    with psycopg.connect(uri(server, "postgres"), autocommit=True) as admin:
        admin.execute("create table large (like record including all)")
        admin.execute("grant select on large to monitor")
        made = "select i, repeat('x', 100), timestamptz '2025-01-01 00:00Z' + i * interval '1 s' from generate_series(1, 20000) as i"
        admin.execute(f"insert into large {made}")
        admin.execute("vacuum analyze large")
        contract = replace(source.contract, table="public.large")
        since = EPOCH - timedelta(days=365) + timedelta(seconds=19_800)
        with postgres.snapshot(uri(server, "monitor"), contract, since) as view:
            rows = view.parts[0].rows.as_string(view.parts[0].connection)
        plan = "\n".join(line for (line,) in admin.execute(f"explain {rows}").fetchall())  # type: ignore[call-overload]
        assert "Seq Scan" not in plan
        assert plan.count("Index Cond") == 2
        assert len(admin.execute(rows).fetchall()) == 201  # type: ignore[call-overload]
        admin.execute("drop table large")


def test_stamps_without_time_zone_are_of_the_contracts(server: embedded.Server, source: Source) -> None:
    """Fault: the application stamps in UTC, the server's time zone is another. Invariant: nothing is lost."""
    with psycopg.connect(uri(server, "postgres"), autocommit=True) as admin:
        admin.execute("create table local (id bigint primary key, label text, stamped timestamp)")
        admin.execute("grant select on local to monitor")
        contract = replace(source.contract, table="public.local", cursor_time_zone="UTC")
        contract = replace(
            contract,
            columns=(*contract.columns[:2], replace(contract.columns[2], physical_type="timestamp without time zone")),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(standing, "here", clocks.here)
            patch.setattr(session, "FIRST_IN_PATH", "pg_catalog")
            with postgres.snapshot(uri(server, "monitor"), contract) as view:
                assert view.seam is not None
                watermark, position = view.seam.watermark, view.seam.position()
            admin.execute("insert into local values (1, 'a', clock_timestamp() at time zone 'UTC')")
            admin.execute(
                "insert into local values (2, 'old', (clock_timestamp() - interval '1 h') at time zone 'UTC')"
            )
            again = postgres.snapshot(uri(server, "monitor"), contract, watermark, position)
            with again as view, view.parts[0].connection.cursor() as cursor:
                cursor.execute(view.parts[0].rows)
                assert [row[0] for row in cursor.fetchall()] == [1]
        admin.execute("drop table local")


@pytest.fixture(scope="module")
def standby(server: embedded.Server) -> Iterator[embedded.Server]:
    """A streaming replica of the module's server."""
    who, programs = runner(), embedded.binaries() / "bin"
    data, port = server.home / "standby", ports.keep_or_find(None)
    data.mkdir(mode=0o700)
    who.own(data)
    primary = f"postgresql://postgres@{embedded.HOST}:{server.port}"
    copy = [programs / "pg_basebackup", "-d", primary, "-D", data, "-R", "-X", "stream", "-c", "fast"]
    subprocess.run(copy, check=True, **who.popen())
    command = [programs / "postgres", "-D", data, "-p", str(port)]
    log = (server.home / "log" / "standby.log").open("ab")
    with log, subprocess.Popen(command, stdout=log, stderr=log, **who.popen()) as running:
        try:
            ready = [programs / "pg_isready", "-q", "-h", embedded.HOST, "-p", str(port), "-t", "30"]
            while subprocess.run(ready, check=False).returncode:
                assert running.poll() is None, "the replica ended"
            yield embedded.Server(data, port, running.pid)
        finally:
            running.send_signal(signal.SIGQUIT)


def caught_up(primary: psycopg.Connection[Any], replica: psycopg.Connection[Any]) -> None:
    """Waits until the replica shows what the primary has committed."""
    (lsn,) = primary.execute("select pg_current_wal_flush_lsn()").fetchone() or ()
    for _ in range(6000):
        (done,) = replica.execute("select pg_last_wal_replay_lsn() >= %s", (lsn,)).fetchone() or ()
        if done:
            return
        replica.execute("select pg_sleep(0.01)")
    raise AssertionError("the replica does not catch up")


@pytest.mark.parametrize("overlap", [timedelta(), timedelta(minutes=30)], ids=["by transaction id", "by overlap"])
def test_a_lagging_replica_loses_nothing(
    server: embedded.Server, standby: embedded.Server, source: Source, overlap: timedelta
) -> None:
    """Fault: the replica shows neither the primary's transactions nor its present. Invariant: late rows arrive all the same."""
    source.begin_example(overlap)
    reader = uri(server, "plain", standby.port)
    loaded: dict[int, Any] = {}
    seam: Any = None

    def load() -> None:
        nonlocal seam
        former = (seam.watermark, seam.position()) if seam else ()
        with postgres.snapshot(reader, source.contract, *former) as view, view.parts[0].connection.cursor() as cursor:
            cursor.execute(view.parts[0].rows)
            loaded.update({row[0]: row[1] for row in cursor.fetchall()})
            seam = view.seam

    with (
        psycopg.connect(uri(server, "postgres"), autocommit=True) as primary,
        psycopg.connect(uri(server, "postgres", standby.port), autocommit=True) as replica,
        psycopg.connect(uri(server, "postgres")) as slow,
    ):
        primary.execute("insert into record values (1, 'first', now())")
        slow.execute("insert into record values (2, 'slow', now())")
        caught_up(primary, replica)
        load()
        assert loaded == {1: "first"}
        replica.execute("select pg_wal_replay_pause()")
        slow.commit()
        primary.execute("insert into record values (3, 'while it lags', now())")
        load()
        assert loaded == {1: "first"}
        replica.execute("select pg_wal_replay_resume()")
        caught_up(primary, replica)
        load()
        assert loaded == {1: "first", 2: "slow", 3: "while it lags"}
        # A watermark that a primary gave, and a replica behind what was read there.
        with postgres.snapshot(uri(server, "monitor"), source.contract, seam.watermark, seam.position()) as view:
            seam = view.seam
        replica.execute("select pg_wal_replay_pause()")
        primary.execute("insert into record values (4, 'later', now())")
        with postgres.snapshot(uri(server, "monitor"), source.contract, seam.watermark, seam.position()) as view:
            ahead = view.seam
        assert ahead is not None
        behind = postgres.snapshot(reader, source.contract, ahead.watermark, ahead.position())
        with pytest.raises(SourceUnavailable, match="is behind what was read before"), behind:
            pass
        replica.execute("select pg_wal_replay_resume()")
        load()


def test_several_hosts_mean_a_standby_first() -> None:
    fields = {"host": "a.example,b.example", "port": 5433, "login": "l", "password": "p,@/", "schema": "s"}
    made = connections.to_uri(fields)
    assert made == "postgresql://l:p%2C%40%2F@a.example:5433,b.example:5433/s"
    assert prefer_standby(made) == f"{made}?target_session_attrs=prefer-standby"
    own = connections.to_uri({**fields, "extra": {"target_session_attrs": "primary", "sslmode": "require"}})
    assert prefer_standby(own) == own
    single = connections.to_uri({**fields, "host": "a.example"})
    assert prefer_standby(single) == single


def test_all_sessions_of_a_load_are_at_one_standby(
    server: embedded.Server, standby: embedded.Server, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several hosts a standby is taken, and every further session goes where the snapshot is."""
    source.begin_example()
    source.control.execute("insert into record select i, 'x', now() from generate_series(1, 1000) as i")
    with (
        psycopg.connect(uri(server, "postgres"), autocommit=True) as primary,
        psycopg.connect(uri(server, "postgres", standby.port), autocommit=True) as replica,
    ):
        caught_up(primary, replica)
    monkeypatch.setattr(parts, "LEAST_BYTES", 8192)
    hosts = f"{embedded.HOST}:{server.port},{embedded.HOST}:{standby.port}"
    keys = []
    with postgres.snapshot(f"postgresql://plain@{hosts}/late", replace(source.contract, source_connections=2)) as view:
        assert len(view.parts) == 2
        for part in view.parts:
            with part.connection.cursor() as cursor:
                names = ("transaction_read_only", "lock_timeout", "statement_timeout")
                cursor.execute(
                    f"select pg_is_in_recovery(), {', '.join(f'current_setting({name!r})' for name in names)}"
                )
                assert cursor.fetchone() == (True, "on", "30s", "4h")
                cursor.execute(part.rows)
                keys.append({row[0] for row in cursor.fetchall()})
    assert all(keys)
    assert len(keys[0]) + len(keys[1]) == 1000
    assert keys[0] | keys[1] == set(range(1, 1001))
