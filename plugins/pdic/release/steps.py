"""The steps of a release, over `control.release` and the slots of the published tables."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg2

from pdic import approval, connections, contracts, failures, identity, quality, raw, settings
from pdic.approval import Approval
from pdic.errors import Busy, DiskFull, PdicError, ReleaseError, ReleaseFenced, ReleaseHeld, WarehouseUnavailable
from pdic.quality import data_docs
from pdic.quality.coverage import coverage_of
from pdic.release import broken_rules, code, comparison, content, dbt, keys, ledger, notes, pin, slots, turn
from pdic.release import views as readers_views
from pdic.release.seeds import load_seeds
from pdic.release.turn import OPEN_STATES
from pdic.release.views import View, bring_up, go_back_to, up_to_date, views
from pdic.warehouse import Connect, connect, locks, one, readers, transaction
from pdic.warehouse.statements import Together, execute_values

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

T = TypeVar("T")
Progress = Callable[[str], None]
Report = dict[str, Any]
PUBLISHED: Final = "published"
HELD: Final = "held"
"""Built and audited, and too unlike the live one: it waits for a person, and for no process. A newer release overtakes it."""
READY: Final = "ready"
"""A release that is built and audited, and waits until releases go out again (`pdic.release.pin`)."""
RELEASE_WAIT_S: Final = 600.0
"""How long a release waits for another one that a living process builds."""
STEP_WAIT_S: Final = 60.0
"""How long a single step does: a scheduler tries it again later."""
COPIES: Final = 2
"""So many tables are copied at a time."""
_log = logging.getLogger(__name__)
STAGING = ("path:models/staging", "path:models/vault/mention")


def release(
    *,
    full_refresh: bool = False,
    force: bool = False,
    connect_to: Connect = connections.uri,
    progress: Progress | None = None,
) -> Report:
    """All four steps in one process, which holds the release's lock from the first to the last.

    Status `unchanged` where neither data nor code has news since the live release, `under way` where a living process builds
    another release for longer than anybody waits, `held` where it is too unlike the live one and waits for a person (`approve`),
    `ready` where a rollback keeps releases from going out (`resume`). `message` says why.
    """
    tell = progress or (lambda _step: None)
    readers.watch(connect_to)
    with locks.Session(connect_to, "pdic_warehouse_publisher", "release") as session:
        try:
            turn.take(session, connect_to, RELEASE_WAIT_S)
        except Busy as busy:
            return {"release_id": turn.newest(connect_to), "status": "under way", "message": str(busy)}
        opened = open_release(full_refresh=full_refresh, force=force, connect_to=connect_to, held=True)
        if opened["status"] != "building":
            return opened
        release_id = opened["release_id"]
        for name, step in (("conform", conform), ("audit", audit), ("publish", publish)):
            tell(name)
            report = step(release_id, connect_to, held=True)
            if report["status"] == HELD:
                break
        return report


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
    promises = _promises(root)  # between two transactions: reading the rules of many datasets takes seconds
    with transaction(connect_to("pdic_warehouse_publisher"), "open release") as publisher, publisher.cursor() as cursor:
        newest = _newest(publisher)
        if not newest:
            raise ReleaseError("there is no accepted batch to release: run `pdic load` first")
        if not needed and (known := _known(publisher, newest, code_digest)):
            return known
        _give_up_others(publisher, "a newer release began")
        cursor.execute(
            "insert into control.release (status, full_refresh, code_digest) values ('building', %s, %s) returning release_id",
            (full_refresh, code_digest),
        )
        (release_id,) = one(cursor)
        cursor.executemany(
            "insert into control.release_batch (release_id, sector, dataset, batch_id) values (%s, %s, %s, %s)",
            [(release_id, *row) for row in newest],
        )
        _record_promises(publisher, release_id, promises)
        if not held:
            _let_go(publisher, release_id)
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
            (code_digest, [HELD, READY] if pinned else [HELD]),
        )
        for release_id, status, message in cursor.fetchall():
            cursor.execute(
                "select sector, dataset, batch_id from control.release_batch where release_id = %s order by 1, 2",
                (release_id,),
            )
            if cursor.fetchall() != newest:
                continue
            if status == HELD:
                return {"release_id": release_id, "status": HELD, "message": message}
            if pinned and status == READY:
                return {"release_id": release_id, "status": READY, "message": pin.waiting(pinned, release_id)}
            return {"release_id": release_id, "status": "unchanged"}
    return None


def _waiting(publisher: Connection, status: str) -> int | None:
    """The newest release that waits for a person: `HELD`, or `READY`."""
    with publisher.cursor() as cursor:
        cursor.execute("select max(release_id) from control.release where status = %s", (status,))
        found = one(cursor)[0]
    return int(found) if found is not None else None


def _give_up_others(publisher: Connection, why: str) -> None:
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


@dataclass(frozen=True)
class _Promises:
    """What contracts and rule files say of each dataset, for the models that measure quality; and the datasets of which they
    cannot be read: what those promised last stands."""

    said: list[tuple[Any, ...]]
    unread: list[tuple[str, str]]


def _promises(root: Path) -> _Promises:
    found = _Promises([], [])
    known = contracts.readable(root)
    for sector, dataset in contracts.names(root):
        try:
            contract = known.get((sector, dataset)) or contracts.get(sector, dataset, root)  # which says what is wrong
            covered = coverage_of(root, contract)
        except Exception as error:
            failures.log(_log, f"reading what {sector}.{dataset} promises", error)
            _log.warning("%s.%s keeps what its contract promised last: %s", sector, dataset, failures.words(error))
            found.unread.append((sector, dataset))
            continue
        found.said.append(
            (
                sector,
                dataset,
                contract.title,
                contract.owner_agency,
                contract.freshness,
                covered.columns,
                covered.columns - len(covered.without_rule),
                covered.rules,
                covered.freshness or None,
            )
        )
    return found


def _record_promises(publisher: Connection, release_id: int, promises: _Promises) -> None:
    with publisher.cursor() as cursor:
        execute_values(
            cursor,
            """
            insert into control.release_dataset (
                release_id, sector, dataset, title, owner_agency, freshness, columns, columns_with_rule, rules, freshness_by
            ) values %s
            """,
            [(release_id, *promise) for promise in promises.said],
        )
        cursor.executemany(
            """
            insert into control.release_dataset (
                release_id, sector, dataset, title, owner_agency, freshness, columns, columns_with_rule, rules, freshness_by
            )
            select %s, sector, dataset, title, owner_agency, freshness, columns, columns_with_rule, rules, freshness_by
            from control.release_dataset where sector = %s and dataset = %s order by release_id desc limit 1
            """,
            [(release_id, *name) for name in promises.unread],
        )


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


def conform(release_id: int, connect_to: Connect = connections.uri, *, held: bool = False) -> Report:
    """Build the candidate: staging and mentions, then keys, then core and marts.

    Tables built by other logic than today's, or before staging was last rebuilt, are built anew: an incremental table is
    right only while the logic that made it stands. Raises `ReleaseError`, `ReleaseFenced`, `Busy`.
    """
    transformer_uri, publisher_uri = connect_to("pdic_warehouse_transformer"), connect_to("pdic_warehouse_publisher")
    logic = code.digest(settings.project_root(), code.LOGIC)
    with _step(connect_to, release_id, "conform", "building", held=held) as (publisher, seconds):
        with transaction(connect_to("pdic_warehouse_loader"), f"release {release_id} tables") as loader:
            raw.ensure_unloaded(loader)  # a sector that is yet to come must not hold up the others
        secret = settings.secret("identity_key").encode()
        _require_same_secret(publisher, secret)
        building, whole_staging, whole_core = _begin_build(publisher, publisher_uri, release_id, logic)
        if whole_core and not whole_staging and _live_is_by(publisher, logic):
            with _timed(seconds, "copy"):
                _copy_live(publisher, publisher_uri, release_id)
            whole_core = False
        with _timed(seconds, "staging"):
            if whole_staging:
                load_seeds(transformer_uri, settings.project_root() / "dbt_project" / "seeds")
            results = dbt.build(transformer_uri, "--select", *STAGING, full_refresh=whole_staging)
        with _timed(seconds, "identity"):
            identity.found_citizens(transformer_uri, secret)
        with _timed(seconds, "core"):
            results += dbt.build(transformer_uri, "--exclude", *STAGING, "resource_type:seed", full_refresh=whole_core)
        with _closing(publisher_uri, f"release {release_id} is not built"), publisher, publisher.cursor() as cursor:
            slots.close(publisher)  # first: who still writes in the slot holds its row of slot_content
            _move_on(publisher, release_id, "built", seconds)
            _record_models(publisher, release_id, results)
            cursor.execute("update control.slot_content set logic_digest = %s where slot = %s", (logic, building))
            cursor.execute(
                "update control.release set logic_digest = %s, refreshed = %s where release_id = %s",
                (logic, whole_staging, release_id),
            )
    return {"release_id": release_id, "status": "built", "seconds": seconds}


def _copy_live(publisher: Connection, publisher_uri: str, release_id: int) -> None:
    """Bring the slot that is to be built to what the live one holds. Where that breaks off, the slot has no marks: it is done again."""

    def copy(view: View) -> None:
        with transaction(publisher_uri, f"release {release_id} copy") as connection:
            slots.copy_table(connection, view, release_id)

    with publisher:
        slots.drop_marks(publisher, release_id)
    with ThreadPoolExecutor(COPIES) as pool:
        list(pool.map(copy, slots.largest_first(publisher, views())))
    with publisher:
        slots.copy_marks(publisher, release_id)


def audit(release_id: int, connect_to: Connect = connections.uri, *, held: bool = False) -> Report:
    """Judge every published table of the candidate, and hold the release against the live one.

    Status `held` where it is too unlike that one: `message` says how. Raises `ReleaseError` naming table, rule and count.
    """
    auditor_uri = connect_to("pdic_warehouse_auditor")
    with transaction(connect_to("pdic_warehouse_publisher"), f"release {release_id} audit") as publisher:
        if (why := _held_because(publisher, release_id)) is not None:  # the step is tried again
            return {"release_id": release_id, "status": HELD, "message": why}
    with _step(connect_to, release_id, "audit", "built", held=held) as (publisher, seconds):
        with _timed(seconds, "audit"):
            verdict = quality.audit_release(
                auditor_uri, release_id, [view.name for view in views()], root=settings.project_root()
            )
        with transaction(auditor_uri, "record audit") as auditor:
            for table, results in verdict.tables.items():
                quality.record(auditor, results, "release", release_id, "shared", table)
        with _timed(seconds, "compare"):
            held_because = comparison.made(release_id, connect_to)
        if not verdict.passed:
            raise ReleaseError(verdict.message)
        if held_because is not None:
            with publisher:
                _move_on(publisher, release_id, HELD, seconds, held_because)
            return {"release_id": release_id, "status": HELD, "message": held_because, "seconds": seconds}
        with publisher:
            _move_on(publisher, release_id, "audited", seconds)
    return {"release_id": release_id, "status": "audited", "seconds": seconds}


def approve(release_id: int, consent: Approval, connect_to: Connect = connections.uri) -> Report:
    """Publish a release that is held, because a person consents: both are kept in one transaction, or neither.

    Status `ready` where a rollback keeps releases from going out: the consent is kept. Approving what was approved and published
    changes nothing. Raises `ReleaseError` where it is not held, `ReleaseFenced`, `Busy`.
    """
    return _publish(release_id, connect_to, held=False, decision=_Decision(consent=consent))


def publish(release_id: int, connect_to: Connect = connections.uri, *, held: bool = False) -> Report:
    """Show an audited candidate to readers, in one transaction. Publishing a published release again changes nothing.

    Status `ready`, with a `message`, where a rollback keeps releases from going out; `held` where readers see another release than the
    audit compared it with, and it is too unlike that one. Raises `ReleaseHeld` where it waits for a
    consent.
    """
    return _publish(release_id, connect_to, held=held, decision=_Decision())


@dataclass(frozen=True)
class _Decision:
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


def _publish(release_id: int, connect_to: Connect, *, held: bool, decision: _Decision) -> Report:
    publisher_uri = connect_to("pdic_warehouse_publisher")
    began = time.monotonic()
    with transaction(publisher_uri, "publish") as publisher:
        if _status(publisher, release_id) == PUBLISHED:
            live = slots.read(publisher).live_release_id
            sees = "" if live == release_id else f", and readers see release {live}"
            message = f"nothing changed: release {release_id} was published before{sees}"
            return {"release_id": release_id, "status": PUBLISHED, "message": message}
        if decision.consent is not None and (waiting := _approved_and_waiting(publisher, release_id)):
            return waiting
        _require_publishable(publisher, release_id, decision.consent)

    seconds: dict[str, float] = {}
    with _alone(connect_to, f"release {release_id} publish", held=held):
        try:
            with transaction(publisher_uri, "publish") as publisher:
                _require_same_code(publisher, release_id)
            if decision.consent is None and (why := _held_anew(release_id, connect_to)) is not None:
                return {"release_id": release_id, "status": HELD, "message": why}
            with closing(connect(publisher_uri, f"release {release_id} publish")) as publisher:
                with _timed(seconds, "notes"):
                    said = _said(publisher, release_id, decision.consent)
                standing = up_to_date(publisher)
                what = f"release {release_id} is not published yet"
                show = partial(_show, publisher, release_id, began, said, decision, standing)
                if standing is not None:
                    _reshape(publisher, publisher_uri, what, partial(_rehearse, publisher, show))
                pinned = _reshape(publisher, publisher_uri, what, show)
                if pinned:
                    message = pin.waiting(pinned, release_id)
                    return {"release_id": release_id, "status": READY, "message": message, "seconds": seconds}
                slots.drop_retired(publisher)
        except BaseException as error:
            _not_published(release_id, error, connect_to)
            raise
    seconds["publish"] = round(time.monotonic() - began, 3)
    with _timed(seconds, "docs"):
        docs = _write_docs(release_id, connect_to)
    return {
        "release_id": release_id,
        "status": PUBLISHED,
        "message": said.lines[0].en,
        "warnings": said.warnings,
        "data_docs": docs,
        "seconds": seconds,
    }


def _approved_and_waiting(publisher: Connection, release_id: int) -> Report | None:
    """The report of a release that was approved before, and that a rollback keeps from going out; None of any other."""
    pinned = pin.read(publisher)
    if pinned is None or _status(publisher, release_id) != READY:
        return None
    with publisher.cursor() as cursor:
        cursor.execute("select exists (select from control.approval where release_id = %s)", (release_id,))
        if not one(cursor)[0]:
            return None
    return {"release_id": release_id, "status": READY, "message": pin.waiting(pinned, release_id)}


def _require_publishable(publisher: Connection, release_id: int, consent: Approval | None) -> None:
    """An audited release, or one that is held and that a person consents to. Raises `ReleaseHeld`, `ReleaseFenced`, `ReleaseError`."""
    if consent is None:
        with publisher.cursor() as cursor:
            cursor.execute("select status, message from control.release where release_id = %s", (release_id,))
            status, message = cursor.fetchone() or (None, None)
        if status == HELD:
            raise ReleaseHeld(message)
        if status not in ("audited", READY):
            _require(publisher, release_id, "audited", READY)  # which says what it is instead
        return
    status = _status(publisher, release_id)
    if status == "abandoned" and (newer := _waiting(publisher, HELD)) is not None:
        raise ReleaseFenced(
            f"release {release_id} was overtaken by release {newer}, which is held too: look at `pdic release diff {newer}`, then approve "
            f"that one: `pdic release approve {newer} --reason WHY`"
        )
    if status not in (HELD, "abandoned"):
        raise ReleaseError(f"release {release_id} is {status} and not held: there is nothing to approve")
    _require(publisher, release_id, HELD)


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


def _held_because(publisher: Connection, release_id: int) -> str | None:
    """Why a release is held; None where it is not."""
    with publisher.cursor() as cursor:
        cursor.execute("select message from control.release where release_id = %s and status = %s", (release_id, HELD))
        row = cursor.fetchone()
    return str(row[0]) if row else None


def _rehearse(publisher: Connection, show: Callable[[], Any]) -> None:
    """Show a release and take that back at once, unseen: the session knows the catalogue then, and the publish takes a third as long."""
    with publisher.cursor() as cursor:
        cursor.execute("savepoint rehearsal")
        show()
        cursor.execute("rollback to savepoint rehearsal")


def _show(
    publisher: Connection, release_id: int, began: float, said: _Said, decision: _Decision, standing: list[str] | None
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
        if decision.consent is not None or status not in ("audited", READY):
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
                (READY, pin.waiting(pinned, release_id), release_id),
            )
            return pinned
        if compared_with != (found.live_release_id if found.live is not None else content.NOTHING):
            raise Busy(
                f"release {release_id} was compared with another release than readers see now: a rollback came in between. Try again"
            )
        if standing is None:
            bring_up(publisher)
        elif shown != standing:
            raise Busy(
                f"release {release_id} is not published yet: a rollback changed the readers' views meanwhile. Try again"
            )
    with publisher.cursor(cursor_factory=Together) as cursor:
        slots.publish(cursor, release_id, found)
        notes.keep(cursor, release_id, said.lines)
        _record_publication(cursor, release_id, "publish", found.live_release_id)
        _set_status(cursor, release_id, PUBLISHED, {"publish": time.monotonic() - began})
        ledger.add(cursor, "publish", {**said.entry, "former": found.live_release_id})
        cursor.send()
    return None


def _record_consent(publisher: Connection, release_id: int, consent: Approval) -> None:
    because = _held_because(publisher, release_id) or ""
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
    shown = views()
    content.compare(publisher, release_id, shown)
    readers_views.keep(publisher, release_id, shown)
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


def _require_same_secret(publisher: Connection, secret: bytes) -> None:
    """Raises `ReleaseError` where keys would be made with another secret than those that are there: they would meet nobody."""
    with publisher, publisher.cursor() as cursor:
        cursor.execute(
            "insert into control.key_check (said) values (%s) on conflict do nothing", (keys.check_of(secret),)
        )
        cursor.execute("select said from control.key_check")
        if one(cursor)[0] != keys.check_of(secret):
            raise ReleaseError(
                f"{settings.secret_path('identity_key')} is not the secret with which this warehouse's keys were made, so that new rows "
                "would not meet the standing ones: put that file back from the backup of the secrets, then run `pdic release` again"
            )


@contextmanager
def _closing(publisher_uri: str, what: str) -> Iterator[None]:
    """Where slots are closed: who writes in one is waited for, and named if that is in vain."""
    tables = [f"{slots.schema_of(slot)}.{view.name}" for slot in slots.NAMES for view in views()]
    with locks.held_up(publisher_uri, what, tables):
        yield


def _reshape(publisher: Connection, publisher_uri: str, what: str, action: Callable[[], T]) -> T:
    """Runs what may change tables or views that readers use: they wait for a moment only, and who holds one for long is named."""
    tables = [f"{schema}.{view.name}" for view in views() for schema in ("shared", "published")]
    return locks.in_short_tries(publisher, publisher_uri, what, tables, action)


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
        _record_publication(cursor, before.former_release_id, "rollback", before.live_release_id)
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
        former = readers_views.of_release(cursor, release_id)
    if former is None:
        return ""

    def back() -> None:
        # Each try may come long after the rollback: what was published meanwhile keeps its own tables.
        if slots.read(publisher, lock=True).live_release_id == release_id:
            go_back_to(publisher, former)

    try:
        _reshape(publisher, publisher_uri, f"release {release_id} is live", back)
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
        with _alone(connect_to, "resume", wait=0.0):
            with transaction(connect_to("pdic_warehouse_publisher"), "resume") as publisher:
                ready = _waiting(publisher, READY)
            if ready is not None:
                report = _publish(ready, connect_to, held=True, decision=_Decision(resume=True, reason=reason))
                if report["status"] != HELD:
                    return report | {"message": f"releases go out again, and release {ready} is published"}
            return _let_go_out(reason, connect_to)
    except Busy as busy:
        return _let_go_out(reason, connect_to, busy)


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
            _move_on(publisher, release_id, HELD, {}, why)
    return why


def _let_go_out(reason: str | None, connect_to: Connect, busy: Busy | None = None) -> Report:
    """Take the pin away where no release is ready, or where it cannot be published now, because another step is under way (`busy`)."""
    with transaction(connect_to("pdic_warehouse_publisher"), "resume") as publisher, publisher.cursor() as cursor:
        live = slots.read(publisher, lock=True).live_release_id
        pin.take_away(publisher, reason)
        cursor.execute("select max(release_id) from control.release where status = any(%s)", (list(OPEN_STATES),))
        (building,) = one(cursor)
        waits, ready = _waiting(publisher, HELD), _waiting(publisher, READY)
    if building:
        then = f"release {building} is being built, and is published once it has passed its audit"
    elif waits:
        then = f"release {waits} is held: look at `pdic release diff {waits}`, then `pdic release approve {waits} --reason WHY`"
    elif busy is not None and ready:
        then = f"release {ready} is ready and was not published ({busy}): the next `pdic release` brings what it has"
    else:
        then = "none is ready: the next `pdic release` is published"
    return {"release_id": live, "status": "resumed", "message": f"releases go out again; {then}"}


def _live_is_by(publisher: Connection, logic: str) -> bool:
    """Was the live slot built by this logic, and from staging as it is?"""
    with publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            select
                coalesce(content.logic_digest = %s, false)
                and content.release_id >= (select coalesce(max(release_id), 0) from control.release where refreshed)
            from control.slot
            inner join control.slot_content as content on content.slot = slot.live
            """,
            (logic,),
        )
        found = cursor.fetchone()
    return bool(found and found[0])


