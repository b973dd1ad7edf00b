"""`pdic --version`: the package's version, and the commit of the checkout it runs from where there is one."""

from __future__ import annotations

import importlib.metadata
import subprocess

import typer

from pdic import settings
from pdic.cli.output import say
from pdic.errors import PdicError


def version() -> str:
    """`pdic 0.1.0 (cc7af68)`; `-dirty` where files differ from the commit; no brackets where no commit is known."""
    said = f"pdic {importlib.metadata.version('pdic')}"
    found = _commit()
    return f"{said} ({found})" if found else said


def print_version(asked: bool) -> None:
    """The callback of `--version`: print it and exit."""
    if asked:
        say(version())
        raise typer.Exit


def _commit() -> str | None:
    """The checkout's commit, shortened; None where it has none, or where git is not installed."""
    try:
        root = settings.project_root()
        if not (root / ".git").exists():
            return None
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"],  # noqa: S607 (git as it is found)
            check=False,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (PdicError, OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
