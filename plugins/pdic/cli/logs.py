"""What a command logs: warnings in one line on standard error, everything in the home's `log/pdic.log`."""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from pdic.cli.output import tell

FILE: Final = "pdic.log"
MOST_BYTES: Final = 10_000_000


def begin(home: Path) -> None:
    """Log from now on. The file is made when there is something to keep."""
    logger = logging.getLogger("pdic")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_Lines(logging.WARNING), _File(home / "log" / FILE)]


class _Lines(logging.Handler):
    """Warnings where a person sees them, beside the line that shows progress."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(f"pdic: {record.getMessage()}", "yellow")


class _File(logging.FileHandler):
    """The file, and before it the one that it followed when that had grown large."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self.setFormatter(logging.Formatter(f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s"))

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > MOST_BYTES:
            path.replace(path.with_suffix(".log.1"))
        path.touch(mode=0o600)
        path.chmod(0o600)  # one that was made before, by whatever umask
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:
        """A home that cannot be written to: said once, and the command goes on."""
        tell(f"pdic: {self.baseFilename} cannot be written, so what happens is not kept: {sys.exc_info()[1]}", "yellow")
        logging.getLogger("pdic").removeHandler(self)
