"""The ledger of releases: what was published, taken back, held, approved. Entries are added, and each holds the hash of the one before."""

from alembic import op

revision = "0015"
down_revision = "0014"

TABLES = """
create table control.ledger_entry (
    seq bigint primary key check (seq > 0),
    at timestamptz not null,
    kind text not null check (kind ~ '^[a-z_]+$'),
    role text not null,
    payload jsonb not null check (jsonb_typeof(payload) = 'object'),
    previous_hash bytea not null check (octet_length(previous_hash) = 32),
    hash bytea not null unique check (octet_length(hash) = 32)
);
comment on table control.ledger_entry is
    'What happened to releases, in order. Entries are added only; each has the hash of the one before it (docs/releases.md).';
comment on column control.ledger_entry.role is 'The login that wrote it.';
comment on column control.ledger_entry.hash is
    'sha256 of the hash before it and of the entry itself, written as jsonb: seq, at (UTC, microseconds), kind, role, payload.';

create table control.ledger_head (
    one boolean primary key default true check (one),
    seq bigint not null,
    hash bytea not null
);
insert into control.ledger_head (seq, hash) values (0, decode(repeat('00', 32), 'hex'));
comment on table control.ledger_head is 'The last entry of the ledger: who adds the next one locks this row. One row.';

create function control.refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'entries of %.% are never changed or removed', tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end
$$;
comment on function control.refuse_change is 'Refuses what the trigger is for, whoever asks.';
create trigger added_only before update or delete or truncate on control.ledger_entry
for each statement execute function control.refuse_change();
"""

APPEND = """
create function control.append_to_ledger(
    entry_kind text, entry_payload jsonb, out written_seq bigint, out written_hash bytea
)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    before_hash bytea;
    written_at timestamptz;
begin
    select seq + 1, hash into strict written_seq, before_hash from control.ledger_head for update;
    written_at := clock_timestamp();
    written_hash := sha256(before_hash || convert_to(jsonb_build_object(
        'seq', written_seq,
        'at', to_char(written_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        'kind', entry_kind,
        'role', session_user,
        'payload', entry_payload
    )::text, 'UTF8'));
    insert into control.ledger_entry (seq, at, kind, role, payload, previous_hash, hash)
    values (written_seq, written_at, entry_kind, session_user, entry_payload, before_hash, written_hash);
    update control.ledger_head set seq = written_seq, hash = written_hash;
end
$$;
comment on function control.append_to_ledger is 'Adds an entry to the ledger; the only way to do so. Returns its number and hash.';
"""

RIGHTS = """
revoke all on function control.append_to_ledger from public;
revoke all on function control.refuse_change from public;
grant execute on function control.append_to_ledger to pdic_publisher;
grant select on control.ledger_entry, control.ledger_head to pdic_publisher, pdic_auditor;
"""


def upgrade() -> None:
    for text in (TABLES, APPEND, RIGHTS):
        op.execute(text)
