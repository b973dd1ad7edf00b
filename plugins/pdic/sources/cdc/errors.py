"""What stops a capture from the log, beside an unreachable source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import psycopg2

from pdic.errors import LoadError, SourceUnavailable
from pdic.sources.cdc.pgoutput import NotPgoutput
from pdic.sources.guest import NOT_OF_ITS_ENCODING, full, how_it_ended, source_of, unreadable
from pdic.warehouse import outages, unusable

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


class NotGranted(LoadError):
    """The source lacks something that reading its log needs: a setting, a right, a publication, a replica identity."""


class SlotLost(LoadError):
    """The log no longer leads from the accepted state to the source's present one: the table has to be copied anew."""


def not_granted(contract: Contract, what: str, remedy: str) -> NotGranted:
    """The refusal of a load: what is missing, and what the source's administrator runs."""
    return NotGranted(
        f"{contract.id}: capture cdc cannot read {contract.table}: {what}. Nothing was moved. Have the source's "
        f"administrator run: {remedy}. Or change the capture in {contract.path} (docs/cdc.md)."
    )


@contextmanager
def in_words(contract: Contract, source: Connection) -> Iterator[None]:
    """Foreign errors become PDIC's, by their kind only: their own words can quote a row. `source` is the session with the source."""
    try:
        yield
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        if not _is_of(source, error) and (refusal := unusable(error)):
            raise refusal from error
        if outages.disk_full(error) is not None:
            raise full(contract) from error
        raise SourceUnavailable(
            f"{source_of(contract)} {how_it_ended(contract, error)}. Nothing was moved; load again."
        ) from error
    except (psycopg2.Error, psycopg.Error) as error:
        if refusal := unusable(error):
            raise refusal from error
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        if isinstance(error, psycopg2.Error) and state in NOT_OF_ITS_ENCODING:
            raise unreadable(contract) from error
        side = "the source" if isinstance(error, psycopg2.Error) else "the warehouse"
        raise LoadError(
            f"{contract.id}: {side} refused a step of reading the log ({type(error).__name__}, SQLSTATE {state}). Nothing was "
            f"accepted and the slot stands where it was. If loading again does not help, run "
            f"`pdic load {contract.id} --full`."
        ) from error
    except NotPgoutput as error:
        raise LoadError(
            f"{contract.id}: the source's log holds what PDIC does not understand ({error}). Nothing was accepted and the slot "
            f"stands where it was. Use another capture in {contract.path}, and report it."
        ) from error


def _is_of(source: Connection, error: psycopg2.Error) -> bool:
    """Whether the session with the source raised it: rows go to the warehouse by the same driver."""
    cursor = error.cursor
    return bool(source.closed) if cursor is None else cursor.connection is source


def lost(contract: Contract, what: str) -> SlotLost:
    """The refusal to go on from a position that the log no longer continues, and the way out."""
    return SlotLost(
        f"{contract.id}: {what}. Changes may be missing from the log, so nothing was moved; accepted data is untouched. Run "
        f"`pdic load {contract.id} --full`: the table is copied anew and compared with what was accepted."
    )
