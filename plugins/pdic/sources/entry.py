"""The door of a source's PostgreSQL: a session, or a refusal that says whether to try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg2

from pdic.errors import PdicError, SourceRefused, SourceUnavailable, SourceUnreachable
from pdic.sources.session import SHORT, Limits, open_session
from pdic.warehouse import outages
from pdic.warehouse.connect import first_line

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def enter(
    uri: str, step: str, whose: str, conn_id: str, *, autocommit: bool = False, limits: Limits = SHORT
) -> Connection:
    """Open a session with the source `whose` (as it reads in a sentence), whose login is the connection `conn_id`.

    Tries once. Raises `SourceRefused` where the login is refused, `SourceUnreachable` where the server is away, starts, or has no
    connection left.
    """
    try:
        return open_session(uri, step, autocommit=autocommit, limits=limits)
    except psycopg2.OperationalError as error:
        raise no_entry(uri, error, whose, conn_id) from error


@contextmanager
def staying(whose: str) -> Iterator[None]:
    """While a session with the source `whose` is used. Raises `SourceUnavailable` where its server goes away."""
    try:
        yield
    except psycopg2.Error as error:
        if (cause := outages.lost(error)) is None:
            raise
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
        "account is not locked: correct the password, the database's name or the login's rights, then try again"
    )
