"""Connections by name, from one file: `secrets/connections.json`.

The file has the form of Airflow's LocalFilesystemBackend ({conn_id: {conn_type, host, port, login, password, schema, extra}}),
so Airflow's tasks, the CLI and the tests read the same thing. Names:

    pdic_source_<sector>     a read-only login in a sector's database, or (conn_type http) of its service
    pdic_warehouse_<role>    admin | loader | transformer | auditor | publisher | reader
    pdic_demo_<database>     the owner of a demo database, `truth` among them: for demo/ only
    airflow_db               Airflow's metadata
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pdic import settings
from pdic.errors import PdicError, instead_of
from pdic.logins import SERVICE_ROLES

FILE = "connections.json"
OWNERS_FILES = ("connections_admin.json", "connections_demo.json")
ROLE_FILES = {role: f"connections_{role}.json" for role in SERVICE_ROLES}
MORE_FILES = (*OWNERS_FILES, *ROLE_FILES.values())
"""Where each service is given no more than it needs (containers), owners' logins and each step's lie in files of their own."""

WAREHOUSE_ROLES = ("admin", *SERVICE_ROLES)


def uri(conn_id: str) -> str:
    """The URI of a connection of this installation (libpq's, or http), password included: never log it.

    Raises PdicError where the file or the name is missing.
    """
    return to_uri(entry(conn_id))


def entry(conn_id: str) -> dict[str, Any]:
    """The fields of a connection of this installation, password included. Raises PdicError where the file or the name is missing."""
    known = load(settings.home())
    if conn_id not in known:
        raise PdicError(
            f"there is no connection {conn_id!r} in {settings.secret_path(FILE)} ({instead_of(conn_id, known)}): "
            "start the embedded PostgreSQL (`pdic up`) or add it there"
        )
    return known[conn_id]


def warehouse(role: str) -> str:
    """The URI of a warehouse login, by role: admin, loader, transformer, auditor, publisher, reader."""
    if role not in WAREHOUSE_ROLES:
        raise ValueError(f"{role!r} is not a warehouse role: one of {', '.join(WAREHOUSE_ROLES)}")
    return uri(f"pdic_warehouse_{role}")


def source(sector: str) -> str:
    """The URI of the read-only login in a sector's database."""
    return uri(f"pdic_source_{sector}")


def load(of: Path) -> dict[str, dict[str, Any]]:
    """Every connection of the home `of`; {} where there is no file. Raises PdicError where one is not JSON."""
    return {name: entry for file in (FILE, *MORE_FILES) for name, entry in _read(file, of).items()}


def _read(file: str, of: Path) -> dict[str, dict[str, Any]]:
    path = settings.secret_path(file, of)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise PdicError(
            f"{path} is not JSON (line {error.lineno}): restore it, or delete it to have it made again"
        ) from None
    if not isinstance(found, dict):
        raise PdicError(f"{path} must hold an object of connections by name")
    return found


def kept_from_services(conn_id: str, of: Path) -> bool:
    """Is this a login of an owner, in a file that is given to no step (containers), unlike the home, which they share?"""
    return settings.services_share(of) and any(conn_id in _read(file, of) for file in OWNERS_FILES)


def save(of: Path, connections: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes `connections` over those of the same name and keeps the others, in one step."""
    merged = {**_read(FILE, of), **connections}
    settings.make_private(settings.secret_path(FILE, of).parent)
    settings.write_private(settings.secret_path(FILE, of), json.dumps(merged, indent=2, sort_keys=True) + "\n")


def extra_of(connection: Mapping[str, Any]) -> dict[str, Any]:
    """A connection's `extra`, which is an object or JSON text."""
    extra = connection.get("extra") or {}
    return dict(json.loads(extra) if isinstance(extra, str) else extra)


def to_uri(connection: Mapping[str, Any]) -> str:
    """One URI from a connection's fields, by its `conn_type`.

    A database's is libpq's: `extra` (an object, or JSON text) becomes its parameters, as sslmode; `host` may name several
    with commas between, and a `port` that is one number is the port of each. That of `http` is a
    web address with the login in front; `schema` says https (the default) or http, and the whole `extra` travels as JSON in
    the parameter `extra` (`pdic.sources.rest.endpoint` reads it).
    """
    extra = extra_of(connection)
    if connection.get("conn_type") == "http":
        return _to_http_uri(connection, extra)
    database = quote(str(connection.get("schema") or ""), safe="")
    parameters = f"?{urlencode(sorted(extra.items()), quote_via=quote)}" if extra else ""
    return f"postgresql://{_authority(connection)}/{database}{parameters}"


def _to_http_uri(connection: Mapping[str, Any], extra: Mapping[str, Any]) -> str:
    scheme = connection.get("schema") or "https"
    parameters = urlencode({"extra": json.dumps(extra, sort_keys=True)}, quote_via=quote) if extra else ""
    return f"{scheme}://{_authority(connection)}/{f'?{parameters}' if parameters else ''}"


def _authority(connection: Mapping[str, Any]) -> str:
    login = quote(str(connection.get("login") or ""), safe="")
    password = quote(str(connection.get("password") or ""), safe="")
    who = f"{login}:{password}@" if password else f"{login}@" if login else ""
    hosts = str(connection.get("host") or "").split(",")
    ports = str(connection.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    if len(ports) != len(hosts):
        raise PdicError(
            f"a connection names {len(hosts)} hosts and {len(ports)} ports: give one port, or one for each host"
        )
    return who + ",".join(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True))
