"""The steps of a release one after another, in one process; and its audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdic import connections, quality, settings
from pdic.errors import Busy, ReleaseError
from pdic.release import comparison, opening, state, step, turn, views
from pdic.release.building import conform
from pdic.release.opening import open_release
from pdic.release.publishing import publish
from pdic.warehouse import Connect, locks, readers, transaction

Report = dict[str, Any]
Progress = Callable[[str], None]


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
    tell = progress or (lambda _name: None)
    readers.watch(connect_to)
    with locks.Session(connect_to, "pdic_warehouse_publisher", "release") as session:
        try:
            turn.take(session, connect_to, opening.RELEASE_WAIT_S)
        except Busy as busy:
            return {"release_id": turn.newest(connect_to), "status": "under way", "message": str(busy)}
        opened = open_release(full_refresh=full_refresh, force=force, connect_to=connect_to, held=True)
        if opened["status"] != "building":
            return opened
        release_id = opened["release_id"]
        for name, take in (("conform", conform), ("audit", audit), ("publish", publish)):
            tell(name)
            report = take(release_id, connect_to, held=True)
            if report["status"] == state.HELD:
                break
        return report


def audit(release_id: int, connect_to: Connect = connections.uri, *, held: bool = False) -> Report:
    """Judge every published table of the candidate, and hold the release against the live one.

    Status `held` where it is too unlike that one: `message` says how. Raises `ReleaseError` naming table, rule and count.
    """
    auditor_uri = connect_to("pdic_warehouse_auditor")
    with transaction(connect_to("pdic_warehouse_publisher"), f"release {release_id} audit") as publisher:
        found = state.of(publisher, release_id)
    if found.status == state.HELD:  # the step is tried again
        return {"release_id": release_id, "status": state.HELD, "message": found.message}
    with step.of_release(connect_to, release_id, "audit", "built", held=held) as (publisher, seconds):
        with step.timed(seconds, "audit"):
            verdict = quality.audit_release(
                auditor_uri, release_id, [view.name for view in views.views()], root=settings.project_root()
            )
        with transaction(auditor_uri, "record audit") as auditor:
            for table, results in verdict.tables.items():
                quality.record(auditor, results, "release", release_id, "shared", table)
        with step.timed(seconds, "compare"):
            held_because = comparison.made(release_id, connect_to)
        if not verdict.passed:
            raise ReleaseError(verdict.message)
        if held_because is not None:
            with publisher:
                state.move_on(publisher, release_id, state.HELD, seconds, held_because)
            return {"release_id": release_id, "status": state.HELD, "message": held_because, "seconds": seconds}
        with publisher:
            state.move_on(publisher, release_id, "audited", seconds)
    return {"release_id": release_id, "status": "audited", "seconds": seconds}
