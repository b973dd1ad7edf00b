"""Sessions with PostgreSQL, opened the same way everywhere.

`connect` is the way to the warehouse: it waits while the server recovers or starts again. `open_once` tries once: it is the
way to a source, whose loads are tried again by whoever asked for them.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
import psycopg2
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from pdic import settings, stopping
from pdic.errors import DiskFull, PdicError, WarehouseRefused, WarehouseUnavailable
from pdic.warehouse import outages, silence
from pdic.warehouse.formats import CLIENT_ENCODING, OF_WAREHOUSE, startup_options
from pdic.warehouse.statements import StatementCursor

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

Connect = Callable[[str], str]
"""Resolves a connection id (`pdic_source_health`, `pdic_warehouse_loader`, …) to a URI.

libpq's, or a web address where the source is a service.
"""

KEEPALIVES: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A server whose machine is gone, or a network that drops everything between, ends a session after a minute. One whose machine still
answers for it is found out by `silence`, and so is one that does not take what is sent to it: with `tcp_user_timeout` the kernel would
also end a copy whose server is well, and only takes nothing for a while."""

CONNECT_SECONDS = 10
"""How long a server has to let a session in."""

LOCK_WAIT_S = 30
"""How long a statement in the warehouse waits for a table or row that another session has locked. Nobody asks who holds it
while it waits: who gives up can say so (`locks.held_up`), and what else there is to do goes on."""
PATIENCE = "PDIC_WAREHOUSE_WAIT"
"""The setting: for how many seconds a command waits for a warehouse that recovers or starts."""
PATIENCE_SECONDS = 45.0
POLL_SECONDS = 0.5

_AWAY = "start it (`pdic up`, where it is the embedded one), or see its log"
_FULL = "end sessions that nobody needs (pg_stat_activity lists them), or raise its max_connections"

_log = logging.getLogger(__name__)

_menders: list[Callable[[], object]] = []
"""What starts the warehouse again, where this process may do that."""
_given_up: set[str] = set()
"""Servers that did not come in time: until one answers, this process does not wait for it a second time."""
_Opened = TypeVar("_Opened")


class Session(Connection):
    """A session that is watched, and safe to leave: on the way out of an error, the error stays the one that is told."""

    def __init__(self, dsn: str, *more: Any) -> None:
        super().__init__(dsn, *more)
        self.watched = _watch(self, dsn, Connection.cancel)

    def close(self) -> None:
        """End the session."""
        self.watched.end()
        super().close()

    def rollback(self) -> None:
        """Roll back. Where the session is gone the server has done so, and there is nothing to say."""
        try:
            super().rollback()
        except (psycopg2.InterfaceError, psycopg2.OperationalError):
            if not self.closed:
                raise


class _Session3(psycopg.Connection[Any]):
    """The same with psycopg 3."""

    watched: silence.Watched | None = None

    @classmethod
    def open(cls, uri: str, **words: Any) -> _Session3:
        """Open a session and watch it."""
        self = cls.connect(uri, **words)
        conninfo = make_conninfo(uri, **{name: value for name, value in words.items() if name in ("dbname", "sslmode")})
        self.watched = _watch(self, conninfo, partial(psycopg.Connection.cancel_safe, timeout=silence.STOP_SECONDS))
        return self

    def close(self) -> None:
        """End the session."""
        if self.watched is not None:
            self.watched.end()
        super().close()


def _watch(session: Any, conninfo: str, cancel: Callable[[Any], object]) -> silence.Watched:
    """Watch a session of either driver until it is closed, or nobody has it any more."""
    this = weakref.ref(session)
    watched = silence.watch(
        session.fileno(),
        conninfo,
        session.info.host,
        session.info.port,
        waits=lambda: (found := this()) is not None and found.info.transaction_status == TransactionStatus.ACTIVE,
        pid=session.info.backend_pid,
    )
    watched.interrupt = lambda: cancel(found) if (found := this()) is not None else None
    weakref.finalize(session, watched.end)
    return watched


def connect(uri: str, step: str, *, autocommit: bool = False, options: str = "") -> Connection:
    """Open a session with the warehouse; `step` appears in `pg_stat_activity` as `pdic <step>`, `options` are libpq's.

    Values are read and written alike whatever the server, the database or the role have set (`formats.OF_WAREHOUSE`).
    Waits for a server that is away, starting or full, as long as `PDIC_WAREHOUSE_WAIT` says. Raises `WarehouseUnavailable`
    after that, and `WarehouseRefused` at once where the login is refused. No statement of the session waits longer than
    `LOCK_WAIT_S` for a lock.
    """
    pinned = startup_options(OF_WAREHOUSE, _waiting(uri, options))
    return patiently(uri, lambda: open_once(uri, step, autocommit=autocommit, options=pinned))


def connect_psycopg(uri: str, step: str, **more: Any) -> psycopg.Connection[Any]:
    """The same with psycopg 3, for copies between the two drivers; `more` goes to the driver as it is."""
    name, words = _application(step), KEEPALIVES | more | {"options": _waiting(uri, more.get("options", ""))}
    return patiently(uri, lambda: _Session3.open(uri, application_name=name, connect_timeout=CONNECT_SECONDS, **words))


def open_comparable(uri: str, step: str) -> psycopg.Connection[Any]:
    """A psycopg 3 session with the warehouse in which values are written as a source's session writes them."""
    return connect_psycopg(uri, step, client_encoding=CLIENT_ENCODING, options=startup_options())


