"""The machine beneath the commands: an embedded PostgreSQL and the demo's service, started when needed, and Airflow."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from pdic import connections, settings


def ensure_warehouse() -> Path:
    """Make sure that this home's databases answer; returns the home.

    An embedded home is started when it is not running, and again where it dies before the command has ended. It is migrated:
    the code may be newer than its warehouse. A home whose connections were given to it (containers) is left alone: whoever
    gave the connections runs the servers.
    """
    home = settings.home()
    if is_embedded(home):
        from pdic import demo_service, embedded, warehouse
        from pdic.warehouse import rights

        if embedded.status(home) is None or not rights.in_force(connections.warehouse("admin")):
            embedded.start(home)
        warehouse.mend_by(partial(embedded.revive, home))
        warehouse.migrate(connections.warehouse("admin"))
        demo_service.ensure(home)
    return home


def is_embedded(home: Path) -> bool:
    """Does this home run its own PostgreSQL (the default), or was it given connections to another's?"""
    return bool(settings.read_state(home, "postgres")) or not settings.secret_path(connections.FILE, home).exists()


def describe(home: Path) -> dict[str, Any]:
    """Is the embedded server running, and Airflow? How much room is there on the home's disk?"""
    from pdic import airflow_stack, demo_service, embedded

    server = embedded.status(home)
    return {
        "home": str(home),
        "postgres": {"running": server is not None, "port": server.port if server else None},
        "airflow": airflow_stack.health(home),
        "one_stop": {"running": demo_service.running(home)},
        "disk": {"of": str(home), "free_bytes": shutil.disk_usage(home).free if home.is_dir() else None},
    }
