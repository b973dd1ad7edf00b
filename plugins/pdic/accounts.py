"""Who may log in to the embedded PostgreSQL, and to which of its databases.

Every database has an owner and admits nobody else unless told to. Passwords are random, live in `secrets/connections.json` only,
and reach the server as scram verifiers, so no statement ever holds one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, sql

from pdic import connections

SECTORS = ("civil_registry", "education", "health", "investment")
SERVICE_ROLES = tuple(role for role in connections.WAREHOUSE_ROLES if role != "admin")
WITH_TEMPORARY_TABLES = ("loader", "transformer", "auditor")


@dataclass(frozen=True)
class Login:
    """One login: the connection that names it, its role in the server, the database it is for."""

    conn_id: str
    role: str
    database: str


OWNERS = (
    Login("airflow_db", "airflow", "airflow"),
    *(Login(f"pdic_demo_{database}", f"{database}_owner", database) for database in (*SECTORS, "truth")),
    Login("pdic_warehouse_admin", "pdic_admin", "warehouse"),
)
GUESTS = (
    *(Login(f"pdic_source_{sector}", f"pdic_reader_{sector}", sector) for sector in SECTORS),
    *(Login(f"pdic_warehouse_{role}", f"pdic_{role}", "warehouse") for role in SERVICE_ROLES),
)


def ensure(home: Path, superuser_uri: str, host: str, port: int) -> None:
    """Makes every database and login that is missing, sets passwords and ports of record. Doing it again changes nothing."""
    known = connections.load(home)
    wanted = {login.conn_id: _connection(login, known.get(login.conn_id), host, port) for login in (*OWNERS, *GUESTS)}
    if any(known.get(name) != connection for name, connection in wanted.items()):
        connections.save(home, wanted)  # before the server hears of them: a password is never set that is not on record
    with psycopg.connect(superuser_uri, autocommit=True) as server:
        roles = _names(server, "select rolname from pg_roles")
        for login in (*OWNERS, *GUESTS):
            if login.role not in roles:
                server.execute(sql.SQL("create role {} login").format(sql.Identifier(login.role)))
            _set_password(server, login.role, wanted[login.conn_id]["password"])
        databases = _names(server, "select datname from pg_database")
        for owner in OWNERS:
            if owner.database not in databases:
                create_database(server, owner.database, owner.role)
        _grant(server)
    for sector in SECTORS:
        with psycopg.connect(superuser_uri, dbname=sector, autocommit=True) as database:
            _let_read(database, sector)


def create_database(server: Connection[Any], name: str, owner: str) -> None:
    """Makes a database that only its owner may enter."""
    server.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(owner)))
    _close(server, name)


def create_login(server: Connection[Any], role: str, password: str) -> None:
    """Makes a login that may do nothing yet."""
    server.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    _set_password(server, role, password)


def new_password() -> str:
    """A random password (256 bits) that needs no escaping in a URI."""
    return secrets.token_urlsafe(32)


def _connection(login: Login, known: dict[str, Any] | None, host: str, port: int) -> dict[str, Any]:
    password = (known or {}).get("password") or new_password()
    return {
        "conn_type": "postgres",
        "host": host,
        "port": port,
        "login": login.role,
        "password": password,
        "schema": login.database,
    }


def _set_password(server: Connection[Any], role: str, password: str) -> None:
    verifier = server.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    server.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(verifier)))


def _grant(server: Connection[Any]) -> None:
    for database in ("postgres", "template1", *(owner.database for owner in OWNERS)):
        _close(server, database)
    for guest in GUESTS:
        server.execute(
            sql.SQL("grant connect on database {} to {}").format(
                sql.Identifier(guest.database), sql.Identifier(guest.role)
            )
        )
    for role in WITH_TEMPORARY_TABLES:
        server.execute(sql.SQL("grant temporary on database warehouse to {}").format(sql.Identifier(f"pdic_{role}")))
    for role in SERVICE_ROLES:
        # The admin's migrations make objects that belong to these roles, so it must be able to act as each.
        server.execute(sql.SQL("grant {} to pdic_admin").format(sql.Identifier(f"pdic_{role}")))
    for sector in SECTORS:
        reader = sql.Identifier(f"pdic_reader_{sector}")
        # Sees when other sessions' transactions began, which is what makes reading by cursor exact.
        server.execute(sql.SQL("grant pg_monitor to {}").format(reader))
        server.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(reader))


def _close(server: Connection[Any], database: str) -> None:
    server.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(database)))


def _let_read(database: Connection[Any], sector: str) -> None:
    """Lets the sector's reader select from every table of schema public, those the owner will make later too."""
    names = {"owner": sql.Identifier(f"{sector}_owner"), "reader": sql.Identifier(f"pdic_reader_{sector}")}
    database.execute(sql.SQL("grant usage on schema public to {reader}").format(**names))
    database.execute(sql.SQL("grant select on all tables in schema public to {reader}").format(**names))
    database.execute(
        sql.SQL("alter default privileges for role {owner} in schema public grant select on tables to {reader}").format(
            **names
        )
    )


def _names(server: Connection[Any], query: LiteralString) -> set[str]:
    return {str(row[0]) for row in server.execute(sql.SQL(query))}
