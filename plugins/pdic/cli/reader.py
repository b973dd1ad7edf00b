"""`pdic reader`: who may read, each with a login of their own."""

from __future__ import annotations

from typing import Annotated

import typer

from pdic import connections, settings
from pdic.cli.names import Json
from pdic.cli.output import print_json, print_table, say
from pdic.cli.stack import ensure_warehouse, is_embedded
from pdic.errors import PdicError

reader_app = typer.Typer(help="Who may read: a login for each (docs/readers.md).", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A person or a tool: small letters, digits, underlines.")]


@reader_app.command("add")
def add(
    name: Name,
    at_a_time: Annotated[
        int | None,
        typer.Option("--connections", metavar="N", min=1, max=1000, help="Connections at a time (10 if not said)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a login that reads the schema shared, within limits.

    Its password is random and is printed nowhere: it lies with the home's secrets.
    """
    from pdic.warehouse import readers

    admin = _admin(f"reader add {name}")
    report = readers.add(admin, settings.home(), name, at_a_time)
    if as_json:
        print_json(report)
        return
    say(f"reader {name}: login {report['login']}, at most {report['connections']} connections")
    say(f"its address, for files and tools: `pdic dsn warehouse --reader {name} --pgpass`")


@reader_app.command("list")
def list_(as_json: Json = False) -> None:
    """Every reader, and how many of its connections are open."""
    from pdic.warehouse import readers

    ensure_warehouse()
    found = readers.listed(connections.uri)
    if as_json:
        print_json(found)
    else:
        there = [reader for reader in found if not reader["waits"]]
        print_table("Readers", there, ["reader", "login", "connections", "open", "made_at"])
        for reader in found:
            if reader["waits"]:
                say(reader["waits"])


@reader_app.command("remove")
def remove(name: Name, as_json: Json = False) -> None:
    """Take a reader's login away. Its sessions end at once."""
    from pdic.warehouse import readers

    admin = _admin(f"reader remove {name}")
    report = readers.remove(admin, settings.home(), name)
    if as_json:
        print_json(report)
    else:
        ended = report["sessions_ended"]
        say(f"reader {name} is removed; {ended} session{'s' if ended != 1 else ''} ended")
        if report["waits"]:
            say(report["waits"])


def _admin(command: str) -> str:
    """The address of the warehouse's owner, which of the containers only `init` knows."""
    home = ensure_warehouse()
    if not is_embedded(home) and "pdic_warehouse_admin" not in connections.load(home):
        raise PdicError(
            f"only the warehouse's owner may do that, whose login is not here: run `docker-compose run --rm init pdic {command}`"
        )
    return connections.warehouse("admin")
