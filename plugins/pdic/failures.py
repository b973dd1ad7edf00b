"""What may be said of an error that nobody foresaw: its kind and where it came from. Its own words can quote a row."""

from __future__ import annotations

import errno
import logging
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from pdic import settings, stopping
from pdic.errors import DiskFull, PdicError, TableHeld
from pdic.warehouse import outages, unusable

DATABASE_LIBRARIES = {"psycopg", "psycopg2", "sqlalchemy"}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_PACKAGE = Path(__file__).parent
_IN_BETWEEN = {"statements.py"}
"""Modules that pass on what others ask for: an error that goes through them comes from who asked."""
_BROKEN_OFF = {"OperationalError", "InterfaceError"}


def in_words(error: BaseException) -> PdicError | None:
    """The refusal that an error is, or means: one of ours, a warehouse that went away, a lock that was waited for in vain, a full disk.

    None for an error nobody foresaw.
    """
    if isinstance(error, PdicError) and not error.retryable:
        return error
    if (stopped := stopping.refusal()) is not None:  # what else went wrong since then comes from that
        return stopped
    if isinstance(error, PdicError):
        return error
    if outages.is_locked_out(error):
        return TableHeld(
            "another session held a table or row of the warehouse that was needed here, and was waited for in vain. Nothing was "
            "changed: have it end its transaction, then run the same command again"
        )
    return _full_disk(error) or unusable(error)


def _full_disk(error: BaseException) -> DiskFull | None:
    """The refusal that says which disk of this machine is full, where `error` means that."""
    found = [each for each in outages.chain(error) if isinstance(each, OSError) and each.errno in _NO_ROOM]
    if not found:
        return None
    where = found[-1].filename or min((settings.home(), Path(tempfile.gettempdir())), key=_room)
    return DiskFull(
        f"the disk of {where} is full. Nothing that was accepted or published is lost: make room on that disk, then run the same "
        "command again"
    )


def _room(folder: Path) -> int:
    """Bytes that are free on the disk of a folder, or of the one above it that is there."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free


def words(error: BaseException) -> str:
    """What a report may say of any error: a refusal's own words, else its kind and the place in PDIC's code."""
    refusal = in_words(error)
    return kind(error) if refusal is None else str(refusal)


def kind(error: BaseException) -> str:
    """What kind of error this is and where it was raised, without its message."""
    return of_database(error) or " ".join(filter(None, [type(error).__name__, raised_in(error)]))


def of_database(error: BaseException) -> str | None:
    """A database's error without its message (`duplicate key … (079301000001)` names a person); None for other errors."""
    for found in outages.chain(error):
        code = outages.sqlstate(found)
        if code or type(found).__module__.split(".")[0] in DATABASE_LIBRARIES:
            diagnosis = getattr(found, "diag", None)
            names = [getattr(diagnosis, f"{part}_name", None) for part in ("schema", "table", "column", "constraint")]
            where = ".".join(name for name in names if name)
            said = [type(found).__name__, code and f"(SQLSTATE {code})", where and f"at {where}", raised_in(error)]
            return " ".join(filter(None, said))
    return None


def raised_in(error: BaseException) -> str | None:
    """The last line of PDIC's own code that an error passed through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(Path(frame.filename))]
    return f"in {Path(frames[-1].filename).name}:{frames[-1].lineno} ({frames[-1].name})" if frames else None


def _is_ours(path: Path) -> bool:
    return path.is_relative_to(_PACKAGE) and path.name not in _IN_BETWEEN


def trace(error: BaseException) -> str:
    """Where an error and its causes passed through, one line a frame: places and kinds, no value."""
    lines = []
    for found in outages.chain(error):
        lines.append(type(found).__name__)
        lines += [
            f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(found.__traceback__)
        ]
    return "\n".join(lines)


def may_pass(error: BaseException) -> bool:
    """Whether the same step may go well another time: a refusal that says so, or a database that broke off."""
    if (refusal := in_words(error)) is not None:
        return refusal.retryable
    return any(
        base.__name__ in _BROKEN_OFF and base.__module__.split(".")[0] in DATABASE_LIBRARIES
        for found in outages.chain(error)
        for base in type(found).__mro__
    )


@contextmanager
def driver_silent(logger: logging.Logger) -> Iterator[None]:
    """While the block runs, an error that a driver prints goes to the log instead, by its kind.

    psycopg2 prints one, with a traceback, where a server ends a session in the middle of a copy. It raises another one then,
    which is told as any other.
    """
    former = sys.excepthook

    def hook(kind_of: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
        if isinstance(error, SystemError) or of_database(error):
            logger.info("a driver met %s", kind(error))
        else:
            former(kind_of, error, frames)

    sys.excepthook = hook
    try:
        yield
    finally:
        sys.excepthook = former


def log(logger: logging.Logger, where: str, error: BaseException) -> None:
    """Keep the trace of an error that nobody foresaw, for who mends it. A refusal needs none: its words say it all."""
    if not isinstance(error, PdicError):
        logger.info("%s failed: %s\n%s", where, kind(error), trace(error))
