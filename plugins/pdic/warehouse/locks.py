"""Every advisory lock of PDIC: its numbers, how long it is waited for, and who holds it.

A lock is a pair (class, object) in the database where it is taken. All code that takes one comes here, so that no two
matters share a number and every wait is logged with the name of the session that is waited for.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg2

from pdic.errors import Busy, PdicError, TableHeld
from pdic.warehouse import outages
from pdic.warehouse.connect import LOCK_WAIT_S, Connect, connect, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

T = TypeVar("T")

POLL_S: Final = 0.25
SHORT_S: Final = 0.05
"""How long a change that readers would wait for waits for readers, each time it is tried."""
SAY_AGAIN_S: Final = 30.0
"""How often a wait that goes on is logged again."""

_log = logging.getLogger(__name__)


class Kind(IntEnum):
    """What a lock is about: the first of its two numbers."""

    MIGRATION = 44_001
    RELEASE = 44_002
    DATASET = 44_003
    DEMO = 44_004


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock. `name` is what people call it."""

    kind: Kind
    objid: int
    name: str

    @property
    def key(self) -> tuple[int, int]:
        """The two numbers, as `pg_advisory_lock` takes them."""
        return int(self.kind), self.objid


MIGRATION: Final = Lock(Kind.MIGRATION, 0, "the warehouse's migrations")
RELEASE: Final = Lock(Kind.RELEASE, 0, "the release")
DEMO: Final = Lock(Kind.DEMO, 0, "the demo province")
"""In the demo's database `truth`: who holds it may seed or tick."""


def dataset(dataset_id: str) -> Lock:
    """The lock of one dataset (`sector.dataset`). Whoever works on a batch of it holds this lock.

    The number is a hash. Two datasets that share one (of 1,000 datasets: once in 9,000 provinces) wait for each other.
    """
    digest = hashlib.sha256(dataset_id.encode()).digest()
    return Lock(Kind.DATASET, int.from_bytes(digest[:4], "big", signed=True), dataset_id)


@dataclass(frozen=True, slots=True)
class Holder:
    """The session that holds a lock. Every role sees its name; `since` is None where it is another role's."""

    pid: int
    step: str
    since: datetime | None

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M:%S}" if self.since else ""
        return f"`{self.step or 'a session without a name'}` (database process {self.pid}{since})"


