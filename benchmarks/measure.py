"""The runs: PDIC's load, the bare pipe and the peers by turns, on an embedded PostgreSQL of their own that goes when they are done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from benchmarks import citizen, peers
from pdic import connections, embedded, warehouse
from pdic.sources.window import CLOCK_GRAIN

SOURCE_OWNER = f"pdic_demo_{citizen.SECTOR}"
RAW, QUARANTINE = (f"{schema}.{citizen.SECTOR}__{citizen.DATASET}" for schema in ("raw", "quarantine"))
PIPED = "raw_batch.citizen_piped"
PEERS_DATABASE = "peers"
Sample = dict[str, Any]
Way = Callable[[], Sample]


@dataclass(frozen=True)
class Plan:
    """How much to measure: rows of the table, rows for the peers (0: no peers), runs of each way, sessions of a load in ranges."""

    rows: int
    peer_rows: int
    runs: int
    sessions: int = 2


def measure(plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Runs everything; returns the machine's facts, each run's samples, and what each peer lost.

    Raises RuntimeError where PDIC and the pipe do not bring the very rows of the source.
    """
    results: dict[str, Any] = {
        "measured_on": datetime.now(UTC).date().isoformat(),
        "loads": {},
        "losses": {},
        "remarks": [],
    }
    with _home(plan.sessions) as home:
        bench = _Bench(home, plan, tell)
        machine = _machine()
        if plan.peer_rows:
            if why := peers.prepare():
                results["remarks"].append(why)
            else:
                bench.make(plan.peer_rows)
                others = bench.peers()
                results["loads"]["peers_full"] = bench.full(others, ranges=False)
                results["loads"]["peers_incremental"] = bench.incremental(others)
        results["bytes_per_row"] = bench.make(plan.rows)
        results["loads"]["full"] = bench.full(None, ranges=True)
        results["loads"]["incremental"] = bench.incremental(None)
        results["losses"] = bench.losses
        results["remarks"] += bench.remarks
        machine["load_average_at_end"] = round(os.getloadavg()[0], 2)
    return {**results, "machine": machine, "plan": vars(plan)}


