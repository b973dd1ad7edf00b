"""The notes of a release: what it changed, which batches it took in, how good the data are, who approved it.

Written as it is published, line by line in Vietnamese and English, from what was counted (`pdic.release.content`). Readers find them
in `shared.release_note`. A note holds names of tables and columns, counts, and what a person gave as a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql
from psycopg2.extras import Json

from pdic import connections
from pdic.approval import Approval
from pdic.errors import ReleaseError
from pdic.release import broken_rules, slots
from pdic.release import views as readers_views
from pdic.release.compare import vi
from pdic.release.views import View
from pdic.warehouse import Connect, one, records, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

NAMED: Final = 12
"""So many batches, rules or columns are named in a line."""
SCORES: Final = "quality_score"
"""The shared table that says how good the data are."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what it is about, and its words in both languages."""

    topic: str
    vi: str
    en: str
    table: str | None = None


def lines(publisher: Connection, release_id: int, views: Iterable[View], consent: Approval | None = None) -> list[Line]:
    """What is to be said of a release that was compared with the live one (`content.compare`). Reads only.

    `consent`: a person's, that is kept as the release is published.
    """
    views = list(views)
    with publisher, publisher.cursor() as cursor:
        found = slots.read(publisher)
        tables = list(_tables(cursor, release_id, found, views))
        return [
            _summary(tables, views),
            *_keys(found),
            *tables,
            *_batches(cursor, release_id, found.live_release_id),
            *_quality(cursor, found),
            *_warnings(cursor, release_id),
            *_unlike(cursor, release_id),
            *_approval(cursor, release_id, consent),
        ]


def keep(cursor: Cursor, release_id: int, said: Sequence[Line]) -> None:
    """Write the lines down, in the transaction that publishes the release: as one value, which takes half as long as rows do."""
    cursor.execute(
        """
        insert into control.release_note (release_id, line, topic, table_name, note_vi, note_en)
        select %s, place, line ->> 0, line ->> 1, line ->> 2, line ->> 3
        from jsonb_array_elements(%s) with ordinality as said (line, place)
        """,
        (release_id, Json([(line.topic, line.table, line.vi, line.en) for line in said])),
    )


def of_release(release_id: int | None = None, connect_to: Connect = connections.uri) -> dict[str, Any]:
    """The notes of a release, or of the live one, as plain values. Raises `ReleaseError` where there are none."""
    with (
        transaction(connect_to("pdic_warehouse_publisher"), "release notes") as publisher,
        publisher.cursor() as cursor,
    ):
        if release_id is None:
            cursor.execute("select live_release_id from control.slot")
            (release_id,) = one(cursor)
        cursor.execute("select status, published_at from control.release where release_id = %s", (release_id,))
        row = cursor.fetchone()
        if row is None:
            raise ReleaseError(
                f"there is no release {release_id}: `pdic releases` lists them"
                if release_id
                else "nothing is published yet: run `pdic release`, then ask again"
            )
        cursor.execute(
            """
            select note.topic, note.table_name as table, note.note_vi as vi, note.note_en as en, content.rows_before,
                content.rows, content.added, content.changed, content.removed, content.digest as checksum
            from control.release_note as note
            left join control.release_content as content
                on note.release_id = content.release_id and note.table_name = content.table_name
            where note.release_id = %s order by note.line
            """,
            (release_id,),
        )
        found = records(cursor)
    if not found:
        why = (
            "it was published before there were notes"
            if row[1]
            else f"it is {row[0]}, and notes are written as a release is published"
        )
        raise ReleaseError(f"release {release_id} has no notes: {why}")
    return {"release_id": release_id, "status": row[0], "published_at": row[1].isoformat(), "notes": found}


def _summary(tables: Sequence[Line], views: Sequence[View]) -> Line:
    same = len({view.name for view in views} - {line.table for line in tables})
    return Line(
        "release",
        f"{len(tables)} bảng thay đổi, {same} bảng giữ nguyên.",
        f"{_count(len(tables), 'table')} changed, {same} {'is' if same == 1 else 'are'} as before.",
    )


