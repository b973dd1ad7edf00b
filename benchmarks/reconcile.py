"""`python -m benchmarks.reconcile [--rows N] [--runs K] [--deleted SHARE] [--json]`: how long a reconcile takes.

Each run deletes a random share of the rows at the source, which no load can see, and reconciles in this process: the time of
`pdic reconcile` without its start. Beside it stands a reconcile that finds nothing. Afterwards no ghost may be left.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks import citizen
from pdic import connections, embedded, ledger, load, processes, reconcile, warehouse
from pdic.warehouse import transaction

OWNER = f"pdic_demo_{citizen.SECTOR}"
TARGET = f"{citizen.SECTOR}.{citizen.DATASET}"


def measure(rows: int, runs: int, deleted: float) -> dict[str, Any]:
    """Makes and loads the table, then reconciles. Raises RuntimeError where a run heals anything but what was deleted."""
    with home():
        citizen.create(connections.uri(OWNER), rows)
        _load()
        turns = []
        for _ in range(runs):
            turn = {"load_average": round(os.getloadavg()[0], 2), "unchanged": _reconcile(0)}
            with psycopg.connect(connections.uri(OWNER)) as source:
                # (the table's visibility is settled by vacuum, as time does on a server that is not measured)
                gone = source.execute("delete from citizen where random() < %s", (deleted,)).rowcount
            with psycopg.connect(connections.uri(OWNER), autocommit=True) as source:
                source.execute("vacuum citizen")
            turns.append(turn | {"deleted": _reconcile(gone)})
    least = {kind: min(turn[kind]["seconds"]["total"] for turn in turns) for kind in ("unchanged", "deleted")}
    return {"rows": rows, "least_seconds": least, "runs": turns}


def _reconcile(expected: int) -> dict[str, Any]:
    before = _server_cpu()
    (report,) = reconcile.reconcile([TARGET])
    found = {name: report.get(name) for name in ("status", "late", "changed", "news", "deleted")}
    if found != {"status": "accepted", "late": 0, "changed": 0, "news": 0, "deleted": expected}:
        raise RuntimeError(f"{expected} rows were deleted, but: {found} {report.get('message')}")
    measured = {name: report[name] for name in ("buckets", "buckets_differing", "rows_fetched", "bytes", "seconds")}
    return measured | {"server_cpu_seconds": round(_server_cpu() - before, 2)}


def _server_cpu() -> float:
    """Processor seconds that the server's processes, those that have ended too, have used: steadier than time on a busy machine."""
    pgdata = Path(os.environ["PDIC_HOME"]) / "pgdata"
    time.sleep(0.5)  # ended sessions count once the postmaster has noticed
    own = processes.working_in(str(pgdata.resolve()), "postgres")
    return sum(sum(psutil.Process(process.pid).cpu_times()[:4]) for process in own)


def _load() -> None:
    """Loads the table; no rule is checked, the batch is marked as checked in the ledger."""
    report = load.extract(citizen.SECTOR, citizen.DATASET)
    with transaction(connections.warehouse("loader"), "benchmark") as loader:
        ledger.update(loader, report["batch_id"], status="checked")
    load.accept(citizen.SECTOR, citizen.DATASET, report["batch_id"])


@contextmanager
def home() -> Iterator[None]:
    """A temporary installation: PDIC_HOME with a running server and a migrated warehouse, PDIC_ROOT with one contract."""
    folder = Path(tempfile.mkdtemp(prefix="pdic-bench-"))
    os.environ |= {"PDIC_HOME": str(folder / "home"), "PDIC_ROOT": str(folder / "project")}
    try:
        citizen.write_project(folder / "project")
        embedded.start(folder / "home")
        warehouse.migrate(connections.warehouse("admin"))
        yield
    finally:
        try:
            embedded.stop(folder / "home")
        finally:
            shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconcile", description="Measure a reconcile.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table (default 1000000)")
    parser.add_argument("--runs", type=int, default=5, help="runs, the least counts (default 5)")
    parser.add_argument("--deleted", type=float, default=0.001, help="share of rows deleted each run (default 0.001)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped then, too
    began = time.monotonic()
    result = measure(wanted.rows, wanted.runs, wanted.deleted)
    if wanted.json:
        print(json.dumps(result, indent=2))
        return
    for turn in result["runs"]:
        for kind in ("unchanged", "deleted"):
            steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in turn[kind]["seconds"].items())
            print(
                f"{kind}: {steps}; {turn[kind]['rows_fetched']} rows fetched, "
                f"{turn[kind]['server_cpu_seconds']} s of server CPU (load {turn['load_average']})"
            )
    print(f"{wanted.rows:,} rows, least seconds: {result['least_seconds']} ({time.monotonic() - began:.0f} s in all)")


if __name__ == "__main__":
    main()
