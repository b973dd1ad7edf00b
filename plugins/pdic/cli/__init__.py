"""The command line: a thin face over the functions of this package."""

from pdic.cli import (
    airflow,
    connection,
    containers,
    demo,
    history,
    onboard,
    reconcile,
    status,
)  # add their commands to the app
from pdic.cli.app import main

__all__ = ["airflow", "connection", "containers", "demo", "history", "main", "onboard", "reconcile", "status"]
