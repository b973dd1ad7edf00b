"""When a step of a batch or a release ended without its lock: whether somebody works on it is told by the lock, not by its age."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute(
        """
        alter table control.batch add column let_go_at timestamptz;
        comment on column control.batch.let_go_at is
            'When a step ended that gave the dataset''s lock back for the next step (Airflow); null: one process holds it to the end.';
        alter table control.release add column let_go_at timestamptz;
        comment on column control.release.let_go_at is
            'When a step ended that gave the release''s lock back for the next step (Airflow); null: one process holds it to the end.';
        """
    )
