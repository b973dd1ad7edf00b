"""What became of each dataset's source keys, as counted after its newest accepted batch."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("""
    create table control.key_count (
        sector text not null,
        dataset text not null,
        batch_id bigint not null,
        key text[] not null,
        accepted bigint not null,
        quarantined bigint not null,
        deleted bigint not null,
        counted_at timestamptz not null default clock_timestamp(),
        primary key (sector, dataset)
    );
    comment on table control.key_count is
        'How many of a dataset''s keys are accepted, held or deleted. Right while batch_id is its newest accepted batch.';
    comment on column control.key_count.key is 'The key columns that were counted by: a contract may change them.';

    grant select, insert, update on control.key_count to pdic_loader;
    """)