def _begin_build(publisher: Connection, publisher_uri: str, release_id: int, logic: str) -> tuple[str, bool, bool]:
    """Open the slot that is to be built. Returns its name, and whether staging, and whether core, must be built whole."""
    what = f"release {release_id} cannot be built"
    _reshape(publisher, publisher_uri, what, lambda: slots.ensure_tables(publisher, views()))
    with _closing(publisher_uri, what), publisher, publisher.cursor() as cursor:
        cursor.execute("select coalesce(max(release_id), 0) from control.release where refreshed")
        (refreshed,) = one(cursor)
        cursor.execute(  # one that was asked for and broke off leaves staging of unknown state
            "select bool_or(full_refresh) from control.release where release_id > %s and release_id <= %s",
            (refreshed, release_id),
        )
        (asked,) = one(cursor)
        cursor.execute(
            "select logic_digest from control.release where logic_digest is not null order by release_id desc limit 1"
        )
        last = cursor.fetchone()
        whole_staging = asked or last is None or last[0] != logic
        slots.close(publisher)  # may wait for who still writes: before the slots' row is locked, which a rollback needs
        building = slots.read(publisher, lock=True).building
        slots.open_for_building(publisher, building)
        cursor.execute(
            "select coalesce(release_id, 0), logic_digest from control.slot_content where slot = %s", (building,)
        )
        built_for, built_by = one(cursor)
        # A build that dies half-way leaves tables of unknown state: the next one must not trust them.
        cursor.execute(
            "update control.slot_content set release_id = %s, logic_digest = null where slot = %s",
            (release_id, building),
        )
    return building, whole_staging, whole_staging or built_by != logic or built_for < refreshed


