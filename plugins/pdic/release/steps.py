"""The steps of a release, over `control.release` and the two slots `live` and `candidate`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg2.extras import execute_values

from pdic import connections, contracts, identity, quality, raw, settings
from pdic.errors import Busy, PdicError, ReleaseError, ReleaseFenced
from pdic.quality import data_docs
from pdic.quality.coverage import coverage
from pdic.release import code, dbt
from pdic.release.seeds import load_seeds
from pdic.release.swap import swap, views
from pdic.warehouse import Connect, connect, one, transaction

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg2.extensions import connection as Connection

Progress = Callable[[str], None]
Report = dict[str, Any]
OPEN_STATES = ("building", "built", "audited")
RELEASE_LOCK = 4402
SETTLE_POLL_S = 1.0
STAGING = ("path:models/staging", "path:models/vault/mention")


def release(
    *,
    full_refresh: bool = False,
    force: bool = False,
    connect_to: Connect = connections.uri,
    progress: Progress | None = None,
) -> Report:
    """All four steps in one process. Status `unchanged` where neither data nor code has news since the live release."""
    tell = progress or (lambda _step: None)
    opened = open_release(full_refresh=full_refresh, force=force, connect_to=connect_to)
    if opened["status"] == "unchanged":
        return opened
    release_id = opened["release_id"]
    for name, step in (("conform", conform), ("audit", audit), ("publish", publish)):
        tell(name)
        report = step(release_id, connect_to)
    return report


def open_release(*, full_refresh: bool = False, force: bool = False, connect_to: Connect = connections.uri) -> Report:
    """Begin a release: pin the newest accepted batch of every dataset. A former one that never ended is abandoned.

    Returns its id and `building`, or the live release's id and `unchanged` where there is nothing to bring.
    """
    root = settings.project_root()
    code_digest = code.digest(root, code.LOGIC + code.AROUND)
    needed = full_refresh or force
    with transaction(connect_to("pdic_warehouse_publisher"), "release news") as publisher:
        if not needed and (live := _unchanged(publisher, _newest(publisher), code_digest)):
            return live
    promises = _promises(root)  # between two transactions: reading the rules of many datasets takes seconds
    with transaction(connect_to("pdic_warehouse_publisher"), "open release") as publisher, publisher.cursor() as cursor:
        _take_lock(publisher)
        newest = _newest(publisher)
        if not newest:
            raise ReleaseError("there is no accepted batch to release: run `pdic load` first")
        if not needed and (live := _unchanged(publisher, newest, code_digest)):
            return live
        cursor.execute(
            "update control.release set status = 'abandoned', message = 'a newer release began' where status = any(%s)",
            (list(OPEN_STATES),),
        )
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
    return {"release_id": release_id, "status": "building"}


def _newest(publisher: Connection) -> list[tuple[Any, ...]]:
    """Sector, dataset and id of the newest accepted batch of every dataset that has one."""
    with publisher.cursor() as cursor:
        cursor.execute(
            "select sector, dataset, accepted_batch_id from control.dataset where accepted_batch_id is not null order by 1, 2"
        )
        return cursor.fetchall()


def _unchanged(publisher: Connection, newest: list[tuple[Any, ...]], code_digest: str) -> Report | None:
    """The live release, where it is made of these batches by this code."""
    with publisher.cursor() as cursor:
        cursor.execute(
            """
            select release.release_id, release.code_digest
            from live.release_slot as slot
            inner join control.release using (release_id)
            where slot.complete
            """
        )
        live = cursor.fetchone()
        if live is None or live[1] != code_digest:
            return None
        cursor.execute(
            "select sector, dataset, batch_id from control.release_batch where release_id = %s order by 1, 2", live[:1]
        )
        return {"release_id": live[0], "status": "unchanged"} if cursor.fetchall() == newest else None


def _promises(root: Path) -> list[tuple[Any, ...]]:
    """What contracts and rule files say of each dataset, for the models that measure quality."""
    known = contracts.load_all(root)
    return [
        (
            found.sector,
            found.dataset,
            contract.title,
            contract.owner_agency,
            contract.freshness,
            found.columns,
            found.columns - len(found.without_rule),
            found.rules,
            found.freshness or None,
        )
        for found in coverage(root)
        for contract in [known[found.sector, found.dataset]]
    ]


def _record_promises(publisher: Connection, release_id: int, promises: list[tuple[Any, ...]]) -> None:
    with publisher.cursor() as cursor:
        execute_values(
            cursor,
            """
            insert into control.release_dataset (
                release_id, sector, dataset, title, owner_agency, freshness, columns, columns_with_rule, rules, freshness_by
            ) values %s
            """,
            [(release_id, *promise) for promise in promises],
        )


def is_current(connect_to: Connect = connections.uri) -> bool:
    """Does the live release hold the newest accepted batch of every dataset?"""
    with transaction(connect_to("pdic_warehouse_publisher"), "status") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            select
                exists (select 1 from live.release_slot where complete)
                and not exists (
                    select sector, dataset, accepted_batch_id from control.dataset where accepted_batch_id is not null
                    except
                    select release_batch.sector, release_batch.dataset, release_batch.batch_id
                    from control.release_batch
                    inner join live.release_slot using (release_id)
                )
            """
        )
        return bool(one(cursor)[0])


