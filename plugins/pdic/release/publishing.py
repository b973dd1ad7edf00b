"""The publish of a release: in one transaction readers see it, and notes and ledger tell of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pdic import approval, connections, settings
from pdic.approval import Approval
from pdic.errors import Busy, PdicError, ReleaseError, ReleaseFenced, ReleaseHeld
from pdic.quality import data_docs
from pdic.release import broken_rules, code, comparison, content, ledger, notes, pin, slots, state, step, views, waits
from pdic.warehouse import Connect, connect, one, transaction
from pdic.warehouse.statements import Together

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

Report = dict[str, Any]


def approve(release_id: int, consent: Approval, connect_to: Connect = connections.uri) -> Report:
    """Publish a release that is held, because a person consents: both are kept in one transaction, or neither.

    Status `ready` where a rollback keeps releases from going out: the consent is kept. Approving what was approved and published
    changes nothing. Raises `ReleaseError` where it is not held, `ReleaseFenced`, `Busy`.
    """
    return by_decision(release_id, connect_to, held=False, decision=Decision(consent=consent))


def publish(release_id: int, connect_to: Connect = connections.uri, *, held: bool = False) -> Report:
    """Show an audited candidate to readers, in one transaction. Publishing a published release again changes nothing.

    Status `ready`, with a `message`, where a rollback keeps releases from going out; `held` where readers see another release than the
    audit compared it with, and it is too unlike that one. Raises `ReleaseHeld` where it waits for a
    consent.
    """
    return by_decision(release_id, connect_to, held=held, decision=Decision())


@dataclass(frozen=True)
class Decision:
    """What a person decides with a publish: that what was held is right, or that releases go out again, and why."""

    consent: Approval | None = None
    resume: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class _Said:
    """What a publish writes down: the lines of the notes, and the ledger's entry; and the rules that warn (`broken_rules.warned`)."""

    lines: list[notes.Line]
    warnings: list[dict[str, Any]]
    entry: dict[str, Any]


def by_decision(release_id: int, connect_to: Connect, *, held: bool, decision: Decision) -> Report:
    """Publish a release as a person decided, or as nobody had to: see `publish`, `approve` and `going_back.resume`."""
    publisher_uri = connect_to("pdic_warehouse_publisher")
    began = time.monotonic()
    with transaction(publisher_uri, "publish") as publisher:  # what needs no publish waits for nobody
        if (known := _done_before(publisher, release_id, decision)) is not None:
            return known

    seconds: dict[str, float] = {}
    with step.alone(connect_to, f"release {release_id} publish", held=held):
        with transaction(publisher_uri, "publish") as publisher:  # another session may have published it meanwhile
            if (known := _done_before(publisher, release_id, decision)) is not None:
                return known
        try:
            with transaction(publisher_uri, "publish") as publisher:
                _require_same_code(publisher, release_id)
            if decision.consent is None and (why := _held_anew(release_id, connect_to)) is not None:
                return {"release_id": release_id, "status": state.HELD, "message": why}
            with closing(connect(publisher_uri, f"release {release_id} publish")) as publisher:
                with step.timed(seconds, "notes"):
                    said = _said(publisher, release_id, decision.consent)
                standing = views.up_to_date(publisher)
                what = f"release {release_id} is not published yet"
                show = partial(_show, publisher, release_id, began, said, decision, standing)
                if standing is not None:
                    waits.for_readers(publisher, publisher_uri, what, partial(_rehearse, publisher, show))
                pinned = waits.for_readers(publisher, publisher_uri, what, show)
                if pinned:
                    message = pin.waiting(pinned, release_id)
                    return {"release_id": release_id, "status": state.READY, "message": message, "seconds": seconds}
                slots.drop_retired(publisher)
        except BaseException as error:
            state.not_published(release_id, error, connect_to)
            raise
    seconds["publish"] = round(time.monotonic() - began, 3)
    with step.timed(seconds, "docs"):
        docs = _write_docs(release_id, connect_to)
    return {
        "release_id": release_id,
        "status": state.PUBLISHED,
        "message": said.lines[0].en,
        "warnings": said.warnings,
        "data_docs": docs,
        "seconds": seconds,
    }


def _done_before(publisher: Connection, release_id: int, decision: Decision) -> Report | None:
    """The report of a release of which nothing is left to do; None of one that is to be published.

    Raises `ReleaseHeld`, `ReleaseFenced` or `ReleaseError` where it may not be.
    """
    if state.of(publisher, release_id).status == state.PUBLISHED:
        live = slots.read(publisher).live_release_id
        sees = "" if live == release_id else f", and readers see release {live}"
        message = f"nothing changed: release {release_id} was published before{sees}"
        return {"release_id": release_id, "status": state.PUBLISHED, "message": message}
    if decision.consent is not None and (waiting := _approved_and_waiting(publisher, release_id)):
        return waiting
    _require_publishable(publisher, release_id, decision.consent)
    return None


