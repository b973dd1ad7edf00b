"""The one-shot jobs: `initialise` makes and migrates the databases, `fill_demo` makes the demo province."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pdic import accounts, airflow_api, connections, settings, warehouse
from pdic.airflow_names import POOL, POOL_SLOTS
from pdic.containers import secret_files
from pdic.errors import PdicError
from pdic.generated.catalogue import SECTORS

ADMIN = "admin"
API = "http://api-server:8080"
API_SECONDS = 600
Tell = Callable[[str], None]


def initialise(tell: Tell) -> None:
    """Databases, logins, migrations, Airflow's pools and its admin. Doing it again changes nothing that is there."""
    known = connections.load(settings.home())
    tell("databases and logins")
    accounts.provide_warehouse(_superuser_uri("postgres_superuser", secret_files.WAREHOUSE_HOST), known)
    tell("the warehouse's schemas")
    warehouse.migrate(connections.warehouse("admin"))
    tell("Airflow's tables")
    _airflow("db", "migrate")
    tell("Airflow's pools and its admin")
    _make_pools()
    _make_admin(settings.secret("airflow_admin"))


def fill_demo(citizens: int, seed: int, tell: Tell) -> None:
    """Makes the demo's databases and people, then lets the sectors' readers in and asks for the loads that did not run yet."""
    known = connections.load(settings.home())
    superuser = _superuser_uri("demo_postgres_superuser", secret_files.DEMO_HOST)
    tell("the sectors' databases")
    accounts.provide_demo(superuser, known)
    _seed(citizens, seed, tell)
    tell("waiting for Airflow")
    api = _log_in(settings.secret("airflow_admin"))
    for sector in sorted(SECTORS):
        dag_id = f"load_{sector}"
        api.wait_for_dag(dag_id, API_SECONDS)
        if not {"queued", "running", "success"} & {run["state"] for run in api.runs(dag_id)}:
            tell(f"asking for {dag_id}")
            api.trigger(dag_id)


def _seed(citizens: int, seed: int, tell: Tell) -> None:
    from pdic.cli.demo import seed_databases

    report = seed_databases(citizens, seed)
    tell("seeded already; nothing changed" if report.get("already") else f"seeded {citizens:,} citizens")


def _superuser_uri(secret: str, host: str) -> str:
    login = {"host": host, "port": secret_files.PORT, "login": "postgres", "schema": "postgres"}
    return connections.to_uri({**login, "password": settings.secret(secret)})


def _airflow(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "airflow", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise PdicError(f"`airflow {' '.join(arguments)}` failed: {(done.stderr or done.stdout)[-2000:]}")


def _make_pools() -> None:
    from airflow.models.pool import Pool

    for sector in sorted(SECTORS):
        text = f"connections to the source {sector} at a time"
        Pool.create_or_update_pool(POOL.format(sector=sector), POOL_SLOTS, text, include_deferred=False)


def _make_admin(password: str) -> None:
    """The one login of Airflow's pages. An admin that is there keeps the password that was set there since."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager: Any = builder.sm
        if manager.find_user(username=ADMIN) is None:
            made = manager.add_user(ADMIN, "PDIC", "Admin", "admin@localhost", manager.find_role("Admin"), password)
            if not made:
                raise PdicError("Airflow did not make its admin: see the messages above")


def _log_in(password: str) -> airflow_api.Api:
    deadline = time.monotonic() + API_SECONDS
    while True:
        try:
            return airflow_api.log_in(API, ADMIN, password)
        except PdicError:
            if time.monotonic() > deadline:
                raise
            time.sleep(3)


def airflow_config() -> str:
    """The `airflow.cfg` of the image: what all ways to run share, and what containers need."""
    from pdic import airflow_config as config

    def read(name: str) -> str:
        return f"cat /run/secrets/{name}"

    return config.render(
        config.common(read, settings.project_root(), Path("/var/log/pdic")),
        {
            "core": {
                "executor": "CeleryExecutor",
                "parallelism": 32,
                "auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
                "execution_api_server_url": f"{API}/execution/",
            },
            "fab": {"config_file": settings.project_root() / "deploy" / "webserver_config.py"},
            "api": {"host": "0.0.0.0", "port": 8080},  # noqa: S104 (inside the containers' network)
            "celery": {
                "broker_url_cmd": read("celery_broker"),
                "result_backend_cmd": read("celery_result"),
                "worker_concurrency": 2,
            },
            # A worker that is gone is noticed within a minute or two; what it did begins again elsewhere.
            "scheduler": {
                "enable_health_check": True,
                "task_instance_heartbeat_timeout": 60,
                "task_queued_timeout": 180,
            },
        },
    )
