"""Published tables in three slots, and one row that says which of them readers see: a publish changes that row and nothing else."""

from alembic import op

revision = "0013"
down_revision = "0012"

SCHEMAS = """
create schema published authorization pdic_publisher;
create schema slot_a authorization pdic_publisher;
create schema slot_b authorization pdic_publisher;
create schema slot_c authorization pdic_publisher;
comment on schema published is 'Every table of the releases, partitioned by slot: what the views of shared and candidate read.';
comment on schema slot_a is 'Slot a of every published table.';
comment on schema slot_b is 'Slot b of every published table.';
comment on schema slot_c is 'Slot c of every published table.';
"""

SLOTS = """
create table control.slot (
    one boolean primary key default true check (one),
    live "char" check (live in ('a', 'b', 'c')),
    former "char" check (former in ('a', 'b', 'c')),
    building "char" not null default 'a' check (building in ('a', 'b', 'c')),
    live_release_id bigint,
    former_release_id bigint,
    check (live <> building and former <> building and live <> former)
);
insert into control.slot default values;
comment on table control.slot is 'Which slot readers see, which one a rollback brings back, which one is built next. One row.';

create table control.slot_content (
    slot "char" primary key check (slot in ('a', 'b', 'c')),
    release_id bigint,
    logic_digest text
);
insert into control.slot_content (slot) values ('a'), ('b'), ('c');
comment on table control.slot_content is 'What was last built in each slot, and by which dbt project (null while it is being built).';

create table control.key_check (
    one boolean primary key default true check (one),
    said text not null
);
comment on table control.key_check is 'Says whether keys are still made with the secret of the first release (pdic.release.keys). One row.';

create table control.shown_view (
    name text primary key,
    statement text not null,
    comments text not null
);
comment on table control.shown_view is 'Digests of the statements that made each view of readers: what did not change is not made again.';

create table published.applied_release (
    slot "char" not null,
    model text not null,
    release_id bigint not null,
    generation bigint not null,
    primary key (slot, model)
);
comment on table published.applied_release is 'The release that each published table was last brought to, in each slot.';
alter table published.applied_release owner to pdic_publisher;

-- Only a table's owner may sample it before PostgreSQL 17, and the transformer owns no published table.
-- Joins and groups of readers are planned by the statistics of the table as a whole, which autovacuum never takes.
create function published.sample_where_it_grew(table_name text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    whole regclass := to_regclass(format('published.%I', table_name));
    sampled float8;
    rows_now float8;
begin
    if whole is null then
        raise exception 'no published table is called %', table_name;
    end if;
    select reltuples into sampled from pg_class where oid = whole;
    select sum(pg_stat_get_live_tuples(inhrelid)) + pg_stat_get_xact_tuples_inserted(
        to_regclass(format('slot_%s.%I', (select building::text from control.slot), table_name))
    )
    into rows_now from pg_inherits where inhparent = whole;
    if sampled < 0 or rows_now not between sampled / 1.2 and sampled * 1.2 then
        execute format('analyze %s', whole);
    end if;
end
$$;
comment on function published.sample_where_it_grew is 'Statistics of a published table, where it has none or its size changed by a fifth.';
alter function published.sample_where_it_grew owner to pdic_publisher;
"""

RIGHTS = """
revoke all on function published.sample_where_it_grew from public;
grant execute on function published.sample_where_it_grew to pdic_transformer;
grant usage on schema published, slot_a, slot_b, slot_c to pdic_transformer;
grant select, insert, update on published.applied_release to pdic_transformer;
grant select on control.slot to pdic_transformer, pdic_publisher;
grant update on control.slot to pdic_publisher;
grant select, insert, update on control.key_check to pdic_publisher;
grant select, insert, update, delete on control.shown_view to pdic_publisher;
grant select, update on control.slot_content to pdic_publisher;
"""

FORMER = """
-- Readers go on seeing the release that was live until the next one is published: their views hold on to its tables.
update control.slot set live_release_id = (select release_id from live.release_slot where complete);
drop schema candidate cascade;
alter schema live rename to retired;
comment on schema retired is 'The release that was live before published tables had slots; dropped when the next one is published.';
revoke all on schema retired from pdic_transformer, pdic_auditor;
create schema candidate authorization pdic_publisher;
comment on schema candidate is 'Views of the slot that is being built: what models, tests and the audit read.';
grant usage on schema candidate to pdic_transformer, pdic_auditor;
do $$
begin
    -- The publisher no longer renames schemas.
    execute format('revoke create on database %I from pdic_publisher', current_database());
end
$$;
"""

SEEN = """
create view shared.release as
select
    slot.live_release_id as release_id,
    first.published_at,
    last.published_at as shown_since,
    coalesce(last.kind = 'rollback', false) as was_brought_back
from control.slot as slot
left join lateral (
    select published_at from control.publication
    where release_id = slot.live_release_id order by publication_id limit 1
) as first on true
left join lateral (
    select published_at, kind from control.publication
    where release_id = slot.live_release_id order by publication_id desc limit 1
) as last on true;
alter view shared.release owner to pdic_publisher;
grant select on shared.release to pdic_reader;
comment on view shared.release is 'Bản phát hành mà phiên này đang đọc | The release that this session sees. One row.';
comment on column shared.release.release_id is 'Số của bản phát hành | Number of the release';
comment on column shared.release.published_at is 'Thời điểm phát hành lần đầu | When it was first published';
comment on column shared.release.shown_since is 'Dùng từ thời điểm này | Since when it is shown';
comment on column shared.release.was_brought_back is 'Được khôi phục bằng quay lui | Whether a rollback brought it back';
comment on table control.publication is 'Each change of what readers see: a publish or a rollback.';
"""


def upgrade() -> None:
    for text in (SCHEMAS, SLOTS, RIGHTS, FORMER, SEEN):
        op.execute(text)