class _Bench:
    def __init__(self, home: Path, plan: Plan, tell: Callable[[str], None]) -> None:
        self._home, self._plan, self._tell = home, plan, tell
        self._rows = 0
        self.losses: dict[str, dict[str, Any]] = {}
        self.remarks: list[str] = []

    def make(self, rows: int) -> int:
        """Makes the source's table anew; returns its bytes a row."""
        self._tell(f"making {rows:,} rows")
        self._rows = rows
        self._forget()
        return round(citizen.create(connections.uri(SOURCE_OWNER), rows))

    def peers(self) -> peers.Peers:
        superuser = embedded.superuser_uri(self._home, PEERS_DATABASE)
        _ask(embedded.superuser_uri(self._home), f"create database {PEERS_DATABASE}")
        _ask(superuser, f"create schema insert_rows; create table insert_rows.citizen ({citizen.columns(types=True)})")
        source, target = (
            f"{uri}?sslmode=disable" for uri in (connections.uri(f"pdic_source_{citizen.SECTOR}"), superuser)
        )
        return peers.Peers(source, target, self._home.parent)

    def full(self, others: peers.Peers | None, *, ranges: bool) -> list[Sample]:
        """The whole table, into nothing."""
        copy = f"copy public.citizen ({citizen.columns()}) to stdout (format binary)"
        process = others is not None
        ways: dict[str, Way] = {"pipe": lambda: _pipe(copy), "pdic": lambda: self._load("project", process=process)}
        if ranges:
            ways["pdic_ranges"] = lambda: self._load("ranges")
        return self._turns("full", ways, others, self._empty)

    def incremental(self, others: peers.Peers | None) -> list[Sample]:
        """What changed since the last load. The pipe is told PDIC's watermark, as it has none of its own."""
        self._empty("pdic")
        self._load("project")
        changed: list[str] = []
        process = others is not None
        ways: dict[str, Way] = {
            "pipe": lambda: _pipe(changed[-1]),
            "pdic": lambda: self._load("project", process=process),
        }
        turn = iter(range(1, 1000))

        def change() -> None:
            citizen.change(connections.uri(SOURCE_OWNER), self._rows, next(turn))
            time.sleep(1.1 * CLOCK_GRAIN.total_seconds())  # else the next turn would read some of these rows once more
            since = _ask(connections.warehouse("loader"), "select watermark from control.dataset")
            query = f"select {citizen.columns()} from public.citizen where updated_at >= '{since}'"  # noqa: S608
            # Whoever reads changed rows first also marks them as committed, page by page: done here, so that nobody pays.
            _ask(connections.uri(SOURCE_OWNER), f"select count(t.*) from ({query}) as t")  # noqa: S608
            changed.append(f"copy ({query}) to stdout (format binary)")

        return self._turns("incremental", ways, others, lambda way: _empty_pipe() if way == "pipe" else None, change)

    def _turns(
        self,
        load: str,
        ways: dict[str, Way],
        others: peers.Peers | None,
        clear: Callable[[str], None],
        change: Callable[[], None] = lambda: None,
    ) -> list[Sample]:
        """One turn unmeasured, whose results are compared with the source; then the measured ones, each beginning elsewhere."""
        ways = ways | (others.ways(load) if others else {})
        samples: list[Sample] = []
        for turn in range(self._plan.runs + 1):
            change()
            order = list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]
            sample: Sample = {"load_average": round(os.getloadavg()[0], 2)}
            for way in order:
                if way not in ways:
                    continue
                self._tell(
                    f"{load} load of {self._rows:,} rows, {way}, {f'{turn} of {self._plan.runs}' if turn else 'unmeasured'}"
                )
                clear(way)
                _ask(embedded.superuser_uri(self._home), "checkpoint")  # so that nobody writes another's pages
                try:
                    sample[way] = ways[way]()
                except RuntimeError as error:
                    if way in ("pipe", "pdic", "pdic_ranges"):
                        raise
                    self.remarks.append(f"{way}, {load}: {error}")
                    del ways[way]
                    continue
                if not turn:
                    self._compare(load, way, others)
            if turn:
                samples.append(sample)
        return [
            {name: found for name, found in sample.items() if name in (*ways, "load_average")} for sample in samples
        ]

    def _empty(self, way: str) -> None:
        if way == "pipe":
            _empty_pipe()
        elif way.startswith("pdic"):
            self._forget()
        elif way == "insert_rows":
            _ask(embedded.superuser_uri(self._home, PEERS_DATABASE), "truncate insert_rows.citizen")
        else:
            _ask(embedded.superuser_uri(self._home, PEERS_DATABASE), f"drop schema if exists {way} cascade")

    def _forget(self) -> None:
        _ask(embedded.superuser_uri(self._home, "warehouse"), f"drop table if exists {RAW}, {QUARANTINE} cascade")
        forget = "update control.dataset set watermark = null, position = null, accepted_batch_id = null"
        _ask(connections.warehouse("loader"), forget)
        _ask(connections.warehouse("loader"), citizen.FORGET_BATCHES)

    def _load(self, project: str, *, process: bool = False) -> Sample:
        """One load by a process of its own; `process`: its start counts too, as a peer's does."""
        command = [sys.executable, "-m", "benchmarks.worker", str(time.monotonic())]
        environment = {**os.environ, "PDIC_ROOT": str(self._home.parent / project)}
        done = subprocess.run(
            command, cwd=citizen.HERE.parent, env=environment, check=False, stdout=subprocess.PIPE, encoding="utf-8"
        )
        if done.returncode:
            raise RuntimeError("the load failed; it said why above")
        sample: Sample = json.loads(done.stdout)
        seconds = sample["extract_accept"] + (sample["start"] if process else 0)
        return {**sample, "seconds": round(seconds, 4), "memory": sample["memory_above_start"]}

    def _compare(self, load: str, way: str, others: peers.Peers | None) -> None:
        """Raises RuntimeError unless PDIC and the pipe brought the source's rows; of peers, notes the columns that differ."""
        found: dict[str, Any] = {}
        if way == "pipe":
            if load == "incremental":
                return  # it brings changes only and keeps no state to compare
            found = _fingerprint(connections.warehouse("loader"), PIPED)
        elif way.startswith("pdic"):
            newest = f"(select distinct on (id) * from {RAW} order by id, _batch_id desc)"  # noqa: S608
            found = _fingerprint(connections.warehouse("loader"), newest)
        elif others is not None:
            found = _fingerprint(embedded.superuser_uri(self._home, PEERS_DATABASE), others.table(way))
        wanted = _fingerprint(connections.uri(SOURCE_OWNER), "public.citizen")
        different = sorted(name for name in wanted if wanted[name] != found.get(name))
        if different and way in ("pipe", "pdic", "pdic_ranges"):
            raise RuntimeError(f"{load}: what {way} brought differs from the source in {', '.join(different)}")
        self.losses.setdefault(f"peers_{load}" if others else load, {})[way] = different