def settle(timeout: float, connect_to: Connect = connections.uri) -> float:
    """Wait until no load is under way, at most `timeout` seconds, so that one release takes all sectors' news.

    Returns the seconds waited. A load that died is not waited for longer than `timeout`; its batch comes another time.
    """
    began = time.monotonic()
    publisher = connect(connect_to("pdic_warehouse_publisher"), "release settle", autocommit=True)
    try:
        with publisher.cursor() as cursor:
            while time.monotonic() - began < timeout:
                cursor.execute(
                    """
                    select exists (
                        select 1 from control.batch
                        where
                            status in ('extracting', 'extracted', 'checked')
                            and started_at > clock_timestamp() - interval '6 hours'
                    )
                    """
                )
                if not one(cursor)[0]:
                    break
                time.sleep(SETTLE_POLL_S)
    finally:
        publisher.close()
    return time.monotonic() - began


def conform(release_id: int, connect_to: Connect = connections.uri) -> Report:
    """Build the candidate: staging and mentions, then keys, then core and marts.

    Tables built by other logic than today's, or before staging was last rebuilt, are built anew: an incremental table is
    right only while the logic that made it stands. Raises `ReleaseError`, `ReleaseFenced`, `Busy`.
    """
    transformer_uri = connect_to("pdic_warehouse_transformer")
    logic = code.digest(settings.project_root(), code.LOGIC)
    with _step(connect_to, release_id, "conform", "building") as (publisher, seconds):
        with transaction(connect_to("pdic_warehouse_loader"), f"release {release_id} tables") as loader:
            raw.ensure_unloaded(loader)  # a sector that is yet to come must not hold up the others
        whole_staging, whole_core = _begin_build(publisher, release_id, logic)
        with _timed(seconds, "staging"):
            if whole_staging:
                load_seeds(transformer_uri, settings.project_root() / "dbt_project" / "seeds")
            results = dbt.build(transformer_uri, "--select", *STAGING, full_refresh=whole_staging)
        with _timed(seconds, "identity"):
            identity.found_citizens(transformer_uri, settings.secret("identity_key", create=True).encode())
        with _timed(seconds, "core"):
            results += dbt.build(transformer_uri, "--exclude", *STAGING, "resource_type:seed", full_refresh=whole_core)
        with publisher, publisher.cursor() as cursor:
            _record_models(publisher, release_id, results)
            cursor.execute("update candidate.release_slot set logic_digest = %s", (logic,))
            cursor.execute(
                "update control.release set logic_digest = %s, refreshed = %s where release_id = %s",
                (logic, whole_staging, release_id),
            )
            _move_on(publisher, release_id, "built", seconds)
    return {"release_id": release_id, "status": "built", "seconds": seconds}


def audit(release_id: int, connect_to: Connect = connections.uri) -> Report:
    """Judge every published table of the candidate. Raises `ReleaseError` naming table, rule and count."""
    auditor_uri = connect_to("pdic_warehouse_auditor")
    with _step(connect_to, release_id, "audit", "built") as (publisher, seconds):
        with _timed(seconds, "audit"):
            verdict = quality.audit_release(
                auditor_uri, release_id, [view.name for view in views()], root=settings.project_root()
            )
        with transaction(auditor_uri, "record audit") as auditor:
            for table, results in verdict.tables.items():
                quality.record(auditor, results, "release", release_id, "shared", table)
        if not verdict.passed:
            raise ReleaseError(verdict.message)
        with publisher:
            _move_on(publisher, release_id, "audited", seconds)
    return {"release_id": release_id, "status": "audited", "seconds": seconds}


def publish(release_id: int, connect_to: Connect = connections.uri) -> Report:
    """Show an audited candidate to readers, in one transaction. Publishing a published release again changes nothing."""
    publisher_uri = connect_to("pdic_warehouse_publisher")
    began = time.monotonic()
    with transaction(publisher_uri, "publish") as publisher:
        if _status(publisher, release_id) == "published":
            return {"release_id": release_id, "status": "published"}

    def before(publisher: Connection) -> None:
        _take_lock(publisher)
        _require(publisher, release_id, "audited")

    def after(publisher: Connection) -> None:
        with publisher.cursor() as cursor:
            cursor.execute("update live.release_slot set complete = true where release_id = %s", (release_id,))
            if cursor.rowcount != 1:
                raise ReleaseFenced(f"release {release_id}: the candidate holds another release; release again.")
            _move_on(publisher, release_id, "published", {"publish": time.monotonic() - began})
            cursor.execute(
                "update control.release set published_at = clock_timestamp() where release_id = %s", (release_id,)
            )
            _record_publication(publisher, release_id, "publish")

    swap(publisher_uri, "publish", before, after)
    seconds = {"publish": round(time.monotonic() - began, 3)}
    with _timed(seconds, "docs"):
        docs = _write_docs(release_id, connect_to)
    return {"release_id": release_id, "status": "published", "data_docs": docs, "seconds": seconds}


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