@contextmanager
def _step(
    connect_to: Connect, release_id: int, name: str, state: str, *, held: bool
) -> Iterator[tuple[Connection, dict[str, float]]]:
    """One step of one release at a time: requires the state, records a failure with its reason.

    Holds the release's lock, if the caller does not (`held`), and gives it back for the next step.
    """
    publisher = connect(connect_to("pdic_warehouse_publisher"), f"release {release_id} {name}")
    try:
        with publisher:
            _require(publisher, release_id, state)  # what was overtaken waits for nobody
        with _alone(connect_to, f"release {release_id} {name}", held=held):
            with publisher:
                _require(publisher, release_id, state)
            try:
                yield publisher, {}
            except BaseException as error:
                _fail(release_id, error, connect_to)
                raise
            if not held:
                with publisher:
                    _let_go(publisher, release_id)
    finally:
        publisher.close()


@contextmanager
def _alone(connect_to: Connect, step: str, *, held: bool = False, wait: float = STEP_WAIT_S) -> Iterator[None]:
    """Hold the release's lock, if the caller does not. Raises `Busy` where a step is under way elsewhere."""
    if held:
        yield
        return
    with locks.Session(connect_to, "pdic_warehouse_publisher", step) as session:
        session.take(locks.RELEASE, wait)
        yield


