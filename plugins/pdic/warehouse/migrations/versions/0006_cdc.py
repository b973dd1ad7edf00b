"""What a load has to tell an operator about its source, such as a replication slot that fills the disk."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("""
    alter table control.batch add column warning text;
    comment on column control.batch.warning is 'What an operator should see to at the source; the load itself went well.';
    """)
