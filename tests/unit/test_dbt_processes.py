"""dbt runs in a command's own process and starts no other, so that none can be killed under it."""

from __future__ import annotations

import subprocess
import sys

LOCKS = """
from multiprocessing import resource_tracker
from pdic.release.dbt import import_runner
import_runner()
from dbt.contracts.graph.manifest import Manifest
from dbt.mp_context import get_mp_context
manifest, lock = Manifest(), get_mp_context().RLock()
with manifest._lock, lock:
    print(resource_tracker._resource_tracker._pid)
"""


def test_dbts_locks_need_no_process_that_watches_them() -> None:
    done = subprocess.run([sys.executable, "-c", LOCKS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None"], done.stderr
