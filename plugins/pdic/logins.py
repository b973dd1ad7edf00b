"""Which logins there are, each for one database. Standard library only: `make init` runs it before anything is installed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SECTORS = ("civil_registry", "education", "health", "investment")
"""The sectors of the demo province that let us into their databases."""

ONE_STOP = "one_stop"
"""The sector of the demo province that gives its data by a service; only that enters its database."""

STEP_ROLES = ("auditor", "loader", "publisher", "transformer")
SERVICE_ROLES = (*STEP_ROLES, "reader")


@dataclass(frozen=True)
class Login:
    """One login: the connection that names it, its role in the server, the database it is for."""

    conn_id: str
    role: str
    database: str


AIRFLOW = Login("airflow_db", "airflow", "airflow")
ADMIN = Login("pdic_warehouse_admin", "pdic_admin", "warehouse")
STEPS = tuple(Login(f"pdic_warehouse_{role}", f"pdic_{role}", "warehouse") for role in STEP_ROLES)
READER = Login("pdic_warehouse_reader", "reader_analyst", "warehouse")
"""The reader that is always there. `pdic reader add` makes others; the role pdic_reader, which holds their rights, cannot log in."""
SERVICES = (*STEPS, READER)
DEMO_OWNERS = tuple(Login(f"pdic_demo_{name}", f"{name}_owner", name) for name in (*SECTORS, ONE_STOP, "truth"))
DEMO_READERS = tuple(Login(f"pdic_source_{sector}", f"pdic_reader_{sector}", sector) for sector in SECTORS)
ONE_STOP_OWNER = f"pdic_demo_{ONE_STOP}"
ONE_STOP_SOURCE = f"pdic_source_{ONE_STOP}"


def one_stop_entry(api_key: str, host: str, port: int, *, plain_http: bool = False) -> dict[str, Any]:
    """The connection to the demo's one-stop service. `plain_http`: on another machine, over a network that is trusted."""
    extra = {"auth": "api_key"} | ({"allow_plain_http": True} if plain_http else {})
    address = {"conn_type": "http", "host": host, "port": port, "schema": "http"}
    return {**address, "login": "pdic", "password": api_key, "extra": extra}


def new_password() -> str:
    """A random password (256 bits) that needs no escaping in a URI."""
    return secrets.token_urlsafe(32)


def entries(
    logins: Iterable[Login], known: Mapping[str, Mapping[str, Any]], host: str, port: int
) -> dict[str, dict[str, Any]]:
    """Connections by name, in the form of `secrets/connections.json`; a password that is `known` stays."""
    return {
        login.conn_id: {
            "conn_type": "postgres",
            "host": host,
            "port": port,
            "login": login.role,
            "password": known.get(login.conn_id, {}).get("password") or new_password(),
            "schema": login.database,
        }
        for login in logins
    }
