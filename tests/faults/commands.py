"""`pdic` commands over one home, each in a process of its own, which is forked from one that has imported everything.

A command spends five of its ten seconds on imports, in which a kill harms nobody. So these start where a command begins its work.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import psycopg

from pdic import embedded, processes, settings
from pdic.quality.gate import import_great_expectations
from pdic.release.dbt import import_runner

POLL_S = 0.02


def import_all() -> None:
    """Import what commands import while they run."""
    import_great_expectations()
    import_runner()
    for name in ("pdic.cli", "pdic.load", "pdic.reconcile", "pdic.release", "pdic.status"):
        import_module(name)


class Forked:
    """An action in a process and session of its own; what it prints goes to files in the new folder `folder`."""

    def __init__(self, action: Callable[[], object], environment: Mapping[str, str], folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self.began = time.monotonic()
        self.ended: float | None = None
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._run(action, environment)

    def _run(self, action: Callable[[], object], environment: Mapping[str, str]) -> None:
        """The child's side, which never comes back."""
        code = 1
        try:
            os.setsid()
            for number in (signal.SIGQUIT, signal.SIGHUP):  # `nohup make test &` has all three ignored
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.environ |= environment
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(self._folder / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
            action()
            code = 0
        except SystemExit as asked:
            code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the end, at most `seconds`; returns whether it has come. `code` is negative where a signal ended it."""
        until = None if seconds is None else time.monotonic() + seconds
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code, self.ended = os.waitstatus_to_exitcode(status), time.monotonic()
            elif until is not None and time.monotonic() >= until:
                return False
            else:
                time.sleep(POLL_S)
        return True

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return (self.ended or time.monotonic()) - self.began

    @property
    def out(self) -> str:
        """What it has printed on standard output."""
        return (self._folder / "out").read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        """What it has printed on standard error."""
        return (self._folder / "err").read_text(encoding="utf-8", errors="replace")

    def __str__(self) -> str:
        return f"exit code {self.code} after {self.seconds:.1f} s\n{self.out}\n{self.err}"


class Home:
    """One home and its project, and commands over it as a person gives them, with a folder for temporary files beside."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.root = root
        self.temporary = path.parent / "tmp"
        self._leaders: list[processes.Started] = []
        self.path.mkdir(parents=True)
        self.temporary.mkdir()

    def fork(self, action: Callable[[], object]) -> Forked:
        """An action in a process that has this home."""
        named = {"PDIC_HOME": self.path, "PDIC_ROOT": self.root, "TMPDIR": self.temporary}
        prints = self.path.parent / "commands" / str(len(self._leaders))
        forked = Forked(action, {name: str(value) for name, value in named.items()}, prints)
        self._leaders.append(processes.started(forked.pid))
        return forked

    def start(self, *words: str) -> Forked:
        """The command `pdic WORDS --json`."""

        def command() -> None:
            tempfile.tempdir = None  # TMPDIR is another now
            sys.argv = ["pdic", *words, "--json"]
            from pdic.cli import main

            main()

        return self.fork(command)

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> Any:
        """What a command prints that nothing disturbs. It must succeed."""
        command = self.start(*words)
        command.wait()
        assert command.code in codes, f"pdic {' '.join(words)}: {command}"
        assert "Traceback" not in command.out + command.err, f"pdic {' '.join(words)}: {command}"
        return json.loads(command.out)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse, as its superuser."""
        with psycopg.connect(embedded.superuser_uri(self.path, "warehouse")) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[call-overload]

    def service(self) -> processes.Started | None:
        """The one-stop service of the home, where it runs."""
        state = settings.read_state(self.path, "one_stop")
        if not state.get("pid"):
            return None
        found = processes.Started(state["pid"], state["started"])
        return found if found.alive() else None

    def services(self) -> list[int]:
        """Every process that serves this home's dossiers: one at most."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            try:
                if "one-stop" in (process.info["cmdline"] or []) and process.environ().get("PDIC_HOME") == str(
                    self.path
                ):
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found

    def left_by_commands(self) -> list[int]:
        """The processes of commands that have ended."""
        return [process.pid for leader in self._leaders for process in processes.session_of(leader)]

    def share_identity_with(self, other: Home) -> None:
        """Gives another home the key from which citizens get theirs, so that both say the same of the same people."""
        key = settings.secret("identity_key", create=True, of=self.path)
        settings.make_private(settings.secrets_folder(other.path))
        settings.write_private(settings.secret_path("identity_key", other.path), key)
