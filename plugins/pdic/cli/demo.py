"""`pdic demo`: seed the sector databases, let days pass in them, and run the whole path once."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pdic import settings
from pdic.cli.app import demo_app
from pdic.cli.names import Json
from pdic.cli.output import console, give, print_json, print_table, say, tell
from pdic.cli.stack import ensure_warehouse
from pdic.errors import PdicError

DATABASES = ("civil_registry", "education", "health", "investment", "one_stop", "truth")
HAPPENED = ("table", "new", "late", "resent", "changed", "corrected", "soft_deleted", "hard_deleted")
NEWS_TAKES_S = 15
"""Between the end of a load and the run that its news starts."""

Citizens = Annotated[int, typer.Option(min=500, help="How many people live in the demo province.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same province.")]
Profile = Annotated[Path | None, typer.Option(help="Name lists and defect rates (default: demo/profile.yaml).")]


@demo_app.command()
def seed(
    citizens: Citizens = 20_000,
    seed: Seed = 44,
    profile: Profile = None,
    force: Annotated[bool, typer.Option("--force", help="Drop what another seed left, and seed again.")] = False,
    as_json: Json = False,
) -> None:
    """Fill the sector databases of province 44.

    And a database of the hidden truth about them, which nothing of PDIC reads.
    """
    ensure_warehouse()
    report = seed_databases(citizens, seed, profile, force)
    ensure_warehouse()  # its service, too, now that there is something to serve
    if as_json:
        print_json(report)
    elif report.get("already"):
        say("seeded already; nothing changed")
    else:
        say(f"seeded {citizens:,} citizens")


@demo_app.command()
def tick(
    days: Annotated[int, typer.Option(min=1, help="How many days to let pass.")] = 1,
    hard_deletes: Annotated[bool, typer.Option("--hard-deletes", help="Some rows vanish without a trace.")] = False,
    as_json: Json = False,
) -> None:
    """Let days pass in the sources.

    They bring new, changed, late, corrected and deleted records.
    """
    ensure_warehouse()
    ticking = _demo("tick")
    with _progress() as bar:
        report = ticking.tick(_uris(), days, hard_deletes=hard_deletes, progress=bar)
    if as_json:
        print_json(report)
    else:
        say(f"{days} day{'s' if days > 1 else ''} passed: it is {report['business_date']} in the sector databases")
        print_table("What happened there", [_happened(name, of) for name, of in report["changes"].items()], HAPPENED)
        say("next: `pdic load`, then `pdic release`")


def _happened(table: str, changes: dict[str, int]) -> dict[str, Any]:
    """A row of what a tick did to one table; kinds that did not happen stay empty."""
    return {"table": table} | {kind: changes.get(kind) or None for kind in HAPPENED[1:]}


@demo_app.command()
def run(
    citizens: Citizens = 20_000,
    seed: Seed = 44,
    profile: Profile = None,
    timeout: Annotated[int, typer.Option(help="Seconds to wait for the scheduler.")] = 1200,
    as_json: Json = False,
) -> None:
    """Seed, load and release by Airflow: what `make demo` does.

    Ends with a table of what came of it. A second run goes on from where things stand.
    """
    from pdic import airflow_stack, status

    home = ensure_warehouse()
    seeded = seed_databases(citizens, seed, profile)
    ensure_warehouse()  # its service, too, now that there is something to serve
    tell("starting Airflow …")
    airflow_stack.up(home)
    sectors = [name for name in DATABASES if name != "truth"]
    runs = {f"load_{sector}": airflow_stack.trigger_dag(home, f"load_{sector}") for sector in sectors}
    with console.status("the scheduler runs the loads") as line:
        for dag_id, run_id in runs.items():
            line.update(f"the scheduler runs {dag_id}")
            state = airflow_stack.wait_dag_run(home, dag_id, run_id, timeout=timeout)
            if state != "success":
                raise PdicError(f"{dag_id} ended as {state}: see {airflow_stack.health(home)['url']}/dags/{dag_id}")
        line.update("the scheduler runs the release")
        _wait_for_release(home, timeout)
    report = status.status()
    report |= {"seeded": seeded, "airflow": airflow_stack.health(home)}
    if as_json:
        print_json(report)
    else:
        _show(report, home)


@demo_app.command("one-stop")
def one_stop(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8080,
) -> None:
    """Run the province's one-stop service until it is stopped. (`pdic up` and `pdic load` start it by themselves.)

    It reads the database of the connection pdic_demo_one_stop and wants the key of pdic_source_one_stop.
    """
    from pdic import connections, logins

    known = connections.load(settings.home())
    if missing := [name for name in (logins.ONE_STOP_OWNER, logins.ONE_STOP_SOURCE) if name not in known]:
        raise PdicError(f"there is no connection {' nor '.join(missing)}: seed the demo first (`pdic demo seed`)")
    key = str(known[logins.ONE_STOP_SOURCE]["password"])
    _demo("one_stop").serve(lambda: connections.uri(logins.ONE_STOP_OWNER), key, host, port)


def _wait_for_release(home: Path, timeout: float) -> None:
    """Wait until the live release holds the newest accepted batch of every dataset and no release run is open.

    The loads' news start the release. Where they had none, but an earlier release failed or was rolled back, nothing would:
    then one is asked for.
    """
    from pdic import airflow_stack, connections, release, status
    from pdic.problems import kept_back

    former = {run["dag_run_id"] for run in airflow_stack.dag_runs(home, "release")}
    asked = False
    began = idle_since = time.monotonic()
    while time.monotonic() - began < timeout:
        runs = airflow_stack.dag_runs(home, "release")
        if {"queued", "running"} & {run["state"] for run in runs}:
            idle_since = time.monotonic()
        elif release.is_current(connections.uri):
            return
        elif time.monotonic() - idle_since > NEWS_TAKES_S:
            if (found := status.releases(connections.uri))["pin"]:
                raise PdicError(kept_back(found["pin"], found["newest"]))
            if asked or any(run["state"] == "failed" and run["dag_run_id"] not in former for run in runs):
                url = airflow_stack.health(home)["url"]
                raise PdicError(f"the release failed: see {url}/dags/release, or `pdic status`")
            airflow_stack.trigger_dag(home, "release")
            asked, idle_since = True, time.monotonic()
        time.sleep(1)
    raise PdicError(f"no release was published within {timeout:.0f} s: see the log folder {home / 'log'}")


def _show(report: dict[str, Any], home: Path) -> None:
    from pdic import airflow_stack

    print_table(
        "What each sector gave",
        report["datasets"],
        ["sector", "dataset", "source_rows", "accepted", "quarantined", "balanced"],
    )
    print_table("What readers see", report["shared"], ["table", "rows"])
    print_table("Quality", report["quality"], ["sector", "rules", "hold", "failures_quarantined", "failures_warned"])
    login = airflow_stack.login(home)
    say(f"release {report['release']['live']} is live")
    command = _pdic_command()
    give(f'  psql "$({command} dsn warehouse --pgpass)"', "look at it:")
    give(f"  {report['airflow']['url']}", f"Airflow, as the user {login['username']}:")
    give(f"  {login['password']}", "its password:")
    give(f"  {command} down", "stop it:")
    give(f"  {command} up", "start it again:")


def _pdic_command() -> str:
    program = Path(sys.argv[0])
    return str(program.relative_to(Path.cwd())) if program.is_relative_to(Path.cwd()) else str(program)


def seed_databases(citizens: int, seed: int, profile: Path | None = None, force: bool = False) -> dict[str, Any]:
    """Fill the demo's databases; says `already` where the same seed is there. Raises PdicError for another one without `force`."""
    seeding = _demo("seed")
    path = profile or settings.project_root() / "demo" / "profile.yaml"
    if not path.is_file():
        raise PdicError(f"no profile at {path}")
    tell(f"seeding {citizens:,} citizens …")
    with _progress() as bar:
        return dict(seeding.seed(_uris(), citizens, seed, path, progress=bar, force=force))


def _uris() -> dict[str, str]:
    from pdic import connections

    return {name: connections.uri(f"pdic_demo_{name}") for name in DATABASES}


def _demo(module: str) -> Any:
    """The generator lives beside the package, in demo/: it is part of the checkout, not of an installation."""
    import importlib

    root = str(settings.project_root())
    if root not in sys.path:
        sys.path.insert(0, root)
    return importlib.import_module(f"demo.{module}")


class _progress:  # (used like a function)
    """A progress bar on standard error, called as `bar(what, done, total)`."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("reading the lists of names and units", total=None)

    def __enter__(self) -> _progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        self._bar.update(self._task, description=what, completed=done, total=total or None)