def _keys(found: slots.Slots) -> Iterator[Line]:
    """The release that was live before there were slots had other keys (migration 0013)."""
    if found.live is None and found.live_release_id is not None:
        yield Line(
            "keys",
            f"Mọi mã khóa (các cột *_key) được tạo lại: mã đã lưu từ bản {found.live_release_id} trở về trước không khớp với bản này; "
            "hãy đọc lại toàn bộ các bảng.",
            f"All keys (columns *_key) were made anew: a key kept from release {found.live_release_id} or before matches none of this one; "
            "read all tables again.",
        )


def _tables(cursor: Cursor, release_id: int, found: slots.Slots, views: Sequence[View]) -> Iterator[Line]:
    live = found.live_release_id if found.live is not None else None
    before = readers_views.of_release(cursor, live)
    cursor.execute(
        """
        select content.table_name, content.rows, content.rows_before, content.added, content.changed, content.removed
        from control.release_content as content where content.release_id = %s
        """,
        (release_id,),
    )
    counted = {row["table_name"]: row for row in records(cursor)}
    for view in sorted(views, key=lambda view: view.name):
        row = counted[view.name]
        if row["rows_before"] is None or (before is not None and view.name not in before):
            yield Line(
                "table", f"Bảng mới, {vi(row['rows'])} dòng.", f"New table, {_count(row['rows'], 'row')}.", view.name
            )
            continue
        new = [name for name in view.types if name not in before[view.name].types] if before is not None else []
        if row["added"] or row["changed"] or row["removed"] or new:
            yield _changed(view.name, row, new)
    for name in sorted(set(before or ()) - {view.name for view in views}):
        yield Line("table", "Không còn bảng này.", "This table is no longer there.", name)


def _changed(table: str, row: dict[str, Any], new: Sequence[str]) -> Line:
    said_vi = [f"Số dòng {vi(row['rows_before'])} → {vi(row['rows'])}"]
    said_en = [f"Rows {row['rows_before']:,} → {row['rows']:,}"]
    for count, word_vi, word_en in (
        (row["added"], "thêm", "added"),
        (row["changed"], "sửa", "changed"),
        (row["removed"], "bỏ", "removed"),
    ):
        if count:
            said_vi.append(f"{word_vi} {vi(count)}")
            said_en.append(f"{word_en} {count:,}")
    if new:
        said_vi.append(f"cột mới: {', '.join(new)}")
        said_en.append(f"new columns: {', '.join(new)}")
    return Line("table", f"{'; '.join(said_vi)}.", f"{'; '.join(said_en)}.", table)


def _batches(cursor: Cursor, release_id: int, live: int | None) -> Iterator[Line]:
    """The accepted batches that are in this release and were not in the live one."""
    cursor.execute(
        """
        select batch.sector || '.' || batch.dataset as name, count(*) as batches,
            coalesce(sum(batch.rows_accepted), 0)::bigint as accepted,
            coalesce(sum(batch.rows_quarantined), 0)::bigint as quarantined,
            coalesce(sum(batch.rows_deleted), 0)::bigint as deleted
        from control.release_batch as taken
        left join control.release_batch as had
            on had.release_id = %s and had.sector = taken.sector and had.dataset = taken.dataset
        inner join control.batch as batch
            on batch.sector = taken.sector and batch.dataset = taken.dataset and batch.status = 'accepted'
            and batch.batch_id <= taken.batch_id and batch.batch_id > coalesce(had.batch_id, 0)
        where taken.release_id = %s
        group by 1 order by 1
        """,
        (live, release_id),
    )
    found = records(cursor)
    batches, accepted, quarantined, deleted = (
        sum(row[name] for row in found) for name in ("batches", "accepted", "quarantined", "deleted")
    )
    named_vi, named_en = _named([row["name"] for row in found])
    if not found:
        yield Line("batches", "Không có lô dữ liệu mới.", "No new batch went in.")
        return
    yield Line(
        "batches",
        f"{vi(batches)} lô dữ liệu mới của {vi(len(found))} tập dữ liệu: {vi(accepted)} dòng nhận vào, {vi(quarantined)} dòng cách ly, "
        f"{vi(deleted)} dòng xóa ({named_vi}).",
        f"{_count(batches, 'new batch', 'new batches')} of {_count(len(found), 'dataset')}: {_count(accepted, 'row')} accepted, "
        f"{quarantined:,} quarantined, {deleted:,} deleted ({named_en}).",
    )


