"""A release is also compared by the rows that break each rule."""

from alembic import op

revision = "0019"
down_revision = "0018"

FINDINGS = """
alter table control.release_finding
    drop constraint release_finding_what_check,
    add constraint release_finding_what_check check (what in ('rows', 'keys', 'sum', 'amount', 'nulls', 'rule')),
    add column rule_id text not null default '';
comment on column control.release_finding.rule_id is 'The rule that many more rows break, where the finding is about one.';
"""


def upgrade() -> None:
    op.execute(FINDINGS)
