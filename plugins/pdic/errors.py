"""The errors that PDIC raises on purpose. Each says what is wrong, where, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Collection

MOST_LISTED = 8
"""So many names are all listed where one is wrong; of more, the nearest."""


class PdicError(Exception):
    """A refusal that a person can act on. `retryable` tells schedulers whether trying again can help."""

    exit_code = 1
    retryable = False


class Unforeseen(PdicError):
    """Something failed in a way that PDIC did not foresee: a fault of PDIC's, or of the machine's."""


class SourceUnavailable(PdicError):
    """A source database could not be reached or broke off; the same command may succeed later."""

    retryable = True


class SourceUnreachable(SourceUnavailable):
    """Nobody answers at a source: the server is away, starts, or has no free connection. Waiting for hours can help."""


class SourceRefused(PdicError):
    """A source refuses the login: a password, a database or a right is wrong. It is not tried again by itself.

    A server may lock an account after a few refused tries, and only a person can mend it.
    """


class WarehouseUnavailable(PdicError):
    """The warehouse did not answer in time, or went away in the middle of a step; the same command may succeed later."""

    retryable = True


class DiskFull(PdicError):
    """A disk has no room left. Nothing is lost, and the same command goes on once there is room."""

    retryable = True


class WarehouseRefused(PdicError):
    """The warehouse refuses the login: a connection is wrong, or the warehouse was never set up."""


class DriftError(PdicError):
    """A source table no longer is what its contract says; nothing was moved."""


class OnboardError(PdicError):
    """A table cannot be taken on as it is asked; no file was written."""


class LoadError(PdicError):
    """A batch could not be extracted, checked or accepted; accepted data is untouched."""


class BatchFenced(LoadError):
    """This batch may not be accepted any more. `newer` is the batch of the load that took over; None where there is none."""

    def __init__(self, message: str, newer: int | None = None) -> None:
        super().__init__(message)
        self.newer = newer


class BatchRejected(LoadError):
    """A halting rule failed: the whole batch is held and accepted data is untouched."""


class ReleaseError(PdicError):
    """A release could not be built, audited or published; readers still see the former one."""


class ReleaseFenced(ReleaseError):
    """A newer release has begun; this one may not go on."""


class ReleaseHeld(ReleaseError):
    """A release is too unlike the live one: readers keep that one until a person approves."""


class TableHeld(PdicError):
    """Another session held a table or a row of the warehouse for longer than a step waits. It may be free the next time."""

    retryable = True


class Busy(PdicError):
    """Another process holds the lock of this dataset or release."""

    retryable = True


class Interrupted(PdicError):
    """A signal stopped the command. Nothing is lost, and the same command begins anew."""

    retryable = True


OUTAGES = (SourceUnreachable, WarehouseUnavailable)
"""What every dataset of a sector waits for alike."""


def passing() -> list[type[PdicError]]:
    """The kinds of refusal that trying again can heal, by name."""
    kinds = (found for found in globals().values() if isinstance(found, type) and issubclass(found, PdicError))
    return sorted((kind for kind in kinds if kind.retryable), key=lambda kind: kind.__name__)


def instead_of(name: str, known: Collection[str]) -> str:
    """What there is where nothing is called ``name``: every name of few, else how many there are and those that are most like it."""
    if len(known) <= MOST_LISTED:
        return f"there is {', '.join(sorted(known))}" if known else "there is none"
    like = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return (
        f"of the {len(known):,} that there are, the nearest: {', '.join(like)}"
        if like
        else f"none of the {len(known):,} that there are is like it"
    )
