"""Going back to the former release, and letting releases go out again."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pdic import connections
from pdic.errors import Busy, PdicError, ReleaseError
from pdic.release import ledger, pin, publishing, slots, state, step, views, waits
from pdic.release.turn import OPEN_STATES
from pdic.warehouse import Connect, connect, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Report = dict[str, Any]


def rollback(reason: str | None = None, connect_to: Connect = connections.uri) -> Report:
    """Show the former release again, and keep releases from going out until `resume`.

    A build that runs goes on meanwhile: it touches neither. Status `live`, with what was `taken_back`; or `unchanged` where a rollback
    did so before: then nothing changes. Raises `ReleaseError` where there is no former release.
    """
    began = time.monotonic()
    publisher_uri = connect_to("pdic_warehouse_publisher")
    with closing(connect(publisher_uri, "rollback")) as publisher:
        with publisher:
            before = slots.read(publisher, lock=True)
            standing = pin.read(publisher)
            if standing is None:
                pinned = _take_back(publisher, before, reason)
        tables = _go_back_to_views(
            publisher, publisher_uri, before.live_release_id if standing else before.former_release_id
        )
    seconds = round(time.monotonic() - began, 3)
    if standing:
        message = f"nothing changed: {standing}; `pdic release resume --reason WHY` lets releases go out again"
        report = {"release_id": standing.shown_release_id, "status": "unchanged"}
    else:
        message = (
            f"release {pinned.taken_back_release_id} is taken back, and readers see release {pinned.shown_release_id} "
            f"({seconds} s). Releases are built and audited from now on, and not published until `pdic release resume --reason WHY`"
        )
        report = {"release_id": pinned.shown_release_id, "status": "live", "taken_back": pinned.taken_back_release_id}
    return {**report, "message": f"{message}{tables}", "pin": (standing or pinned).as_report(), "seconds": seconds}


def _take_back(publisher: Connection, before: slots.Slots, reason: str | None) -> pin.Pin:
    if before.live is None or before.live_release_id is None:
        raise ReleaseError("nothing is published yet, so there is nothing to take back: run `pdic release`")
    if before.former is None or before.former_release_id is None:
        with publisher.cursor() as cursor:
            cursor.execute(
                "select not exists (select from control.publication where release_id <> %s)", (before.live_release_id,)
            )
            if one(cursor)[0]:
                raise ReleaseError(
                    f"release {before.live_release_id} is the first that was published, and there is none before it to go back to: mend "
                    "the cause, then run `pdic release`; readers keep what they see until then"
                )
        raise ReleaseError(
            f"there is no former release to go back to: none is kept from before release {before.live_release_id} was published or "
            "brought back. Mend the cause and run `pdic release`; readers keep what they see until then"
        )
    slots.roll_back(publisher)
    pinned = pin.put(publisher, reason, before.live_release_id, before.former_release_id)
    with publisher.cursor() as cursor:
        publishing.record_publication(cursor, before.former_release_id, "rollback", before.live_release_id)
    ledger.append(
        publisher,
        "rollback",
        {
            "release_id": pinned.shown_release_id,
            "taken_back": pinned.taken_back_release_id,
            "by": pinned.by_person,
            "reason": pinned.reason,
        },
    )
    return pinned


def _go_back_to_views(publisher: Connection, publisher_uri: str, release_id: int | None) -> str:
    """Show the tables that a release showed, and no others, once it is live again. Returns what to say where that fails: readers
    see the release all the same."""
    with publisher, publisher.cursor() as cursor:
        former = views.of_release(cursor, release_id)
    if former is None:
        return ""

    def back() -> None:
        # Each try may come long after the rollback: what was published meanwhile keeps its own tables.
        if slots.read(publisher, lock=True).live_release_id == release_id:
            views.go_back_to(publisher, former)

    try:
        waits.for_readers(publisher, publisher_uri, f"release {release_id} is live", back)
    except PdicError as error:
        return f". The tables that it does not have are still there, and empty, or those that only it has are missing: {error}"
    return ""


def resume(reason: str | None = None, connect_to: Connect = connections.uri) -> Report:
    """Let releases go out again after a rollback, and publish the one that is ready.

    Status `published`; `resumed` where none is ready, or the ready one is held now; `unchanged` where nothing kept releases back.
    `message` says so.
    """
    with transaction(connect_to("pdic_warehouse_publisher"), "resume") as publisher:
        if pin.read(publisher) is None:
            return {
                "release_id": slots.read(publisher).live_release_id,
                "status": "unchanged",
                "message": "nothing changed: no rollback keeps releases from going out",
            }
    try:
        with step.alone(connect_to, "resume", wait=0.0):
            with transaction(connect_to("pdic_warehouse_publisher"), "resume") as publisher:
                ready = state.newest(publisher, state.READY)
            if ready is not None:
                report = publishing.by_decision(
                    ready, connect_to, held=True, decision=publishing.Decision(resume=True, reason=reason)
                )
                if report["status"] != state.HELD:
                    return report | {"message": f"releases go out again, and release {ready} is published"}
            return _let_go_out(reason, connect_to)
    except Busy as busy:
        return _let_go_out(reason, connect_to, busy)


def _let_go_out(reason: str | None, connect_to: Connect, busy: Busy | None = None) -> Report:
    """Take the pin away where no release is ready, or where it cannot be published now, because another step is under way (`busy`)."""
    with transaction(connect_to("pdic_warehouse_publisher"), "resume") as publisher, publisher.cursor() as cursor:
        live = slots.read(publisher, lock=True).live_release_id
        pin.take_away(publisher, reason)
        cursor.execute("select max(release_id) from control.release where status = any(%s)", (list(OPEN_STATES),))
        (building,) = one(cursor)
        held, ready = state.newest(publisher, state.HELD), state.newest(publisher, state.READY)
    if building:
        then = f"release {building} is being built, and is published once it has passed its audit"
    elif held:
        then = f"release {held} is held: look at `pdic release diff {held}`, then `pdic release approve {held} --reason WHY`"
    elif busy is not None and ready:
        then = f"release {ready} is ready and was not published ({busy}): the next `pdic release` brings what it has"
    else:
        then = "none is ready: the next `pdic release` is published"
    return {"release_id": live, "status": "resumed", "message": f"releases go out again; {then}"}
