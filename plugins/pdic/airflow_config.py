"""Airflow's configuration: what all ways to run share, and the embedded home's file, written anew at each start.

Secrets are not in it: where Airflow takes a `*_cmd` option, the file names the command that reads `secrets/`, so that no secret
shows in a process list, in an environment that tasks inherit, or in this file. `AIRFLOW_HOME=<home>/airflow airflow …` works.
"""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping
from configparser import RawConfigParser
from pathlib import Path

from pdic import connections, settings
from pdic.airflow_names import TIME_ZONE
from pdic.ports import HOST

ADMIN = "admin"
PASSWORDS = "airflow_passwords.json"  # noqa: S105 (the name of the file)
DATABASE = "airflow_database"
Sections = Mapping[str, Mapping[str, object]]

BACKEND = "pdic.airflow_secrets.SecretFiles"


def write(home: Path, port: int, parallelism: int) -> bool:
    """Writes the configuration for an API server on `port`; returns whether it differs from the one that was there."""
    _make_secrets(home)
    path = home / "airflow" / "airflow.cfg"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    text = _text(home, port, parallelism)
    changed = not path.exists() or path.read_text(encoding="utf-8") != text
    if changed:
        settings.write_private(path, text)
    return changed


def environment(home: Path) -> dict[str, str]:
    """The environment of Airflow's processes: the caller's, without another Airflow's settings."""
    # Tasks are processes, many of them: each would compile its modules anew for seconds if it could not keep the result.
    dropped = ("AIRFLOW_", "_AIRFLOW_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    # Tasks talk to the API server over 127.0.0.1; a proxy meant for the outside must not get in between.
    local = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), HOST, "localhost"]))
    return {
        **kept,
        "AIRFLOW_HOME": str(home / "airflow"),
        "PDIC_HOME": str(home),
        "PDIC_ROOT": str(settings.project_root()),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": local,
        "no_proxy": local,
    }


def password(home: Path) -> str:
    """The web login's password, made at the first start."""
    found = json.loads(settings.secret(PASSWORDS, of=home))
    return str(found[ADMIN])


def _make_secrets(home: Path) -> None:
    for name in ("airflow_jwt", "airflow_api"):
        settings.secret(name, create=True, of=home)
    fernet = settings.secret_path("airflow_fernet", home)
    if not fernet.exists():
        settings.write_private(fernet, base64.urlsafe_b64encode(os.urandom(32)).decode())
    passwords = settings.secret_path(PASSWORDS, home)
    if not passwords.exists():
        settings.write_private(passwords, json.dumps({ADMIN: secrets.token_urlsafe(18)}) + "\n")
    database = connections.load(home)["airflow_db"]
    settings.write_private(settings.secret_path(DATABASE, home), connections.to_uri(database))


def _text(home: Path, port: int, parallelism: int) -> str:
    def read(name: str) -> str:
        return f"cat {shlex.quote(str(settings.secret_path(name, home)))}"

    base_url = f"http://{HOST}:{port}"
    log = home / "log" / "airflow"
    return render(
        common(read, settings.project_root(), log),
        {
            "core": {
                "executor": "LocalExecutor",
                "parallelism": parallelism,
                "simple_auth_manager_users": f"{ADMIN}:admin",
                "simple_auth_manager_passwords_file": settings.secret_path(PASSWORDS, home),
                # Without this, tasks report to whoever owns port 8080.
                "execution_api_server_url": f"{base_url}/execution/",
            },
            "api": {"host": HOST, "port": port, "base_url": base_url},
        },
    )


def common(read: Callable[[str], str], root: Path, log: Path) -> Sections:
    """The settings that every way to run shares. `read` gives the command that prints a secret, `log` is the log folder."""
    return {
        "core": {
            "dags_folder": root / "dags",
            "plugins_folder": root / "plugins",
            "load_examples": False,
            # Many processes start together on few cores; a slow import is no error.
            "dagbag_import_timeout": 120,
            "dags_are_paused_at_creation": False,
            "default_timezone": TIME_ZONE,
            "fernet_key_cmd": read("airflow_fernet"),
        },
        "database": {"sql_alchemy_conn_cmd": read(DATABASE)},
        "api": {
            "workers": 1,
            "secret_key_cmd": read("airflow_api"),
            "expose_config": False,
            "instance_name": "PDIC",
        },
        "api_auth": {"jwt_secret_cmd": read("airflow_jwt")},
        # Tasks alone know connections: what runs elsewhere has no use for a login of a source or of the warehouse.
        "workers": {
            "secrets_backend": BACKEND,
            "execution_api_timeout": 30,
        },
        "logging": {
            "base_log_folder": log,
            "dag_processor_child_process_log_directory": log / "dag_processor",
            "file_task_handler_new_folder_permissions": "0o700",
            "file_task_handler_new_file_permissions": "0o600",
            "colored_console_log": False,
            # Imported after Airflow, Great Expectations tells of every function it registers.
            "namespace_levels": "great_expectations=WARNING http.access=WARNING",
        },
        "scheduler": {
            # After a kill -9, tasks of the scheduler that is gone start again within a minute, not after five.
            "orphaned_tasks_check_interval": 30,
            "task_instance_heartbeat_timeout": 120,
            "catchup_by_default": False,
        },
        "dag_processor": {
            "parsing_processes": 1,
            "dag_file_processor_timeout": 180,
            "min_file_process_interval": 60,
            "refresh_interval": 60,
            "dag_version_inflation_check_level": "error",
        },
    }


def render(*parts: Sections) -> str:
    """The text of an `airflow.cfg`; a later part's options win."""
    parser = RawConfigParser()
    for sections in parts:
        for section, options in sections.items():
            if not parser.has_section(section):
                parser.add_section(section)
            for name, value in options.items():
                parser.set(section, name, str(value).replace("%", "%%"))
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()
