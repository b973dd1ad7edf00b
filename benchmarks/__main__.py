"""`python -m benchmarks [--rows N] [--peer-rows N] [--runs K] [--json] [--out FOLDER]`: measure, print, keep results and a chart."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import peers, report
from benchmarks.measure import Plan, measure

PEERS_UP_TO = 1_000_000
"""Rows of the table beyond which peers are left out unless asked for."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure loads beside a bare psql pipe and peers."
    )
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows of the table, at least 1000 (default 1000000)"
    )
    parser.add_argument(
        "--peer-rows", type=int, help="rows for the peers, 0: none (default 100000; with more than 1000000 --rows: 0)"
    )
    parser.add_argument("--runs", type=int, default=6, help="runs of each way, 1 to 99 (default 6)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where the files go")
    wanted = parser.parse_args()
    if wanted.peer_rows is None:
        wanted.peer_rows = min(100_000, wanted.rows) if wanted.rows <= PEERS_UP_TO else 0
    if wanted.rows < 1000 or 0 < wanted.peer_rows < 1000 or not 1 <= wanted.runs <= 99:
        parser.error("--rows and --peer-rows must be at least 1000, --runs 1 to 99")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped then, too
    with Console(stderr=True).status("starting a PostgreSQL of its own") as status:
        results = measure(Plan(wanted.rows, wanted.peer_rows, wanted.runs), status.update)
    summary = report.summarise(results)
    text = json.dumps({"summary": summary, **results}, indent=2)
    wanted.out.mkdir(parents=True, exist_ok=True)
    (wanted.out / "load.json").write_text(text + "\n", encoding="utf-8")
    (wanted.out / "load.md").write_text(report.markdown(results, summary), encoding="utf-8")
    chart = wanted.out / "load.vl.json"
    chart.write_text(json.dumps(report.chart(results).to_dict(), indent=1) + "\n", encoding="utf-8")
    drawn = peers.draw(chart, wanted.out / "load.svg")
    if wanted.json:
        print(text)
        return
    for load in (load for load in report.LOADS if load in summary):
        Console(width=None if sys.stdout.isatty() else 150).print(report.table(load, results, summary))
    print("\n".join([report.machine(results), *results["remarks"], *([drawn] if drawn else [])]))


if __name__ == "__main__":
    main()
