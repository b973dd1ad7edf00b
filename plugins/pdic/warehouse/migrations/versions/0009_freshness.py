"""How fresh each source was when a batch was read from it: what later batches are held against."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("""
    create table control.batch_freshness (
        batch_id bigint primary key,
        measure text not null,
        read_at timestamptz not null,
        newest_at timestamptz,
        quiet_since timestamptz not null,
        limit_seconds double precision,
        stale boolean
    );
    comment on table control.batch_freshness is 'How fresh a source was when a batch was read from it, news or not. Moments, never a row.';
    comment on column control.batch_freshness.measure is
        'The source''s column that says when a row was written; empty: only whether anything differed is known.';
    comment on column control.batch_freshness.read_at is 'When it was read, by the source''s clock where that is known.';
    comment on column control.batch_freshness.newest_at is
        'The newest moment of any row known so far; moments that lie ahead of read_at do not count. Null: none came yet.';
    comment on column control.batch_freshness.quiet_since is
        'Since when the source was seen to write nothing: newest_at, or the first reading where that came later.';
    comment on column control.batch_freshness.limit_seconds is 'How long it may be quiet; null: that was not judged.';
    comment on column control.batch_freshness.stale is 'Whether it was quiet for longer; null: that was not judged.';

    alter table control.release_dataset add column freshness_by text;
    comment on column control.release_dataset.freshness_by is
        'What a dataset''s freshness is judged by: a column of its source, changes, or its own history alone; null: by nothing.';

    grant select, insert, update on control.batch_freshness to pdic_auditor;
    grant select on control.batch_freshness to pdic_loader, pdic_publisher, pdic_transformer;
    """)