def _approved_and_waiting(publisher: Connection, release_id: int) -> Report | None:
    """The report of a release that was approved before, and that a rollback keeps from going out; None of any other."""
    pinned = pin.read(publisher)
    if pinned is None or state.of(publisher, release_id).status != state.READY:
        return None
    with publisher.cursor() as cursor:
        cursor.execute("select exists (select from control.approval where release_id = %s)", (release_id,))
        if not one(cursor)[0]:
            return None
    return {"release_id": release_id, "status": state.READY, "message": pin.waiting(pinned, release_id)}


def _require_publishable(publisher: Connection, release_id: int, consent: Approval | None) -> None:
    """An audited release, or one that is held and that a person consents to. Raises `ReleaseHeld`, `ReleaseFenced`, `ReleaseError`."""
    found = state.of(publisher, release_id)
    status = found.status
    if consent is None:
        if status == state.HELD:
            raise ReleaseHeld(found.message)
        state.require(publisher, release_id, "audited", state.READY)
        return
    if status == "abandoned" and (newer := state.newest(publisher, state.HELD)) is not None:
        raise ReleaseFenced(
            f"release {release_id} was overtaken by release {newer}, which is held: look at `pdic release diff {newer}`, then approve "
            f"that one: `pdic release approve {newer} --reason WHY`"
        )
    if status not in (state.HELD, "abandoned"):
        raise ReleaseError(f"release {release_id} is {status} and not held: there is nothing to approve")
    state.require(publisher, release_id, state.HELD)


def _require_same_code(publisher: Connection, release_id: int) -> None:
    """Raises `ReleaseError` where models, contracts or rules changed since: its slot holds, and its audit judged, what they said then."""
    root = settings.project_root()
    with publisher.cursor() as cursor:
        cursor.execute("select code_digest from control.release where release_id = %s", (release_id,))
        if one(cursor)[0] != code.digest(root, code.LOGIC + code.AROUND):
            raise ReleaseError(
                f"release {release_id} was built before models, shared contracts, rules or limits changed, and is not published: run "
                "`pdic release`, which builds and audits one as they are now"
            )


def _rehearse(publisher: Connection, show: Callable[[], Any]) -> None:
    """Show a release and take that back at once, unseen: the session knows the catalogue then, and the publish takes a third as long."""
    with publisher.cursor() as cursor:
        cursor.execute("savepoint rehearsal")
        show()
        cursor.execute("rollback to savepoint rehearsal")


def _show(
    publisher: Connection, release_id: int, began: float, said: _Said, decision: Decision, standing: list[str] | None
) -> pin.Pin | None:
    """Show the release; returns the pin, and shows nothing, where a rollback keeps releases from going out.

    `standing`: the readers' views, where they are as the contracts say; None where they change with the release. Beside many readers
    each statement waits for a processor, so they are few.
    """
    with publisher.cursor() as cursor:
        found = slots.read(publisher, lock=True)
        cursor.execute(
            """
            select
                status, compared_with,
                (select release_id from control.slot_content where slot = %s),
                exists (select from control.pin),
                array(select name from control.shown_view order by name)
            from control.release where release_id = %s for update
            """,
            (found.building, release_id),
        )
        status, compared_with, built, is_pinned, shown = one(cursor)
        if decision.consent is not None or status not in ("audited", state.READY):
            _require_publishable(publisher, release_id, decision.consent)
        if decision.consent is not None:
            _record_consent(publisher, release_id, decision.consent)
            cursor.execute("update control.release set status = 'audited' where release_id = %s", (release_id,))
        if built != release_id:
            raise ReleaseFenced(f"release {release_id}: slot {found.building} holds another release; release again.")
        if decision.resume:
            pin.take_away(publisher, decision.reason)
        elif is_pinned and (pinned := pin.read(publisher)):
            cursor.execute(
                "update control.release set status = %s, message = %s where release_id = %s",
                (state.READY, pin.waiting(pinned, release_id), release_id),
            )
            return pinned
        if compared_with != (found.live_release_id if found.live is not None else content.NOTHING):
            raise Busy(
                f"release {release_id} was compared with another release than readers see now: a rollback came in between. Try again"
            )
        if standing is None:
            views.bring_up(publisher)
        elif shown != standing:
            raise Busy(
                f"release {release_id} is not published yet: a rollback changed the readers' views meanwhile. Try again"
            )
    with publisher.cursor(cursor_factory=Together) as cursor:
        slots.publish(cursor, release_id, found)
        notes.keep(cursor, release_id, said.lines)
        record_publication(cursor, release_id, "publish", found.live_release_id)
        state.change(cursor, release_id, state.PUBLISHED, {"publish": time.monotonic() - began})
        ledger.add(cursor, "publish", {**said.entry, "former": found.live_release_id})
        cursor.send()
    return None


