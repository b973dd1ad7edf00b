"""What a signal does to a process, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = "import os, signal, time; from pdic import stopping; stopping.heed()\n"

IN_A_PAUSE = """
import threading
def pause():
    try:
        stopping.pause(30)
    except stopping.Stopped:
        ended.set()
ended = threading.Event()
threading.Thread(target=pause, daemon=True).start()
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
try:
    stopping.pause(30)
except stopping.Stopped:
    print(ended.wait(10), stopping.refusal() is not None)
"""
"""The main thread pauses, which runs the handler, and so does a thread that no signal reaches."""

IN_A_CHILD = """
child = os.fork()
if not child:
    import threading
    ended = threading.Event()
    def pause():
        try:
            stopping.pause(30)
        except stopping.Stopped:
            ended.set()
    threading.Thread(target=pause, daemon=True).start()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    except stopping.Stopped:
        os._exit(7 if ended.wait(10) else 8)
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


@pytest.mark.parametrize("script", [IN_A_PAUSE, IN_A_CHILD, AN_ENDER_FAILS])
def test_a_signal_is_heeded_once_and_by_whom_it_was_sent_to(script: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", BEGIN + script], capture_output=True, text=True, timeout=25, check=False
    )
    assert found.stdout.split() == ["True", "True"], found.stderr
