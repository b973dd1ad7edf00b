"""The release that another one's findings were made against; and a table's columns are noted anew where they alone changed."""

from alembic import op

revision = "0018"
down_revision = "0017"

HELD_AGAINST = """
alter table control.release add column held_against bigint;
comment on column control.release.held_against is
    'The live release that its findings were made against; 0 where there was none, null before it was compared.';
"""

MARKS = """
create or replace function published.remember_content(
    table_name text, made_by bigint, of_columns text[], changed boolean
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into published.table_content (slot, model, release_id, columns)
    values (published.require_open(table_name), table_name, made_by, of_columns)
    on conflict (slot, model) do update set release_id = excluded.release_id, columns = excluded.columns
    where changed or table_content.columns is distinct from excluded.columns;
end
$$;
"""


def upgrade() -> None:
    for text in (HELD_AGAINST, MARKS):
        op.execute(text)
