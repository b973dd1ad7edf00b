"""What a capture remarked."""

from alembic import op

revision = "0007"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
    alter table control.batch add column remark text;
    comment on column control.batch.remark is 'What the operator should hear of the read: what kept it back or made it longer.';
    """)
