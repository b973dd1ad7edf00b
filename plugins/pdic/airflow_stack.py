"""Airflow's four processes on the embedded PostgreSQL: up, down, and how they are.

Each process leads a session of its own, recorded by process id and start time in `state.json`. Whatever it starts (executor
workers, tasks, parsers) stays in that session, even in a process group of its own and after the leader's death, so `down`
finds it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pdic import airflow_api, airflow_config, connections, embedded, ports, processes, settings
from pdic.airflow_api import Api
from pdic.airflow_names import POOL, POOL_SLOTS
from pdic.errors import PdicError
from pdic.generated.catalogue import SECTORS
from pdic.processes import Started
from pdic.warehouse import connect_psycopg

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": (),
    "dag-processor": (),
    # All read the same log folder, so nobody needs the log servers, which would listen on every interface.
    "triggerer": ("--skip-serve-logs",),
    "scheduler": ("--skip-serve-logs",),
}
"""Airflow's processes in the order in which `up` starts them, with what their commands are given."""
HEALTH_NAMES = {
    "metadatabase": "metadatabase",
    "scheduler": "scheduler",
    "triggerer": "triggerer",
    "dag-processor": "dag_processor",
}
PARALLELISM = 4
UP_SECONDS = 180
DAG_SECONDS = 120
TERM_SECONDS = 15
UNWELL_SECONDS = 40
"""For how long `up` watches a part that is alive and not healthy: a heartbeat comes every 5 s, after a start within 30."""
LOG_BYTES = 10_000_000
_log_to = logging.getLogger(__name__)


def up(home: Path, parallelism: int = PARALLELISM) -> str:
    """Makes PostgreSQL and Airflow of `home` run and returns the web address. Doing it again mends what is missing.

    Raises PdicError, naming the log, where a process ends or is not healthy within UP_SECONDS.
    """
    home = home.resolve()
    embedded.start(home)
    with settings.locked(home, "airflow"):
        state = settings.read_state(home, "airflow")
        recorded = _recorded(state)
        running = {name: process for name, process in recorded.items() if process.alive()}
        _end({name: process for name, process in recorded.items() if name not in running})  # what outlived its leader
        port = state.get("port") if "api-server" in running else ports.keep_or_find(state.get("port"))
        assert isinstance(port, int)
        if airflow_config.write(home, port, parallelism) and running:
            _end(running)
            running = {}
        state = {**state, "port": port, "migrated": _migrate(home, state.get("migrated"))}
        found = set(running)
        for name in COMPONENTS:
            if name == "scheduler":
                # It starts tasks at once, and each would spend a try where no API server answers it.
                _make_healthy(home, state, running, found, "api-server")
            if name not in running:
                _launch_recorded(home, state, running, name)
        _make_healthy(home, state, running, found)
        ensure_pools(home, SECTORS)
    return _api(home).base_url


def ensure_pools(home: Path, sectors: Iterable[str]) -> None:
    """Make the pools of sectors' loads that are missing; those that are there stay as their owner has set them."""
    api = _api(home)
    for sector in sorted(sectors):
        api.ensure_pool(POOL.format(sector=sector), POOL_SLOTS, f"connections to the source {sector} at a time")


def down(home: Path) -> bool:
    """Ends all of Airflow's processes of `home` (PostgreSQL stays); returns whether there were any.

    Running tasks are ended too and start again at the next `up`. Raises PdicError where a process will not end.
    """
    home = home.resolve()
    if not home.is_dir():
        return False
    with settings.locked(home, "airflow"):
        state = settings.read_state(home, "airflow")
        were = _end(_recorded(state))
        were |= any([_end_unrecorded(home, name) for name in COMPONENTS])
        if state:
            settings.write_state(home, "airflow", {**state, "processes": {}})
    return were


