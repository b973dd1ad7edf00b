"""What each source's table declared when it was last read: what drift is measured by, besides the contract."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
    create table control.source_shape (
        sector text not null,
        dataset text not null,
        contract_version text not null,
        shape jsonb not null,
        seen_at timestamptz not null default clock_timestamp(),
        primary key (sector, dataset)
    );
    comment on table control.source_shape is
        'Kind, key, never-empty columns and enum labels of a source''s table, as the newest load found them.';
    grant select, insert, update on control.source_shape to pdic_loader;
    """)
