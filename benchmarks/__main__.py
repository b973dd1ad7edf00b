"""`python -m benchmarks [--rows N] [--runs K] [--json] [--out FOLDER]`: measure, print, keep load.json and its chart."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.measure import measure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure loads beside a bare psql pipe.")
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows of the table, at least 1000 (default 1000000)"
    )
    parser.add_argument(
        "--runs", type=int, default=6, help="runs of each way, 1 to 99 (default 6); even: who begins changes"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where the files go")
    wanted = parser.parse_args()
    if wanted.rows < 1000 or not 1 <= wanted.runs <= 99:
        parser.error("--rows must be at least 1000, --runs 1 to 99")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped then, too
    with Console(stderr=True).status("starting a PostgreSQL of its own") as status:
        results = measure(wanted.rows, wanted.runs, status.update)
    summary = report.summarise(results)
    text = json.dumps({"summary": summary, **results}, indent=2)
    wanted.out.mkdir(parents=True, exist_ok=True)
    (wanted.out / "load.json").write_text(text + "\n", encoding="utf-8")
    report.chart(results).save(wanted.out / "load.vl.json", format="json")
    if wanted.json:
        print(text)
        return
    for load in report.LOADS:
        Console().print(report.table(load, results, summary))
    machine = results["machine"]
    print(
        f"{machine['cores']} cores, {machine['memory_gb']} GB, PostgreSQL {machine['postgresql']['server_version']}, "
        f"{results['table']['bytes_per_row']} bytes of table a row; load average {machine['load_average_at_start']} "
        f"at the start, {machine['load_average_at_end']} at the end. Every run is in load.json."
    )


if __name__ == "__main__":
    main()
