"""Sessions with a source's PostgreSQL: the only place that opens them, with every setting that matters set by PDIC.

A role, its database or its server may have set anything (`alter role … set`, `alter database … set`): another encoding,
another form of dates and numbers, a search path in which `text` is another type, a time limit that no read can keep.

The settings come in two ways, because each has a gap that the other closes:

    at startup        libpq's `options`. They hold from the first statement on, even against a time limit of a millisecond. A
                      pooler (PgBouncer) may refuse them: then the session is opened without
    by transaction    `pin`, the first statement of each transaction. It works through every pooler, and ends with the
                      transaction: the next client of the pooler finds the server's session as it was

A session in autocommit has no transaction to pin, so it is pinned as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from pdic.warehouse import one, open_once, silence
from pdic.warehouse.connect import CONNECT_SECONDS, Session
from pdic.warehouse.formats import CLIENT_ENCODING, FORMATS, startup_options

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

LOCK_TIMEOUT: Final = timedelta(seconds=30)
"""A table under a schema change is left alone soon: the load fails, and is tried again later."""

FIRST_IN_PATH: Final = "pg_catalog"
"""PostgreSQL's own names come first. The path of the role stays behind: functions that a view calls may need it."""

_A_SOURCE: Final = "a source"
"""Whose server it is, until whoever opens the session says so: not the warehouse's."""
_REFUSED_BY_A_POOLER: Final = "unsupported startup parameter"
_TRANSACTION_TIMEOUT: Final = 170000
"""The first server version with a time limit for whole transactions."""
_PARAMETER_PRIVILEGES: Final = 150000
"""The first server version that says who may set `lc_messages`: the superuser, and whom that right was granted to."""

_BEHAVIOUR: Final = {
    # Where a policy would hide rows, the server raises an error instead of sending fewer (`pdic.sources.policies`).
    "row_security": "off",
    "gin_fuzzy_search_limit": "0",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
_NO_LIMITS: Final = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_STARTUP: Final = {**FORMATS, **_BEHAVIOUR, **_NO_LIMITS}
"""What a session starts with: settings of all supported versions only, for a server refuses a session over an unknown one."""

_LATER: Final = {
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    "restrict_nonsystem_relation_kind": "",
    "client_connection_check_interval": "0",
    "tcp_user_timeout": "0",
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
"""Settings that not every version has. The server gives up on a client that has vanished after a minute and a half."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one statement may take, and how long a session may do nothing within a transaction."""

    statement: timedelta
    idle: timedelta

    def settings(self) -> dict[str, str]:
        """The limits, and how long a lock is waited for, as settings of PostgreSQL."""
        return {
            "statement_timeout": _milliseconds(self.statement),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle),
            "lock_timeout": _milliseconds(LOCK_TIMEOUT),
        }


SHORT: Final = Limits(statement=timedelta(minutes=1), idle=timedelta(minutes=10))
"""For questions about a source: its catalogue, a sample, the state of its log."""


def open_session(
    uri: str, step: str, *, autocommit: bool = False, limits: Limits = SHORT, patience: int = CONNECT_SECONDS
) -> Connection:
    """A session with a source. `step` and `patience` are those of `warehouse.open_once`. `limits` are those of an autocommit session.

    A session that is not in autocommit has to be pinned at the beginning of each transaction. Raises psycopg2.OperationalError
    where there is none to be had.
    """
    own = parse_dsn(uri).get("options", "")
    try:
        connection = _opened(
            make_dsn(uri, client_encoding=CLIENT_ENCODING, options=startup_options(_STARTUP, own)), step, patience
        )
        _lift_transaction_limit(connection)
    except psycopg2.OperationalError as error:
        if _REFUSED_BY_A_POOLER not in str(error):
            raise
        connection = _opened(make_dsn(uri, client_encoding=CLIENT_ENCODING), step, patience)
    if autocommit:
        _set(connection, limits, local=False)
    connection.autocommit = autocommit
    return connection


def _opened(uri: str, step: str, patience: int) -> Connection:
    connection = open_once(uri, step, autocommit=True, patience=patience)
    if isinstance(connection, Session):
        connection.watched.whose = _A_SOURCE
    return connection


def pin(connection: Connection, limits: Limits, *, row_security: bool = False) -> None:
    """Set everything for the transaction that this statement begins, or that has just begun.

    With `row_security` the server leaves out the rows that a policy hides, else it refuses to read where there are any.
    """
    _set(connection, limits, local=True, row_security=row_security)


def replication_options(uri: str) -> str:
    """libpq's `options` for a replication session, which no pooler passes on."""
    return startup_options(
        {**_STARTUP, "idle_session_timeout": "0", "wal_sender_timeout": "60s"}, parse_dsn(uri).get("options", "")
    )


def unlimited(server_version: int) -> str | None:
    """The statement that lifts the time limit of whole transactions; None where the server knows no such limit."""
    return "set transaction_timeout = 0" if server_version >= _TRANSACTION_TIMEOUT else None


def _lift_transaction_limit(connection: Connection) -> None:
    if statement := unlimited(connection.info.server_version):
        with connection.cursor() as cursor:
            cursor.execute(statement)


def _set(connection: Connection, limits: Limits, *, local: bool, row_security: bool = False) -> None:
    """One statement. It is written so that no name in it depends on the search path that it changes."""
    if isinstance(connection, Session):
        connection.watched.pinned = False  # (a pooler that is full lets this statement wait for a process)
    settings = {**FORMATS, **_BEHAVIOUR, **_LATER, **limits.settings()}
    if row_security:
        settings["row_security"] = "on"
    allowed = "true"
    if connection.info.server_version >= _PARAMETER_PRIVILEGES:
        settings["lc_messages"] = "C"
        allowed = "case pinned.name when 'lc_messages' then pg_catalog.has_parameter_privilege(pinned.name, 'set') else true end"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select
                pg_catalog.count(pg_catalog.set_config(pinned.name, pinned.value, %(local)s)),
                pg_catalog.set_config(
                    'search_path',
                    case pg_catalog.length(pg_catalog.current_setting('search_path'))
                        when 0 then %(first)s
                        else pg_catalog.concat(%(first)s::pg_catalog.text, ', ', pg_catalog.current_setting('search_path'))
                    end,
                    %(local)s
                ),
                pg_catalog.pg_backend_pid(),
                {silence.STARTED}
            from rows from (
                pg_catalog.unnest(%(names)s::pg_catalog.text[]), pg_catalog.unnest(%(values)s::pg_catalog.text[])
            ) as pinned (name, value)
            where pg_catalog.current_setting(pinned.name, true) is not null and {allowed}
            """,  # noqa: S608 (a condition of this module's own)
            {"local": local, "first": FIRST_IN_PATH, "names": list(settings), "values": list(settings.values())},
        )
        _, _, pid, started = one(cursor)
    if isinstance(connection, Session):
        connection.watched.backend, connection.watched.pinned = (pid, started), local
        connection.watched.longest = limits.statement.total_seconds()


def _milliseconds(limit: timedelta) -> str:
    return f"{int(limit.total_seconds() * 1000)}ms"