def rollback(connect_to: Connect = connections.uri) -> Report:
    """Bring the former release back, by the same swap. Raises `ReleaseError` where it is no longer there whole."""
    began = time.monotonic()
    shown: dict[str, int] = {}

    def before(publisher: Connection) -> None:
        _take_lock(publisher)
        with publisher.cursor() as cursor:
            cursor.execute("select release_id, complete from candidate.release_slot")
            former, complete = one(cursor)
        if former is None:
            raise ReleaseError("there is no former release to go back to: only one has been published")
        if not complete:
            raise ReleaseError(
                f"the former release is gone: the build of release {former} has begun in its place. "
                "Mend the cause and run `pdic release`; readers keep the live release until then."
            )
        shown["release_id"] = former

    swap(
        connect_to("pdic_warehouse_publisher"),
        "rollback",
        before,
        lambda publisher: _record_publication(publisher, shown["release_id"], "rollback"),
    )
    return {"release_id": shown["release_id"], "status": "live", "seconds": round(time.monotonic() - began, 3)}


def _begin_build(publisher: Connection, release_id: int, logic: str) -> tuple[bool, bool]:
    """Mark the candidate as being overwritten. Returns whether staging, and whether core, must be built whole."""
    with publisher, publisher.cursor() as cursor:
        cursor.execute("select full_refresh from control.release where release_id = %s", (release_id,))
        (asked,) = one(cursor)
        cursor.execute(
            "select logic_digest from control.release where logic_digest is not null order by release_id desc limit 1"
        )
        last = cursor.fetchone()
        whole_staging = asked or last is None or last[0] != logic
        cursor.execute("select coalesce(max(release_id), 0) from control.release where refreshed")
        (refreshed,) = one(cursor)
        cursor.execute("select coalesce(release_id, 0), logic_digest from candidate.release_slot")
        built_for, built_by = one(cursor)
        cursor.execute("update candidate.release_slot set complete = false, release_id = %s", (release_id,))
        # A build that dies half-way leaves tables of unknown state: the next one must not trust them.
        cursor.execute("update candidate.release_slot set logic_digest = null")
    return whole_staging, whole_staging or built_by != logic or built_for < refreshed


@contextmanager
def _step(connect_to: Connect, release_id: int, name: str, state: str) -> Iterator[tuple[Connection, dict[str, float]]]:
    """One step of one release at a time: holds the release lock, requires the state, records a failure with its reason."""
    publisher = connect(connect_to("pdic_warehouse_publisher"), f"release {release_id} {name}")
    try:
        with publisher, publisher.cursor() as cursor:
            cursor.execute("select pg_try_advisory_lock(%s)", (RELEASE_LOCK,))
            if not one(cursor)[0]:
                raise Busy("another release is under way; wait for it to end, then release again")
            _require(publisher, release_id, state)
        try:
            yield publisher, {}
        except BaseException as error:
            publisher.rollback()
            with publisher, publisher.cursor() as cursor:
                cursor.execute(
                    "update control.release set status = 'failed', message = %s where release_id = %s and status = any(%s)",
                    (
                        str(error) if isinstance(error, PdicError) else type(error).__name__,
                        release_id,
                        list(OPEN_STATES),
                    ),
                )
            raise
    finally:
        publisher.close()


def _take_lock(publisher: Connection) -> None:
    """Hold the release lock until this transaction ends. Raises `Busy` where a step is under way elsewhere."""
    with publisher.cursor() as cursor:
        cursor.execute("select pg_try_advisory_xact_lock(%s)", (RELEASE_LOCK,))
        if not one(cursor)[0]:
            raise Busy("another release is under way; wait for it to end, then try again")


def _status(publisher: Connection, release_id: int) -> str:
    with publisher.cursor() as cursor:
        cursor.execute("select status from control.release where release_id = %s", (release_id,))
        row = cursor.fetchone()
    if row is None:
        raise ReleaseError(f"there is no release {release_id}; `pdic status` lists the newest")
    return str(row[0])


def _require(publisher: Connection, release_id: int, state: str) -> None:
    status = _status(publisher, release_id)
    if status == "abandoned":
        raise ReleaseFenced(f"release {release_id} was overtaken by a newer one; nothing to do")
    if status != state:
        raise ReleaseError(f"release {release_id} is {status}, not {state}: begin a new one with `pdic release`")


def _move_on(publisher: Connection, release_id: int, status: str, seconds: dict[str, float]) -> None:
    with publisher.cursor() as cursor:
        cursor.execute(
            "update control.release set status = %s, seconds = seconds || %s where release_id = %s",
            (status, json.dumps({name: round(value, 3) for name, value in seconds.items()}), release_id),
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


def _record_publication(publisher: Connection, release_id: int, kind: str) -> None:
    """Note who shows what from now on; the former live release is the one now in `candidate`."""
    with publisher.cursor() as cursor:
        cursor.execute(
            """
            insert into control.publication (release_id, kind, former_release_id)
            select %s, %s, release_id from candidate.release_slot
            """,
            (release_id, kind),
        )


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 3)
