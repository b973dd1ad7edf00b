"""The program `pdic`. It imports as little as it can, so that Ctrl-C ends it quietly from its first moment on."""

import sys

INTERRUPTED = 130
"""Shells give a program that Ctrl-C ended this exit code."""


def main() -> None:
    """Run a command; importing its libraries takes up to a second."""
    try:
        from pdic.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