@contextmanager
def hold(connection: Connection, lock: Lock, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock for as long as the block runs and the session lives. Commits what is open on the connection.

    Waits at most `wait` seconds for who holds it. Raises `Busy`, which says who that is.
    """
    take(connection, lock, wait)
    try:
        yield
    finally:
        let_go(connection, lock)


def take(connection: Connection, lock: Lock, wait: float = 0.0) -> None:
    """Take a lock until `let_go`, or until the session ends. Raises `Busy`. Commits what is open on the connection."""
    began = said = time.monotonic()
    former = None
    while not _try(connection, lock):
        found = holder(connection, lock)
        now = time.monotonic()
        if now - began >= wait:
            waited = f"; it was waited for {now - began:.0f} s" if wait else ""
            raise Busy(
                f"{lock.name}: {found or 'another session'} is at work on it{waited}. Wait until it has ended, or stop "
                "it, then try again"
            )
        if found and (found != former or now - said >= SAY_AGAIN_S):
            _log.warning("waiting for %s: %s is at work on it (at most %.0f s)", lock.name, found, wait)
            former, said = found, now
        time.sleep(min(POLL_S, max(0.0, began + wait - now)))


def let_go(connection: Connection, lock: Lock) -> None:
    """Give a lock back. Rolls back what is open on the connection."""
    if connection.closed:
        return
    try:
        if not connection.autocommit:
            connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s, %s)", lock.key)
        if not connection.autocommit:
            connection.commit()
    except psycopg2.Error as error:
        # The session is gone, and its locks with it. To raise here would hide why it was used to its end.
        _log.warning("%s: the session that held its lock broke off (%s)", lock.name, type(error).__name__)
        connection.close()


def end(connection: Connection) -> None:
    """Close a session. Every lock that it holds is free when this returns: the server itself lets go a moment after a session's end.

    Rolls back what is open on the connection.
    """
    try:
        if connection.closed:  # by the server too: what is left of it here is given back below
            return
        if not connection.autocommit:
            connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock_all()")
    except psycopg2.Error as error:
        # The session is gone, and its locks with it. To raise here would hide why it was used to its end.
        _log.info("a session that was to be closed had broken off (%s)", type(error).__name__)
    finally:
        connection.close()


def _try(connection: Connection, lock: Lock) -> bool:
    with connection.cursor() as cursor:
        # Whoever holds a lock may do nothing else for hours: a server that ends idle sessions must not end that one.
        cursor.execute("select pg_try_advisory_lock(%s, %s), set_config('idle_session_timeout', '0', false)", lock.key)
        taken = bool(one(cursor)[0])
    if not connection.autocommit:
        connection.commit()
    return taken


def holder(connection: Connection, lock: Lock) -> Holder | None:
    """Who holds a lock; None where nobody does."""
    return holders(connection, lock.kind).get(lock.objid)


def holders(connection: Connection, kind: Kind) -> dict[int, Holder]:
    """Who holds the locks of one kind, by the lock's `objid`. Commits what is open on the connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                case when lock.objid::bigint >= 2147483648 then lock.objid::bigint - 4294967296 else lock.objid::bigint end,
                lock.pid, activity.application_name, activity.backend_start
            from pg_locks as lock
            left join pg_stat_activity as activity on activity.pid = lock.pid
            where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 2 and lock.classid::bigint = %s
                and lock.database = (select oid from pg_database where datname = current_database())
            """,
            (int(kind),),
        )
        found = {objid: Holder(pid, step or "", since) for objid, pid, step, since in cursor.fetchall()}
    if not connection.autocommit:
        connection.commit()
    return found


@contextmanager
def held_up(warehouse_uri: str, what: str, tables: Sequence[str]) -> Iterator[None]:
    """Turns a wait for a table's or row's lock that was in vain into `TableHeld`, which names who holds one of `tables`.

    `what` is what could not go on, like a dataset; `tables` are written as `schema.table`. Where nobody holds one of them, the
    session is named that holds any other table of the warehouse for itself.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, PdicError) or not outages.is_locked_out(error):
            raise
        raise table_held(warehouse_uri, what, tables) from error


def in_short_tries(
    connection: Connection, warehouse_uri: str, what: str, tables: Sequence[str], action: Callable[[], T]
) -> T:
    """Runs `action`, a change of tables or views that others read, in a transaction of its own; returns what it returns.

    Whoever wants to read what is being changed waits for the change: so each try waits `SHORT_S` for those who read, then gives
    all back and comes again. That is also shorter than a server takes to find a deadlock and end one of the two. Raises `TableHeld`
    after `LOCK_WAIT_S` seconds; `what` and `tables` are as in `held_up`. Where it raises, the session keeps the short wait.
    """
    began = time.monotonic()
    with connection, connection.cursor() as cursor:
        cursor.execute("select set_config('lock_timeout', %s, false)", (f"{SHORT_S * 1000:.0f}ms",))
    while True:
        try:
            done = _in_transaction(connection, action)
            break
        except Exception as error:
            if isinstance(error, PdicError) or not outages.is_locked_out(error):
                raise
            waited = time.monotonic() - began
            if waited >= LOCK_WAIT_S:
                raise table_held(warehouse_uri, what, tables, waited) from error
        time.sleep(POLL_S)
    with connection, connection.cursor() as cursor:
        cursor.execute("reset lock_timeout")
    return done


def _in_transaction(connection: Connection, action: Callable[[], T]) -> T:
    with connection:
        return action()


def table_held(warehouse_uri: str, what: str, tables: Sequence[str] = (), waited: float = LOCK_WAIT_S) -> TableHeld:
    """The refusal that says who holds one of `tables`, after a wait of so many seconds that was in vain."""
    return TableHeld(
        f"{what}: {_who_holds(warehouse_uri, tables)}, and was waited for {waited:.0f} s. Have that session end its "
        "transaction, or end it as the database's superuser by pg_terminate_backend, then try again"
    )


