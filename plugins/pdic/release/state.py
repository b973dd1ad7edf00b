"""How far a release came, as its row in `control.release` says: what one asks before a step, and notes after it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg2

from pdic import failures
from pdic.errors import DiskFull, PdicError, ReleaseError, ReleaseFenced, WarehouseUnavailable
from pdic.release.turn import OPEN_STATES
from pdic.warehouse import Connect, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

_log = logging.getLogger(__name__)

PUBLISHED: Final = "published"
HELD: Final = "held"
"""Built and audited, and too unlike the live one: it waits for a person, and for no process. A newer release overtakes it."""
READY: Final = "ready"
"""A release that is built and audited, and waits until releases go out again (`pdic.release.pin`)."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a release came, and what is to be said of that: of one that is held, why."""

    status: str
    message: str | None


def of(publisher: Connection, release_id: int) -> State:
    """How far a release came. Raises `ReleaseError` where there is none of that number."""
    with publisher.cursor() as cursor:
        cursor.execute("select status, message from control.release where release_id = %s", (release_id,))
        row = cursor.fetchone()
    if row is None:
        raise ReleaseError(f"there is no release {release_id}: `pdic releases` lists the newest")
    return State(*row)


def require(publisher: Connection, release_id: int, *states: str) -> None:
    """Raises `ReleaseFenced` where a newer release began, and `ReleaseError` where it came to none of `states`."""
    status = of(publisher, release_id).status
    if status == "abandoned":
        raise ReleaseFenced(f"release {release_id} was overtaken by a newer one; nothing to do")
    if status not in states:
        raise ReleaseError(f"release {release_id} is {status}, not {states[0]}: begin a new one with `pdic release`")


def newest(publisher: Connection, status: str) -> int | None:
    """The newest release that waits for a person: `HELD`, or `READY`."""
    with publisher.cursor() as cursor:
        cursor.execute("select max(release_id) from control.release where status = %s", (status,))
        found = one(cursor)[0]
    return int(found) if found is not None else None


def give_up_others(publisher: Connection, why: str) -> None:
    """End every release that is not published yet: what it built is overwritten.

    What had kept one from readers stays readable.
    """
    with publisher.cursor() as cursor:
        cursor.execute(
            """
            update control.release set status = 'abandoned', message = concat_ws('; before that: ', %s, message)
            where status = any(%s)
            """,
            (why, [*OPEN_STATES, HELD, READY]),
        )


def fail(release_id: int, error: BaseException, connect_to: Connect) -> None:
    """Record that a release failed and why, over a connection of its own: the error may have broken the other."""
    failures.log(_log, f"release {release_id}", error)
    if isinstance(failures.in_words(error), WarehouseUnavailable | DiskFull):
        return  # the release has not failed: the same step may be tried again
    try:
        uri = connect_to("pdic_warehouse_publisher")
        with transaction(uri, f"release {release_id}") as publisher, publisher.cursor() as cursor:
            cursor.execute(
                "update control.release set status = 'failed', message = %s where release_id = %s and status = any(%s)",
                (failures.words(error), release_id, list(OPEN_STATES)),
            )
    except (psycopg2.Error, PdicError) as second:
        _log.warning(
            "release %s stays open in the ledger (%s); the next release ends it", release_id, failures.kind(second)
        )


def not_published(release_id: int, error: BaseException, connect_to: Connect) -> None:
    """Keep why readers do not see an audited release: `pdic status` tells it. Where trying again can help, the release has not failed."""
    refusal = failures.in_words(error)
    if isinstance(refusal, ReleaseFenced):
        return
    if isinstance(error, Exception) and not (refusal is not None and refusal.retryable):
        fail(release_id, error, connect_to)
        return
    try:
        with (
            transaction(connect_to("pdic_warehouse_publisher"), f"release {release_id}") as publisher,
            publisher.cursor() as cursor,
        ):
            cursor.execute(
                "update control.release set message = %s where release_id = %s and status = 'audited'",
                (f"it was not published: {failures.words(error)}", release_id),
            )
    except (psycopg2.Error, PdicError) as second:
        _log.warning("release %s: why it was not published could not be kept (%s)", release_id, failures.kind(second))


def let_go(publisher: Connection, release_id: int) -> None:
    """Note that a step has ended, and that the next one takes the lock anew."""
    with publisher.cursor() as cursor:
        cursor.execute("update control.release set let_go_at = clock_timestamp() where release_id = %s", (release_id,))


def move_on(
    publisher: Connection, release_id: int, status: str, seconds: dict[str, float], message: str | None = None
) -> None:
    """End a step. Raises `ReleaseFenced` where another release began meanwhile: then the session that held the lock was lost."""
    with publisher.cursor() as cursor:
        change(cursor, release_id, status, seconds, message)
        if cursor.rowcount != 1:
            raise ReleaseFenced(f"release {release_id} was overtaken by a newer one; nothing to do")


def change(cursor: Cursor, release_id: int, status: str, seconds: dict[str, float], message: str | None = None) -> None:
    """Of a release that still goes on; nothing happens to any other."""
    cursor.execute(
        """
        update control.release
        set status = %(status)s, seconds = seconds || %(seconds)s,
            message = case when %(status)s <> %(published)s then coalesce(%(message)s, message) end,
            published_at = case when %(status)s = %(published)s then clock_timestamp() end
        where release_id = %(release)s and status = any(%(open)s)
        """,
        {
            "status": status,
            "published": PUBLISHED,
            "message": message,
            "seconds": json.dumps({name: round(value, 3) for name, value in seconds.items()}),
            "release": release_id,
            "open": [*OPEN_STATES, READY],
        },
    )
