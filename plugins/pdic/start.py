"""The program `pdic`. It imports as little as it can, so that a signal ends it quietly from its first moment on."""

import sys

from pdic import stopping


def main() -> None:
    """Run a command; importing its libraries takes up to a second."""
    stopping.heed()
    try:
        from pdic.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(stopping.exit_code())
