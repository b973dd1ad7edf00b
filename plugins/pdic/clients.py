"""Addresses that hold no password, for programs that speak to PostgreSQL: the password lies in a file beside.

What stands on a command line, every user of a machine can read. libpq (psql, pg_dump, psycopg, ODBC) takes the password from a
password file that the address names, and the whole address from a service file.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pdic import connections, settings
from pdic.errors import PdicError

FOLDER: Final = "clients"
SERVICE: Final = "pdic"
"""What the service is called in each service file."""


@dataclass(frozen=True)
class Files:
    """The files of one login, and its address without a password."""

    uri: str
    pgpass: Path
    service_file: Path


def write(home: Path, name: str, connection: Mapping[str, Any]) -> Files:
    """Write the password file and the service file of a database's connection below the home, open to their owner alone.

    `name` is the connection's, or a reader's login: sources on two servers may have logins that are called the same.
    Doing it again renews them. Raises PdicError where the connection is one to a service, or an owner's and the home is shared.
    """
    if connection.get("conn_type") != "postgres":
        raise PdicError(
            "this source is a service, and only databases have password files: run the same command without --pgpass and --service-file"
        )
    if connections.kept_from_services(name, home):
        raise PdicError(
            f"the steps' containers can read {home / FOLDER}, and {connection['login']} is an owner's login, which no step may know: run "
            "the same command without --pgpass and --service-file, and keep the password outside the containers"
        )
    folder = home / FOLDER / name
    settings.make_private(home / FOLDER)
    settings.make_private(folder)
    pgpass, service_file = folder / "pgpass", folder / "pg_service.conf"
    settings.write_private(pgpass, _pgpass(connection))
    settings.write_private(service_file, _service(connection, pgpass))
    extra = connections.extra_of(connection)
    bare = {**connection, "password": None, "extra": {**extra, "passfile": str(pgpass)}}
    return Files(connections.to_uri(bare), pgpass, service_file)


def forget(home: Path, login: str) -> None:
    """Delete the files of a login that is no more."""
    shutil.rmtree(home / FOLDER / login, ignore_errors=True)


def _pgpass(connection: Mapping[str, Any]) -> str:
    """A line for each server of the connection, as libpq reads it."""
    hosts = str(connection["host"]).split(",")
    ports = str(connection["port"]).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    rest = (connection["schema"], connection["login"], connection["password"])
    return "".join(":".join(map(_escaped, (host, port, *rest))) + "\n" for host, port in zip(hosts, ports, strict=True))


def _escaped(field: object) -> str:
    return str(field).replace("\\", "\\\\").replace(":", "\\:")


def _service(connection: Mapping[str, Any], pgpass: Path) -> str:
    words = {
        "host": connection["host"],
        "port": connection["port"],
        "dbname": connection["schema"],
        "user": connection["login"],
        "passfile": pgpass,
    } | connections.extra_of(connection)
    return f"[{SERVICE}]\n" + "".join(f"{name}={value}\n" for name, value in words.items())
