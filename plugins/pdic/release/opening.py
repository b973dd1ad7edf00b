"""The beginning of a release: the newest accepted batch of every dataset is pinned, unless there is nothing to bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdic import connections, settings
from pdic.errors import ReleaseError
from pdic.release import code, pin, promises, state, turn
from pdic.warehouse import Connect, locks, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Report = dict[str, Any]

RELEASE_WAIT_S: Final = 600.0
"""How long a release waits for another one that a living process builds."""


def open_release(
    *,
    full_refresh: bool = False,
    force: bool = False,
    connect_to: Connect = connections.uri,
    held: bool = False,
    wait: float = RELEASE_WAIT_S,
) -> Report:
    """Begin a release: pin the newest accepted batch of every dataset. A former one that died is abandoned.

    Returns its id and `building`; the live release's id and `unchanged` where there is nothing to bring; or `held` or `ready`, with a
    `message`, and the id of the release that already waits with all that there is to bring. `held`: the caller holds the release's
    lock, and will to the end; else a living release is waited for, at most `wait` seconds (`Busy`).
    """
    if held:
        return _open(full_refresh, force, connect_to, held=True)
    with locks.Session(connect_to, "pdic_warehouse_publisher", "open release") as session:
        turn.take(session, connect_to, wait)
        return _open(full_refresh, force, connect_to, held=False)


def _open(full_refresh: bool, force: bool, connect_to: Connect, *, held: bool) -> Report:
    root = settings.project_root()
    code_digest = code.digest(root, code.LOGIC + code.AROUND)
    needed = full_refresh or force
    with transaction(connect_to("pdic_warehouse_publisher"), "release news") as publisher:
        if not needed and (known := _known(publisher, _newest(publisher), code_digest)):
            return known
    promised = promises.read(root)  # between two transactions: reading the rules of many datasets takes seconds
    with transaction(connect_to("pdic_warehouse_publisher"), "open release") as publisher, publisher.cursor() as cursor:
        newest = _newest(publisher)
        if not newest:
            raise ReleaseError("there is no accepted batch to release: run `pdic load` first")
        if not needed and (known := _known(publisher, newest, code_digest)):
            return known
        state.give_up_others(publisher, "a newer release began")
        cursor.execute(
            "insert into control.release (status, full_refresh, code_digest) values ('building', %s, %s) returning release_id",
            (full_refresh, code_digest),
        )
        (release_id,) = one(cursor)
        cursor.executemany(
            "insert into control.release_batch (release_id, sector, dataset, batch_id) values (%s, %s, %s, %s)",
            [(release_id, *row) for row in newest],
        )
        promises.record(publisher, release_id, promised)
        if not held:
            state.let_go(publisher, release_id)
    return {"release_id": release_id, "status": "building"}


def _newest(publisher: Connection) -> list[tuple[Any, ...]]:
    """Sector, dataset and id of the newest accepted batch of every dataset that has one."""
    with publisher.cursor() as cursor:
        cursor.execute(
            "select sector, dataset, accepted_batch_id from control.dataset where accepted_batch_id is not null order by 1, 2"
        )
        return cursor.fetchall()


def _known(publisher: Connection, newest: list[tuple[Any, ...]], code_digest: str) -> Report | None:
    """The live release, or one that waits for a person, where it is made of these batches by this code: another would be the same."""
    pinned = pin.read(publisher)
    with publisher.cursor() as cursor:
        cursor.execute(
            """
            select release_id, status, message from control.release
            where code_digest = %s
                and (status = any(%s) or release_id = (select live_release_id from control.slot where live is not null))
            order by release_id desc
            """,
            (code_digest, [state.HELD, state.READY] if pinned else [state.HELD]),
        )
        for release_id, status, message in cursor.fetchall():
            cursor.execute(
                "select sector, dataset, batch_id from control.release_batch where release_id = %s order by 1, 2",
                (release_id,),
            )
            if cursor.fetchall() != newest:
                continue
            if status == state.HELD:
                return {"release_id": release_id, "status": state.HELD, "message": message}
            if pinned and status == state.READY:
                return {"release_id": release_id, "status": state.READY, "message": pin.waiting(pinned, release_id)}
            return {"release_id": release_id, "status": "unchanged"}
    return None


def is_current(connect_to: Connect = connections.uri) -> bool:
    """Does the live release hold the newest accepted batch of every dataset?"""
    with transaction(connect_to("pdic_warehouse_publisher"), "status") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            select
                exists (select 1 from control.slot where live is not null)
                and not exists (
                    select sector, dataset, accepted_batch_id from control.dataset where accepted_batch_id is not null
                    except
                    select release_batch.sector, release_batch.dataset, release_batch.batch_id
                    from control.release_batch
                    inner join control.slot on release_batch.release_id = slot.live_release_id
                )
            """
        )
        return bool(one(cursor)[0])
