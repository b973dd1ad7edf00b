"""Why a server of PostgreSQL did not let us in, and whether it went away in the middle of our work.

libpq hands on no SQLSTATE of a refused connection, and the server may speak any language. So the server is asked once more,
without a password (libpq's ping): that tells a server that is away or starting up from one that answers, in every language,
and counts as no try of the login.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

import psycopg
import psycopg2
from psycopg import pq
from psycopg2.extensions import make_dsn, parse_dsn

PING_SECONDS: Final = 5


class Reason(Enum):
    """Why there is no session. The value reads after "the server …"."""

    AWAY = "does not answer"
    STARTING = "is starting up, shutting down or recovering"
    FULL = "has no free connection"
    REFUSED = "refuses the login"

    @property
    def passes(self) -> bool:
        """Can waiting help? Never where the login was refused: a server may lock an account after a few tries."""
        return self is not Reason.REFUSED


_SAYS: Final = (
    (Reason.FULL, re.compile("too many clients|too many connections|remaining connection slots|no more connections")),
    (Reason.STARTING, re.compile("the database system is |terminating connection")),
    (
        Reason.REFUSED,
        re.compile(
            "authentication failed|no password supplied|no pg_hba.conf entry|not permitted to log in|permission denied|"
            r'(role|database) ".*" does not exist|certificate|does not support SSL'
        ),
    ),
    # libpq's own words, which are English everywhere.
    (
        Reason.AWAY,
        re.compile(
            "Connection refused|Connection reset|Connection timed out|timeout expired|Broken pipe|No route to host|"
            "Network is unreachable|could not translate host name|server closed the connection|No such file or directory"
        ),
    ),
)

_LOST_STATES: Final = ("57P01", "57P02", "57P03")
_LOST_WORDS: Final = re.compile(
    "server closed the connection|connection already closed|the connection is (closed|lost)|connection to server|"
    "terminating connection|the database system is |Connection refused|Connection reset|SSL connection has been closed|"
    "the connection failed or broke|could not receive data from server|could not send data to server|"
    "no connection to the server|connection not open|EOF detected|Broken pipe|consuming input failed|sending query failed|"
    # (what `safe_text` leaves of an error)
    "SQLSTATE 57P0[123]|AdminShutdown|CrashShutdown|CannotConnectNow|^(OperationalError|InterfaceError): "
)

_DISK_FULL: Final = "53100"
_DISK_FULL_WORDS: Final = re.compile(rf"No space left on device|SQLSTATE {_DISK_FULL}|^DiskFull")
_FILE_OF_SERVER: Final = re.compile(r"[\"«„“]((?:base|global|pg_\w+)/[\w./-]+)")


def reason(uri: str, error: BaseException) -> Reason:
    """Why a connection to `uri` failed with `error`, which the driver raised."""
    text = str(error)
    for found, words in _SAYS:
        if words.search(text):
            return found
    answer = _ping(uri)
    if answer is pq.Ping.NO_RESPONSE:
        return Reason.AWAY
    return Reason.STARTING if answer is pq.Ping.REJECT else Reason.REFUSED


def _ping(uri: str) -> pq.Ping:
    """Does the server of `uri` take connections? No password is sent, so none is refused."""
    words = {name: value for name, value in parse_dsn(uri).items() if name not in ("password", "passfile")}
    dsn = make_dsn("", **words | {"passfile": "/nonexistent", "connect_timeout": PING_SECONDS})
    return pq.Ping(pq.PGconn.ping(dsn.encode()))


def lost(error: BaseException) -> BaseException | None:
    """The error among `error` and what caused it that says that a server went away under an open session; None where none does.

    The first one is returned: what comes after it (`connection already closed`) only tells that it was so.
    """
    found = [each for each in chain(error) if _is_loss(each)]
    return found[-1] if found else None


def says_lost(text: str) -> bool:
    """Does the text of an error of the warehouse say that its server went away? For libraries that keep only texts."""
    return bool(_LOST_WORDS.search(text))


def is_locked_out(error: BaseException) -> bool:
    """Did a statement wait in vain for a table or row that another session has locked?"""
    return any(sqlstate(each) == "55P03" for each in chain(error))


def disk_full(error: BaseException) -> BaseException | None:
    """The error among `error` and what caused it by which a server says that its disk is full; None where none does."""
    return next((each for each in chain(error) if sqlstate(each) == _DISK_FULL), None)


def says_disk_full(text: str) -> bool:
    """Does the text of an error of the warehouse say that its disk is full? For libraries that keep only texts."""
    return bool(_DISK_FULL_WORDS.search(text))


def full_file(text: str) -> str | None:
    """The file that a server could not write, as it names it below its data folder. Its name says nothing of rows."""
    found = _FILE_OF_SERVER.search(text)
    return found[1] if found else None


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then what it was raised from or during, back to the first."""
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        inner = getattr(found, "orig", None)  # (SQLAlchemy's)
        found = inner if isinstance(inner, BaseException) else found.__cause__ or found.__context__


def sqlstate(error: BaseException) -> str | None:
    """The server's code, where it said one."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


def _is_loss(error: BaseException) -> bool:
    if not isinstance(error, psycopg2.Error | psycopg.Error):
        return False
    if code := sqlstate(error):
        return code in _LOST_STATES or code.startswith("08")
    if isinstance(error, psycopg2.OperationalError | psycopg.OperationalError):
        return True  # without a code it is the driver's own word, and that speaks of the connection
    return says_lost(str(error))
