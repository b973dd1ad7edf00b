"""Which logins there are, each for one database. Standard library only: `make init` runs it before anything is installed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SECTORS = ("civil_registry", "education", "health", "investment")
"""The sectors of the demo province, each with a database of its own."""

SERVICE_ROLES = ("auditor", "loader", "publisher", "reader", "transformer")


@dataclass(frozen=True)
class Login:
    """One login: the connection that names it, its role in the server, the database it is for."""

    conn_id: str
    role: str
    database: str


AIRFLOW = Login("airflow_db", "airflow", "airflow")
ADMIN = Login("pdic_warehouse_admin", "pdic_admin", "warehouse")
SERVICES = tuple(Login(f"pdic_warehouse_{role}", f"pdic_{role}", "warehouse") for role in SERVICE_ROLES)
DEMO_OWNERS = tuple(Login(f"pdic_demo_{name}", f"{name}_owner", name) for name in (*SECTORS, "truth"))
DEMO_READERS = tuple(Login(f"pdic_source_{sector}", f"pdic_reader_{sector}", sector) for sector in SECTORS)


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