def health(home: Path) -> dict[str, Any]:
    """Whether everything runs, whether it should (`wanted`: it was started and not stopped), the address (None where it never
    ran), and each part's state: `healthy`, `starting`, `unhealthy`, `silent` or `down`.

    A part is healthy where its process lives, Airflow hears its heartbeat, and heard it since the database last started: a
    scheduler that lost its database may hang for ever, or be gone before Airflow notices.
    """
    home = home.resolve()
    state = settings.read_state(home, "airflow")
    alive = {name: process.alive() for name, process in _recorded(state).items()}
    reported: dict[str, Any] = {}
    if alive.get("api-server"):
        with contextlib.suppress(PdicError):
            reported = airflow_api.request("GET", f"{_base_url(state)}/api/v2/monitor/health")
    since = _database_started(home)
    parts = {name: _part(reported.get(key) or {}, key, since) for name, key in HEALTH_NAMES.items()}
    components = {
        name: parts.get(name, "healthy" if reported else "starting") or "starting" if alive.get(name) else "down"
        for name in COMPONENTS
    }
    healthy = all(status == "healthy" for status in components.values()) and parts["metadatabase"] == "healthy"
    return {"running": healthy, "wanted": bool(alive), "url": _base_url(state), "components": components}


def _part(reported: Mapping[str, Any], key: str, since: float) -> str | None:
    """What Airflow says of one part; `silent` where it has not been heard since the moment `since`."""
    heard = reported.get(f"latest_{key}_heartbeat")
    if heard is not None and datetime.fromisoformat(heard).timestamp() < since:
        return "silent"
    return reported.get("status")


def _database_started(home: Path) -> float:
    """When the metadata's server last began, seconds since the epoch; 0 where none runs: then Airflow says so itself."""
    server = embedded.status(home)
    return processes.started(server.pid).started if server is not None else 0.0


def login(home: Path) -> dict[str, str]:
    """The web login: `username` and `password`."""
    return {"username": airflow_config.ADMIN, "password": airflow_config.password(home.resolve())}


def api(home: Path) -> Api:
    """An opened API of the running stack. Raises PdicError where it does not answer."""
    return _api(home.resolve())


def trigger_dag(home: Path, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
    """Asks the scheduler for a run as soon as the DAG is known; returns the run's id."""
    opened = _api(home.resolve())
    opened.wait_for_dag(dag_id, DAG_SECONDS)
    return opened.trigger(dag_id, conf)


def wait_dag_run(home: Path, dag_id: str, run_id: str, timeout: float = 1200) -> str:
    """Waits until the run has ended; returns 'success' or 'failed'."""
    return _api(home.resolve()).wait(dag_id, run_id, timeout)


def dag_runs(home: Path, dag_id: str) -> list[dict[str, Any]]:
    """The runs of a DAG, newest first."""
    return _api(home.resolve()).runs(dag_id)


def _api(home: Path) -> Api:
    url = _base_url(settings.read_state(home, "airflow"))
    if url is None:
        raise PdicError(f"no Airflow has run in {home}: start it with `pdic up`")
    return airflow_api.log_in(url, airflow_config.ADMIN, airflow_config.password(home))


def _base_url(state: Mapping[str, Any]) -> str | None:
    return f"http://{ports.HOST}:{state['port']}" if state.get("port") else None


def _recorded(state: Mapping[str, Any]) -> dict[str, Started]:
    return {
        name: Started(int(entry["pid"]), float(entry["started"])) for name, entry in state.get("processes", {}).items()
    }


def _record(running: Mapping[str, Started]) -> dict[str, dict[str, float]]:
    return {name: {"pid": process.pid, "started": process.started} for name, process in running.items()}


def _migrate(home: Path, migrated: object) -> str:
    """Brings Airflow's database to the installed version, where it is not there yet; returns the version."""
    version = importlib.metadata.version("apache-airflow-core")
    if migrated == version and _has_tables(home):
        return version
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=False,
        capture_output=True,
        text=True,
        env=airflow_config.environment(home),
        cwd=home / "airflow",
    )
    if done.returncode != 0:
        raise PdicError(f"`airflow db migrate` failed: {(done.stderr or done.stdout)[-2000:]}")
    return version


