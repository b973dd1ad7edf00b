"""The runs: PDIC's load and the bare pipe by turns, on an embedded PostgreSQL of their own that goes when they are done."""

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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from benchmarks import citizen
from pdic import connections, embedded, warehouse
from pdic.sources.postgres import CLOCK_GRAIN

SOURCE_OWNER = f"pdic_demo_{citizen.SECTOR}"
RAW, QUARANTINE = (f"{schema}.{citizen.SECTOR}__{citizen.DATASET}" for schema in ("raw", "quarantine"))
PIPED = "raw_batch.citizen_piped"
Sample = dict[str, Any]


def measure(rows: int, runs: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Runs everything; returns the machine's facts and each run's samples. Raises RuntimeError where the ways disagree."""
    with _home() as home:
        tell(f"making {rows:,} rows")
        row_bytes = citizen.create(connections.uri(SOURCE_OWNER), rows)
        machine = _machine()
        samples: dict[str, list[Sample]] = {}
        for load, run in (("full", _full), ("incremental", _incremental)):
            tell(f"{load} load, once unmeasured")
            run(home, rows, 0)
            _compare()
            samples[load] = []
            for turn in range(1, runs + 1):
                tell(f"{load} load {turn} of {runs}")
                samples[load].append(run(home, rows, turn))
        machine["load_average_at_end"] = round(os.getloadavg()[0], 2)
    table = {"rows": rows, "bytes_per_row": round(row_bytes)}
    return {"measured_on": datetime.now(UTC).date().isoformat(), "machine": machine, "table": table, **samples}


@contextmanager
def _home() -> Iterator[Path]:
    """A temporary installation: PDIC_HOME with a running server and a migrated warehouse, PDIC_ROOT with one contract."""
    folder = Path(tempfile.mkdtemp(prefix="pdic-bench-"))
    home = folder / "home"
    os.environ |= {"PDIC_HOME": str(home), "PDIC_ROOT": str(folder / "project")}
    try:
        citizen.write_project(folder / "project")
        embedded.start(home)
        warehouse.migrate(connections.warehouse("admin"))
        yield home
    finally:
        try:
            embedded.stop(home)
        finally:
            shutil.rmtree(folder)


def _full(home: Path, _rows: int, turn: int) -> Sample:
    """The whole table, into nothing."""
    _ask(embedded.superuser_uri(home, "warehouse"), f"drop table if exists {RAW}, {QUARANTINE} cascade")
    _ask(connections.warehouse("loader"), "update control.dataset set watermark = null, accepted_batch_id = null")
    return _both(home, f"copy public.citizen ({citizen.columns()}) to stdout (format binary)", turn)


def _incremental(home: Path, rows: int, turn: int) -> Sample:
    """What changed since the last load. The pipe is told PDIC's watermark, as it has none of its own."""
    citizen.change(connections.uri(SOURCE_OWNER), rows, turn)
    time.sleep(1.1 * CLOCK_GRAIN.total_seconds())  # else the next turn would read some of these rows once more
    watermark = _ask(connections.warehouse("loader"), "select watermark from control.dataset")
    query = f"select {citizen.columns()} from public.citizen where updated_at >= '{watermark}'"  # noqa: S608
    # Whoever reads changed rows first also marks them as committed, page by page: done here, so that neither way pays.
    _ask(connections.uri(SOURCE_OWNER), f"select count(t.*) from ({query}) as t")  # noqa: S608
    return _both(home, f"copy ({query}) to stdout (format binary)", turn)


def _both(home: Path, copy_out: str, turn: int) -> Sample:
    """The two ways, each after a checkpoint so that neither writes the other's pages; who begins changes by turns."""
    loader = connections.warehouse("loader")
    _ask(loader, f"drop table if exists {PIPED}; create table {PIPED} ({citizen.columns(types=True)})")
    sample: Sample = {"load_average": round(os.getloadavg()[0], 2)}
    for way in ("pipe", "pdic") if turn % 2 else ("pdic", "pipe"):
        _ask(embedded.superuser_uri(home), "checkpoint")
        sample[way] = _pipe(copy_out) if way == "pipe" else _load()
    piped = _ask(loader, f"select count(*) from {PIPED}")  # noqa: S608
    if piped != sample["pdic"]["rows"]:
        raise RuntimeError(f"the pipe brought {piped} rows, PDIC {sample['pdic']['rows']}")
    return sample


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


def _load() -> Sample:
    command = [sys.executable, "-m", "benchmarks.worker", str(time.monotonic())]
    done = subprocess.run(command, cwd=citizen.HERE.parent, check=False, stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode:
        raise RuntimeError("the load failed; it said why above")
    sample: Sample = json.loads(done.stdout)
    return sample


def _compare() -> None:
    """Raises RuntimeError unless both ways brought the same rows, by the hash of their text."""
    loader = connections.warehouse("loader")
    newest = f"{RAW} where _batch_id = (select max(_batch_id) from {RAW})"  # noqa: S608
    piped, loaded = (
        _ask(loader, f"select sum(hashtextextended(t::text, 0)) from (select {citizen.columns()} from {rows}) as t")  # noqa: S608
        for rows in (PIPED, newest)
    )
    if piped != loaded:
        raise RuntimeError("the rows that the pipe brought and those that PDIC brought differ")


def _ask(uri: str, statement: str) -> Any:
    """Runs SQL of our own; returns the first value of the first row, if it has one."""
    with psycopg.connect(uri, autocommit=True, options="-c client_min_messages=warning") as connection:
        cursor = connection.execute(sql.SQL(statement))
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
