"""Quality: the register of what is in quarantine, results by agency, what batches hold, what releases measure."""

from alembic import op

revision = "0007"
down_revision = "0006"

REGISTER = """
create table quarantine.record (
    record_id bigint generated always as identity primary key,
    sector text not null,
    dataset text not null,
    key text not null,
    agency text,
    reasons text[] not null,
    severity text not null check (severity in ('critical', 'warning', 'info')),
    state text not null default 'open' check (state in ('open', 'returned', 'corrected', 'waived')),
    first_batch_id bigint not null,
    last_batch_id bigint not null,
    first_seen timestamptz not null default clock_timestamp(),
    last_seen timestamptz not null default clock_timestamp(),
    times integer not null default 1,
    due_on date not null,
    waived_until date,
    closed_at timestamptz,
    closed_batch_id bigint,
    check ((state = 'corrected') = (closed_at is not null)),
    check ((state = 'waived') = (waived_until is not null))
);
create unique index record_unsettled on quarantine.record (sector, dataset, key) where state <> 'corrected';
create index record_by_batch on quarantine.record (sector, dataset, last_batch_id);
comment on table quarantine.record is
    'Every source row that was held back, from its first refusal until a good row with its key came. Keys may be personal.';
comment on column quarantine.record.agency is 'Code of the agency that owns the row; ''?'' where the row names none that is readable.';
comment on column quarantine.record.reasons is 'The rules that the newest version of the row breaks.';
comment on column quarantine.record.times is 'How many batches brought a version of it that was refused.';
comment on column quarantine.record.closed_batch_id is
    'The batch by which the row came to be accepted, good or by its waiver; null while it is held.';
comment on column quarantine.record.due_on is 'When the agency should have corrected it.';

create view quarantine.standing as
select
    record.*,
    case
        when state in ('open', 'returned') and due_on < (now() at time zone 'Asia/Ho_Chi_Minh')::date then 'expired'
        when state = 'waived' and waived_until < (now() at time zone 'Asia/Ho_Chi_Minh')::date then 'expired'
        else state
    end as standing
from quarantine.record;
comment on view quarantine.standing is 'The register as it stands today: `expired` where a deadline or a waiver has run out.';

create table quarantine.event (
    event_id bigint generated always as identity primary key,
    record_id bigint not null references quarantine.record,
    happened_at timestamptz not null default clock_timestamp(),
    what text not null check (what in ('refused', 'returned', 'corrected', 'deleted at source', 'waived')),
    batch_id bigint,
    who text,
    note text
);
create index event_by_record on quarantine.event (record_id);
comment on table quarantine.event is 'What became of each record, in order: nothing here is ever changed.';

alter table quarantine.record owner to pdic_loader;
alter view quarantine.standing owner to pdic_loader;
alter table quarantine.event owner to pdic_loader;
"""

RESULTS = """
create table control.agency_check (
    batch_id bigint not null,
    agency text not null,
    checked bigint not null,
    primary key (batch_id, agency)
);
comment on table control.agency_check is 'How many rows of a batch each agency sent; ''?'' where a row names none that is readable.';

create table control.agency_failure (
    batch_id bigint not null,
    agency text not null,
    rule_id text not null,
    failed bigint not null check (failed > 0),
    primary key (batch_id, agency, rule_id)
);
comment on table control.agency_failure is 'The rows of each agency that break a row rule; no row where none does.';

create table control.batch_profile (
    batch_id bigint not null,
    column_name text not null,
    value text,
    rows bigint not null,
    unique nulls not distinct (batch_id, column_name, value)
);
comment on table control.batch_profile is
    'What a batch holds: rows by column without a value (value is null), and by code where the contract lists a column''s codes.';

create table control.release_dataset (
    release_id bigint not null references control.release on delete cascade,
    sector text not null,
    dataset text not null,
    title text not null,
    owner_agency text not null,
    freshness interval not null,
    columns integer not null,
    columns_with_rule integer not null,
    rules integer not null,
    primary key (release_id, sector, dataset)
);
comment on table control.release_dataset is 'What a release''s contracts and rule files promise of each dataset.';

alter table control.expectation_result add column by_agency boolean not null default false;
comment on column control.expectation_result.by_agency is
    'Whether the rule''s failures were also counted by agency: then an agency without a count has none.';

create table staging.intake (
    model text not null,
    release_id bigint not null,
    agency text not null,
    rows bigint not null,
    repaired bigint not null,
    primary key (model, release_id, agency)
);
comment on table staging.intake is
    'Rows that came or changed with a release, by staging model and agency, and those of them in which cleaning changed a value.';

create table staging.repair (
    model text not null,
    release_id bigint not null,
    agency text not null,
    column_name text not null,
    rows bigint not null,
    primary key (model, release_id, agency, column_name)
);
comment on table staging.repair is 'The same by the source''s column that cleaning changed.';

alter table staging.intake owner to pdic_transformer;
alter table staging.repair owner to pdic_transformer;

alter table control.release add column data_docs text;
comment on column control.release.data_docs is 'Where the release''s Data Docs lie; or why they could not be written.';
"""

RIGHTS = """
grant select, insert on control.agency_check, control.agency_failure, control.batch_profile to pdic_auditor;
grant select on control.agency_check, control.agency_failure, control.batch_profile, control.release_dataset,
    control.expectation_result to pdic_loader, pdic_publisher, pdic_transformer;
grant select, insert, delete on control.release_dataset to pdic_publisher;
grant select on quarantine.record, quarantine.standing to pdic_transformer;

-- Rules over several datasets look things up in what was accepted and in what is held; they return counts.
grant usage on schema raw, quarantine to pdic_auditor;
grant select on all tables in schema raw to pdic_auditor;
do $$
declare held record;
begin
    for held in select oid::regclass as name from pg_class
        where relnamespace = 'quarantine'::regnamespace and relkind in ('r', 'p') and relname not in ('record', 'event')
    loop
        execute format('grant select on %s to pdic_auditor', held.name);
    end loop;
end
$$;
alter default privileges for role pdic_loader in schema raw grant select on tables to pdic_auditor;
alter default privileges for role pdic_loader in schema quarantine grant select on tables to pdic_auditor;
"""


def upgrade() -> None:
    op.execute(REGISTER)
    op.execute(RESULTS)
    op.execute(RIGHTS)