def _fingerprint(uri: str, rows: str) -> dict[str, Any]:
    """Per column, the sum of its values' text hashed with the key, and its NULLs; and the number of rows."""
    names = citizen.columns().split(", ")
    sums = ", ".join(
        f"coalesce(sum(hashtextextended(id::text || ' ' || {name}::text, 0)), 0)::text || ' ' || count({name})"
        for name in names
    )
    statement = f"select jsonb_build_array(count(*), {sums}) from {rows} as rows"  # noqa: S608
    try:
        found = _ask(uri, f"set timezone = 'UTC'; {statement}")
    except psycopg.Error as error:
        return {"rows": type(error).__name__}
    return dict(zip(["rows", *names], found, strict=True))


@contextmanager
def _home(sessions: int) -> Iterator[Path]:
    """A temporary installation: PDIC_HOME with a running server and a migrated warehouse, two projects with one contract."""
    folder = Path(tempfile.mkdtemp(prefix="pdic-bench-"))
    home = folder / "home"
    os.environ["PDIC_HOME"] = str(home)
    try:
        for project, count in (("ranges", sessions), ("project", 1)):
            os.environ["PDIC_ROOT"] = str(folder / project)
            citizen.write_project(folder / project, count)
        embedded.start(home)
        warehouse.migrate(connections.warehouse("admin"))
        yield home
    finally:
        try:
            embedded.stop(home)
        finally:
            shutil.rmtree(folder)


def _empty_pipe() -> None:
    create = f"drop table if exists {PIPED}; create table {PIPED} ({citizen.columns(types=True)})"
    _ask(connections.warehouse("loader"), create)


def _pipe(copy_out: str) -> Sample:
    """`psql COPY | psql COPY` into a bare heap; seconds from the start of the first psql to the end of both."""
    copy_in = f"copy {PIPED} ({citizen.columns()}) from stdin (format binary)"
    began = time.monotonic()
    with subprocess.Popen(
        _psql(copy_out), env=_login(f"pdic_source_{citizen.SECTOR}"), stdout=subprocess.PIPE
    ) as reader:
        writer = subprocess.run(_psql(copy_in), check=False, env=_login("pdic_warehouse_loader"), stdin=reader.stdout)
    seconds = time.monotonic() - began
    if reader.returncode or writer.returncode:
        raise RuntimeError("the psql pipe failed; psql said why above")
    return {"seconds": round(seconds, 4)}


def _psql(command: str) -> list[str]:
    own = embedded.binaries() / "bin" / "psql"
    program = str(own) if own.is_file() else shutil.which("psql")
    if program is None:
        raise RuntimeError("there is no psql to compare with: install PostgreSQL's client programs")
    return [program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--command={command}"]


def _login(conn_id: str) -> dict[str, str]:
    """A connection as libpq's environment: a command line would show the password to everybody."""
    known = connections.load(Path(os.environ["PDIC_HOME"]))[conn_id]
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "login", "PGPASSWORD": "password", "PGDATABASE": "schema"}
    return {name: str(known[field]) for name, field in names.items()}


def _ask(uri: str, statements: str) -> Any:
    """Runs SQL of our own; returns the first value of the last statement's first row, if it has one."""
    with psycopg.connect(uri, autocommit=True, options="-c client_min_messages=warning") as connection:
        cursor = connection.execute(sql.SQL(statements))
        while cursor.nextset():
            pass
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def _machine() -> dict[str, Any]:
    names = ("server_version", "shared_buffers", "max_wal_size", "wal_level", "fsync")
    show = {name: _ask(connections.warehouse("admin"), f"show {name}") for name in names}
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "postgresql": show,
        "load_average_at_start": round(os.getloadavg()[0], 2),
    }
