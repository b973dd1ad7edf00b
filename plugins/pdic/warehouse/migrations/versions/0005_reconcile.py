"""What each comparison of a source with the warehouse found."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
    create table control.reconciliation (
        batch_id bigint primary key references control.batch on delete cascade,
        source_rows bigint not null,
        known_rows bigint not null,
        late bigint not null,
        changed bigint not null,
        news bigint not null,
        deleted bigint not null,
        buckets bigint not null,
        buckets_differing bigint not null,
        rows_fetched bigint not null,
        held boolean not null,
        approves bigint references control.batch on delete set null,
        seconds jsonb not null,
        reconciled_at timestamptz not null default clock_timestamp()
    );
    comment on table control.reconciliation is
        'Each comparison of a source with the warehouse, by its batch: what was wrong, and what healed it.';
    comment on column control.reconciliation.late is 'Rows that were missing and that no load would have brought.';
    comment on column control.reconciliation.changed is 'Rows that were known otherwise and that no load would have brought.';
    comment on column control.reconciliation.news is 'Missing or changed rows that the next load would have brought.';
    comment on column control.reconciliation.deleted is 'Keys that were known and are gone at the source.';
    comment on column control.reconciliation.held is 'Too much was gone: nothing was changed, an operator decides.';
    comment on column control.reconciliation.approves is 'The held comparison whose findings an operator approved.';
    grant select, insert on control.reconciliation to pdic_loader;
    grant select on control.reconciliation to pdic_publisher, pdic_transformer, pdic_auditor;
    """)