def _who_holds(warehouse_uri: str, tables: Sequence[str]) -> str:
    """Who holds a table in a way that others wait for, in words: one of `tables` first, and whoever only reads last."""
    with transaction(warehouse_uri, "who holds a lock") as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            with wanted as (
                select relation.oid from pg_class as relation
                inner join pg_namespace as schema on schema.oid = relation.relnamespace
                where format('%%s.%%s', schema.nspname, relation.relname) = any(%s)
            ),

            held as (
                select lock.*, lock.relation in (
                    select oid from wanted union all select inhrelid from pg_inherits where inhparent in (select oid from wanted)
                ) as is_wanted
                from pg_locks as lock
                where lock.granted and lock.relation is not null and lock.pid <> pg_backend_pid()
                    and lock.database = (select oid from pg_database where datname = current_database())
            )

            select format('%%s.%%s', schema.nspname, relation.relname), held.pid, activity.application_name, activity.usename
            from held
            inner join pg_class as relation on relation.oid = held.relation and relation.relkind in ('r', 'p', 'v')
            inner join pg_namespace as schema on schema.oid = relation.relnamespace
            left join pg_stat_activity as activity on activity.pid = held.pid
            where held.is_wanted or (held.mode = 'AccessExclusiveLock' and schema.nspname <> 'raw_batch')
            order by
                not held.is_wanted, held.mode = 'AccessShareLock', held.mode <> 'AccessExclusiveLock', held.pid, relation.relname
            limit 1
            """,
            (list(tables),),
        )
        row = cursor.fetchone()
    if row is None:
        return "another session held a table or row of the warehouse"
    table, pid, step, role = row
    return f"{table} is held by `{step or 'a session without a name'}` of {role or 'a role'} (database process {pid})"


@contextmanager
def told(uri: str, what: str) -> Iterator[None]:
    """While the block runs, logs every `SAY_AGAIN_S` seconds for whom the sessions of the role of `uri` wait, if they do.

    For work of a library that opens sessions of its own. `what` is what waits, like a release's models.
    """
    ended = threading.Event()
    watch = threading.Thread(target=_tell, args=(uri, what, ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _tell(uri: str, what: str, ended: threading.Event) -> None:
    while not ended.wait(SAY_AGAIN_S):
        try:
            found = _holding_up(uri)
        except (psycopg2.Error, PdicError) as error:
            _log.info("%s: nobody can say whether it waits (%s)", what, type(error).__name__)
        else:
            if found:
                _log.warning("%s: waiting for %s", what, "; ".join(map(str, found)))


def _holding_up(uri: str) -> list[Holder]:
    """The sessions of other roles for whose locks sessions of the role of `uri` wait."""
    with transaction(uri, "who holds a lock") as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct holder.pid, holder.application_name
            from pg_stat_activity as waiting
            cross join unnest(pg_blocking_pids(waiting.pid)) as blocking (pid)
            inner join pg_stat_activity as holder on holder.pid = blocking.pid
            where waiting.usename = current_user and waiting.wait_event_type = 'Lock' and holder.usename <> current_user
            order by 1
            """
        )
        return [Holder(pid, step or "", None) for pid, step in cursor.fetchall()]


class Session:
    """A session that does nothing but hold locks, until it is closed or its process dies."""

    def __init__(self, connect_to: Connect, conn_id: str, step: str) -> None:
        self._connection = connect(connect_to(conn_id), step, autocommit=True)
        self._held: dict[Lock, None] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, lock: Lock, wait: float = 0.0) -> None:
        """Hold a lock from now on. Raises `Busy`."""
        if lock not in self._held:
            take(self._connection, lock, wait)
            self._held[lock] = None

    def let_go(self, lock: Lock) -> None:
        """Give a lock back, if it is held."""
        if lock in self._held:
            del self._held[lock]
            let_go(self._connection, lock)

    def close(self) -> None:
        """End the session. Every lock that it holds is free when this returns."""
        self._held.clear()
        end(self._connection)
