"""The command line: a thin face over the functions of this package."""

from pdic.cli import containers, demo, reconcile  # add their commands to the app
from pdic.cli.app import main

__all__ = ["containers", "demo", "main", "reconcile"]
