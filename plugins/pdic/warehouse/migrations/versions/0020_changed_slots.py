"""Whoever changes a slot's table, the table is marked as changed: what is compared and audited again does not rest on a step's word."""

from alembic import op

revision = "0020"
down_revision = "0019"

# The release is the one that builds in the slot. Its row is locked: a transaction that still sees an older release is refused. Whoever
# begins or ends a build changes that row after it has waited for all that write in the slot (`pdic.release.slots.close`).
MARKED = """
create function published.mark_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- A statement that touched no row changes no table. (Only a superuser may switch the counting off.)
    if tg_op <> 'TRUNCATE' and current_setting('track_counts')::boolean
        and pg_stat_get_xact_tuples_inserted(tg_relid) + pg_stat_get_xact_tuples_updated(tg_relid)
        + pg_stat_get_xact_tuples_deleted(tg_relid) = 0 then
        return null;
    end if;
    insert into published.table_content as noted (slot, model, release_id)
    select slot, tg_table_name, coalesce(release_id, 0)
    from control.slot_content where 'slot_' || slot::text = tg_table_schema
    for share
    on conflict (slot, model) do update set release_id = excluded.release_id
    where noted.release_id <> excluded.release_id;
    return null;
end
$$;
comment on function published.mark_changed is 'Notes that the release which builds in a slot changed a table of it.';
alter function published.mark_changed owner to pdic_publisher;
revoke all on function published.mark_changed from public;

do $$
declare
    place regclass;
begin
    for place in
        select oid from pg_class
        where relnamespace in ('slot_a'::regnamespace, 'slot_b'::regnamespace, 'slot_c'::regnamespace) and relkind = 'r'
    loop
        execute format(
            'create trigger marks_change after insert or update or delete or truncate on %s'
            ' for each statement execute function published.mark_changed()', place
        );
    end loop;
end
$$;
"""

NOTED = """
drop function published.remember_content;
drop function published.remember_release;

create function published.remember_columns(table_name text, of_columns text[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into published.table_content as noted (slot, model, release_id, columns)
    select slot, table_name, coalesce(release_id, 0), of_columns
    from control.slot_content where slot = published.require_open(table_name)
    for share
    on conflict (slot, model) do update set release_id = excluded.release_id, columns = excluded.columns
    where noted.columns is distinct from excluded.columns;
end
$$;
comment on function published.remember_columns is
    'Notes of which columns the hashes of a table''s rows are made, in the open slot; where those changed, the table did.';
alter function published.remember_columns owner to pdic_publisher;

create function published.remember_release(table_name text, of_generation bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into published.applied_release (slot, model, release_id, generation)
    select slot, table_name, coalesce(release_id, 0), of_generation
    from control.slot_content where slot = published.require_open(table_name)
    for share
    on conflict (slot, model) do update set release_id = excluded.release_id, generation = excluded.generation;
end
$$;
comment on function published.remember_release is 'Notes that a table was brought to the release which builds in the open slot.';
alter function published.remember_release owner to pdic_publisher;
alter function published.require_open owner to pdic_publisher;

revoke all on function published.remember_columns, published.remember_release from public;
grant execute on function published.remember_columns, published.remember_release to pdic_transformer;
"""


def upgrade() -> None:
    for text in (MARKED, NOTED):
        op.execute(text)
