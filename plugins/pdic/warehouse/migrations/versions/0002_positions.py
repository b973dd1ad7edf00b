"""Where a load starts that does not go by time: a log's position, a feed's cursor."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
    alter table control.dataset add column position jsonb;
    comment on column control.dataset.position is 'Where the next load starts, for captures that do not go by time.';
    alter table control.batch add column position_from jsonb, add column position_to jsonb;
    """)
