"""`pdic onboard`: take on the tables of a source; draft what changed in them; choose what of them is shared."""

from __future__ import annotations

import csv
import sys
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdic import settings
from pdic.cli.app import app
from pdic.cli.names import Dataset, Json, Sector, complete_dataset, complete_sector, require_sector, split
from pdic.cli.output import give, print_json, print_table, say, tell
from pdic.cli.stack import ensure_warehouse
from pdic.errors import PdicError

if TYPE_CHECKING:
    from pathlib import Path

    from pdic.onboard import Guess

COMMITTED = ("contracts", "dbt_project", "expectations/shape", "plugins/pdic/generated")
"""What onboarding and sharing write, from the project's root."""


onboard_app = typer.Typer(invoke_without_command=True)
app.add_typer(onboard_app, name="onboard")


@onboard_app.callback()
def onboard(
    context: typer.Context,
    connection: Annotated[
        str | None,
        typer.Option(
            help="Id of the source's connection (secrets/connections.json). Never an address: it would show in process lists."
        ),
    ] = None,
    table: Annotated[
        str | None, typer.Option(help='SCHEMA.TABLE, quoted as in SQL where needed: public."Order Details".')
    ] = None,
    schema: Annotated[
        list[str] | None, typer.Option(help="Take on every table of a schema. Repeat it for several schemas.")
    ] = None,
    sector: Annotated[
        str | None,
        typer.Option(help="The sector (default: from the connection's id).", autocompletion=complete_sector),
    ] = None,
    agency: Annotated[str | None, typer.Option(help="The agency that owns a new sector's data.")] = None,
    update: Annotated[
        str | None,
        typer.Option(
            metavar="SECTOR.DATASET",
            help="Draft the change of a contract whose source has changed.",
            autocompletion=complete_dataset,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,COLUMN",
            help="The key of --table, or of --update where it was guessed, by the source's names (quoted where they hold a comma); "
            "checked against its rows.",
        ),
    ] = None,
    hidden_rows: Annotated[
        bool,
        typer.Option(
            "--hidden-rows",
            help="Agree that what the login sees is the dataset where row level security hides rows from it.",
        ),
    ] = False,
    cursor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Loads go by this column, which every change must move; 'none': by none. Repeat it for tables that call it otherwise.",
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Whose time a cursor without time zone is, like Asia/Ho_Chi_Minh.")
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What the texts of a database are written in that names no encoding (SQL_ASCII): "
            "tcvn3, vni, windows-1258, windows-1252, latin1, utf-8.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept every guess; the contracts mark them.")] = False,
    as_json: Json = False,
) -> None:
    """Take on tables of a source: draft what their loads need.

    Contract, staging model and generated files, for a table or for whole schemas, ready to load.
    """
    from pdic import connections
    from pdic import onboard as onboarding
    from pdic.contracts.model import table_parts
    from pdic.onboard.cursors import Wish
    from pdic.onboard.encoding import require_known

    if context.invoked_subcommand is not None:
        return
    if update is not None:
        _update(update, _names(key), as_json)
        return
    if connection is None or (table is None) == (not schema):
        raise PdicError(
            "say --connection ID and either --table SCHEMA.TABLE or --schema SCHEMA; or --update SECTOR.DATASET; or `pdic onboard review`"
        )
    if key is not None and table is None:
        raise PdicError("--key is the key of one table: say --table SCHEMA.TABLE with it")
    wish = Wish(tuple(cursor or ()), zone)
    _refuse_address(connection)
    if not yes and (as_json or not sys.stdin.isatty()):
        raise PdicError(
            "there is nobody to ask about the guesses (no terminal, or --json): run it in a terminal, or accept all with --yes"
        )
    try:
        named = table_parts(table) if table else None
    except ValueError as error:
        raise PdicError(
            f"--table: {error}: put names that hold a dot or a blank in double quotes, as SQL does"
        ) from None
    if encoding is not None:
        require_known(encoding)
    home = ensure_warehouse()
    ask_encoding = cache(_encoding)  # one answer for all schemas
    schemas: list[str | None] = [*dict.fromkeys(schema or ())]
    reports = [
        onboarding.onboard(
            connection,
            connections.uri(connection),
            table=named,
            schema=of,
            sector=sector,
            agency=agency,
            confirm=None if yes else _ask,
            key=_names(key),
            hidden_rows=hidden_rows,
            cursor=wish,
            encoding=encoding,
            ask_encoding=None if yes else ask_encoding,
        )
        for of in schemas or [None]
    ]
    report = _together(reports)
    report["pool"] = _pool(home, report["sector"]) if report["datasets"] else None
    _warn(report)
    if as_json:
        print_json(report)
        return
    if report["guesses"]:
        print_table("Guesses", report["guesses"], ["dataset", "column", "what", "value", "why"])
    for kind in ("skipped", "refused"):
        for entry in report[kind]:
            tell(f"{kind}: {entry['table']}: {entry['why']}")
    for path in report["written"]:
        give(path)
    if report["datasets"]:
        say(f"Airflow's pool for the sector: {report['pool']}")
        say("look at the guesses that matter most: `pdic onboard review`")
        give(f"  git add {' '.join(COMMITTED)}", "commit what was written:")
        say(f"next: `pdic load {report['sector']}`; then `pdic share SECTOR.DATASET` and `pdic release`")


