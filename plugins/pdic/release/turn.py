"""Whose turn it is to build a release: one process at a time, and Airflow's tasks give the lock back between two steps."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from pdic import connections
from pdic.errors import Busy
from pdic.warehouse import Connect, locks, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

OPEN_STATES: Final = ("building", "built", "audited")
GRACE_S: Final = 60.0
"""How long the next step of a release may take to begin. Until then a release that nobody holds is a living one."""
POLL_S: Final = 1.0
_log = logging.getLogger(__name__)


def take(session: locks.Session, connect_to: Connect, wait: float) -> None:
    """Hold the release's lock, once no living process builds a release. Raises `Busy` after `wait` seconds.

    Airflow's tasks give the lock back between two steps: a release whose last step has just ended is a living one.
    """
    began = time.monotonic()
    said = False
    while True:
        session.take(locks.RELEASE, max(0.0, wait - (time.monotonic() - began)))
        living = between_steps(connect_to)
        if living is None:
            return
        session.let_go(locks.RELEASE)
        what = f"release {living} is being built, and its next step is about to begin"
        if time.monotonic() - began >= wait:
            raise Busy(f"{what}. Wait until it has ended, then release again")
        if not said:
            _log.warning("%s: waiting for it (at most %.0f s)", what, wait)
            said = True
        time.sleep(POLL_S)


def between_steps(connect_to: Connect) -> int | None:
    """The open release whose last step ended a moment ago and gave the lock back for the next one."""
    with transaction(connect_to("pdic_warehouse_publisher"), "open release") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            select release_id from control.release
            where status = any(%s) and let_go_at > clock_timestamp() - make_interval(secs => %s)
            """,
            (list(OPEN_STATES), GRACE_S),
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def newest(connect_to: Connect) -> int | None:
    """The newest release, whatever became of it."""
    with transaction(connect_to("pdic_warehouse_publisher"), "open release") as publisher, publisher.cursor() as cursor:
        cursor.execute("select max(release_id) from control.release")
        found = one(cursor)[0]
    return int(found) if found is not None else None


def left_behind(publisher: Connection) -> int | None:
    """The newest release where it is open and nobody works on it any more: its process was killed. Commits what is open."""
    if locks.holder(publisher, locks.RELEASE) is not None:
        return None
    with publisher.cursor() as cursor:
        cursor.execute(
            """
            select release_id from control.release
            where release_id = (select max(release_id) from control.release) and status = any(%s)
                and greatest(started_at, let_go_at) <= clock_timestamp() - make_interval(secs => %s)
            """,
            (list(OPEN_STATES), GRACE_S),
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def overtaken_by(release_id: int, connect_to: Connect = connections.uri) -> int | None:
    """The newer release that brings all that this one would have brought, published or built by a living process; else None."""
    with transaction(connect_to("pdic_warehouse_publisher"), "release") as publisher, publisher.cursor() as cursor:
        living = locks.holder(publisher, locks.RELEASE) is not None
        cursor.execute(
            """
            select newer.release_id
            from control.release as this
            inner join control.release as newer on newer.release_id > this.release_id
            where
                this.release_id = %s
                and (newer.full_refresh or not this.full_refresh)
                and (
                    newer.status in ('published', 'ready')
                    or newer.status = any(%s)
                    and (%s or newer.let_go_at > clock_timestamp() - make_interval(secs => %s))
                )
                and not exists (
                    select from control.release_batch as mine
                    left join control.release_batch as theirs
                        on theirs.release_id = newer.release_id
                        and theirs.sector = mine.sector and theirs.dataset = mine.dataset
                    where mine.release_id = this.release_id and mine.batch_id > coalesce(theirs.batch_id, 0)
                )
            order by newer.release_id desc
            limit 1
            """,
            (release_id, list(OPEN_STATES), living, GRACE_S),
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None
