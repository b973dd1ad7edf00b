"""`pdic connection`: put a source's address and login where loads find them, the password never on a command line."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from pdic import connections, settings
from pdic.cli.app import app
from pdic.cli.names import Json
from pdic.cli.output import print_json, say
from pdic.cli.stack import ensure_warehouse
from pdic.contracts.findings import listed
from pdic.errors import PdicError
from pdic.sources.entry import enter, staying
from pdic.warehouse import one

connection_app = typer.Typer(help="Connections to sources.", no_args_is_help=True)
app.add_typer(connection_app, name="connection")


@connection_app.command("add")
def add(
    conn_id: Annotated[str, typer.Argument(help="The id: pdic_source_SECTOR for a sector's own database.")],
    host: Annotated[str, typer.Option(help="Where the database answers.")],
    database: Annotated[str, typer.Option(help="Its name.")],
    user: Annotated[str, typer.Option(help="A login that may read, and nothing else.")],
    port: Annotated[int, typer.Option(help="Its port.")] = 5432,
    sslmode: Annotated[str | None, typer.Option(help="verify-full, require …: as libpq has it.")] = None,
    as_json: Json = False,
) -> None:
    """Try a connection and keep it. The password is asked for, or read from standard input where that is no terminal."""
    if conn_id.startswith(("pdic_warehouse_", "pdic_demo_", "airflow")) or not conn_id.replace("-", "_").isidentifier():
        raise PdicError(f"{conn_id!r} cannot be a source's id: write it like pdic_source_public_works")
    password = typer.prompt("password", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    entry: dict[str, Any] = {
        "conn_type": "postgres",
        "host": host,
        "port": port,
        "login": user,
        "password": password,
        "schema": database,
    } | ({"extra": {"sslmode": sslmode}} if sslmode else {})
    ensure_warehouse()  # makes the connections of an embedded home, which this one joins
    found = _look(conn_id, connections.to_uri(entry))
    connections.save(settings.home(), {conn_id: entry})
    report = {"connection": conn_id} | found
    if as_json:
        print_json(report)
        return
    say(f"{conn_id}: PostgreSQL {found['server_version']}, {found['tables']} tables to read")
    for words in found["remarks"]:
        say(words)


def _look(conn_id: str, uri: str) -> dict[str, Any]:
    """Enter the database once: what is there, and what an administrator should know of the login."""
    whose = "nothing was kept: the database"
    connection = enter(uri, "connection add", whose, conn_id)
    try:
        with staying(whose), connection.cursor() as cursor:
            cursor.execute(
                """
                select
                    current_setting('server_version'),
                    (
                        select count(*) from pg_class
                        where relkind in ('r', 'p') and relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
                            and has_schema_privilege(relnamespace, 'usage') and has_table_privilege(oid, 'select')
                    ),
                    exists (
                        select 1 from pg_class
                        where relkind in ('r', 'p') and relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
                            and has_schema_privilege(relnamespace, 'usage')
                            and has_table_privilege(oid, 'insert, update, delete, truncate')
                    ),
                    pg_has_role(current_user, 'pg_read_all_stats', 'usage'),
                    array(
                        select quote_ident(namespace.nspname) || '.' || quote_ident(class.relname)
                        from pg_class as class inner join pg_namespace as namespace on namespace.oid = class.relnamespace
                        where class.relrowsecurity and row_security_active(class.oid)
                            and has_schema_privilege(namespace.oid, 'usage') and has_table_privilege(class.oid, 'select')
                        order by 1
                    )
                """
            )
            version, tables, writes, sees, hidden = one(cursor)
    finally:
        connection.close()
    remarks = []
    if writes:
        remarks.append("this login may write at the source: ask for one that may only read (docs/onboarding.md)")
    if not sees:
        remarks.append(
            "it cannot see when other transactions began, so loads by cursor read the last 15 minutes again each time: "
            "`grant pg_monitor` to it spares that"
        )
    if hidden:
        remarks.append(
            f"row level security hides rows from it in {listed(hidden)}: loads refuse these until an administrator grants it "
            "bypassrls, or their contracts agree (docs/sources.md)"
        )
    return {"server_version": version, "tables": tables, "remarks": remarks}