def _quality(cursor: Cursor, found: slots.Slots) -> Iterator[Line]:
    """The index of the province, now and before."""
    now, before = (_index(cursor, slot) for slot in (found.building, found.live))
    if now is None:
        return
    was_vi, was_en = ("", "") if before is None else (f" (trước: {vi(before)})", f" (before: {before})")
    yield Line("quality", f"Chỉ số chất lượng {vi(now)}/100{was_vi}.", f"Quality index {now}/100{was_en}.")


def _index(cursor: Cursor, slot: str | None) -> Any:
    """The quality index of the province in a slot; None where the project or the slot has none."""
    if slot is None:
        return None
    cursor.execute("select to_regclass(%s)", (f"{slots.schema_of(slot)}.{SCORES}",))
    if one(cursor)[0] is None:
        return None
    cursor.execute(
        sql.SQL("select quality_index from {} where scope = 'province'").format(
            sql.Identifier(slots.schema_of(slot), SCORES)
        )
    )
    row = cursor.fetchone()
    return row[0] if row else None


def _warnings(cursor: Cursor, release_id: int) -> Iterator[Line]:
    """Rules of the audit that are broken and stop nothing."""
    found = broken_rules.warned(cursor, release_id)
    for table, rule, failed in ((each["table"], each["rule"], each["failed"]) for each in found[:NAMED]):
        rows_vi, rows_en = ("", "") if failed is None else (f" ({vi(failed)} dòng)", f" ({_count(failed, 'row')})")
        yield Line("warning", f"Quy tắc {rule} không đạt{rows_vi}.", f"Rule {rule} is broken{rows_en}.", table)
    if len(found) > NAMED:
        more = len(found) - NAMED
        yield Line("warning", f"Và {more} quy tắc khác không đạt.", f"And {_count(more, 'other rule')} broken.")


def _unlike(cursor: Cursor, release_id: int) -> Iterator[Line]:
    """How the release is unlike the one before by more than the limits, approved or not worth holding it for."""
    cursor.execute(
        """
        select table_name, message_vi, message from control.release_finding
        where release_id = %s order by not holds, place limit %s
        """,
        (release_id, NAMED),
    )
    for table, words_vi, words_en in cursor.fetchall():
        yield Line("warning", words_vi, words_en, table)


def _approval(cursor: Cursor, release_id: int, consent: Approval | None) -> Iterator[Line]:
    cursor.execute("select said_by, reason from control.approval where release_id = %s order by 1, 2", (release_id,))
    for by, reason in [*cursor.fetchall(), *([(consent.said_by, consent.reason)] if consent else [])]:
        yield Line("approval", f"{by} đã duyệt: {reason}", f"Approved by {by}: {reason}")


def _named(names: Sequence[str]) -> tuple[str, str]:
    """The first of some names, and how many more there are, in both languages."""
    first, more = ", ".join(names[:NAMED]), len(names) - NAMED
    return (f"{first} và {more} tập khác", f"{first} and {more} more") if more > 0 else (first, first)


def _count(number: int, what: str, several: str | None = None) -> str:
    return f"{number:,} {what if number == 1 else several or what + 's'}"