def _fail(release_id: int, error: BaseException, connect_to: Connect) -> None:
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


def _not_published(release_id: int, error: BaseException, connect_to: Connect) -> None:
    """Keep why readers do not see an audited release: `pdic status` tells it. Where trying again can help, the release has not failed."""
    refusal = failures.in_words(error)
    if isinstance(refusal, ReleaseFenced):
        return
    if isinstance(error, Exception) and not (refusal is not None and refusal.retryable):
        _fail(release_id, error, connect_to)
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


def _let_go(publisher: Connection, release_id: int) -> None:
    """Note that a step has ended, and that the next one takes the lock anew."""
    with publisher.cursor() as cursor:
        cursor.execute("update control.release set let_go_at = clock_timestamp() where release_id = %s", (release_id,))


def _status(publisher: Connection, release_id: int) -> str:
    with publisher.cursor() as cursor:
        cursor.execute("select status from control.release where release_id = %s", (release_id,))
        row = cursor.fetchone()
    if row is None:
        raise ReleaseError(f"there is no release {release_id}; `pdic status` lists the newest")
    return str(row[0])


def _require(publisher: Connection, release_id: int, *states: str) -> None:
    status = _status(publisher, release_id)
    if status == "abandoned":
        raise ReleaseFenced(f"release {release_id} was overtaken by a newer one; nothing to do")
    if status not in states:
        raise ReleaseError(f"release {release_id} is {status}, not {states[0]}: begin a new one with `pdic release`")


