"""The demo's one-stop service beside an embedded PostgreSQL: started when its data are there, stopped with the rest.

Recorded by process id and start time in `state.json`, like Airflow's processes. What it serves lies in `demo/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from pdic import connections, logins, ports, processes, settings
from pdic.errors import PdicError
from pdic.processes import Started
from pdic.warehouse import connect_psycopg

SECTION = logins.ONE_STOP
START_SECONDS = 30
STOP_SECONDS = 10


def ensure(home: Path) -> bool:
    """Make the service of `home` run where the demo's dossiers are there; returns whether it runs.

    Writes the connection `pdic_source_one_stop` with the port it has and the key it wants. Raises PdicError where it will
    not start.
    """
    home = home.resolve()
    with settings.locked(home, SECTION):
        state = settings.read_state(home, SECTION)
        if _running(state) and _answers(int(state["port"])):
            return True
        if not _has_dossiers(home):
            return False
        _end(home, state)
        port = ports.keep_or_find(state.get("port"))
        known = connections.load(home).get(logins.ONE_STOP_SOURCE, {})
        entry = logins.one_stop_entry(str(known.get("password") or logins.new_password()), ports.HOST, port)
        if known != entry:
            connections.save(home, {logins.ONE_STOP_SOURCE: entry})
        process = _launch(home, port)
        settings.write_state(home, SECTION, {"port": port, "pid": process.pid, "started": process.started})
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if not processes.session_of(process) or time.monotonic() > deadline:
                raise PdicError(f"the demo's one-stop service does not start: see {_log(home)}")
            processes.wait_gone([process], 0.1)
    return True


def stop(home: Path) -> bool:
    """End the service of `home`; returns whether it ran."""
    home = home.resolve()
    if not home.is_dir():
        return False
    with settings.locked(home, SECTION):
        state = settings.read_state(home, SECTION)
        ran = _end(home, state)
        if ran:
            settings.write_state(home, SECTION, {"port": state.get("port")})
    return ran


def running(home: Path) -> bool:
    """Whether the service of `home` runs now."""
    return _running(settings.read_state(home.resolve(), SECTION))


def _recorded(state: dict[str, object]) -> Started | None:
    pid, began = state.get("pid"), state.get("started")
    return Started(pid, float(began)) if isinstance(pid, int) and isinstance(began, int | float) else None


def _running(state: dict[str, object]) -> bool:
    process = _recorded(state)
    return process is not None and process.alive()


def _end(home: Path, state: dict[str, object]) -> bool:
    process = _recorded(state)

    def found() -> list[Started]:
        return [*(processes.session_of(process) if process else []), *processes.marked(home, SECTION)]

    return processes.end(found, STOP_SECONDS)


def _answers(port: int) -> bool:
    import requests  # here, not above: most commands find no service to ask, and loading it costs a fifth of a second

    try:
        return requests.get(f"http://{ports.HOST}:{port}/health", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _has_dossiers(home: Path) -> bool:
    known = connections.load(home)
    entry = known.get(logins.ONE_STOP_OWNER)
    if entry is None:
        return False
    with connect_psycopg(connections.to_uri(entry), "demo service") as database:
        found = database.execute("select to_regclass('public.hoso') is not null").fetchone()
    return found is not None and bool(found[0])


def _log(home: Path) -> Path:
    return home / "log" / "one-stop.log"


def _launch(home: Path, port: int) -> Started:
    log = _log(home)
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        log.chmod(0o600)
        child = subprocess.Popen(
            [sys.executable, "-m", "pdic.cli", "demo", "one-stop", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"PDIC_HOME": str(home)} | processes.mark(home, SECTION),
            cwd=settings.project_root(),
            start_new_session=True,
            umask=0o077,
        )
    child.returncode = 0  # it outlives us: keeps Popen from warning that it still runs
    return processes.started(child.pid)
