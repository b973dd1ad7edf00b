"""The command line: a thin face over the functions of this package."""

from pdic.cli.app import main

__all__ = ["main"]