def _move_on(
    publisher: Connection, release_id: int, status: str, seconds: dict[str, float], message: str | None = None
) -> None:
    """End a step. Raises `ReleaseFenced` where another release began meanwhile: then the session that held the lock was lost."""
    with publisher.cursor() as cursor:
        _set_status(cursor, release_id, status, seconds, message)
        if cursor.rowcount != 1:
            raise ReleaseFenced(f"release {release_id} was overtaken by a newer one; nothing to do")


def _set_status(
    cursor: Cursor, release_id: int, status: str, seconds: dict[str, float], message: str | None = None
) -> None:
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


def _record_models(publisher: Connection, release_id: int, results: list[dbt.NodeResult]) -> None:
    with publisher.cursor() as cursor:
        cursor.executemany(
            """
            insert into control.model_result (release_id, node, status, seconds, rows) values (%s, %s, %s, %s, %s)
            on conflict (release_id, node) do update
            set status = excluded.status, seconds = excluded.seconds, rows = excluded.rows
            """,
            [(release_id, result.node, result.status, result.seconds, result.rows) for result in results],
        )


def _record_publication(cursor: Cursor, release_id: int, kind: str, former: int | None) -> None:
    """Note what readers see from now on, and what they saw until now."""
    cursor.execute(
        "insert into control.publication (release_id, kind, former_release_id) values (%s, %s, %s)",
        (release_id, kind, former),
    )


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 3)