def open_once(
    uri: str, step: str, *, autocommit: bool = False, options: str = "", patience: int = CONNECT_SECONDS
) -> Connection:
    """Open a session at any server, in one try of `patience` seconds. Raises what the driver raises (see `outages.reason`)."""
    more = KEEPALIVES | ({"options": options} if options else {})
    try:
        connection: Connection = psycopg2.connect(
            uri,
            application_name=_application(step),
            client_encoding=CLIENT_ENCODING,
            connect_timeout=patience,
            connection_factory=Session,
            cursor_factory=StatementCursor,
            **more,
        )
    except UnicodeDecodeError as error:  # before the login a server speaks in its own encoding
        raise psycopg2.OperationalError(error.object.decode("latin-1")) from None
    connection.autocommit = autocommit
    return connection


def stop(connection: Connection) -> None:
    """Stop what a session does in another thread: by asking its server, else, where that does not answer, on this side."""
    if isinstance(connection, Session):
        silence.stop([connection.watched])
    else:
        connection.cancel()


def mend_by(mend: Callable[[], object]) -> None:
    """From now on, `mend` is called whenever the warehouse does not answer, before the next try. It may change nothing."""
    _menders[:] = [mend]


def patiently(uri: str, opening: Callable[[], _Opened]) -> _Opened:
    """What `opening` returns, as soon as the warehouse at `uri` lets it. Raises as `connect`."""
    began, told, server = monotonic(), False, where(uri)
    patience = 0.0 if server in _given_up else settings.seconds(PATIENCE, PATIENCE_SECONDS)
    while True:
        try:
            opened = opening()
        except (psycopg2.OperationalError, psycopg.OperationalError) as error:
            reason = outages.reason(uri, error)
            if not reason.passes:
                raise WarehouseRefused(
                    f"the warehouse at {server} {reason.value} ({first_line(error)}): correct the connection in "
                    "secrets/connections.json (docs/deploy.md; of the embedded one `pdic up` sets the passwords anew), then run the "
                    "command again"
                ) from error
            waited = monotonic() - began
            if waited >= patience or stopping.asked():
                _given_up.add(server)
                remedy = _FULL if reason is outages.Reason.FULL else _AWAY
                raise WarehouseUnavailable(
                    f"the warehouse at {server} {reason.value} ({waited:.0f} s waited): {remedy}, then run the command again"
                ) from error
            if not told:
                _log.warning("the warehouse at %s %s: waiting for it, at most %.0f s", server, reason.value, patience)
                told = True
            if reason is outages.Reason.AWAY:
                for mend in _menders:
                    mend()
            sleep(min(POLL_SECONDS, patience))
        else:
            _given_up.discard(server)
            silence.forget()
            if told:
                _log.warning("the warehouse at %s answers again after %.0f s", server, monotonic() - began)
            return opened


@contextmanager
def transaction(uri: str, step: str) -> Iterator[Connection]:
    """One connection, one transaction: committed at the end, rolled back on any error, closed either way."""
    connection = connect(uri, step)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def unusable(error: BaseException) -> WarehouseUnavailable | DiskFull | None:
    """The refusal that says that the warehouse went away in the middle of the work, or has no room, where `error` means that."""
    if isinstance(error, PdicError):
        return None
    if (cause := outages.disk_full(error)) is not None:
        return no_room(str(cause))
    if (cause := outages.lost(error)) is None:
        return None
    code = outages.sqlstate(cause)
    kind = type(cause).__name__ + (f", SQLSTATE {code}" if code else "")
    if (why := silence.broken()) is not None:
        return WarehouseUnavailable(
            f"the warehouse {why}. Nothing that was accepted or published is lost: see that its server is well, then run the same "
            "command again"
        )
    return WarehouseUnavailable(
        f"the warehouse went away in the middle of the work ({kind}). Nothing that was accepted or published is lost: run the "
        "same command again"
    )


def no_room(said: str) -> DiskFull:
    """The refusal of a warehouse whose disk is full. `said` is the server's message, of which the file's name is shown."""
    file = outages.full_file(said)
    where = f"there is no room for its file {file}" if file else "there is no room for what it was to write"
    return DiskFull(
        f"the disk of the warehouse's server is full ({where}). Nothing that was accepted or published is lost: make room on "
        "that disk, then run the same command again"
    )


def first_line(error: BaseException) -> str:
    """The first line of what the driver says of a connection that failed."""
    return str(error).strip().split("\n", 1)[0]


def _waiting(uri: str, options: str) -> str:
    """libpq's `options`: the URI's, how long a lock is waited for, and `options`, the later of which hold."""
    former = str(parse_dsn(uri).get("options", ""))
    return f"{startup_options({'lock_timeout': f'{LOCK_WAIT_S}s'}, former)} {options}".strip()


def _application(step: str) -> str:
    return f"pdic {step}"[:63]


def where(uri: str) -> str:
    """Host and port of a URI, and nothing secret."""
    words = parse_dsn(uri)
    hosts, ports = str(words.get("host", "localhost")).split(","), str(words.get("port", 5432)).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False))


def one(cursor: Cursor) -> tuple[Any, ...]:
    """The only row of a statement that always has one."""
    row = cursor.fetchone()
    if row is None:
        raise LookupError("a statement that always returns a row returned none")
    return row


def records(cursor: Cursor) -> list[dict[str, Any]]:
    """The remaining rows as dictionaries by column name."""
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
