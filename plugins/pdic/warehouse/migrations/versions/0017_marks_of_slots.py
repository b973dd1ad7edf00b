"""What the build notes of a slot's tables can be written for the open slot alone: what the audit does not read again rests on it."""

from alembic import op

revision = "0017"
down_revision = "0016"

# Both lock the slot's table first, as a model does before it writes: whoever closes the slot waits for it, and what comes later finds
# the right to write gone. The right is asked of the catalogue, which no old snapshot hides.
MARKS = """
create function published.require_open(table_name text) returns "char"
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    slot "char" := (select building from control.slot);
    place regclass := to_regclass(format('slot_%s.%I', slot::text, table_name));
begin
    if place is null then
        raise exception 'no published table is called %', table_name;
    end if;
    execute format('lock table %s in row exclusive mode', place);
    if not has_table_privilege('pdic_transformer', place, 'insert') then
        raise insufficient_privilege using message = format(
            'slot %s is closed: what is noted of %s stays as it is', slot::text, table_name
        );
    end if;
    return slot;
end
$$;
comment on function published.require_open is 'The slot that is open for the build of a table; raises where none is.';

create function published.remember_content(table_name text, made_by bigint, of_columns text[], changed boolean) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into published.table_content (slot, model, release_id, columns)
    values (published.require_open(table_name), table_name, made_by, of_columns)
    on conflict (slot, model) do update set release_id = excluded.release_id, columns = excluded.columns
    where changed;
end
$$;
comment on function published.remember_content is
    'Notes the release that last changed a row of a table in the open slot, and the columns of which its rows'' hashes are made.';

create function published.remember_release(table_name text, made_by bigint, of_generation bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into published.applied_release (slot, model, release_id, generation)
    values (published.require_open(table_name), table_name, made_by, of_generation)
    on conflict (slot, model) do update set release_id = excluded.release_id, generation = excluded.generation;
end
$$;
comment on function published.remember_release is 'Notes the release that a table was brought to in the open slot.';
"""

RIGHTS = """
revoke all on function published.require_open, published.remember_content, published.remember_release from public;
grant execute on function published.remember_content, published.remember_release to pdic_transformer;
revoke insert, update on published.table_content, published.applied_release from pdic_transformer;
"""


def upgrade() -> None:
    for text in (MARKS, RIGHTS):
        op.execute(text)
