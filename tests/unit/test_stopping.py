"""What a signal does to a process, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = "import os, signal, time; from pdic import stopping; stopping.heed()\n"

WITHIN_ITS_OWN_LOCK = """
try:
    with stopping._asked._cond:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
except stopping.Stopped:
    print(stopping.asked(), stopping.refusal() is not None)
"""
"""The signal comes at the moment in which a pause begins, or ends."""

IN_A_CHILD = """
child = os.fork()
if not child:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    except stopping.Stopped:
        os._exit(7)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status) == 7, not stopping.asked(within=0.5))
"""

AN_ENDER_FAILS = """
import threading
ended = threading.Event()
def fail():
    raise RuntimeError
stopping.on_stop(fail)
stopping.on_stop(ended.set)
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
except stopping.Stopped:
    print(ended.wait(10), True)
"""


@pytest.mark.parametrize("script", [WITHIN_ITS_OWN_LOCK, IN_A_CHILD, AN_ENDER_FAILS])
def test_a_signal_is_heeded_once_and_by_whom_it_was_sent_to(script: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", BEGIN + script], capture_output=True, text=True, timeout=25, check=False
    )
    assert found.stdout.split() == ["True", "True"], found.stderr
