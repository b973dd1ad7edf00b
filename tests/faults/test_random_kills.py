"""Kill any process at any moment over load, release and reconcile: `make test-kills KILLS=100 SEED=7`.

Fault: SIGKILL of the command, of the server's postmaster, or of one of its backends, at a random moment of a command that runs as a
process of its own. Invariants, after each kill: what a person sees holds no traceback; the command ends within a minute of the kill;
the same command succeeds when it is run again, with no longer a wait. And at the end: the shared tables have the checksums of a
home in which nothing was ever killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from pdic import embedded, settings

pytestmark = [pytest.mark.kills, pytest.mark.timeout(0)]

KILLS = int(os.environ.get("KILLS") or 100)
SEED = int(os.environ.get("SEED") or 7)
CITIZENS = 500
KILLS_A_DAY = 8
"""After so many kills a day passes at the sources, so that loads have something to bring."""
LONGEST_WAIT_S = 60.0
COMMANDS = {"load": ["load"], "release": ["release", "--force"], "reconcile": ["reconcile"]}
VICTIMS = ("command", "backend", "postmaster")


@dataclass
class Ended:
    """How a command ended: its exit code, what was shown, and how long it took."""

    code: int
    out: str
    err: str
    seconds: float


class Home:
    """One home, and commands over it as a person gives them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pdic.cli", *words, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=settings.project_root(),
            env=os.environ | {"PDIC_HOME": str(self.path)},
        )

    def run(self, *words: str) -> Ended:
        """Runs a command that nothing disturbs. It must succeed."""
        began = time.monotonic()
        command = self.start(*words)
        out, err = command.communicate()
        ended = Ended(command.returncode, out, err, time.monotonic() - began)
        assert ended.code == 0, (words, ended)
        return ended

    def checksums(self) -> dict[str, Any]:
        """The checksum of each shared table. (Exit code 1 of `status` speaks of the sources, not of the tables.)"""
        command = self.start("status", "--checksums")
        out, err = command.communicate()
        assert command.returncode in (0, 1), err
        return {table["table"]: table["checksum"] for table in json.loads(out)["shared"]}


def victim_of(home: Home, kind: str, command: subprocess.Popen[str], rng: random.Random) -> int | None:
    """The process to kill; None where there is none at this moment."""
    if kind == "command":
        return command.pid
    server = embedded.status(home.path)
    if server is None:
        return None
    if kind == "postmaster":
        return server.pid
    backends = psutil.Process(server.pid).children()
    return rng.choice(backends).pid if backends else None


def kill_once(home: Home, rng: random.Random, usual: dict[str, float]) -> tuple[str, float] | None:
    """Starts a command, kills something while it runs, and holds what follows against the promises.

    Returns what was killed under which command, and how many seconds longer than usual that made it; None where the command
    had ended before.
    """
    name, kind = rng.choice(list(COMMANDS)), rng.choice(VICTIMS)
    moment = rng.uniform(0, usual[name])
    what = f"{kind} under {name} after {moment:.1f} s"
    command = home.start(*COMMANDS[name])
    try:
        out, err = command.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        victim = victim_of(home, kind, command, rng)
    else:
        return None
    if victim is not None:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            victim = None
    began = time.monotonic()
    out, err = command.communicate(timeout=usual[name] + 10 * LONGEST_WAIT_S)
    took = time.monotonic() - began
    assert "Traceback" not in out + err, (what, out, err)
    assert took <= usual[name] - moment + LONGEST_WAIT_S, (what, took)
    if kind != "command":
        assert command.returncode in (0, 1), (what, command.returncode, out, err)
        json.loads(out)
    again = home.run(*COMMANDS[name])
    assert "Traceback" not in again.err, (what, again)
    assert again.seconds <= usual[name] + LONGEST_WAIT_S, (what, again.seconds)
    return (what, took - (usual[name] - moment)) if victim is not None else None


def test_nothing_is_lost_doubled_or_left_in_a_traceback(
    new_home: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(SEED)  # noqa: S311 (kills, hides nothing)
    killed, calm = Home(new_home()), Home(new_home())
    for home in (killed, calm):
        home.path.mkdir(parents=True)
    settings.secret("identity_key", create=True, of=killed.path)
    settings.make_private(calm.path / "secrets")
    settings.write_private(
        settings.secret_path("identity_key", calm.path), settings.secret("identity_key", of=killed.path)
    )
    killed.run("demo", "seed", "--citizens", str(CITIZENS), "--seed", str(SEED))
    usual = {name: killed.run(*words).seconds for name, words in COMMANDS.items()}
    kills, days, counts, longest = 0, 0, Counter[str](), 0.0
    while kills < KILLS:
        if kills // KILLS_A_DAY > days:
            killed.run("demo", "tick", "--days", "1")
            days += 1
        if (hit := kill_once(killed, rng, usual)) is not None:
            what, waited = hit
            kills, longest = kills + 1, max(longest, waited)
            counts[" ".join(what.split(" ")[:3])] += 1
            with capsys.disabled():
                print(f"{kills}/{KILLS}: {what}, {waited:+.1f} s", flush=True)
    killed.run("load")
    killed.run("reconcile")
    killed.run("release", "--force")

    calm.run("demo", "seed", "--citizens", str(CITIZENS), "--seed", str(SEED))
    for _ in range(days):
        calm.run("demo", "tick", "--days", "1")
    calm.run("load")
    calm.run("release")
    assert killed.checksums() == calm.checksums()
    with capsys.disabled():
        print(f"{kills} kills, {days} days: {dict(counts)}; longest wait {longest:.1f} s; usual seconds: {usual}")