def _has_tables(home: Path) -> bool:
    """Whether the metadata are there: the record says so, but somebody may have dropped the database since."""
    with connect_psycopg(connections.to_uri(connections.load(home)["airflow_db"]), "up") as connection:
        found = connection.execute("select to_regclass('public.alembic_version') is not null").fetchone()
    return found is not None and bool(found[0])


def _launch(home: Path, component: str) -> Started:
    log = _log(home, component)
    log.parent.mkdir(exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        log.chmod(0o600)
        child = subprocess.Popen(
            [sys.executable, "-m", "airflow", component, *COMPONENTS[component]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=airflow_config.environment(home) | processes.mark(home, component),
            cwd=home / "airflow",
            start_new_session=True,
            umask=0o077,
        )
    child.returncode = 0  # it outlives us: keeps Popen from warning that it still runs
    return processes.started(child.pid)


def _log(home: Path, component: str) -> Path:
    return home / "log" / f"{component}.log"


def _make_healthy(
    home: Path, state: Mapping[str, Any], running: dict[str, Started], old: set[str], part: str | None = None
) -> None:
    """Wait until every part is healthy, or `part` is. One of `old`, which ran before, that ends or stays unwell is started anew, once.

    Where one that was just started ends, something is wrong that a new start does not mend. Raises PdicError.
    """
    began = {name: time.monotonic() for name in running}
    deadline = time.monotonic() + UP_SECONDS
    while not _is_well(found := health(home), part):
        told = found["components"]["api-server"] == "healthy"  # by it the others' health is known
        for name, process in list(running.items()):
            gone = processes.wait_gone([process], 0) == []
            if not told and name != "api-server":
                began[name] = time.monotonic()
            unwell = found["components"][name] != "healthy" and time.monotonic() - began[name] > UNWELL_SECONDS
            if name in old and (gone or unwell):
                _log_to.warning("Airflow's %s is %s: it is started anew", name, found["components"][name])
                _end({name: process})
                _launch_recorded(home, state, running, name)
                old.discard(name)
                began[name] = time.monotonic()
            elif gone:
                raise PdicError(
                    f"Airflow's {name} ended; the last lines of {_log(home, name)}:\n{_tail(_log(home, name))}"
                )
        if time.monotonic() > deadline:
            raise PdicError(f"Airflow is not healthy after {UP_SECONDS} s ({found['components']}): see {home / 'log'}")
        time.sleep(0.3)


def _is_well(found: Mapping[str, Any], part: str | None) -> bool:
    return bool(found["running"] if part is None else found["components"][part] == "healthy")


def _launch_recorded(home: Path, state: Mapping[str, Any], running: dict[str, Started], name: str) -> None:
    """Start a part and record it at once. One that a killed `up` started and could not record is ended first."""
    _end_unrecorded(home, name)
    running[name] = _launch(home, name)
    settings.write_state(home, "airflow", {**state, "processes": _record(running)})


def _end(recorded: Mapping[str, Started]) -> bool:
    """Ends the sessions of `recorded`: politely, the API server last so that the others can report, then by force."""
    were = False
    for names in (sorted(set(COMPONENTS) - {"api-server"}), ["api-server"]):
        leaders = [recorded[name] for name in names if name in recorded]
        for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, 10)):
            targets = _sessions(leaders)
            were = were or bool(targets)
            processes.send(targets, number)
            processes.wait_gone(targets, seconds)
    if left := _sessions(recorded.values()):
        raise PdicError(f"processes of Airflow will not end: {', '.join(str(process.pid) for process in left)}")
    return were


def _end_unrecorded(home: Path, name: str) -> bool:
    """Ends what runs as a part of Airflow, once nobody wants it to; returns whether anything did."""
    return processes.end(lambda: processes.marked(home, name), TERM_SECONDS)


def _sessions(leaders: Iterable[Started]) -> list[Started]:
    return [process for leader in leaders for process in processes.session_of(leader)]


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
