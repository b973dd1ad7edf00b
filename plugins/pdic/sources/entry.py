"""The door of a source's PostgreSQL: a session, or a refusal that says whether to try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

import psycopg2

from pdic.errors import PdicError, SourceRefused, SourceUnavailable, SourceUnreachable
from pdic.sources.session import SHORT, Limits, open_session
from pdic.warehouse import outages, silence
from pdic.warehouse.connect import CONNECT_SECONDS, Session, first_line, where

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


AGAIN_SECONDS: Final = 2
"""How long a server that let nobody in has the next time: the datasets of a source that hangs do not each wait for it in full."""
_away: set[str] = set()
"""Servers that gave no answer in all the time they had when this process last tried. (Who refuses at once costs nobody time.)"""


def enter(
    uri: str, step: str, whose: str, conn_id: str, *, autocommit: bool = False, limits: Limits = SHORT
) -> Connection:
    """Open a session with the source `whose` (as it reads in a sentence), whose login is the connection `conn_id`.

    Tries once. Raises `SourceRefused` where the login is refused, `SourceUnreachable` where the server is away, starts, or has no
    connection left.
    """
    server, began = where(uri), monotonic()
    patience = AGAIN_SECONDS if server in _away else CONNECT_SECONDS
    try:
        connection = open_session(uri, step, autocommit=autocommit, limits=limits, patience=patience)
    except psycopg2.OperationalError as error:
        waited = monotonic() - began
        refusal = no_entry(uri, error, whose, conn_id)
        if isinstance(refusal, SourceUnreachable) and waited > AGAIN_SECONDS:
            _away.add(server)
        else:
            _away.discard(server)
        raise refusal from error
    _away.discard(server)
    if isinstance(connection, Session):
        connection.watched.whose = whose
    silence.forget(whose)
    return connection


@contextmanager
def staying(whose: str) -> Iterator[None]:
    """While a session with the source `whose` is used. Raises `SourceUnavailable` where its server goes away."""
    try:
        yield
    except psycopg2.Error as error:
        if (cause := outages.lost(error)) is None:
            raise
        if (why := silence.broken(whose)) is not None:
            raise SourceUnavailable(f"{whose} {why}. See that its server is well, then try again") from error
        raise SourceUnavailable(f"{whose} broke off ({type(cause).__name__}): try again") from error


def no_entry(uri: str, error: BaseException, whose: str, conn_id: str) -> PdicError:
    """The refusal that a failed connection to a source becomes."""
    reason = outages.reason(uri, error)
    if reason.passes:
        return SourceUnreachable(
            f"{whose} cannot be reached: its server {reason.value} ({first_line(error)}). Check the connection {conn_id} and that "
            "the server is up, then try again"
        )
    return SourceRefused(
        f"{whose} refuses the login of connection {conn_id} ({first_line(error)}). It is not tried again by itself, so that the "
        "account is not locked: correct the password, the database's name, the login's rights or the way in (sslmode), then try again"
    )
