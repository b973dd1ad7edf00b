"""Up to where a check knew the other datasets: what it counted must be what is moved to quarantine later."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("""
    alter table control.batch add column known_up_to jsonb;
    comment on column control.batch.known_up_to is
        'Up to which batch the check knew each dataset that its rules looked things up in: {"sector.dataset": batch}.';
    """)
