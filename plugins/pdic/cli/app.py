"""`pdic`: every command, with its help, exit code and JSON."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import ExitStack, suppress
from typing import Annotated, Any, NoReturn

import typer

from pdic import connections, failures, settings, stopping
from pdic.cli import loads, logs
from pdic.cli.names import Json, Targets, complete_sector
from pdic.cli.output import console, give, print_json, say, tell
from pdic.cli.quality_reports import add_reports
from pdic.cli.quarantine import quarantine_app
from pdic.cli.reader import reader_app
from pdic.cli.release import release_app, rollback
from pdic.cli.slots import slot_app
from pdic.cli.stack import describe, ensure_warehouse
from pdic.cli.version import print_version
from pdic.errors import PdicError, Unforeseen

# On the way out of a lost session the driver tells of the rollback that it could not do: the refusal says what happened.
logging.getLogger("psycopg").setLevel(logging.ERROR)

app = typer.Typer(
    name="pdic",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
demo_app = typer.Typer(help="The demo province: made-up sector databases.", no_args_is_help=True)
contracts_app = typer.Typer(help="Contracts and what follows from them.", no_args_is_help=True)
containers_app = typer.Typer(help="What docker-compose.yml runs once.", no_args_is_help=True)
quality_app = typer.Typer(help="What rules cover and what they found.", no_args_is_help=True)
add_reports(quality_app)
app.add_typer(demo_app, name="demo")
app.add_typer(release_app, name="release")
app.add_typer(slot_app, name="slot")
app.add_typer(containers_app, name="containers", hidden=True)
app.add_typer(contracts_app, name="contracts")
app.add_typer(quality_app, name="quality")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(reader_app, name="reader")


@app.callback()
def pdic(
    _version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """PDIC: the shared data integration center of a province."""


@app.command()
def up(
    airflow: Annotated[bool, typer.Option(help="Start Airflow too.")] = True,
    as_json: Json = False,
) -> None:
    """Start the embedded PostgreSQL and Airflow.

    They listen on free ports of 127.0.0.1. What runs and is well is left as it is; what is dead or silent is started anew.
    """
    from pdic import airflow_stack, demo_service, embedded, warehouse

    home = settings.home()
    tell(f"PostgreSQL in {home} …")
    embedded.start(home)
    warehouse.migrate(connections.warehouse("admin"))
    demo_service.ensure(home)
    if airflow:
        tell("Airflow …")
        airflow_stack.up(home)
    _show_stack(describe(home), as_json)


@app.command()
def down(as_json: Json = False) -> None:
    """Stop Airflow and the embedded PostgreSQL."""
    from pdic import airflow_stack, demo_service, embedded

    home = settings.home()
    with ExitStack() as stops:  # the last comes first; one that fails (a full disk) does not keep the others up
        stops.callback(embedded.stop, home)
        stops.callback(demo_service.stop, home)
        stops.callback(airflow_stack.down, home)
    _show_stack(describe(home), as_json)


@app.command()
def dsn(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="warehouse, or source.", autocompletion=lambda: ["warehouse", "source"]),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="SECTOR",
            help="With `source`: the sector whose database it is.",
            autocompletion=complete_sector,
        ),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            help="warehouse: reader (default), loader, transformer, auditor, publisher, admin; source: reader (default), owner."
        ),
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="warehouse: the address of this reader (`pdic reader list`)."),
    ] = None,
    pgpass: Annotated[
        bool, typer.Option("--pgpass", help="Without the password: the address names a file that holds it.")
    ] = False,
    service_file: Annotated[
        bool,
        typer.Option(
            "--service-file", help="Print the path of a service file instead, whose service `pdic` is the address."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the address of a database, password included.

    It is a libpq URI, as psql and BI tools take it. Pass it on to them; keep it out of logs. Other users of a machine see what stands
    on a command line: there, use --pgpass or --service-file.
    """
    from pdic import clients

    ensure_warehouse()
    called, connection = _connection(kind, name, role, reader)
    if not (pgpass or service_file):
        uri = connections.to_uri(connection)
        print_json({"uri": uri}) if as_json else give(uri)
        return
    files = clients.write(settings.home(), called, connection)
    if as_json:
        print_json(
            {"uri": files.uri, "pgpass": files.pgpass, "service_file": files.service_file, "service": clients.SERVICE}
        )
    else:
        give(files.service_file if service_file else files.uri)


