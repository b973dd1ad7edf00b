"""The secrets of the containers, one file each: made once by `make init`, checked before anything starts.

Standard library only: `make init` runs it before anything is installed. A file that exists is never replaced.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from pdic import connections, logins, settings
from pdic.errors import PdicError

WAREHOUSE_HOST = "postgres"
DEMO_HOST = "demo-postgres"
ONE_STOP_HOST = "one-stop"
ONE_STOP_PORT = 8080
PORT = 5432
BROKER = "redis:6379"

CONNECTIONS, ADMIN_CONNECTIONS, DEMO_CONNECTIONS = connections.FILE, *connections.OWNERS_FILES
REDIS = "redis.conf"
NAMES = (
    "postgres_superuser",
    "demo_postgres_superuser",
    "airflow_admin",
    "airflow_api",
    "airflow_fernet",
    "airflow_jwt",
    "airflow_database",
    "celery_broker",
    "celery_result",
    "identity_key",
    REDIS,
    CONNECTIONS,
    ADMIN_CONNECTIONS,
    DEMO_CONNECTIONS,
    *connections.ROLE_FILES.values(),
)


def make(folder: Path) -> list[str]:
    """Makes every secret that `folder` has not; returns the names of those made."""
    settings.make_private(folder)
    made = []

    def write(name: str, text: Callable[[], str]) -> None:
        if not (folder / name).exists():
            settings.write_private(folder / name, text())
            made.append(name)

    def known(name: str) -> dict[str, dict[str, object]]:
        return dict(json.loads((folder / name).read_text(encoding="utf-8")))

    def as_json(logins_of: Iterable[logins.Login], host: str) -> str:
        return json.dumps(logins.entries(logins_of, {}, host, PORT), indent=2, sort_keys=True) + "\n"

    for name in ("postgres_superuser", "demo_postgres_superuser", "airflow_api", "airflow_jwt", "identity_key"):
        write(name, lambda: secrets.token_hex(settings.SECRET_BYTES))
    write("airflow_admin", lambda: secrets.token_urlsafe(18))
    write("airflow_fernet", lambda: base64.urlsafe_b64encode(os.urandom(32)).decode())
    write(ADMIN_CONNECTIONS, lambda: as_json((logins.ADMIN, logins.AIRFLOW), WAREHOUSE_HOST))
    write("airflow_database", lambda: connections.to_uri(known(ADMIN_CONNECTIONS)[logins.AIRFLOW.conn_id]))
    write(
        DEMO_CONNECTIONS,
        lambda: (
            json.dumps(
                logins.entries(logins.DEMO_OWNERS, {}, DEMO_HOST, PORT)
                | {
                    logins.ONE_STOP_SOURCE: logins.one_stop_entry(
                        logins.new_password(), ONE_STOP_HOST, ONE_STOP_PORT, plain_http=True
                    )
                },
                indent=2,
                sort_keys=True,
            )
            + "\n"
        ),
    )
    write(
        CONNECTIONS,
        lambda: (
            json.dumps(
                logins.entries(logins.DEMO_READERS, {}, DEMO_HOST, PORT)
                # The service has the file of the demo's owners, those who ask it have this one.
                | {name: entry for name, entry in known(DEMO_CONNECTIONS).items() if name == logins.ONE_STOP_SOURCE},
                indent=2,
                sort_keys=True,
            )
            + "\n"
        ),
    )
    made += _give_each_role_its_file(folder)
    if _correct_reader(folder / connections.ROLE_FILES["reader"]):
        made.append(connections.ROLE_FILES["reader"])
    if {REDIS, "celery_broker", "celery_result"} - {path.name for path in folder.iterdir()}:
        password = logins.new_password()  # the three belong together: one that is missing has all made anew
        texts = {
            REDIS: f'bind 0.0.0.0\nrequirepass {password}\nsave ""\nappendonly no\ndir /tmp\n',
            "celery_broker": f"redis://:{password}@{BROKER}/0",
            "celery_result": f"redis://:{password}@{BROKER}/1",
        }
        for name, text in texts.items():
            settings.write_private(folder / name, text)
            made.append(name)
    return made


def _give_each_role_its_file(folder: Path) -> list[str]:
    """Makes the file of every role of the warehouse that has none. Returns their names.

    A stack of a former version has all logins in `connections.json`: they move, each with its password and address.
    """
    path = folder / CONNECTIONS
    together = dict(json.loads(path.read_text(encoding="utf-8")))
    made = []
    for login, name in zip(logins.SERVICES, connections.ROLE_FILES.values(), strict=True):
        if not (folder / name).exists():
            new = logins.entries([login], {}, WAREHOUSE_HOST, PORT)
            _write_json(folder / name, {login.conn_id: together.get(login.conn_id, new[login.conn_id])})
            made.append(name)
    left = {name: entry for name, entry in together.items() if name not in {login.conn_id for login in logins.SERVICES}}
    if left != together:  # only now: a kill in between leaves the login in both
        _write_json(path, left)
    return made


def _write_json(path: Path, entries: dict[str, object]) -> None:
    settings.write_private(path, json.dumps(entries, indent=2, sort_keys=True) + "\n")


def _correct_reader(file: Path) -> bool:
    """Name the login of the usual reader as it is called now, where the file has the former one; returns whether. It keeps its password."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        entry = found[logins.READER.conn_id]
    except (json.JSONDecodeError, KeyError, TypeError):
        return False  # `check` says what is wrong with it
    if entry.get("login") != "pdic_reader":
        return False
    found[logins.READER.conn_id] = {**entry, "login": logins.READER.role}
    _write_json(file, found)
    return True


def check(folder: Path, names: Iterable[str] = NAMES) -> None:
    """Raises PdicError naming every secret of `folder` that is missing, empty, a default, or not what it must be."""
    troubles = [trouble for name in names if (trouble := _trouble(folder / name))]
    if troubles:
        raise PdicError(
            f"nothing was started: {'; '.join(troubles)}. `make init` makes a file that is missing and leaves the others as "
            "they are; restore one that was lost, for databases keep the passwords they were made with"
        )


def _trouble(path: Path) -> str | None:
    if not path.is_file():
        return f"the secret {path.name} is missing"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except PermissionError:
        return f"the secret {path.name} may not be read by user {os.getuid()} (PDIC_UID in .env)"
    if not text:
        return f"the secret {path.name} is empty"
    if not path.name.endswith((".json", ".conf")) and len(text) < 16:
        return f"the secret {path.name} is shorter than 16 characters"
    if path.suffix == ".json":
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            return f"the secret {path.name} is not JSON (line {error.lineno})"
        if not isinstance(found, dict):
            return f"the secret {path.name} must hold an object of connections by name"
        open_logins = sorted(
            name for name, entry in found.items() if entry.get("conn_type") == "postgres" and not entry.get("password")
        )
        if open_logins:
            return f"the secret {path.name} has no password for {', '.join(open_logins)}"
    return None