@onboard_app.command()
def review(
    only: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,KIND",
            help="guessed-keys, cursors, identifiers, sensitive, internal, personal, names, agency, empty "
            "(default: guessed-keys, cursors, identifiers, sensitive, agency).",
        ),
    ] = None,
    sector: Sector = None,
    as_json: Json = False,
) -> None:
    """List the drafts that need a person's eye. Exit code 1 where there are any.

    Whoever has looked takes the mark `guessed` out of the contract.
    """
    from dataclasses import asdict

    from pdic.onboard import review as reviewing

    require_sector(sector)
    for words in reviewing.unseen(settings.project_root(), sector):
        tell(words, "yellow")
    kinds = [name.strip() for name in (only or "").split(",") if name.strip()]
    found = reviewing.review(settings.project_root(), kinds, sector)
    if as_json:
        print_json([asdict(finding) for finding in found])
    elif found:
        print_table("To look at", [asdict(each) for each in found], ["kind", "dataset", "column", "value"])
        contracts = sorted({each.contract for each in found})
        where = contracts[0] if len(contracts) == 1 else "contracts/SECTOR/DATASET.odcs.yaml"
        say(
            f"{_many(len(found), 'guess', 'guesses')} in {_many(len(contracts), 'contract', 'contracts')}: correct them in {where}, "
            "take the mark `guessed` out, and run `pdic contracts compile`"
        )
    else:
        say("nothing of these kinds is left to look at")
    if found:
        raise typer.Exit(1)


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _together(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The reports of several schemas as one."""
    whole = dict(reports[0])
    for name in ("datasets", "guesses", "refused", "skipped"):
        whole[name] = [entry for report in reports for entry in report[name]]
    for name in ("written", "warnings"):
        whole[name] = sorted({entry for report in reports for entry in report[name]})
    return whole


def _pool(home: Path, sector: str) -> str:
    """Make the sector's pool where Airflow runs: its loads would wait for one that is not there. Returns what became of it."""
    from pdic import airflow_stack

    if not airflow_stack.health(home)["running"]:
        return "made by the next `pdic up`"
    airflow_stack.ensure_pools(home, [sector])
    return "made"


@app.command()
def share(
    dataset: Dataset,
    columns: Annotated[
        str | None, typer.Option(help="Warehouse names, with commas; nothing means the columns that are open already.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--as", help="Name of the table (default: mart_SECTOR__DATASET).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let readers see what you choose of a dataset.

    Drafts the shared contract and the model that the next release builds.
    """
    from pdic.onboard.share import share as sharing

    report = sharing(*split(dataset), [name.strip() for name in (columns or "").split(",") if name.strip()], table)
    _warn(report)
    if as_json:
        print_json(report)
        return
    say(f"shared.{report['table']}: {', '.join(report['columns'])}")
    say(f"kept back: {', '.join(report['kept_back']) or 'nothing'}")
    for path in report["written"]:
        give(path)
    say("next: `pdic release`, which builds the table and shows it to readers")


def _warn(report: dict[str, Any]) -> None:
    """What is wrong beside what was asked for: on standard error, also beside JSON."""
    for words in report["warnings"]:
        tell(words, "yellow")


def _update(dataset: str, key: tuple[str, ...], as_json: bool) -> None:
    from pdic import connections
    from pdic.onboard.update import update

    named = split(dataset)
    ensure_warehouse()
    report = update(*named, connections.uri, key)
    _warn(report)
    if as_json:
        print_json(report)
        return
    for words in report["changes"] or ["the contract is what the source is"]:
        say(words)
    for path in report["written"]:
        give(path)
    for words in report["then"]:
        tell(f"then: {words}")


def _names(words: str | None) -> tuple[str, ...]:
    """Names with commas between; one that holds a comma itself is in double quotes."""
    return tuple(
        name.strip() for line in csv.reader([words or ""], skipinitialspace=True) for name in line if name.strip()
    )


def _refuse_address(connection: str) -> None:
    if "://" in connection or "=" in connection or "@" in connection:
        raise PdicError(
            "--connection takes the id of a connection, not its address: what stands on a command line shows in process lists "
            "and histories, password included. Put the connection into secrets/connections.json (docs/onboarding.md)"
        )


def _ask(dataset: str, guesses: tuple[Guess, ...]) -> dict[Guess, str] | None:
    """Show a dataset's guesses; accept all of them, go through them one by one, or leave the dataset out."""
    rows = [
        {"column": guess.column or "", "what": guess.what, "value": guess.value, "why": guess.why} for guess in guesses
    ]
    print_table(dataset, rows, ["column", "what", "value", "why"])
    answer = typer.prompt("accept these? y: yes, e: go through them, n: leave the dataset out", default="y").lower()
    if answer.startswith("n"):
        return None
    if not answer.startswith("e"):
        return {}
    answers = {}
    cursor = None
    for guess in guesses:
        if len(guess.options) > 1:
            said = typer.prompt(
                f"{guess.column or dataset} {guess.what} ({', '.join(guess.options)})", default=guess.value
            )
            while said not in guess.options:
                said = typer.prompt(f"one of {', '.join(guess.options)}", default=guess.value)
            answers[guess] = said
            cursor = said if guess.what == "cursorColumn" else cursor
        elif guess.what == "cursorTimeZone" and guess.column == cursor:
            answers[guess] = _zone(guess)
        elif guess.what == "name":
            answers[guess] = typer.prompt(f"{guess.column} {guess.what}", default=guess.value)
    return answers


def _encoding(likely: str) -> str:
    """Ask what the texts of a database are written in, until the answer is an encoding."""
    from pdic.encodings import NAMES

    tell("the database names no encoding (SQL_ASCII), and its texts are not UTF-8")
    while True:
        said: str = typer.prompt(f"what are they written in ({', '.join(NAMES)})", default=likely)
        if said in NAMES:
            return said


def _zone(guess: Guess) -> str:
    """Ask whose time a cursor without time zone is, until the answer is a time zone."""
    from pdic.onboard.cursors import require_zone

    while True:
        said: str = typer.prompt(f"{guess.column}: {guess.why}", default=guess.value)
        try:
            require_zone(said)
        except PdicError as error:
            tell(str(error))
        else:
            return said
