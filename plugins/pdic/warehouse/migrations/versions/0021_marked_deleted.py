"""A batch says how many of its rows the source marks as deleted, and how many rows were living before it."""

from alembic import op

revision = "0021"
down_revision = "0020"

COUNTS = """
alter table control.batch add column rows_marked_deleted bigint, add column living_before bigint;
comment on column control.batch.rows_marked_deleted is
    'Rows that the source marks as deleted (soft deletes, cancelled records), also those that it marked before.';
comment on column control.batch.living_before is
    'Rows of the dataset that were living before this batch; null where that was not to be counted.';
"""


def upgrade() -> None:
    op.execute(COUNTS)
