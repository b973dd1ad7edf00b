"""A release that was taken back stays away until a person lets releases go out again; each release says what it changed."""

from alembic import op

revision = "0016"
down_revision = "0015"

PIN = """
create table control.pin (
    one boolean primary key default true check (one),
    pinned_at timestamptz not null default clock_timestamp(),
    by_person text not null,
    reason text not null,
    taken_back_release_id bigint not null references control.release,
    shown_release_id bigint not null references control.release
);
comment on table control.pin is
    'While it has a row, releases are built and audited, and not published. At most one row.';
comment on column control.pin.by_person is 'The account of the operating system that took it back.';
grant select, insert, delete on control.pin to pdic_publisher;

alter table control.release drop constraint release_status_check;
alter table control.release add constraint release_status_check
    check (status in ('building', 'built', 'audited', 'held', 'ready', 'published', 'failed', 'abandoned'));
comment on column control.release.status is
    'building, built, audited: under way; held: waits for an approval; ready: waits until releases go out again; and how it ended.';
"""

CONTENT = """
alter table published.table_content add column columns text[];
comment on column published.table_content.columns is 'The columns of which a row''s hash was made, in order.';

alter table control.release add column compared_with bigint;
alter table control.release add column shown json;
comment on column control.release.compared_with is 'The release that was live when its content was compared; 0 where there was none.';
comment on column control.release.shown is 'The views by which readers saw it; kept of what is live and of what a rollback brings back.';

create table control.release_content (
    release_id bigint not null references control.release,
    table_name text not null,
    rows bigint not null,
    checksum numeric not null,
    digest text,
    columns text[],
    rows_before bigint,
    added bigint,
    changed bigint,
    removed bigint,
    primary key (release_id, table_name)
);
comment on table control.release_content is 'What each table of a release holds, and how it differs from the release that was live before.';
comment on column control.release_content.checksum is
    'The sum of the hashes of all rows: the same where the content is the same, in whichever order.';
comment on column control.release_content.digest is
    'What readers get of the checksum; null for a table of under 20 rows. The sum itself would give single rows away.';
comment on column control.release_content.rows_before is 'Rows in the release that was live before; null where it had no such table.';
comment on column control.release_content.changed is 'Rows with the same key and another content.';

create table control.release_note (
    release_id bigint not null references control.release,
    line integer not null,
    topic text not null check (topic in ('release', 'keys', 'table', 'batches', 'quality', 'warning', 'approval')),
    table_name text,
    note_vi text not null,
    note_en text not null,
    primary key (release_id, line)
);
comment on table control.release_note is 'What a release changed, line by line, as it was published.';

-- Every line of shared.release_note asks whether its release was taken back.
create index publication_taken_back on control.publication (former_release_id, published_at) where kind = 'rollback';

grant select, insert, delete on control.release_content to pdic_publisher;
grant select, insert on control.release_note to pdic_publisher;
grant select on control.expectation_result to pdic_publisher;
"""

ANNOUNCED = """
create table control.announcement (
    publication_id bigint primary key references control.publication,
    run text not null
);
comment on table control.announcement is 'The run of Airflow that announced the tables which a publish or a rollback changed.';
insert into control.announcement (publication_id, run) select publication_id, 'before there were announcements' from control.publication;
grant select, insert on control.announcement to pdic_publisher;
"""

SEEN = """
create view shared.release_note as
select
    note.release_id,
    release.published_at,
    (
        select max(publication.published_at) from control.publication
        where publication.kind = 'rollback' and publication.former_release_id = note.release_id
    ) as taken_back_at,
    note.line,
    note.topic,
    note.table_name,
    note.note_vi,
    note.note_en,
    content.rows_before,
    content.rows as rows_now,
    content.added,
    content.changed,
    content.removed,
    content.digest as checksum
from control.release_note as note
inner join control.release on note.release_id = release.release_id
left join control.release_content as content
    on note.release_id = content.release_id and note.table_name = content.table_name
where note.release_id <= (select slot.live_release_id from control.slot);
alter view shared.release_note owner to pdic_publisher;
grant select on shared.release_note to pdic_reader;
comment on view shared.release_note is
    'Thay đổi của bản phát hành đang đọc và các bản trước | What the release that this session sees changed, and those before it';
comment on column shared.release_note.release_id is 'Số của bản phát hành | Number of the release';
comment on column shared.release_note.published_at is 'Thời điểm phát hành | When it was published';
comment on column shared.release_note.taken_back_at is 'Thời điểm bị thu hồi | When it was taken back, if it was';
comment on column shared.release_note.line is 'Thứ tự dòng | Place of the line';
comment on column shared.release_note.topic is 'Chủ đề: release, keys, table, batches, quality, warning, approval | What the line is about';
comment on column shared.release_note.table_name is 'Bảng | The table, where the line is about one';
comment on column shared.release_note.note_vi is 'Nội dung tiếng Việt | The line in Vietnamese';
comment on column shared.release_note.note_en is 'Nội dung tiếng Anh | The line in English';
comment on column shared.release_note.rows_before is 'Số dòng trước | Rows before';
comment on column shared.release_note.rows_now is 'Số dòng nay | Rows now';
comment on column shared.release_note.added is 'Số dòng thêm | Rows added';
comment on column shared.release_note.changed is 'Số dòng sửa | Rows changed';
comment on column shared.release_note.removed is 'Số dòng bỏ | Rows removed';
comment on column shared.release_note.checksum is 'Tổng kiểm của bảng, trống nếu dưới 20 dòng | Checksum of the table; empty under 20 rows';
"""


def upgrade() -> None:
    for text in (PIN, CONTENT, ANNOUNCED, SEEN):
        op.execute(text)
