-- What keeps one role's statements from running under another role: docs/rights.md. Made by the server's superuser and by nobody else,
-- in the schema `rights`, whose functions every role may call: they only tell and refuse.

-- The role of a step that runs a statement, if it is one. Whoever is somebody else (the owner of the database, the superuser) is trusted.
create or replace function rights.step() returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    select role_name
    from unnest(array[session_user, current_user]::text[]) as role_name
    where role_name in ('pdic_loader', 'pdic_transformer', 'pdic_auditor', 'pdic_publisher', 'pdic_reader')
    limit 1;
end;

-- The tables of published tables' slots.
create or replace function rights.slot_tables() returns table (oid oid)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    select relation.oid
    from pg_class as relation
    inner join pg_namespace as place on place.oid = relation.relnamespace
    where place.nspname in ('slot_a', 'slot_b', 'slot_c') and relation.relkind = 'r';
end;

-- What a table, view or index keeps that PostgreSQL would run for whoever uses it, and that is more than a constant, the clock, or
-- an immutable function of PostgreSQL's own (only such functions can neither read nor write anything). NULL: nothing.
create or replace function rights.kept_code(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    with expression (what, tree) as (
        select format('the default of %I', attribute.attname), kept.adbin::text
        from pg_attrdef as kept
        inner join pg_attribute as attribute on attribute.attrelid = kept.adrelid and attribute.attnum = kept.adnum
        where kept.adrelid = relation
        union all
        select format('the check %I', conname), conbin::text from pg_constraint where conrelid = relation
        union all
        select format('the index %s', indexrelid::regclass), concat(indexprs::text, indpred::text)
        from pg_index where relation in (indrelid, indexrelid)
        union all
        select 'its partitions', partexprs::text from pg_partitioned_table where partrelid = relation
        union all
        select 'its query', ev_action::text from pg_rewrite where ev_class = relation and rulename = '_RETURN'
    ),

    called (what, function) as (
        select expression.what, found.named[1]::oid
        from expression
        cross join regexp_matches(tree, ':(?:funcid|opfuncid|negfuncid|hashfuncid|aggfnoid|winfnoid) (\d+)', 'g') as found (named)
        union all
        select expression.what, operator.oprcode::oid
        from expression
        cross join regexp_matches(tree, ':opno (\d+)', 'g') as found (named)
        inner join pg_operator as operator on operator.oid = found.named[1]::oid
    ),

    kept (what) as (
        select format('%s calls %s', called.what, called.function::regproc)
        from called
        left join pg_proc as function on function.oid = called.function
        where called.function <> 0
            and (
                function.pronamespace is distinct from 'pg_catalog'::regnamespace
                or (function.provolatile <> 'i' and function.proname not in ('clock_timestamp', 'now'))
            )
        union all
        select format('the trigger %I', tgname) from pg_trigger
        where tgrelid = relation and not tgisinternal
            -- The ledger's guard, which is the keeper's own.
            and not (
                tgname = 'added_only' and tgrelid::regclass::text = 'control.ledger_entry'
                and tgfoid::regproc::text = 'control.refuse_change'
            )
            -- What notes the changes of a slot's table.
            and not (
                tgname = 'marks_change' and tgfoid::regproc::text = 'published.mark_changed'
                and exists (select from rights.slot_tables() as part where part.oid = tgrelid)
            )
        union all
        select format('the rule %I', rulename) from pg_rewrite where ev_class = relation and rulename <> '_RETURN'
        union all
        select format('the policy %I', polname) from pg_policy where polrelid = relation
        union all
        select 'row level security' from pg_class where oid = relation and relrowsecurity
    )

    select what from kept order by what limit 1;
end;

-- What was kept before these rules came: everything that belongs to a step and would run for another role.
create or replace function rights.kept_by_steps(out relation text, out what text) returns setof record
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    select relation.oid::regclass::text, rights.kept_code(relation.oid)
    from pg_class as relation
    where relation.relowner::regrole::text in ('pdic_loader', 'pdic_transformer', 'pdic_auditor', 'pdic_publisher', 'pdic_keeper')
        and relation.relkind in ('r', 'p', 'v', 'm', 'f') and rights.kept_code(relation.oid) is not null
    union all
    select function.oid::regprocedure::text, 'the function'
    from pg_proc as function
    where function.proowner::regrole::text in ('pdic_loader', 'pdic_transformer', 'pdic_auditor', 'pdic_publisher')
        -- Those of migrations. (A step can neither make nor change a function.)
        and function.oid::regprocedure::text not in (
            'published.mark_changed()', 'published.remember_columns(text,text[])', 'published.remember_release(text,bigint)',
            'published.require_open(text)', 'published.sample_where_it_grew(text)'
        )
    union all
    select type.oid::regtype::text, 'the type'
    from pg_type as type
    left join pg_class as made_for on made_for.oid = type.typrelid
    where type.typowner::regrole::text in ('pdic_loader', 'pdic_transformer', 'pdic_auditor', 'pdic_publisher')
        and type.typelem = 0 and (made_for.relkind is null or made_for.relkind = 'c')
    union all
    select operator.oid::regoperator::text, 'the operator'
    from pg_operator as operator
    where operator.oprowner::regrole::text in ('pdic_loader', 'pdic_transformer', 'pdic_auditor', 'pdic_publisher')
    union all
    select statistic.stxname::text, 'the statistics'
    from pg_statistic_ext as statistic
    where statistic.stxowner::regrole::text in ('pdic_loader', 'pdic_transformer', 'pdic_auditor', 'pdic_publisher')
        and statistic.stxexprs is not null;
end;

-- A command that changes what the database consists of, by a step that needs no such command: refused before it does anything.
create or replace function rights.refuse_command() returns event_trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    step constant text := rights.step();
    allowed text[] := array[
        'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'DROP TABLE', 'CREATE INDEX', 'DROP INDEX', 'COMMENT'
    ];
begin
    if step is null then
        return;
    end if;
    if step = 'pdic_publisher' then
        allowed := allowed || array['CREATE VIEW', 'DROP VIEW', 'CREATE TRIGGER', 'GRANT', 'REVOKE', 'DROP SCHEMA'];
    end if;
    if tg_tag <> all (allowed) then
        raise insufficient_privilege using message = format(
            '%s may not %s: a step keeps nothing in the warehouse that would run for another role, and gives no rights away; '
            'have pdic_admin do it in a migration (docs/rights.md)',
            step, lower(tg_tag)
        );
    end if;
end
$$;

-- Whether the owner of a table may let another role use it so.
create or replace function rights.may_be_given(relation oid, role_name text, privilege text, with_grant boolean) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    place constant text := (select relnamespace::regnamespace::text from pg_class where oid = relation);
begin
    if with_grant then
        return false;
    end if;
    if privilege = 'SELECT' then
        return role_name in ('pdic_transformer', 'pdic_auditor') or (role_name = 'pdic_reader' and place = 'shared');
    end if;
    return role_name = 'pdic_transformer' and privilege in ('INSERT', 'UPDATE', 'DELETE')
        and place = 'slot_' || (select building::text from control.slot);
end
$$;

-- The newest migration for which registers were handed over. It does not lie in `control`: there the owner of the database could set it back.
create table if not exists rights.handed_over (
    one boolean primary key default true check (one),
    migration text not null
);

-- The registers that are only ever added to, and the functions that add to one and guard it.
create or replace function rights.registers() returns setof text
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
    select unnest(array[
        'quarantine.event', 'control.approval', 'control.ledger_entry', 'control.ledger_head', 'control.publication', 'control.release_note'
    ]);
end;

create or replace function rights.of_registers() returns setof text
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
    select unnest(array['control.append_to_ledger(text,jsonb)', 'control.refuse_change()']);
end;

-- The tables of slots whose changes nothing notes: they would pass for unchanged (docs/rights.md).
create or replace function rights.unmarked() returns table (oid oid)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    select part.oid
    from rights.slot_tables() as part
    where exists (
        select from pg_proc as function
        inner join pg_namespace as place on place.oid = function.pronamespace
        where place.nspname = 'published' and function.proname = 'mark_changed'
    ) and not exists (
        select from pg_trigger
        where tgrelid = part.oid and tgname = 'marks_change' and tgfoid::regproc::text = 'published.mark_changed'
            -- After insert, delete, update and truncate, for each statement, of whichever columns, without a condition.
            and tgtype = 60 and tgattr::text = '' and tgqual is null and tgenabled in ('O', 'A')
    );
end;

-- What keeps a register from being changed, and is not there: words of its own for each. (By names: whoever asks may lack rights to them.)
create or replace function rights.unguarded() returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
    select format('%s belongs to %s', relation.oid::regclass, relation.relowner::regrole)
    from rights.registers() as register (name)
    inner join pg_class as relation
        on format('%s.%s', relation.relnamespace::regnamespace, relation.relname) = register.name
    where relation.relowner::regrole::text <> 'pdic_keeper'
    union all
    select format('%s belongs to %s', function.oid::regprocedure, function.proowner::regrole)
    from rights.of_registers() as called (name)
    inner join pg_proc as function on function.oid::regprocedure::text = called.name
    where function.proowner::regrole::text <> 'pdic_keeper'
    union all
    select format('the schema %s belongs to %s', nspname, nspowner::regrole)
    from pg_namespace
    where nspname in ('control', 'quarantine') and nspowner::regrole::text <> 'pdic_keeper'
    union all
    select 'the trigger added_only of control.ledger_entry is not in force'
    from pg_class as ledger
    where ledger.relname = 'ledger_entry' and ledger.relnamespace::regnamespace::text = 'control' and not exists (
        select from pg_trigger
        where tgrelid = ledger.oid and tgname = 'added_only' and tgenabled in ('O', 'A')
            and tgfoid::regproc::text = 'control.refuse_change'
    )
    union all
    select format('the trigger marks_change of %s is not in force', part.oid::regclass) from rights.unmarked() as part;
end;

-- Give the registers and their functions to a role: to the owner of the database for a migration that changes them, which has them sealed
-- again. The superuser's alone.
create or replace function rights.hand_over(role name) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    name text;
begin
    for name in select register.name from rights.registers() as register (name) where to_regclass(register.name) is not null loop
        execute format('alter table %s owner to %I', name::regclass, role);
    end loop;
    for name in select called.name from rights.of_registers() as called (name) where to_regprocedure(called.name) is not null loop
        execute format('alter function %s owner to %I', name::regprocedure, role);
    end loop;
end
$$;

-- Take the registers that are only ever added to from everybody, their former owner and the owner of the database included: they belong
-- to a role by which nobody can log in, and so do their schemas, whose owner could drop them. Doing it again changes nothing.
create or replace function rights.seal() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    unmarked regclass;
begin
    if not exists (select from rights.unguarded()) then
        return;
    end if;
    if to_regclass('quarantine.event') is not null then
        alter schema quarantine owner to pdic_keeper;
        grant usage, create on schema quarantine to pdic_loader;
    end if;
    if to_regclass('quarantine.event') is not null
        and (select relowner <> 'pdic_keeper'::regrole from pg_class where oid = to_regclass('quarantine.event')) then
        alter table quarantine.event owner to pdic_keeper;
        revoke all on quarantine.event from pdic_loader;
        grant select, insert (record_id, what, batch_id, who, note) on quarantine.event to pdic_loader;
    end if;
    if to_regnamespace('control') is not null then
        alter schema control owner to pdic_keeper;
        grant usage, create on schema control to pdic_admin;
    end if;
    perform rights.hand_over('pdic_keeper');
    if to_regprocedure('control.refuse_change()') is not null then
        drop trigger if exists added_only on control.ledger_entry;
        create trigger added_only before update or delete or truncate on control.ledger_entry
        for each statement execute function control.refuse_change();
    end if;
    for unmarked in select part.oid::regclass from rights.unmarked() as part loop
        execute format('drop trigger if exists marks_change on %s', unmarked);
        execute format(
            'create trigger marks_change after insert or update or delete or truncate on %s'
            ' for each statement execute function published.mark_changed()', unmarked
        );
    end loop;
end
$$;

-- The same once the command has been done, for what its name does not tell: the transaction is undone where this raises.
create or replace function rights.refuse_code() returns event_trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    step constant text := rights.step();
    done record;
    found text;
begin
    if step is null then
        return;
    end if;
    if tg_tag = 'GRANT' then
        select format('%s on %s to %s', lower(granted.privilege_type), relation.oid::regclass, coalesce(role.rolname, 'everybody'))
        into found
        from (
            select oid, relowner, relacl as acl from pg_class
            union all
            select relation.oid, relation.relowner, column_of.attacl
            from pg_class as relation inner join pg_attribute as column_of on column_of.attrelid = relation.oid
            where column_of.attacl is not null
        ) as relation
        cross join aclexplode(relation.acl) as granted
        left join pg_roles as role on role.oid = granted.grantee
        where relation.relowner = step::regrole and granted.grantee <> relation.relowner
            and not rights.may_be_given(relation.oid, coalesce(role.rolname, ''), granted.privilege_type, granted.is_grantable)
        limit 1;
        found := coalesce(found, (
            select format('rights to a %s', lower(object_type))
            from pg_event_trigger_ddl_commands() where object_type <> 'TABLE' limit 1
        ));
        if found is not null then
            raise insufficient_privilege using message = format(
                '%s may not grant %s: nobody is to have that right; where the step did not give it, somebody else did: run `pdic up`, which takes it (docs/rights.md)',
                step, found
            );
        end if;
        return;
    end if;
    for done in
        select object_identity, case classid when 'pg_class'::regclass then objid else (select tgrelid from pg_trigger where oid = objid) end as relation
        from pg_event_trigger_ddl_commands() where classid in ('pg_class'::regclass, 'pg_trigger'::regclass)
    loop
        found := rights.kept_code(done.relation);
        if found is not null then
            raise insufficient_privilege using message = format(
                '%s may not keep this in %s: %s would run for another role; use constants and immutable functions of PostgreSQL''s own, '
                'or have pdic_admin do it in a migration (docs/rights.md)',
                step, done.object_identity, found
            );
        end if;
    end loop;
end
$$;
