"""Schemas, the ledger in `control`, and each role's rights."""

from alembic import op

revision = "0001"
down_revision = None

SCHEMAS = """
create schema raw authorization pdic_loader;
create schema raw_batch authorization pdic_loader;
create schema quarantine authorization pdic_loader;
create schema staging authorization pdic_transformer;
create schema vault authorization pdic_transformer;
create schema live authorization pdic_publisher;
create schema candidate authorization pdic_publisher;
create schema shared authorization pdic_publisher;

comment on schema raw is 'Accepted batches, one partition each, with the source''s own columns and types.';
comment on schema raw_batch is 'Batches not yet accepted, one table each.';
comment on schema quarantine is 'Rows of a batch that broke a row rule, with the reasons.';
comment on schema staging is 'The current state of every dataset, one row per source key.';
comment on schema vault is 'Who is who: person mentions, keys, golden records. Personal data.';
comment on schema candidate is 'The release being built, or the former one until the next build begins.';
comment on schema live is 'The release that readers see through the views in shared.';
comment on schema shared is 'What readers see: whole releases only.';
"""

LEDGER = """
create sequence control.batch_id;
create sequence control.release_id;

create table control.dataset (
    sector text not null,
    dataset text not null,
    watermark timestamptz,
    accepted_batch_id bigint,
    primary key (sector, dataset)
);
comment on table control.dataset is 'Per dataset: the watermark of record and the newest accepted batch.';

create table control.batch (
    batch_id bigint primary key default nextval('control.batch_id'),
    sector text not null,
    dataset text not null,
    capture text not null,
    status text not null
        check (status in ('extracting', 'extracted', 'checked', 'accepted', 'rejected', 'abandoned')),
    rows_extracted bigint,
    rows_accepted bigint,
    rows_quarantined bigint,
    rows_unchanged bigint,
    rows_deleted bigint,
    bytes bigint,
    digest text,
    watermark_from timestamptz,
    watermark_to timestamptz,
    drift text,
    seconds jsonb not null default '{}',
    message text,
    started_at timestamptz not null default clock_timestamp(),
    accepted_at timestamptz,
    check (
        status <> 'accepted'
        or rows_extracted = rows_accepted + rows_quarantined + rows_unchanged
    )
);
comment on table control.batch is 'The ledger: what each load of each dataset brought, and what became of it.';
create index batch_by_dataset on control.batch (sector, dataset, batch_id desc);

create table control.release (
    release_id bigint primary key default nextval('control.release_id'),
    status text not null
        check (status in ('building', 'built', 'audited', 'published', 'failed', 'abandoned')),
    full_refresh boolean not null default false,
    code_digest text not null,
    logic_digest text,
    refreshed boolean not null default false,
    seconds jsonb not null default '{}',
    message text,
    started_at timestamptz not null default clock_timestamp(),
    published_at timestamptz
);
comment on table control.release is 'Every release: from its first step to published, failed or abandoned.';
comment on column control.release.code_digest is 'All that decides what is built, judged and shown.';
comment on column control.release.logic_digest is 'The dbt project that built it; null until the build is complete.';
comment on column control.release.refreshed is 'Staging was rebuilt whole, from raw.';
create unique index release_one_open on control.release ((true)) where status in ('building', 'built', 'audited');

create table control.release_batch (
    release_id bigint not null references control.release,
    sector text not null,
    dataset text not null,
    batch_id bigint not null,
    primary key (release_id, sector, dataset)
);
comment on table control.release_batch is 'The newest accepted batch of each dataset that a release takes in.';

create table control.publication (
    publication_id bigint generated always as identity primary key,
    release_id bigint not null references control.release,
    kind text not null check (kind in ('publish', 'rollback')),
    former_release_id bigint,
    published_at timestamptz not null default clock_timestamp()
);
comment on table control.publication is 'Each swap of what readers see.';

create view control.building as
select release_id, full_refresh
from control.release
where status = 'building';
comment on view control.building is 'The release being built: at most one row.';

create view control.building_batch as
select release_batch.sector, release_batch.dataset, release_batch.batch_id
from control.release_batch
inner join control.building using (release_id);
comment on view control.building_batch is 'The batches that the release being built takes in.';

create table control.expectation_result (
    id bigint generated always as identity primary key,
    run_kind text not null check (run_kind in ('batch', 'release')),
    batch_id bigint,
    release_id bigint,
    sector text not null,
    dataset text not null,
    rule_id text not null,
    expectation_type text not null,
    column_name text,
    severity text not null,
    on_fail text not null,
    dimension text not null,
    success boolean not null,
    checked bigint,
    failed bigint,
    raised text,
    seconds double precision,
    created_at timestamptz not null default clock_timestamp()
);
comment on table control.expectation_result is 'Every rule of every check: counts only, never a value.';
create index expectation_result_by_batch on control.expectation_result (batch_id);
create index expectation_result_by_release on control.expectation_result (release_id);

create table control.model_result (
    release_id bigint not null references control.release,
    node text not null,
    status text not null,
    seconds double precision not null,
    rows bigint,
    message text,
    primary key (release_id, node)
);
comment on table control.model_result is 'What dbt did for each model, seed and test of a release.';

create table staging.applied_batch (
    model text primary key,
    batch_id bigint not null
);
comment on table staging.applied_batch is 'The newest batch that each staging model has taken in.';
alter table staging.applied_batch owner to pdic_transformer;

create table vault.citizen_founder (
    founding_mention text primary key,
    citizen_key text not null
);
comment on table vault.citizen_founder is 'The key of the person that a founding mention stands for (HMAC-SHA256).';
alter table vault.citizen_founder owner to pdic_transformer;
"""

