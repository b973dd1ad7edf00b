"""The command line: a thin face over the functions of this package."""

from pdic.cli import connection, containers, demo, onboard, reconcile  # add their commands to the app
from pdic.cli.app import main

__all__ = ["connection", "containers", "demo", "main", "onboard", "reconcile"]
