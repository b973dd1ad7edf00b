-- Who may read, within which limits: what only the server's superuser can do, as functions that take no orders.
-- `pdic.warehouse.readers` puts this in; it belongs to the superuser, and names nothing that anybody else can replace.
create schema if not exists readers;
comment on schema readers is 'Logins of readers: their record, their limits, and what puts them right.';

create table if not exists readers.login (
    login name primary key check (login::text ~ '^reader_[a-z][a-z0-9_]*$'),
    verifier text not null check (verifier ~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$'),
    connections integer not null check (connections > 0),
    made_at timestamptz not null default now()
);
comment on table readers.login is 'Every login of a reader, its password (as its verifier) and its connections, as they were given.';

create table if not exists readers.removed (
    login name primary key,
    removed_at timestamptz not null default now(),
    kept text not null default ''
);
comment on table readers.removed is 'Readers who were removed, and whose role is still there: nobody can log in by it, and `kept` says what keeps it.';

create table if not exists readers.limits (
    one boolean primary key default true check (one),
    statement_seconds integer not null check (statement_seconds >= 0),
    idle_seconds integer not null check (idle_seconds >= 0),
    transaction_seconds integer not null check (transaction_seconds >= 0),
    temporary_megabytes integer not null check (temporary_megabytes >= 0),
    grace_seconds integer not null default 5
);
comment on table readers.limits is 'What a session of a reader may take; 0 seconds is no limit. One row.';
comment on column readers.limits.grace_seconds is 'So much later than the server, which tells the reader why, the watch ends a session.';

create table if not exists readers.event (
    event_id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    login name not null,
    kind text not null,
    detail text not null
);
comment on table readers.event is 'What was put right, and which sessions were ended. Names and numbers only. Kept for 90 days.';

create or replace function readers.settings() returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select array_agg(setting order by setting collate "C")
from readers.limits
cross join unnest(array[
    'default_transaction_read_only=on',
    format('idle_in_transaction_session_timeout=%ss', idle_seconds),
    -- A session could fill the disk with what it has the server log (`raise log`, `debug_print_plan`, an error): only the superuser sets these.
    'log_min_error_statement=panic',
    'log_min_messages=fatal',
    'search_path=shared',
    format('statement_timeout=%ss', statement_seconds),
    format('temp_file_limit=%sMB', temporary_megabytes),
    -- Since PostgreSQL 17; the watch knows the limit in every version.
    case when current_setting('server_version_num')::integer >= 170000 then format('transaction_timeout=%ss', transaction_seconds) end
]) as given (setting)
where setting is not null;
end;
comment on function readers.settings is 'The settings of every login of a reader, as pg_db_role_setting holds them.';

create or replace function readers.end_writers(wait_ms integer) returns table (login name, kind text, detail text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    session record;
begin
    -- A reader can write nothing but its own login. A transaction that did so and stays open would hold up others, for ever. So would
    -- `drop owned by pdic_reader`, which changes nothing but holds the rows of the catalogue: every transaction with an id goes.
    -- (`reset all`, where nothing is set, gets no id, and locks the catalogue.)
    perform pg_stat_clear_snapshot();  -- else a transaction sees who was there at its first look
    for session in
        select activity.pid, activity.usename, floor(extract(epoch from clock_timestamp() - activity.xact_start)) as seconds
        from pg_stat_activity as activity
        where
            (
                activity.usename in (select kept.login from readers.login as kept)
                or activity.usename in (select gone.login from readers.removed as gone)
            )
            and (
                activity.backend_xid is not null
                or exists (
                    select from pg_locks as held
                    where held.pid = activity.pid and held.mode <> 'AccessShareLock'
                        and held.relation in ('pg_authid'::regclass, 'pg_auth_members'::regclass, 'pg_db_role_setting'::regclass)
                )
            )
    loop
        if pg_terminate_backend(session.pid, wait_ms) then
            return query select session.usename, 'session', format('%s change %s', session.pid, coalesce(session.seconds, 0));
        end if;
    end loop;
end
$$;
comment on function readers.end_writers is 'End the transactions in which readers changed something.';

create or replace function readers.hold_still() returns table (login name, kind text, detail text)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '300ms'
as $$
declare
    tries constant integer := 10;
begin
    for try in 1..tries loop
        -- The end of a session is not waited for: another one would take its place before this one stands in the queue.
        return query select ended.login, ended.kind, ended.detail from readers.end_writers(0) as ended;
        begin
            lock table pg_authid, pg_auth_members, pg_db_role_setting in share row exclusive mode;
            return;
        exception when lock_not_available or deadlock_detected then
            if try = tries then
                raise;
            end if;
        end;
    end loop;
end
$$;
comment on function readers.hold_still is 'From now until the end of the transaction nobody else changes a role. Whoever logs in goes on.';

create or replace function readers.compare() returns table (login name, kind text, detail text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    wanted text[] := readers.settings();
    reader record;
    setting text;
    found text[];
    elsewhere record;
    membership text := case
        -- Where the server can say so, nobody becomes the role that holds the rights.
        when current_setting('server_version_num')::integer >= 160000 then 'with inherit true, set false' else ''
    end;
begin
    select role.oid, role.rolcanlogin, role.rolpassword is not null as has_password into reader
    from pg_authid as role where role.rolname = 'pdic_reader';
    if reader.oid is null then
        create role pdic_reader nologin;
    elsif reader.rolcanlogin or reader.has_password then
        alter role pdic_reader nologin password null;
        return query select 'pdic_reader'::name, 'rights', 'a password, or leave to log in';
    end if;

    for reader in
        select
            kept.login, kept.verifier, kept.connections, role.oid, role.rolpassword, role.rolconnlimit,
            role.rolcanlogin and role.rolinherit and coalesce(role.rolvaliduntil, 'infinity') = 'infinity'
            and not (role.rolsuper or role.rolcreaterole or role.rolcreatedb or role.rolreplication or role.rolbypassrls)
                as is_plain,
            exists (
                select from pg_auth_members as member
                where member.member = role.oid and member.roleid = 'pdic_reader'::regrole and not member.admin_option
            ) as is_member
        from readers.login as kept
        left join pg_authid as role on role.rolname = kept.login
        order by kept.login
    loop
        if reader.oid is null then
            execute format('create role %I', reader.login);
            return query select reader.login, 'login', 'it was missing';
        elsif not reader.is_plain then
            return query select reader.login, 'rights', 'attributes of the role';
        end if;
        if reader.is_plain is not true then
            execute format(
                'alter role %I login inherit nosuperuser nocreaterole nocreatedb noreplication nobypassrls valid until ''infinity''',
                reader.login
            );
        end if;
        if reader.rolpassword is distinct from reader.verifier then
            execute format('alter role %I password %L', reader.login, reader.verifier);
            if reader.oid is not null then
                return query select reader.login, 'password', case when reader.rolpassword is null then 'none' else 'another one' end;
            end if;
        end if;
        if reader.rolconnlimit is distinct from reader.connections then
            execute format('alter role %I connection limit %s', reader.login, reader.connections);
            if reader.oid is not null then
                return query select reader.login, 'connections', reader.rolconnlimit::text;
            end if;
        end if;
        if reader.is_member is not true then
            execute format('grant pdic_reader to %I %s', reader.login, membership);
            if reader.oid is not null then
                return query select reader.login, 'rights', 'membership in pdic_reader';
            end if;
        end if;
        -- What a role has set for one database goes before what it has set for all, which is what we set.
        select array_agg(distinct split_part(difference.setting, '=', 1)) into found
        from (
            (
                select given.setting from unnest(wanted) as given (setting)
                except
                select stored.setting from pg_db_role_setting as kept cross join unnest(kept.setconfig) as stored (setting)
                where kept.setrole = reader.oid and kept.setdatabase = 0
            )
            union all
            (
                select stored.setting from pg_db_role_setting as kept cross join unnest(kept.setconfig) as stored (setting)
                where kept.setrole = reader.oid and (kept.setdatabase <> 0 or stored.setting <> all(wanted))
            )
        ) as difference;
        if found is not null then
            for elsewhere in
                select base.datname from pg_db_role_setting as kept
                inner join pg_database as base on base.oid = kept.setdatabase where kept.setrole = reader.oid
            loop
                execute format('alter role %I in database %I reset all', reader.login, elsewhere.datname);
            end loop;
            execute format('alter role %I reset all', reader.login);
            foreach setting in array wanted loop
                execute format(
                    'alter role %I set %I = %L', reader.login, split_part(setting, '=', 1), split_part(setting, '=', 2)
                );
            end loop;
            if reader.oid is not null then
                return query select reader.login, 'settings', array_to_string(found, ', ');
            end if;
        end if;
    end loop;
end
$$;
comment on function readers.compare is 'Make every login as the record says; returns what was not so. Fails where one is being changed.';

create or replace function readers.make_so() returns table (login name, kind text, detail text)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
#variable_conflict use_column
begin
    lock table readers.login in share row exclusive mode;
    return query select ended.login, ended.kind, ended.detail from readers.end_writers(2000) as ended;
    begin
        return query select compared.login, compared.kind, compared.detail from readers.compare() as compared;
        return;
    exception when lock_not_available or deadlock_detected or unique_violation or internal_error then
        if sqlstate = 'XX000' and sqlerrm not like 'tuple concurrently %' then
            raise;
        end if;
    end;
    -- A reader changes its login in a loop, maybe in all of its sessions.
    return query select ended.login, ended.kind, ended.detail from readers.hold_still() as ended;
    return query select compared.login, compared.kind, compared.detail from readers.compare() as compared;
end
$$;
comment on function readers.make_so is 'Make every login as the record says, whatever readers do meanwhile; returns what was not so.';

create or replace function readers.put_right() returns table (login name, kind text, detail text)
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
insert into readers.event (login, kind, detail)
select made.login, made.kind, made.detail from readers.make_so() as made
returning login, kind, detail;
end;
comment on function readers.put_right is 'The same, and keep what was not so.';

create or replace function readers.end_beyond_limits() returns table (login name, kind text, detail text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    limits readers.limits;
    session record;
    beyond text;
begin
    delete from readers.event where at < now() - interval '90 days';
    select * into limits from readers.limits;
    for session in
        select
            activity.pid, activity.usename, activity.state,
            floor(extract(epoch from clock_timestamp() - activity.query_start)) as in_statement,
            floor(extract(epoch from clock_timestamp() - activity.state_change)) as in_state,
            floor(extract(epoch from clock_timestamp() - activity.xact_start)) as in_transaction
        from pg_stat_activity as activity
        left join pg_authid as role on role.oid = activity.usesysid
        where
            activity.backend_type = 'client backend' and activity.pid <> pg_backend_pid() and activity.usesysid is not null
            -- By the record, not by membership: the owner of the database was a member once, and so is whoever is a member of it.
            and (
                (role.oid is null and activity.datname = current_database())
                or role.rolname = 'pdic_reader'
                or role.rolname in (select kept.login from readers.login as kept)
                or role.rolname in (select gone.login from readers.removed as gone)
            )
    loop
        beyond := case
            when session.usename is null or session.usename in (select gone.login from readers.removed as gone) then 'removed'
            when
                limits.statement_seconds > 0 and session.state in ('active', 'fastpath function call')
                and session.in_statement >= limits.statement_seconds + limits.grace_seconds
                then format('statement %s', session.in_statement)
            when
                limits.idle_seconds > 0 and session.state like 'idle in transaction%'
                and session.in_state >= limits.idle_seconds + limits.grace_seconds
                then format('idle %s', session.in_state)
            when
                limits.transaction_seconds > 0
                and session.in_transaction >= limits.transaction_seconds + limits.grace_seconds
                then format('transaction %s', session.in_transaction)
        end;
        -- In two steps: in which order conditions are looked at is PostgreSQL's choice.
        if beyond is null then
            continue;
        end if;
        -- (The role of a removed reader goes next, so the end of its sessions is waited for.)
        if pg_terminate_backend(session.pid, case beyond when 'removed' then 2000 else 0 end) then
            return query
            insert into readers.event (login, kind, detail)
            values (case beyond when 'removed' then 'removed' else session.usename end, 'session', format('%s %s', session.pid, beyond))
            returning event.login, event.kind, event.detail;
        end if;
    end loop;
end
$$;
comment on function readers.end_beyond_limits is
'End the sessions of readers that go beyond a limit, which a session can lift for itself, and those whose login is gone.';

create or replace function readers.add(new_login name, new_verifier text, new_connections integer) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from readers.removed where login = new_login) then
        raise exception 'the role % of a removed reader is still there', new_login;
    end if;
    insert into readers.login (login, verifier, connections) values (new_login, new_verifier, new_connections);
    perform readers.make_so();
end
$$;
comment on function readers.add is 'A login that may read the schema shared, within the limits.';

create or replace function readers.remove(old_login name) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from readers.login where login = old_login;
    if not found then
        raise exception 'no reader has the login %', old_login;
    end if;
    if exists (select from pg_roles where rolname = old_login) then
        insert into readers.removed (login) values (old_login) on conflict do nothing;
        perform readers.hold_still();  -- it may be changing its login, in a transaction that stays open or in a loop
        execute format('alter role %I nologin password null', old_login);
        execute format('revoke pdic_reader from %I', old_login);
    end if;
end
$$;
comment on function readers.remove is 'Take a login away. Its sessions are ended by end_beyond_limits, and its role goes by finish_removals.';

-- In a transaction of its own, after the login is gone: what the reader kept for itself must not keep the login.
create or replace function readers.finish_removals() returns table (login name, kept text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    gone record;
    found text;
begin
    for gone in
        select removed.login, role.oid from readers.removed as removed
        left join pg_roles as role on role.rolname = removed.login order by removed.login
    loop
        -- Objects, and not the default rights that a role has for its own objects: those go.
        select pg_describe_object(owned.classid, owned.objid, 0) || case when count(*) over () > 1 then ' and more' else '' end
        into found
        from pg_shdepend as owned
        where owned.refclassid = 'pg_authid'::regclass and owned.refobjid = gone.oid and owned.deptype = 'o'
            and owned.classid <> 'pg_default_acl'::regclass
            and owned.dbid in (0, (select oid from pg_database where datname = current_database()))
        order by owned.classid, owned.objid
        limit 1;
        if gone.oid is not null and found is null then
            begin
                execute format('drop owned by %I', gone.login);
                execute format('drop role %I', gone.login);
            exception when dependent_objects_still_exist then
                found := 'something in another database of this server';
            end;
        end if;
        if found is null then
            delete from readers.removed where login = gone.login;
        else
            update readers.removed set kept = found where login = gone.login;
        end if;
    end loop;
    return query select removed.login, removed.kept from readers.removed as removed order by removed.login;
end
$$;
comment on function readers.finish_removals is
'Drop the roles of removed readers with the rights that they have and gave; returns those that own objects, which nobody drops unasked.';

create or replace function readers.close(taken text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    routine record;
begin
    for routine in
        select procedure.oid::regprocedure as called, procedure.proname ~ 'advisory' as locks
        from pg_proc as procedure
        where procedure.pronamespace = 'pg_catalog'::regnamespace and procedure.proname ~ taken
            and has_function_privilege('pdic_reader', procedure.oid, 'execute')
    loop
        execute format('revoke execute on function %s from public, pdic_reader', routine.called);
        if routine.locks then
            execute format('grant execute on function %s to pdic_admin, pdic_loader, pdic_publisher', routine.called);
        end if;
    end loop;
    if exists (
        select from pg_auth_members where roleid = 'pdic_reader'::regrole and member = to_regrole('pdic_admin')
    ) then
        revoke pdic_reader from pdic_admin;  -- as it was before readers had logins: pg_hba.conf speaks of the members of pdic_reader
    end if;
    -- Where it is so already, nothing is written: a reader's `drop owned by pdic_reader` holds these rows of the catalogue.
    if has_database_privilege('pdic_reader', current_database(), 'temporary') then
        execute format('revoke temporary on database %I from public, pdic_reader', current_database());
    end if;
    if not exists (
        select from pg_database as base cross join aclexplode(base.datacl) as entry
        where base.datname = current_database() and entry.grantee = 'pdic_reader'::regrole and entry.privilege_type = 'CONNECT'
    ) then
        execute format('grant connect on database %I to pdic_reader', current_database());
    end if;
end
$$;
comment on function readers.close is 'Take functions from readers that write or hold up others; locks are left to the steps that take them.';

revoke all on all functions in schema readers from public;
grant usage on schema readers to pdic_admin, pdic_loader, pdic_publisher;
grant execute on function readers.put_right, readers.end_beyond_limits to pdic_admin, pdic_loader, pdic_publisher;
grant execute on function readers.add, readers.remove, readers.finish_removals to pdic_admin;
grant select (login, connections, made_at) on readers.login to pdic_admin, pdic_loader, pdic_publisher;
grant select on readers.limits, readers.event, readers.removed to pdic_admin, pdic_loader, pdic_publisher;