SLOT = """
create table {schema}.release_slot (
    release_id bigint,
    complete boolean not null default false,
    logic_digest text
);
insert into {schema}.release_slot default values;
comment on table {schema}.release_slot is 'Which release this schema holds; travels with it when live and candidate swap.';
alter table {schema}.release_slot owner to pdic_publisher;
"""

RIGHTS = """
grant usage on schema control to pdic_loader, pdic_transformer, pdic_auditor, pdic_publisher;
grant usage on sequence control.batch_id to pdic_loader;
grant usage on sequence control.release_id to pdic_publisher;
grant select, insert, update on control.dataset, control.batch to pdic_loader;
grant select on control.dataset, control.batch to pdic_publisher, pdic_transformer, pdic_auditor;
grant select, insert, update on control.release, control.release_batch, control.publication to pdic_publisher;
grant select on control.release, control.release_batch, control.building, control.building_batch
    to pdic_transformer, pdic_auditor, pdic_loader, pdic_publisher;
grant select, insert on control.expectation_result to pdic_auditor;
grant select on control.expectation_result to pdic_loader, pdic_publisher;
grant select on control.publication to pdic_loader;
grant select, insert, update, delete on control.model_result to pdic_publisher;

grant usage on schema raw, quarantine to pdic_transformer;
alter default privileges for role pdic_loader in schema raw grant select on tables to pdic_transformer;
alter default privileges for role pdic_loader in schema quarantine grant select on tables to pdic_transformer;

grant usage on schema raw_batch to pdic_auditor;
alter default privileges for role pdic_loader in schema raw_batch grant select on tables to pdic_auditor, pdic_transformer;

grant usage, create on schema candidate to pdic_transformer;
grant usage on schema candidate, live to pdic_auditor;
alter default privileges for role pdic_transformer in schema candidate
    grant select on tables to pdic_auditor, pdic_publisher;
alter default privileges for role pdic_transformer in schema live
    grant select on tables to pdic_auditor, pdic_publisher;

grant usage on schema shared to pdic_reader;
revoke create on schema public from public;
revoke usage on schema public from public;
"""

PUBLISHER = """
do $$
begin
    -- The publisher swaps schemas by renaming them, which needs create on the database.
    execute format('grant create on database %I to pdic_publisher', current_database());
end
$$;
"""


def upgrade() -> None:
    op.execute(SCHEMAS)
    op.execute(LEDGER)
    for schema in ("live", "candidate"):
        op.execute(SLOT.format(schema=schema))
    op.execute(RIGHTS)
    op.execute(PUBLISHER)
