"""The build of a release: the slot that no reader sees is brought to what the pinned batches say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from pdic import connections, identity, raw, settings
from pdic.errors import ReleaseError
from pdic.release import code, dbt, keys, slots, state, step, views, waits
from pdic.release.seeds import load_seeds
from pdic.release.views import View
from pdic.warehouse import Connect, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Report = dict[str, Any]

COPIES: Final = 2
"""So many tables are copied at a time."""
STAGING = ("path:models/staging", "path:models/vault/mention")


def conform(release_id: int, connect_to: Connect = connections.uri, *, held: bool = False) -> Report:
    """Build the candidate: staging and mentions, then keys, then core and marts.

    Tables built by other logic than today's, or before staging was last rebuilt, are built anew: an incremental table is
    right only while the logic that made it stands. Raises `ReleaseError`, `ReleaseFenced`, `Busy`.
    """
    transformer_uri, publisher_uri = connect_to("pdic_warehouse_transformer"), connect_to("pdic_warehouse_publisher")
    logic = code.digest(settings.project_root(), code.LOGIC)
    with step.of_release(connect_to, release_id, "conform", "building", held=held) as (publisher, seconds):
        with transaction(connect_to("pdic_warehouse_loader"), f"release {release_id} tables") as loader:
            raw.ensure_unloaded(loader)  # a sector that is yet to come must not hold up the others
        secret = settings.secret("identity_key").encode()
        _require_same_secret(publisher, secret)
        building, whole_staging, whole_core = _begin(publisher, publisher_uri, release_id, logic)
        if whole_core and not whole_staging and _live_is_by(publisher, logic):
            with step.timed(seconds, "copy"):
                _copy_live(publisher, publisher_uri, release_id)
            whole_core = False
        with step.timed(seconds, "staging"):
            if whole_staging:
                load_seeds(transformer_uri, settings.project_root() / "dbt_project" / "seeds")
            results = dbt.build(transformer_uri, "--select", *STAGING, full_refresh=whole_staging)
        with step.timed(seconds, "identity"):
            identity.found_citizens(transformer_uri, secret)
        with step.timed(seconds, "core"):
            results += dbt.build(transformer_uri, "--exclude", *STAGING, "resource_type:seed", full_refresh=whole_core)
        with (
            waits.for_writers(publisher_uri, f"release {release_id} is not built"),
            publisher,
            publisher.cursor() as cursor,
        ):
            slots.close(publisher)  # first: who still writes in the slot holds its row of slot_content
            state.move_on(publisher, release_id, "built", seconds)
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
        list(pool.map(copy, slots.largest_first(publisher, views.views())))
    with publisher:
        slots.copy_marks(publisher, release_id)


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


def _begin(publisher: Connection, publisher_uri: str, release_id: int, logic: str) -> tuple[str, bool, bool]:
    """Open the slot that is to be built. Returns its name, and whether staging, and whether core, must be built whole."""
    what = f"release {release_id} cannot be built"
    waits.for_readers(publisher, publisher_uri, what, lambda: slots.ensure_tables(publisher, views.views()))
    with waits.for_writers(publisher_uri, what), publisher, publisher.cursor() as cursor:
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
