"""The comparison of a release with the live one as a step of the audit, and as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pdic import connections, settings
from pdic.errors import ReleaseError
from pdic.release import broken_rules, compare, content, profile, slots
from pdic.release import views as readers_views
from pdic.release.compare import Finding
from pdic.release.profile import Profile, TableProfile
from pdic.release.views import View
from pdic.warehouse import Connect, connect, one, records, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Report = dict[str, Any]


def made(release_id: int, connect_to: Connect) -> str | None:
    """Profile the candidate, hold it against the live release and keep what was found. Returns why it is held; None where it is not."""
    wanted = readers_views.views()
    with (
        closing(connect(connect_to("pdic_warehouse_auditor"), f"release {release_id} compare")) as auditor,
        closing(connect(connect_to("pdic_warehouse_publisher"), f"release {release_id} compare")) as publisher,
    ):
        with publisher:
            live = slots.read(publisher).live_release_id
        profile.take(auditor, publisher, release_id, wanted)
        with auditor:
            findings = _findings(auditor, release_id, live, wanted)
            compare.record(auditor, release_id, findings)
        with publisher, publisher.cursor() as cursor:
            cursor.execute(
                "update control.release set held_against = %s where release_id = %s",
                (live or content.NOTHING, release_id),
            )
    if live is None or not any(finding.holds for finding in findings):
        return None
    return compare.held_message(release_id, live, findings)


def _findings(auditor: Connection, release_id: int, live: int | None, wanted: Sequence[View]) -> list[Finding]:
    """How a release differs from the live one by more than the limits, what holds it first; of the first release: nothing."""
    if live is None:
        return []
    root = settings.project_root()
    measure = compare.Measure.read(auditor, release_id, live, wanted, root)
    found = compare.against_live(auditor, release_id, measure)
    found += broken_rules.against_live(auditor, release_id, measure, root)
    return sorted(found, key=lambda finding: not finding.holds)


def shown(release_id: int | None = None, connect_to: Connect = connections.uri) -> Report:
    """All that the ledger has of one release: how far it came and why, its batches that are new, what differs, who approved it.

    None is the newest one. Raises ReleaseError where there is none of that number, or none at all.
    """
    with transaction(connect_to("pdic_warehouse_publisher"), "release show") as publisher, publisher.cursor() as cursor:
        if release_id is None:
            cursor.execute("select max(release_id) from control.release")
            if (release_id := one(cursor)[0]) is None:
                raise ReleaseError("there is no release yet: run `pdic release`")
        cursor.execute(
            """
            select release_id, status, full_refresh, started_at, published_at, seconds, message as reason,
                coalesce(release_id = (select live_release_id from control.slot), false) as live,
                (
                    select max(published_at) from control.publication
                    where kind = 'rollback' and former_release_id = release.release_id
                ) as taken_back_at
            from control.release where release_id = %s
            """,
            (release_id,),
        )
        if not (found := records(cursor)):
            raise ReleaseError(f"there is no release {release_id}: `pdic releases` lists the newest")
        (report,) = found
        cursor.execute(
            """
            select place, table_name as table, grouped_by, group_key, what, column_name as column, rule_id as rule, holds,
                message, message_vi
            from control.release_finding where release_id = %s order by place
            """,
            (release_id,),
        )
        report["findings"] = records(cursor)
        cursor.execute(
            """
            select approved_at, said_by, os_user, db_role, reason, findings
            from control.approval where release_id = %s order by approved_at
            """,
            (release_id,),
        )
        report["approvals"] = records(cursor)
        cursor.execute(
            """
            select mine.sector, mine.dataset, mine.batch_id, batch.rows_accepted, batch.rows_quarantined, batch.rows_deleted
            from control.release_batch as mine
            left join control.release_batch as had
                on had.sector = mine.sector and had.dataset = mine.dataset and had.release_id = (
                    select max(release_id) from control.release
                    where release_id < %(release)s and published_at is not null
                )
            left join control.batch on batch.batch_id = mine.batch_id
            where mine.release_id = %(release)s and mine.batch_id is distinct from had.batch_id
            order by 1, 2
            """,
            {"release": release_id},
        )
        report["batches"] = records(cursor)
    return report


def difference(release_id: int | None = None, connect_to: Connect = connections.uri) -> Report:
    """How a release differs from the live one, by table: rows, keys, sums, missing values; and the findings.

    None is the release that waits: the newest that is held, else the newest that has a profile. Raises ReleaseError where there is
    nothing to compare.
    """
    with transaction(connect_to("pdic_warehouse_publisher"), "release diff") as publisher, publisher.cursor() as cursor:
        cursor.execute("select live_release_id from control.slot where live is not null")
        live = cursor.fetchone()
        if live is None:
            raise ReleaseError("readers see no release yet, so there is nothing to compare with: run `pdic release`")
        if release_id is None:
            cursor.execute(
                """
                select release_id from control.release inner join (select distinct release_id from control.release_table) as known
                    using (release_id)
                order by status = 'held' desc, status <> 'abandoned' desc, release_id desc limit 1
                """
            )
            if (newest := cursor.fetchone()) is None:
                raise ReleaseError("no release has been compared yet: run `pdic release`, then ask again")
            (release_id,) = newest
        was, now = (_profiles(publisher, number) for number in (live[0], release_id))
    about = shown(release_id, connect_to)
    return {
        "release_id": release_id,
        "status": about["status"],
        "live": live[0],
        "reason": about["reason"],
        "tables": [_differing(name, was.get(name), now.get(name)) for name in sorted(was.keys() | now.keys())],
        "findings": about["findings"],
    }


def _profiles(publisher: Connection, release_id: int) -> dict[str, TableProfile]:
    found = profile.of_release(publisher, release_id)
    if not found:
        raise ReleaseError(
            f"release {release_id} was never compared: it came before releases were, or failed earlier (`pdic release show {release_id}`)"
        )
    return found


def _differing(name: str, was: TableProfile | None, now: TableProfile | None) -> Report:
    """One table of two releases side by side; `same` where no row changed."""
    before = was.whole if was else Profile(0)
    after = now.whole if now else Profile(0)
    return {
        "table": name,
        "same": was is not None
        and now is not None
        and was.whole.checksum == now.whole.checksum
        and before.rows == after.rows,
        "rows_live": was.whole.rows if was else None,
        "rows": now.whole.rows if now else None,
        "keys_gone": now.keys_gone if now else None,
        "keys_new": None
        if now is None or now.keys_gone is None
        else max(0, after.rows - (before.rows - now.keys_gone)),
        "sums": {
            column: {"live": before.sums.get(column), "now": after.sums.get(column)}
            for column in sorted(before.sums.keys() | after.sums.keys())
        },
        "nulls": {
            column: {"live": _share(before, column), "now": _share(after, column)}
            for column in sorted(before.nulls.keys() | after.nulls.keys())
            if _share(before, column) != _share(after, column)
        },
        "groups": _groups(was, now),
    }


def _share(found: Profile, column: str) -> Decimal | None:
    """Percent of the rows without a value."""
    if column not in found.nulls or not found.rows:
        return None
    return (Decimal(100) * found.nulls[column] / found.rows).quantize(Decimal("0.1"))


def _groups(was: TableProfile | None, now: TableProfile | None) -> list[Report]:
    """The communes and agencies whose number of rows differs, those that lost or gained most first."""
    before, after = (side.groups if side else {} for side in (was, now))
    found = [
        {
            "grouped_by": column,
            "group": value,
            "rows_live": before.get((column, value), Profile(0)).rows,
            "rows": after.get((column, value), Profile(0)).rows,
        }
        for column, value in before.keys() | after.keys()
    ]
    differing = [each for each in found if each["rows"] != each["rows_live"]]
    return sorted(
        differing, key=lambda each: (-abs(each["rows"] - each["rows_live"]), each["grouped_by"], each["group"])
    )
