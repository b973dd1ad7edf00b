"""How sessions at a source, which belongs to somebody else, are opened, and what limits they set themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, make_dsn

from pdic.encodings import NAMES
from pdic.errors import LoadError, SourceUnavailable
from pdic.sources.carried import speak
from pdic.sources.entry import enter
from pdic.sources.session import LOCK_TIMEOUT, Limits, pin
from pdic.warehouse import outages, silence

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

INSUFFICIENT_PRIVILEGE = "42501"
NOT_OF_ITS_ENCODING = (errorcodes.CHARACTER_NOT_IN_REPERTOIRE, errorcodes.UNTRANSLATABLE_CHARACTER)


def visit(uri: str, contract: Contract, beside: Connection | None = None) -> Connection:
    """A session whose transactions are all REPEATABLE READ, READ ONLY. Of several hosts a standby is preferred.

    `beside` another session: at the very server where that one is. Raises as `enter`.
    """
    if beside is None:
        where = prefer_standby(uri)
    else:
        where = make_dsn(uri, host=beside.info.host, port=beside.info.port, target_session_attrs="any")
    connection = enter(where, f"load {contract.id}", source_of(contract), contract.source_connection)
    connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    return connection


def behave(connection: Connection, contract: Contract, exported: str | None = None) -> None:
    """Begin a transaction with its settings, which end with it: a pooler may hand the session on to others.

    It sees what the snapshot `exported` by another session sees, where one is given. The server gives up on an idle or
    endless transaction as the contract says.
    """
    speak(connection, contract.encoding)
    if exported is not None:  # before anything else: a transaction can take one over only as its first statement
        with connection.cursor() as cursor:
            cursor.execute("set transaction snapshot %s", (exported,))
    limits = Limits(contract.statement_timeout, contract.idle_timeout)
    pin(connection, limits, row_security=contract.row_security_agreed)


@contextmanager
def reading(contract: Contract) -> Iterator[None]:
    """Turns what the source's server refuses meanwhile into an error that says what can be done, without the rows it quotes.

    Raises `SourceUnavailable` for what may pass (a lock, a time limit, a lost connection), `LoadError` for the rest.
    """
    try:
        yield
    except (psycopg2.Error, SystemError) as error:
        if outages.disk_full(error) is not None:
            raise full(contract) from error
        # Without a code of the server's it is the driver's own word, for a session that ended within a copy.
        if isinstance(error, psycopg2.OperationalError | SystemError) or error.pgcode is None:
            raise SourceUnavailable(
                f"{source_of(contract)} {how_it_ended(contract, error)}. Nothing was accepted: load it again"
            ) from error
        _require_readable(contract, error)
        if error.pgcode != INSUFFICIENT_PRIVILEGE:
            raise LoadError(
                f"{contract.id}: reading {contract.table} fails at the source itself ({type(error).__name__}), whoever reads it: a "
                f"view or a computed column may not bear one of its rows. Nothing was accepted. Have {contract.owner_agency} mend "
                "that, then load it again."
            ) from error
        raise LoadError(
            f"{source_of(contract)} refused the read ({type(error).__name__}). Nothing was "
            f"accepted. Check that the login of {contract.source_connection} may read {contract.table}, then load it again."
        ) from error


def how_it_ended(contract: Contract, error: BaseException) -> str:
    """How the source's server ended a read, in words that follow its name."""
    match outages.sqlstate(error):
        case errorcodes.QUERY_CANCELED:
            return (
                f"cancelled the read of {contract.table}: it took longer than statementTimeout ({contract.statement_timeout}), a "
                "replica needed the rows' space, or somebody ended it"
            )
        case errorcodes.LOCK_NOT_AVAILABLE:
            wait = f"{LOCK_TIMEOUT.total_seconds():.0f} s"
            return f"did not let {contract.table} be read within {wait}: another session there is changing it"
    if (why := silence.broken(source_of(contract))) is not None:
        return f"{why}. See that its server is well"
    return f"broke off ({type(error).__name__})"


def source_of(contract: Contract) -> str:
    """What a dataset's source is called in a sentence."""
    return f"{contract.id}: the source of sector {contract.sector}"


def full(contract: Contract) -> SourceUnavailable:
    """The refusal of a source whose server has no room to sort in, or to write down what its log decodes to."""
    return SourceUnavailable(
        f"{contract.id}: the disk of the source's server is full (sector {contract.sector}). Nothing was accepted: have "
        f"{contract.owner_agency} make room on it, then load it again"
    )


def _require_readable(contract: Contract, error: Exception) -> None:
    """Raises `LoadError` where what the source's server refused was a text that is not in the encoding it should be in."""
    if getattr(error, "pgcode", None) in NOT_OF_ITS_ENCODING:
        raise unreadable(contract) from error


def unreadable(contract: Contract) -> LoadError:
    """The refusal of texts that are in no encoding that the source's server knows, and what a person may say of them."""
    capture = " and capture: cursor or snapshot, for a log cannot be read so" if contract.capture == "cdc" else ""
    return LoadError(
        f"{contract.id}: {contract.table} holds text that is not in the encoding of its database, or is of a database that "
        f"has none (SQL_ASCII). Nothing was accepted. Say in {contract.path} what it is written in, like encoding: tcvn3 "
        f"(or {', '.join(NAMES[1:])}){capture}: rows that cannot be read so go to quarantine. Then load again."
    )


def prefer_standby(uri: str) -> str:
    """The URI, asking for a standby where it names several hosts and does not itself say which to take."""
    parts = urlsplit(uri)
    if "," not in parts.netloc.rpartition("@")[2] or "target_session_attrs" in parse_qs(parts.query):
        return uri
    return f"{uri}{'&' if parts.query else '?'}target_session_attrs=prefer-standby"
