"""One load in a process of its own: `python -m benchmarks.worker SPAWNED`, SPAWNED being the starter's monotonic clock.

Prints seconds and MB as JSON. The imports are inside `main` because they are part of what is measured.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(spawned: float) -> dict[str, float]:
    """Loads the table once. No rule is checked: the batch is marked checked in the ledger, as the loader role."""
    from benchmarks.citizen import DATASET, SECTOR
    from pdic import connections, contracts, ledger, load
    from pdic.warehouse import transaction

    contracts.get(SECTOR, DATASET)
    memory = _memory("VmRSS")
    # Not ru_maxrss: a child inherits its starter's peak there. This sets VmHWM, the peak, to what is used now.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
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
        "memory_at_start": memory,
        "memory_above_start": _memory("VmHWM") - memory,
        "rows": report["rows_accepted"],
        "bytes": report["bytes"],
    }


def _memory(field: str) -> float:
    """A field of /proc/self/status, in MB (10^6 bytes)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps({name: round(value, 4) for name, value in main(float(sys.argv[1])).items()}))
