"""One load in a process of its own: `python -m benchmarks.worker SPAWNED`, SPAWNED being the starter's monotonic clock.

Prints seconds and MB as JSON. The imports are inside `main` because they are part of what is measured.
"""

from __future__ import annotations

import json
import sys
import time


def main(spawned: float) -> dict[str, float]:
    """Loads the table once. No rule is checked: the batch is marked checked in the ledger, as the loader role."""
    from benchmarks.citizen import DATASET, SECTOR
    from pdic import connections, contracts, ledger, load, memory
    from pdic.warehouse import transaction

    contracts.get(SECTOR, DATASET)
    at_start = memory.used()
    memory.forget_peak()
    began, cpu = time.monotonic(), time.process_time()
    report = load.extract(SECTOR, DATASET)
    extracted = time.monotonic()
    with transaction(connections.warehouse("loader"), "benchmark") as loader:
        ledger.update(loader, report["batch_id"], status="checked")
    report = load.accept(SECTOR, DATASET, report["batch_id"])
    return {
        "start": began - spawned,
        "extract": extracted - began,
        "extract_accept": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "memory_at_start": at_start / 1e6,
        "memory_above_start": (memory.peak() - at_start) / 1e6,
        "rows": report["rows_accepted"],
        "bytes": report["bytes"],
    }


if __name__ == "__main__":
    print(json.dumps({name: round(value, 4) for name, value in main(float(sys.argv[1])).items()}))
