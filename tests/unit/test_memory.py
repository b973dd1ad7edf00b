"""The peak of a process is its own, not that of the one that started it."""

from __future__ import annotations

import json
import subprocess
import sys

from pdic import memory

PROGRAM = """
import json
from pdic import memory
memory.forget_peak()
before = memory.peak()
block = b"x" * 60_000_000
during = memory.peak()
del block
print(json.dumps([before, during, memory.peak(), memory.used()]))
"""


def test_a_child_does_not_inherit_its_starters_peak() -> None:
    ballast = b"x" * 300_000_000
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, stdout=subprocess.PIPE)
    before, during, after, used = json.loads(done.stdout)
    assert memory.peak() > 300_000_000
    assert before < 100_000_000
    assert 60_000_000 <= during - before < 70_000_000
    assert after >= during - 1_000_000
    assert used < during
    del ballast
