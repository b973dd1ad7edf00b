"""What each release holds in counts and sums, how it differs from the live one, and who approved what was held."""

from alembic import op

revision = "0014"
down_revision = "0013"

HELD = """
alter table control.release drop constraint release_status_check;
alter table control.release add constraint release_status_check
    check (status in ('building', 'built', 'audited', 'held', 'published', 'failed', 'abandoned'));
"""

CONTENT = """
create table published.table_content (
    slot "char" not null,
    model text not null,
    release_id bigint not null,
    primary key (slot, model)
);
comment on table published.table_content is
    'The release whose build last changed a row of each published table, in each slot: where two slots name the same, they hold the same.';
alter table published.table_content owner to pdic_publisher;
grant select, insert, update on published.table_content to pdic_transformer;
"""

PROFILES = """
create table control.release_profile (
    release_id bigint not null references control.release,
    table_name text not null,
    grouped_by text not null default '',
    group_key text not null default '',
    rows bigint not null,
    nulls jsonb not null default '{}',
    sums jsonb not null default '{}',
    digits jsonb not null default '{}',
    checksum numeric,
    primary key (release_id, table_name, grouped_by, group_key)
);
comment on table control.release_profile is
    'What a published table held after the build that last changed it: as a whole, and by commune or agency. Counts and sums only.';
comment on column control.release_profile.release_id is
    'The release whose build last changed the table (control.release_table names it for each release).';
comment on column control.release_profile.grouped_by is
    'The column of communes or agencies; empty for the table as a whole.';
comment on column control.release_profile.nulls is
    'By column that may be empty: the rows without a value. Empty for a few rows only: they would be about persons.';
comment on column control.release_profile.sums is
    'By column that is an amount: its sum. Empty for a few rows only.';
comment on column control.release_profile.digits is
    'By column that is an amount: the digits before the point of the largest. For the table as a whole only.';
comment on column control.release_profile.checksum is
    'The sum of the hashes of all rows: the same where the content is the same. For the table as a whole only.';

create table control.release_table (
    release_id bigint not null references control.release,
    table_name text not null,
    profile_release_id bigint not null,
    keys_gone bigint,
    primary key (release_id, table_name)
);
comment on table control.release_table is
    'Which profile describes a table of a release: that of an earlier one, where no row changed since.';
comment on column control.release_table.keys_gone is
    'Rows of the live release whose key is not in this one; null where there was none, or nothing changed.';

create view control.profile_of_release as
select
    described.release_id,
    described.table_name,
    profile.grouped_by,
    profile.group_key,
    profile.rows,
    profile.nulls,
    profile.sums,
    profile.digits,
    profile.checksum,
    described.profile_release_id
from control.release_table as described
inner join control.release_profile as profile
    on described.profile_release_id = profile.release_id and described.table_name = profile.table_name;
comment on view control.profile_of_release is 'What each table of each release holds, in counts and sums.';

create table control.release_finding (
    release_id bigint not null references control.release,
    place integer not null,
    table_name text not null,
    grouped_by text not null default '',
    group_key text not null default '',
    what text not null check (what in ('rows', 'keys', 'sum', 'amount', 'nulls')),
    column_name text not null default '',
    holds boolean not null,
    message text not null,
    message_vi text not null,
    primary key (release_id, place)
);
comment on table control.release_finding is
    'How a release differs from the live one by more than the limits (expectations/comparison.yaml).';
comment on column control.release_finding.holds is
    'Whether it holds the release until a person approves it; false: a warning.';
"""

APPROVAL = """
create table control.approval (
    approval_id bigint generated always as identity primary key,
    approved_at timestamptz not null default clock_timestamp(),
    release_id bigint references control.release,
    batch_id bigint references control.batch,
    os_user text not null,
    said_by text not null,
    db_role text not null default session_user,
    reason text not null check (btrim(reason) <> ''),
    findings text not null,
    check ((release_id is null) <> (batch_id is null))
);
comment on table control.approval is
    'Who let a held release or batch go on, when and why. Rows are added, never changed.';
comment on column control.approval.os_user is 'The account of the operating system that ran the command.';
comment on column control.approval.said_by is
    'The person who decided, by their own word (--by); else that account.';
comment on column control.approval.findings is 'What had held it, and was approved.';
create unique index approval_of_release on control.approval (release_id) where release_id is not null;
create unique index approval_of_batch on control.approval (batch_id) where batch_id is not null;
"""

RIGHTS = """
grant select, insert, delete on control.release_profile to pdic_auditor;
grant select, insert, delete on control.release_table, control.release_finding to pdic_auditor;
grant select on control.slot, control.publication to pdic_auditor;
grant select on control.release_profile, control.release_table, control.release_finding, control.profile_of_release
    to pdic_publisher, pdic_auditor;
grant select on control.approval to pdic_publisher, pdic_loader, pdic_auditor, pdic_transformer;
grant insert (release_id, os_user, said_by, reason, findings) on control.approval to pdic_publisher;
grant insert (batch_id, os_user, said_by, reason, findings) on control.approval to pdic_loader;
"""


def upgrade() -> None:
    for text in (HELD, CONTENT, PROFILES, APPROVAL, RIGHTS):
        op.execute(text)