def _record_consent(publisher: Connection, release_id: int, consent: Approval) -> None:
    because = state.of(publisher, release_id).message or ""
    approval.record(publisher, "release_id", release_id, consent, because)
    ledger.append(
        publisher,
        "approve",
        {
            "release_id": release_id,
            "by": consent.said_by,
            "account": consent.os_user,
            "reason": consent.reason,
            "findings": because,
        },
    )


def _said(publisher: Connection, release_id: int, consent: Approval | None) -> _Said:
    """What is to be written down, once the release was compared with what readers see."""
    shown = views.views()
    content.compare(publisher, release_id, shown)
    views.keep(publisher, release_id, shown)
    with publisher, publisher.cursor() as cursor:
        warnings = broken_rules.warned(cursor, release_id)
    return _Said(notes.lines(publisher, release_id, shown, consent), warnings, _published(publisher, release_id))


def _published(publisher: Connection, release_id: int) -> dict[str, Any]:
    """What the ledger is to say of a release that is published: its batches and code by their digest, its tables one by one."""
    with publisher, publisher.cursor() as cursor:
        cursor.execute("select code_digest from control.release where release_id = %s", (release_id,))
        (code_digest,) = one(cursor)
        cursor.execute(
            """
            select encode(sha256(convert_to(
                coalesce(string_agg(format('%%s.%%s=%%s', sector, dataset, batch_id), ',' order by sector, dataset), ''), 'UTF8'
            )), 'hex')
            from control.release_batch where release_id = %s
            """,
            (release_id,),
        )
        (batches,) = one(cursor)
        return {
            "release_id": release_id,
            "by": approval.person(),
            "code": code_digest,
            "batches": batches,
            "tables": {
                table: {"rows": holds.rows, "checksum": str(holds.checksum), "columns": holds.columns}
                for table, holds in content.of_release(cursor, release_id).items()
            },
        }


def _write_docs(release_id: int, connect_to: Connect) -> str:
    """Write the Data Docs of a published release and keep where they lie, or why there are none: that undoes no release."""
    try:
        docs = str(data_docs.build(release_id, connect_to=connect_to))
    except Exception as error:
        docs = (
            f"not written: {error}"
            if isinstance(error, PdicError | OSError)
            else f"not written: {type(error).__name__}"
        )
        docs += ". Readers see the release all the same; write them by `pdic quality docs`"
    with transaction(connect_to("pdic_warehouse_publisher"), "data docs") as publisher, publisher.cursor() as cursor:
        cursor.execute("update control.release set data_docs = %s where release_id = %s", (docs, release_id))
    return docs


def _held_anew(release_id: int, connect_to: Connect) -> str | None:
    """Hold a release against what readers see now, where its audit held it against another: a rollback came in between.

    Not one that a person approved, nor one whose slot holds another by now: that is not published anyway. Returns why it is held.
    """
    publisher_uri = connect_to("pdic_warehouse_publisher")
    with transaction(publisher_uri, "publish") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            select exists (
                select from control.release
                inner join control.slot on coalesce(slot.live_release_id, %(nothing)s) <> release.held_against
                inner join control.slot_content as content
                    on content.slot = slot.building and content.release_id = release.release_id
                where release.release_id = %(release)s
            ) and not exists (select from control.approval where release_id = %(release)s)
            """,
            {"release": release_id, "nothing": content.NOTHING},
        )
        if not one(cursor)[0]:
            return None
    why = comparison.made(release_id, connect_to)
    if why is not None:
        with transaction(publisher_uri, "publish") as publisher:
            state.move_on(publisher, release_id, state.HELD, {}, why)
    return why


def record_publication(cursor: Cursor, release_id: int, kind: str, former: int | None) -> None:
    """Note what readers see from now on, and what they saw until now."""
    cursor.execute(
        "insert into control.publication (release_id, kind, former_release_id) values (%s, %s, %s)",
        (release_id, kind, former),
    )