def _connection(kind: str, name: str | None, role: str | None, reader: str | None) -> tuple[str, dict[str, Any]]:
    """The connection that the words of `pdic dsn` mean, and what it is called. Raises PdicError where they mean none."""
    if reader is not None and (kind != "warehouse" or role not in (None, "reader")):
        raise PdicError("--reader goes with `pdic dsn warehouse` alone: leave out the other words")
    if kind == "warehouse" and not name:
        if reader is not None:
            from pdic.warehouse import readers

            return readers.login_of(reader), readers.address(settings.home(), reader)
        role = role or "reader"
        called = f"pdic_warehouse_{role}" if role in connections.WAREHOUSE_ROLES else _unknown_role(role)
        return called, connections.entry(called)
    if kind == "source" and name:
        prefix = {"reader": "pdic_source_", "owner": "pdic_demo_"}.get(role or "reader")
        called = f"{prefix}{name}" if prefix else _unknown_role(role)
        return called, connections.entry(called)
    raise PdicError(
        "say `pdic dsn warehouse [--role R]`, `pdic dsn warehouse --reader NAME` or `pdic dsn source SECTOR [--role R]`"
    )


@app.command()
def load(
    targets: Targets = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Read everything at the source anew, and keep what differs; readers notice nothing."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the sources' news into raw: extract, check, accept. Exit code 1 where a dataset failed or was rejected."""
    from pdic import load as loading

    if full and not targets:
        raise PdicError("say what to read anew: `pdic load SECTOR.DATASET --full`, or a whole SECTOR.")
    ensure_warehouse()
    with console.status("load") as line:
        reports = loading.load(targets or [], progress=lambda name, step: line.update(f"{step} {name}"), full=full)
    if as_json:
        print_json(reports)
    else:
        loads.show(reports, loading.WELL)
    if any(row["status"] not in loading.WELL for row in reports):
        raise typer.Exit(1)


app.command()(rollback)


@contracts_app.command("compile")
def contracts_compile(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 where a file differs.")] = False,
    as_json: Json = False,
) -> None:
    """Make the files anew that follow from contracts.

    Raw tables, shape rules, dbt sources, readers' views, the DAGs' catalogue.
    """
    from pdic.contracts.compile import compile_all

    differences = compile_all(settings.project_root(), check=check)
    if as_json:
        print_json([str(difference) for difference in differences])
    else:
        for difference in differences:
            say(f"{difference}" if check or difference.kind == "foreign" else f"mended: {difference}", "  ")
            if check and difference.detail:
                give(difference.detail)
        many = f"{len(differences)} file{'s' if len(differences) != 1 else ''}"
        say(f"{many} differ: run `pdic contracts compile`" if check and differences else f"{many} changed")
    if check and differences:
        raise typer.Exit(1)


def _show_stack(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for part in ("postgres", "airflow"):
        state = report[part]
        where = state.get("url") or (f"port {state['port']}" if state.get("port") else "")
        say(f"{part}: {'running ' + where if state.get('running') else 'stopped'}")


def _unknown_role(role: str | None) -> str:
    raise PdicError(f"there is no role {role!r}: see `pdic dsn --help`")


def main() -> None:
    """Run a command. A refusal goes to standard error in words (with --json: as JSON too) and ends with its exit code.

    So does an error that nobody foresaw: its trace goes to a log, without the values that its words may quote. So does a signal. Where
    nobody reads the output any more (`pdic status | head -1`), the command ends without a word.
    """
    try:
        logs.begin(settings.home())
        with failures.driver_silent(logging.getLogger("pdic.cli")):
            app()
    except SystemExit as end:
        if stopping.asked():
            _stopped()
        if isinstance(end.__context__, BrokenPipeError):
            _unread()
        _flush()
        raise
    except KeyboardInterrupt:
        _stopped()
    except BrokenPipeError:
        _unread()
    except Exception as error:
        if stopping.asked():
            _stopped()
        refusal = failures.in_words(error) or _unforeseen(error)
        _refuse(refusal)
        sys.exit(refusal.exit_code)


def _refuse(refusal: PdicError) -> None:
    if "--json" in sys.argv:
        print_json({"error": str(refusal), "kind": type(refusal).__name__})
    tell(f"pdic: {refusal}", "red")


def _stopped() -> NoReturn:
    """The end of a command that a signal stopped. The terminal may be gone."""
    stopping.let_be()
    with suppress(OSError):
        if refusal := stopping.refusal():
            _refuse(refusal)
        sys.stdout.flush()
        sys.stderr.flush()
    sys.exit(stopping.exit_code())


def _flush() -> None:
    """Write what is printed while a failure can still be answered."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _unread()


def _unread() -> NoReturn:
    """The end of a command whose output nobody reads to its end. What is left of it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)


def _unforeseen(error: Exception) -> Unforeseen:
    command = " ".join(word for word in sys.argv[1:3] if not word.startswith("-"))
    failures.log(logging.getLogger("pdic.cli"), f"pdic {command}", error)
    return Unforeseen(
        f"PDIC did not foresee this: {failures.kind(error)}. Nothing half-done stays: run the command again, and if it comes back, "
        f"send the end of {settings.home() / 'log' / logs.FILE} to whoever maintains PDIC"
    )
