"""The kind of error that ended a batch, beside the sentence that says why: `pdic status` and `pdic history` show both."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("""
    alter table control.batch add column error_kind text;
    comment on column control.batch.error_kind is 'The kind of error that ended the batch; message says why.';
    """)
