"""`python -m benchmarks.rest [--records N] [--runs K]`: a feed from a service on this machine, at 200 records a page.

Server, service and load share the machine. Measured is the core path (ask → land → typed batch → accept), without the
check and without a process's start; each run is a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

PAGE_SIZE = 200
SMALL = 10_000


def serve(records: int, port: Connection) -> None:
    """The service, in a process of its own, until it is stopped."""
    from demo.service import Service
    from tests.integration.feeds import KEY, MemoryFeed

    feed = MemoryFeed()
    for number in range(records):
        feed.put(f"{number:08}", SoTien=number, GhiChu="Hồ sơ đã tiếp nhận, đang chờ xử lý " * 6)
    service = Service(feed, KEY)
    port.send(service.port)
    service.run()


def peak_kib() -> int:
    """The most memory this process has had. (Its rusage would begin with that of the process it was started from.)"""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def run(dataset: str, port: int, result: Connection) -> None:
    """One first load of the feed."""
    from pdic import connections, ledger, load
    from pdic.warehouse import transaction
    from tests.integration.feeds import KEY

    def connect_to(conn_id: str) -> str:
        if conn_id != "pdic_source_cong":
            return connections.uri(conn_id)
        entry = {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http"}
        return connections.to_uri({**entry, "password": KEY, "login": "x", "extra": {"auth": "api_key"}})

    before = peak_kib()
    began = time.perf_counter()
    batch_id = load.extract("cong", dataset, connect_to)["batch_id"]
    with transaction(connections.warehouse("loader"), "bench") as loader:
        ledger.update(loader, batch_id, status="checked")
    report = load.accept("cong", dataset, batch_id, connect_to)
    seconds = time.perf_counter() - began
    peak = peak_kib()
    kept = {"rows": report["rows_accepted"], "bytes": report["bytes"], "steps": report["seconds"]}
    result.send(
        {"seconds": round(seconds, 2), "peak_mib": peak / 1024, "above_imports_mib": (peak - before) / 1024, **kept}
    )


def measure(records: int, runs: int) -> dict[str, Any]:
    """Load feeds of `SMALL` and of `records` records, `runs` times each, in a home of its own."""
    from pdic import connections, embedded, warehouse
    from pdic.contracts.compile import compile_all
    from tests.integration.feeds import contract_text

    spawn = multiprocessing.get_context("spawn")
    folder = Path(tempfile.mkdtemp(prefix="pdic-bench-"))
    home, root = folder / "home", folder / "project"
    os.environ |= {"PDIC_HOME": str(home), "PDIC_ROOT": str(root)}
    (root / "contracts" / "cong").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    results: dict[str, Any] = {"page_size": PAGE_SIZE, "load_average": os.getloadavg()}
    try:
        embedded.start(home)
        warehouse.migrate(connections.warehouse("admin"))
        for size in (SMALL, records):
            here, there = spawn.Pipe()
            service = spawn.Process(target=serve, args=(size, there), daemon=True)
            service.start()
            port = here.recv()
            results[str(size)] = []
            try:
                for number in range(runs):
                    dataset = f"bench_{size}_{number}"
                    text = contract_text(dataset, page_size=PAGE_SIZE)
                    (root / "contracts" / "cong" / f"{dataset}.odcs.yaml").write_text(text, encoding="utf-8")
                    compile_all(root)
                    mine, its = spawn.Pipe()
                    worker = spawn.Process(target=run, args=(dataset, port, its))
                    worker.start()
                    results[str(size)].append(mine.recv())
                    worker.join()
            finally:
                service.terminate()
                service.join()
    finally:
        embedded.stop(home)
        shutil.rmtree(folder, ignore_errors=True)
    for size in (SMALL, records):
        of = results[str(size)]
        results[f"median_{size}"] = {
            name: round(median(r[name] for r in of), 2) for name in ("seconds", "above_imports_mib")
        }
    return results


def main() -> None:
    """Measure, print, keep rest.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rest", description="Measure the load of a feed.")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where rest.json goes")
    wanted = parser.parse_args()
    text = json.dumps(measure(wanted.records, wanted.runs), indent=2)
    wanted.out.mkdir(parents=True, exist_ok=True)
    (wanted.out / "rest.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
