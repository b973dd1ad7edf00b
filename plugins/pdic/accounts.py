"""Databases and logins, made on a server: who may enter which database.

Every database has an owner and admits nobody else unless told to. Passwords are random, live in the secrets' files only, and
reach the server as scram verifiers, so no statement ever holds one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, LiteralString

from psycopg import Connection, sql

from pdic import connections, logins
from pdic.errors import PdicError
from pdic.logins import Login, new_password
from pdic.warehouse import connect_psycopg, readers, rights

__all__ = ["create_database", "create_login", "ensure", "new_password", "provide_demo", "provide_warehouse"]

WITH_TEMPORARY_TABLES = ("loader", "transformer", "auditor")
WAREHOUSE = (logins.ADMIN, logins.AIRFLOW)
_log = logging.getLogger(__name__)
EMBEDDED = (*WAREHOUSE, *logins.SERVICES, *logins.DEMO_OWNERS, *logins.DEMO_READERS)


def ensure(home: Path, superuser_uri: str, host: str, port: int) -> None:
    """Makes every database and login of an embedded home that is missing, and sets passwords and ports of record.

    Doing it again changes nothing.
    """
    known = connections.load(home)
    wanted = logins.entries(EMBEDDED, known, host, port)
    if any(known.get(name) != connection for name, connection in wanted.items()):
        connections.save(home, wanted)  # before the server hears of them: a password is never set that is not on record
    provide_warehouse(superuser_uri, wanted)
    provide_demo(superuser_uri, wanted)


def provide_warehouse(superuser_uri: str, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes the warehouse and Airflow's database on a server, with the logins of both. Passwords come from `known`."""
    with connect_psycopg(superuser_uri, "accounts", autocommit=True) as server:
        _provide(server, WAREHOUSE, logins.STEPS, known)
        for role in WITH_TEMPORARY_TABLES:
            _give(server, "temporary", "warehouse", f"pdic_{role}")
        for login in logins.STEPS:
            # The admin's migrations make objects that belong to these roles, so it must be able to act as each.
            server.execute(sql.SQL("grant {} to pdic_admin").format(sql.Identifier(login.role)))
    _provide_readers(superuser_uri, known[logins.READER.conn_id])
    rights.provide(superuser_uri)


def _provide_readers(superuser_uri: str, usual: Mapping[str, Any]) -> None:
    """Makes what readers have. `usual` is the connection of the one that is always there."""
    if usual["login"] != logins.READER.role:
        raise PdicError(
            f"the connection {logins.READER.conn_id} names the login {usual['login']}, and readers log in as {logins.READER.role} now: "
            "run `make init`, which corrects secrets/connections.json, then `docker-compose up -d`"
        )
    for sentence in readers.provide(superuser_uri, usual["password"]):
        _log.warning("%s", sentence)


def provide_demo(superuser_uri: str, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes the demo's databases on a server, each with its owner and, where it is a sector's, its read-only login."""
    with connect_psycopg(superuser_uri, "accounts", autocommit=True) as server:
        _provide(server, logins.DEMO_OWNERS, logins.DEMO_READERS, known)
        for login in logins.DEMO_READERS:
            reader = sql.Identifier(login.role)
            # Sees when other sessions' transactions began, which is what makes reading by cursor exact.
            server.execute(sql.SQL("grant pg_monitor to {}").format(reader))
            server.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(reader))
    for sector in logins.SECTORS:
        with connect_psycopg(superuser_uri, "accounts", dbname=sector, autocommit=True) as database:
            _let_read(database, sector)


def _provide(
    server: Connection[Any], owners: Iterable[Login], guests: Iterable[Login], known: Mapping[str, Mapping[str, Any]]
) -> None:
    """Makes the owners' databases and all logins; a guest may connect to the database it is for, and to no other."""
    roles = _names(server, "select rolname from pg_roles")
    for login in (*owners, *guests):
        if login.role not in roles:
            server.execute(sql.SQL("create role {} login").format(sql.Identifier(login.role)))
        _set_password(server, login.role, known[login.conn_id]["password"])
    databases = _names(server, "select datname from pg_database")
    for owner in owners:
        if owner.database not in databases:
            create_database(server, owner.database, owner.role)
    for database in ("postgres", "template1", *(owner.database for owner in owners)):
        _close(server, database)
    for guest in guests:
        _give(server, "connect", guest.database, guest.role)


def create_database(server: Connection[Any], name: str, owner: str) -> None:
    """Makes a database that only its owner may enter."""
    server.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(owner)))
    _close(server, name)


def create_login(server: Connection[Any], role: str, password: str) -> None:
    """Makes a login that may do nothing yet."""
    server.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    _set_password(server, role, password)


def _set_password(server: Connection[Any], role: str, password: str) -> None:
    verifier = server.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    server.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(verifier)))


def _close(server: Connection[Any], database: str) -> None:
    if _has(server, database, "public"):
        server.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(database)))


def _give(server: Connection[Any], right: LiteralString, database: str, role: str) -> None:
    if right.upper() not in _has(server, database, role):
        names = (sql.SQL(right), sql.Identifier(database), sql.Identifier(role))
        server.execute(sql.SQL("grant {} on database {} to {}").format(*names))


def _has(server: Connection[Any], database: str, role: str) -> set[str]:
    """What a role, or `public`, was given of a database.

    It is asked first, because a reader can hold a database's row of the catalogue (`drop owned by pdic_reader`): where all is as it
    should be, nobody is waited for.
    """
    found = server.execute(
        """
        select entry.privilege_type
        from pg_database as base
        cross join aclexplode(coalesce(base.datacl, acldefault('d', base.datdba))) as entry
        left join pg_roles as role on role.oid = entry.grantee
        where base.datname = %s and coalesce(role.rolname, 'public') = %s
        """,
        (database, role),
    )
    return {str(right) for (right,) in found}


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
