"""Which role may do what, read from the catalogue; and what a step's stolen credential does not give: docs/rights.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pdic import connections
from pdic.errors import PdicError
from pdic.problems import problems
from pdic.release import slots
from pdic.release.views import View
from pdic.warehouse import connect, rights
from pdic.warehouse.migrate import _seal, newest
from tests.conftest import Postgres
from tests.integration.sectors import Sector, own_sector

STEPS = ("pdic_loader", "pdic_transformer", "pdic_auditor", "pdic_publisher")
TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
SEQUENCE_RIGHTS = ("USAGE", "SELECT", "UPDATE")
NOT_OURS = ("pg_catalog", "information_schema", "pg_toast", "public")
SHARED = View(
    "of_rights", {"key": "text", "rows": "integer"}, {}, ("key",), "Of a test", {"key": "Key", "rows": "Rows"}
)


@pytest.fixture(scope="module")
def superuser(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection[Any]]:
    """The superuser's session with a warehouse that holds something of every kind: loaded, held, conformed, being built."""
    with own_sector("quyen", postgres, tmp_path_factory.mktemp("project")) as sector:
        _fill(sector)
        with psycopg.connect(postgres.uri("warehouse"), autocommit=True) as session:
            yield session
            with connect(connections.warehouse("publisher"), "test") as publisher:
                slots._drop(publisher.cursor(), SHARED.name)
            session.execute("drop table staging.of_rights, vault.of_rights")


def _fill(sector: Sector) -> None:
    sector.add("hang", required=True)
    sector.source("""insert into hang values (1, 'a'), (2, null)""")
    sector.load("hang")
    with psycopg.connect(connections.warehouse("transformer")) as transformer:
        for schema in ("staging", "vault"):
            transformer.execute(f"create table {schema}.of_rights (key text, name text)")  # type: ignore[arg-type]
    with connect(connections.warehouse("publisher"), "test") as publisher:
        slots.ensure_tables(publisher, [SHARED])


def roles(superuser: psycopg.Connection[Any]) -> dict[str, str]:
    """Every role that gets into the warehouse, but its owner and the superuser → the role whose rights it has."""
    found = superuser.execute(
        """
        select rolname, case when pg_has_role(oid, 'pdic_reader', 'member') then 'pdic_reader' else rolname end
        from pg_roles
        where not rolsuper and rolname <> 'pdic_admin' and has_database_privilege(oid, 'warehouse', 'connect')
        """
    ).fetchall()
    assert set(STEPS) <= {name for name, _ in found}
    return dict(found)


def building(superuser: psycopg.Connection[Any]) -> str:
    row = superuser.execute("select 'slot_' || building::text from control.slot").fetchone()
    assert row is not None
    return str(row[0])


def relations(superuser: psycopg.Connection[Any]) -> list[tuple[str, str, int, str, str]]:
    """Schema, name, oid, kind and owner of everything of ours that holds rows or counts."""
    return superuser.execute(
        """
        select relnamespace::regnamespace::text, relname, oid, relkind::text, relowner::regrole::text
        from pg_class
        where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and relnamespace::regnamespace::text <> all (%s)
            and relnamespace::regnamespace::text !~ '^pg_(toast_)?temp'
        """,
        (list(NOT_OURS),),
    ).fetchall()


def differences(superuser: psycopg.Connection[Any], open_slot: str | None = None) -> list[str]:
    """Role × table, view or sequence × right, where the catalogue and the declaration differ."""
    wrong = []
    of_roles = roles(superuser)
    since_17 = superuser.info.server_version >= 170000
    table_rights = (*TABLE_RIGHTS, *(["MAINTAIN"] if since_17 else []))
    for schema, name, oid, kind, owner in relations(superuser):
        declared = rights.declared({**rights.RELATIONS, **rights.OPENED}, schema, name)
        if declared is None:
            wrong.append(f"{schema}.{name}: a line in pdic.warehouse.rights.RELATIONS is missing")
            continue
        if schema == open_slot:
            declared = declared | rights.granted(rights.WHILE_BUILDING)
        of_kind = SEQUENCE_RIGHTS if kind == "S" else table_rights
        has = superuser.execute(
            sql.SQL(
                "select role, privilege from unnest(%s::text[]) as role, unnest(%s::text[]) as privilege where {}(role, %s::oid, privilege)"
            ).format(sql.Identifier("has_sequence_privilege" if kind == "S" else "has_table_privilege")),
            ([*of_roles, "public"], list(of_kind), oid),
        ).fetchall()
        should = set()
        for role, stands_for in [*of_roles.items(), ("public", "public")]:
            of_role = declared.get(stands_for, frozenset())
            if rights.OWNER.upper() in of_role and owner != stands_for:
                wrong.append(f"{schema}.{name}: belongs to {owner}, and not to {stands_for}")
            should |= {(role, right) for right in (of_kind if rights.OWNER.upper() in of_role else of_role)}
        wrong += [f"{schema}.{name}: {role} has {right}" for role, right in sorted(set(has) - should)]
        wrong += [f"{schema}.{name}: {role} lacks {right}" for role, right in sorted(should - set(has))]
    return wrong


def test_every_role_has_the_declared_rights_to_every_table_view_and_sequence(
    superuser: psycopg.Connection[Any],
) -> None:
    assert differences(superuser) == []
    seen = {(schema, kind) for schema, _, _, kind, _ in relations(superuser)}
    assert {"control", "raw", "quarantine", "staging", "vault", "candidate", "slot_a", "published", "shared"} <= {
        schema for schema, _ in seen
    }
    with connect(connections.warehouse("publisher"), "test") as publisher:
        slots.open_for_building(publisher, slots.read(publisher).building)
    try:
        assert differences(superuser, building(superuser)) == []
        assert len(differences(superuser)) >= 4, "what was opened shows"
    finally:
        with connect(connections.warehouse("publisher"), "test") as publisher:
            slots.close(publisher)
    assert differences(superuser) == []


def test_what_a_build_notes_of_a_slot_is_written_for_the_open_slot_and_while_it_is_open(
    superuser: psycopg.Connection[Any],
) -> None:
    """The audit and a comparison trust these notes: a table that they call unchanged is not read again."""
    open_slot = building(superuser)[-1]

    def note(statement: str, *given: Any) -> None:
        with psycopg.connect(connections.warehouse("transformer")) as transformer:
            transformer.execute(statement, given)  # type: ignore[arg-type]

    columns = "select published.remember_columns('of_rights', %s)"
    mark = "select published.remember_release('of_rights', 1)"
    noted = "select slot::text, release_id from published.{} where model = 'of_rights'"
    for statement, given in ((columns, (["key"],)), (mark, ())):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"slot {open_slot} is closed"):
            note(statement, *given)
    with opened(superuser, 7):
        note(columns, ["key"])
        note(mark)
        for table in ("table_content", "applied_release"):
            assert superuser.execute(noted.format(table)).fetchall() == [(open_slot, 7)]  # type: ignore[arg-type]
            for change in ("update published.{} set release_id = 9", "delete from published.{}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    note(change.format(table))
        with pytest.raises(psycopg.errors.RaiseException, match="no published table is called none"):
            note("select published.remember_release('none', 1)")
    for statement, given in ((columns, (["key"],)), (mark, ())):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"slot {open_slot} is closed"):
            note(statement, *given)


@contextmanager
def opened(superuser: psycopg.Connection[Any], release_id: int) -> Iterator[str]:
    """The slot that is to be built, open to the transformer for a release; its name."""
    slot = building(superuser)[-1]
    superuser.execute("update control.slot_content set release_id = %s where slot = %s", (release_id, slot))
    with connect(connections.warehouse("publisher"), "test") as publisher:
        slots.open_for_building(publisher, slot)
    try:
        yield slot
    finally:
        with connect(connections.warehouse("publisher"), "test") as publisher:
            slots.close(publisher)
            publisher.cursor().execute("delete from published.of_rights")


WRITES = [
    "insert into {} (key, rows, _row_hash, _release_id) values ('b', 1, 0, 1)",
    "update {} set rows = rows + 1",
    "delete from {} where key = 'a'",
    "insert into {} (key, rows, _row_hash, _release_id) values ('a', 2, 0, 1) on conflict (_slot, key) do update set rows = 2",
    "merge into {} as t using (values ('a')) as g (key) on t.key = g.key when matched then update set rows = 3",
    "with gone as (delete from {} returning key) select count(*) from gone",
    "do $$ begin begin update {0} set rows = 4; end; end $$",
    "savepoint s; update {} set rows = 5; release savepoint s",
]
"""By which a step's stolen credential changes a slot's table, and notes nothing."""


@pytest.mark.parametrize("write", WRITES)
def test_whoever_changes_a_table_of_the_open_slot_it_is_marked_by_the_release_that_builds_there(
    superuser: psycopg.Connection[Any], write: str
) -> None:
    marks = "select release_id from published.table_content where model = 'of_rights' and slot = %s"

    def write_in(slot: str, statement: str) -> None:
        with psycopg.connect(connections.warehouse("transformer")) as transformer:
            transformer.execute(statement.format(f"slot_{slot}.of_rights"))  # type: ignore[arg-type]

    slot = building(superuser)[-1]
    with connect(connections.warehouse("publisher"), "test") as publisher, publisher.cursor() as cursor:
        cursor.execute("delete from published.table_content where model = 'of_rights'")
        cursor.execute("insert into published.table_content values (%s, 'of_rights', 7)", (slot,))
        cursor.execute("insert into published.of_rights values (%s, 'a', 1, null, 0, 1)", (slot,))
    with opened(superuser, 8):
        for nothing in ("update {} set rows = 0 where key = 'none'", "delete from {} where false"):
            write_in(slot, nothing)
        assert superuser.execute(marks, (slot,)).fetchall() == [(7,)], "no row was changed"
        write_in(slot, write)
        assert superuser.execute(marks, (slot,)).fetchall() == [(8,)]


def test_a_transaction_that_began_in_an_older_build_marks_nothing_with_its_release(
    superuser: psycopg.Connection[Any],
) -> None:
    with psycopg.connect(connections.warehouse("transformer")) as transformer:
        with opened(superuser, 9) as slot:
            transformer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            transformer.execute("select release_id from control.building")
        with opened(superuser, 10), pytest.raises(psycopg.errors.SerializationFailure):
            transformer.execute(
                f"insert into slot_{slot}.of_rights (key, rows, _row_hash, _release_id) values ('c', 1, 0, 1)"  # type: ignore[arg-type]
            )


def test_no_right_is_given_with_the_right_to_give_it_on_and_by_column_only_those_declared(
    superuser: psycopg.Connection[Any],
) -> None:
    assert (
        superuser.execute(
            """
            select relation.oid::regclass::text from pg_class as relation, aclexplode(relation.relacl) as entry
            where entry.is_grantable and entry.grantee <> relation.relowner
                and relation.relnamespace::regnamespace::text <> all (%s)
            """,
            (list(NOT_OURS),),
        ).fetchall()
        == []
    )
    by_column = superuser.execute(
        """
        select
            attribute.attrelid::regclass::text,
            format('%%s %%s %%s', entry.grantee::regrole, entry.privilege_type, string_agg(attname, ', ' order by attname))
        from pg_attribute as attribute
        inner join pg_class as relation on relation.oid = attribute.attrelid
        cross join aclexplode(attribute.attacl) as entry
        where relation.relnamespace::regnamespace::text <> all (%s)
        group by attribute.attrelid, entry.grantee, entry.privilege_type
        """,
        (list(NOT_OURS),),
    ).fetchall()
    assert sorted(by_column) == sorted((table, said) for table, lines in rights.COLUMNS.items() for said in lines)


def test_a_right_that_somebody_gave_or_took_is_put_back(postgres: Postgres, superuser: psycopg.Connection[Any]) -> None:
    superuser.execute(
        "grant select on raw.quyen__hang to pdic_reader; grant update on control.publication to public;"
        "revoke insert on quarantine.event from pdic_loader; revoke select on raw.quyen__hang from pdic_transformer"
    )
    superuser.execute(
        "grant delete on quarantine.event to pdic_loader; grant select on slot_a.of_rights to pdic_reader"
    )
    assert len(differences(superuser)) > 5
    rights.provide(postgres.uri("warehouse"))
    assert differences(superuser) == []


def test_rights_to_schemas_functions_and_columns_are_put_back_too(
    postgres: Postgres, superuser: psycopg.Connection[Any]
) -> None:
    """As after a restore with `--no-privileges`: schemas are closed to those who need them, functions open to everybody."""
    compared = (
        test_every_role_has_the_declared_rights_to_every_schema,
        test_every_role_has_the_declared_rights_to_every_function_and_to_the_database,
        test_no_right_is_given_with_the_right_to_give_it_on_and_by_column_only_those_declared,
    )
    superuser.execute(
        """
        revoke usage on schema control from pdic_loader; grant create on schema shared to public;
        grant execute on function control.append_to_ledger, rights.seal to public;
        revoke execute on function readers.put_right from pdic_loader;
        revoke insert (reason) on control.approval from pdic_publisher; grant select (said_by) on control.approval to pdic_reader
        """
    )
    for compare in compared:
        with pytest.raises(AssertionError):
            compare(superuser)
    rights.provide(postgres.uri("warehouse"))
    for compare in compared:
        compare(superuser)
    with psycopg.connect(connections.warehouse("admin")) as admin:
        assert admin.execute(
            "select has_function_privilege('readers.add(name, text, integer)', 'execute')"
        ).fetchone() == (True,)


def test_what_the_publisher_was_given_of_a_former_release_is_left_to_it(
    postgres: Postgres, superuser: psycopg.Connection[Any]
) -> None:
    """Readers' views read it by the publisher's right, until the first publish of a home that is older than slots."""
    superuser.execute(
        """
        create table retired.old (a int);
        alter table retired.old owner to pdic_transformer;
        grant select on retired.old to pdic_publisher, pdic_reader
        """
    )
    try:
        rights.provide(postgres.uri("warehouse"))
        with psycopg.connect(connections.warehouse("publisher")) as publisher:
            assert publisher.execute("select count(*) from retired.old").fetchone() == (0,)
        found = superuser.execute("select has_table_privilege('pdic_reader', 'retired.old', 'select')").fetchone()
        assert found == (False,)
    finally:
        superuser.execute("drop table retired.old")


def test_a_path_that_is_set_for_the_database_alone_is_taken(
    postgres: Postgres, superuser: psycopg.Connection[Any]
) -> None:
    superuser.execute("alter role pdic_loader in database warehouse set search_path = raw")
    rights.provide(postgres.uri("warehouse"))
    with psycopg.connect(connections.warehouse("loader")) as loader:
        assert loader.execute("show search_path").fetchone() == (rights.PINNED,)


def test_every_role_has_the_declared_rights_to_every_schema(superuser: psycopg.Connection[Any]) -> None:
    wrong = []
    for (schema,) in superuser.execute(
        "select nspname from pg_namespace where nspname !~ '^pg_toast|^pg_temp'"
    ).fetchall():
        declared = (
            rights.granted("public: usage")
            if schema in ("pg_catalog", "information_schema")
            else {}
            if schema == "public"
            else rights.declared({f"{name}.*": said for name, said in rights.SCHEMAS.items()}, schema, "")
        )
        if declared is None:
            wrong.append(f"the schema {schema} is not in pdic.warehouse.rights.SCHEMAS")
            continue
        everybody = declared.get("public", frozenset())
        for role, stands_for in [*roles(superuser).items(), ("public", "public")]:
            should = declared.get(stands_for, frozenset()) | everybody
            should = {"USAGE", "CREATE"} if rights.OWNER.upper() in should else should
            has = superuser.execute(
                "select array(select p from unnest(array['USAGE', 'CREATE']) as p where has_schema_privilege(%s, %s, p))",
                (role, schema),
            ).fetchone()
            assert has is not None
            if set(has[0]) != should:
                wrong.append(f"{schema}: {role} has {sorted(has[0])}, declared are {sorted(should)}")
    assert wrong == []


def test_every_role_has_the_declared_rights_to_every_function_and_to_the_database(
    superuser: psycopg.Connection[Any],
) -> None:
    wrong = []
    for schema, name, oid, owner in superuser.execute(
        """
        select pronamespace::regnamespace::text, proname, oid, proowner::regrole::text from pg_proc
        where pronamespace::regnamespace::text <> all (%s)
        """,
        (list(NOT_OURS),),
    ).fetchall():
        declared = rights.declared(rights.FUNCTIONS, schema, name)
        if declared is None or owner in STEPS and rights.OWNER.upper() not in declared.get(owner, ()):
            wrong.append(f"{schema}.{name} of {owner} is not in pdic.warehouse.rights.FUNCTIONS")
            continue
        for role, stands_for in [*roles(superuser).items(), ("public", "public")]:
            may = superuser.execute("select has_function_privilege(%s, %s::oid, 'execute')", (role, oid)).fetchone()
            if may != (bool(declared.get(stands_for) or declared.get("public")),):
                wrong.append(f"{schema}.{name}: {role} may {'' if may == (True,) else 'not '}execute it")
    for role, stands_for in roles(superuser).items():
        for right in ("CONNECT", "CREATE", "TEMPORARY"):
            may = superuser.execute("select has_database_privilege(%s, 'warehouse', %s)", (role, right)).fetchone()
            if may != (right in rights.granted(rights.DATABASE).get(stands_for, ()),):
                wrong.append(f"the database: {role} {'has' if may == (True,) else 'lacks'} {right}")
    assert wrong == []


def test_no_type_belongs_to_a_step_but_those_of_its_tables(superuser: psycopg.Connection[Any]) -> None:
    assert (
        superuser.execute(
            """
        select type.oid::regtype::text from pg_type as type
        where type.typowner::regrole::text = any(%s) and type.typelem = 0
            and not exists (select from pg_class where oid = type.typrelid and relkind <> 'c')
        """,
            (list(STEPS),),
        ).fetchall()
        == []
    )


def test_no_step_is_a_member_of_another_role(superuser: psycopg.Connection[Any]) -> None:
    assert (
        superuser.execute(
            """
        select member::regrole::text, roleid::regrole::text from pg_auth_members
        where member::regrole::text = any(%s) or roleid::regrole::text = %s
        """,
            ([*STEPS, "pdic_reader"], rights.KEEPER),
        ).fetchall()
        == []
    )
    assert superuser.execute("select rolcanlogin from pg_roles where rolname = %s", (rights.KEEPER,)).fetchone() == (
        False,
    )


def test_every_path_is_pinned_and_leads_to_nothing_that_a_step_may_make(superuser: psycopg.Connection[Any]) -> None:
    """Of every role of ours that works in the warehouse, and of every function: set, or bound to its names when it was made."""
    paths = {}
    for role in (*STEPS, "pdic_admin"):
        found = superuser.execute(
            """
            select split_part(setting, '=', 2)
            from pg_db_role_setting, unnest(setconfig) as setting
            where setrole = %s::regrole and setdatabase = 0 and setting like 'search_path=%%'
            """,
            (role,),
        ).fetchone()
        assert found, f"the search_path of {role} is not set"
        paths[role] = str(found[0])
    for schema, name, path, bound in superuser.execute(
        """
        select
            pronamespace::regnamespace::text, proname,
            (select split_part(setting, '=', 2) from unnest(proconfig) as setting where setting like 'search_path=%%'),
            prosqlbody is not null
        from pg_proc where pronamespace::regnamespace::text <> all (%s)
        """,
        (list(NOT_OURS),),
    ).fetchall():
        assert path or bound, f"{schema}.{name} has no search_path of its own"
        paths[f"{schema}.{name}"] = path or rights.PINNED
    for whose, path in paths.items():
        for schema in path.split(", "):
            assert schema == "pg_temp" or superuser.execute(
                "select not bool_or(has_schema_privilege(role, %s, 'create')) from unnest(%s::text[]) as role",
                (schema, [*STEPS, "public"]),
            ).fetchone() == (True,), f"{whose}: {schema}"


def test_readers_views_read_the_published_tables_and_the_one_row_and_nothing_else(
    superuser: psycopg.Connection[Any],
) -> None:
    """So what was audited is what they show: no view or table of another role lies between."""
    assert (
        superuser.execute(
            """
        select distinct rule.ev_class::regclass::text, relation.oid::regclass::text
        from pg_rewrite as rule
        inner join pg_depend as uses on uses.classid = 'pg_rewrite'::regclass and uses.objid = rule.oid
        inner join pg_class as relation on uses.refclassid = 'pg_class'::regclass and relation.oid = uses.refobjid
        inner join pg_class as shown on shown.oid = rule.ev_class
        where shown.relnamespace in ('shared'::regnamespace, 'candidate'::regnamespace) and relation.oid <> shown.oid
            and relation.relnamespace::regnamespace::text not in ('published', 'control')
        """
        ).fetchall()
        == []
    )


CODE = [
    ("create policy mine on {table} using (true)", "may not create policy"),
    ("create rule mine as on insert to {table} do also select 1", "may not create rule"),
    (
        "create trigger mine before insert on {table} execute function suppress_redundant_updates_trigger()",
        "may not create trigger|the trigger mine would run for another role",
    ),
    ("create function {schema}.mine() returns int language sql as 'select 1'", "may not create function"),
    ("create function pg_temp.mine() returns int language sql as 'select 1'", "may not create function"),
    ("create procedure {schema}.mine() language sql as 'select 1'", "may not create procedure"),
    ("create aggregate {schema}.mine (int) (sfunc = int4pl, stype = int)", "may not create aggregate"),
    ("create operator {schema}.+ (function = int4pl, leftarg = int, rightarg = int)", "may not create operator"),
    ("create domain {schema}.mine as int check (random() > 0)", "may not create domain"),
    ("create type {schema}.mine as (a int)", "may not create type"),
    ("create cast (text as int) with inout", "may not create cast"),
    ("create materialized view {schema}.mine as select 1", "may not create materialized view"),
    ("create foreign table {schema}.mine (a int) server mine", "may not create foreign table"),
    ("create sequence {schema}.mine", "may not create sequence"),
    ("create statistics {schema}.mine on (key || 'x') from {table}", "may not create statistics"),
    ("create event trigger mine on ddl_command_end execute function rights.refuse_code()", "permission denied"),
    (
        "alter default privileges in schema {schema} grant select on tables to public",
        "may not alter default privileges",
    ),
    ("alter table {table} enable row level security", "row level security would run"),
    (
        "alter table {table} add column mine text default query_to_xml('select 1', true, true, '')::text",
        "calls query_to_xml",
    ),
    ("alter table {table} add check (query_to_xml('select 1', true, true, '') is not null)", "calls query_to_xml"),
    ("alter table {table} add column mine text generated always as (clean.blanks('x')) stored", "calls clean.blanks"),
    ("create index on {table} (clean.blanks(key))", "calls clean.blanks"),
    ("create table {schema}.mine (a text) partition by list (clean.blanks(a))", "calls clean.blanks"),
]
"""What one role makes and PostgreSQL runs for another: {table} is one of the step's own, with a column `key`."""

NO_RELEASE = {"newest": [], "live": None}

OWN_TABLES = {
    "pdic_loader": "raw_batch.mine_to_try",
    "pdic_transformer": "staging.of_rights",
    "pdic_publisher": "published.of_rights",
}


@pytest.fixture
def attempt(superuser: psycopg.Connection[Any]) -> Iterator[Any]:
    """Tries a statement with a step's own credential; returns what PostgreSQL said, and undoes what it did."""
    with psycopg.connect(connections.warehouse("loader"), autocommit=True) as loader:
        loader.execute("create table raw_batch.mine_to_try (key text)")

    def run(role: str, statement: str) -> str:
        session = psycopg.connect(connections.warehouse(role.removeprefix("pdic_")))
        try:
            session.execute("set transaction read write")  # a reader's begin otherwise, and say only that
            session.execute("set client_min_messages = error")
            session.execute(statement)  # type: ignore[call-overload]
        except psycopg.Error as error:
            return str(error).splitlines()[0]
        else:
            return "it was done"
        finally:
            session.rollback()
            session.close()

    yield run
    superuser.execute("drop table raw_batch.mine_to_try")


@pytest.mark.parametrize("role", OWN_TABLES)
def test_nothing_of_a_step_runs_under_another_role(attempt: Any, role: str) -> None:
    table = OWN_TABLES[role]
    said = {
        statement: attempt(role, statement.format(table=table, schema=table.partition(".")[0])) for statement, _ in CODE
    }
    refusals = dict(CODE)
    assert {statement: text for statement, text in said.items() if not re.search(refusals[statement], text)} == {}
    for statement, text in said.items():
        if "rights.md" in text:
            assert text.startswith(f"{role} may not"), statement


ESCALATIONS = {
    "pdic_loader": [
        ("select from vault.of_rights", "permission denied for schema vault"),
        ("create view raw.mine as select 1 as a", "may not create view"),
        ("grant select on raw.quyen__hang to pdic_reader", "may not grant"),
        ("delete from quarantine.event", "permission denied for table event"),
        ("update quarantine.event set what = 'waived'", "permission denied for table event"),
        ("truncate quarantine.event", "permission denied for table event"),
        ("drop table quarantine.event", "must be owner of table event"),
        ("alter table quarantine.event rename to other", "must be owner of table event"),
        ("alter table quarantine.event disable trigger all", "must be owner of table event"),
        ("delete from control.batch", "permission denied for table batch"),
        ("update control.slot set live = building", "permission denied for table slot"),
        ("select from candidate.of_rights", "permission denied for schema candidate"),
        ("set role pdic_transformer", "permission denied to set role"),
        ("alter role pdic_transformer password 'x'", "(must have|permission denied)"),
        ("alter role pdic_transformer set search_path = raw", "(must have|permission denied)"),
        ("create schema pdic_transformer", "may not create schema"),
        ("create table public.mine (a int)", "permission denied for schema public"),
        ("alter table raw_batch.mine_to_try owner to pdic_transformer", "must be able to SET ROLE|must be member of role"),
        ("alter event trigger pdic_refuse_code disable", "must be owner of event trigger"),
        ("create or replace function rights.step() returns text language sql as 'select null'", "may not create function"),
        ("set session_replication_role = replica", "permission denied to set parameter"),
        ("copy raw_batch.mine_to_try from program 'id'", "permission denied to COPY|pg_execute_server_program"),
    ],
    "pdic_transformer": [
        ("update slot_a.of_rights set rows = 0", "permission denied for table of_rights"),
        ("delete from slot_b.of_rights", "permission denied for table of_rights"),
        ("insert into slot_c.of_rights default values", "permission denied for table of_rights"),
        ("update published.of_rights set rows = 0", "permission denied for table of_rights"),
        ("update candidate.of_rights set rows = 0", "permission denied for view of_rights"),
        ("create or replace view candidate.of_rights as select 1 as a", "may not create view"),
        ("drop view candidate.of_rights", "may not drop view"),
        ("create table candidate.mine (a int)", "permission denied for schema candidate"),
        ("create table slot_a.mine (a int)", "permission denied for schema slot_a"),
        ("alter table published.of_rights detach partition slot_a.of_rights", "must be owner of table of_rights"),
        ("update control.slot set live = building", "permission denied for table slot"),
        ("update control.release set status = 'audited'", "permission denied for table release"),
        ("update raw.quyen__hang set id = 0", "permission denied for table quyen__hang"),
        ("select from landing.unreadable", "permission denied for schema landing"),
        ("set role pdic_publisher", "permission denied to set role"),
        ("create view staging.mine as select 1 as a", "may not create view"),
        ("grant select on vault.of_rights to pdic_reader", "may not grant"),
    ],
    "pdic_auditor": [
        ("update candidate.of_rights set rows = 0", "permission denied for view of_rights"),
        ("update slot_a.of_rights set rows = 0", "permission denied for schema slot_a"),
        ("select from vault.of_rights", "permission denied for schema vault"),
        ("select from quarantine.event", "permission denied for table event"),
        ("update control.expectation_result set success = true", "permission denied for table expectation_result"),
        ("delete from control.expectation_result", "permission denied for table expectation_result"),
        ("update control.release set status = 'published'", "permission denied for table release"),
        ("update raw_batch.mine_to_try set key = ''", "permission denied for table mine_to_try"),
        ("create function pg_temp.mine() returns int language sql as 'select 1'", "may not create function"),
        ("create view pg_temp.mine as select 1 as a", "may not create view"),
        ("create schema pdic_admin", "may not create schema"),
    ],
    "pdic_publisher": [
        ("select from raw.quyen__hang", "permission denied for schema raw"),
        ("select from vault.of_rights", "permission denied for schema vault"),
        ("select from staging.of_rights", "permission denied for schema staging"),
        ("select from quarantine.record", "permission denied for schema quarantine"),
        ("create schema pdic_admin", "may not create schema"),
        ("create function shared.lower(text) returns text language sql as 'select 1'", "may not create function"),
        ("create view shared.mine as select query_to_xml('select 1', true, true, '') as a", "calls query_to_xml"),
        ("create view shared.mine as select pg_sleep(1)::text as a", "calls pg_sleep"),
        ("grant select on published.of_rights to public", "may not grant select on published.of_rights to everybody"),
        ("grant select on published.of_rights to pdic_reader", "may not grant select on published.of_rights to pdic_reader"),
        ("grant select (rows) on published.of_rights to public", "may not grant select on published.of_rights to everybody"),
        ("grant usage on schema published to pdic_reader", "may not grant rights to a schema"),
        ("grant execute on function published.sample_where_it_grew to public", "may not grant rights to a function"),
        ("grant select on shared.release to pdic_reader with grant option", "may not grant select on shared.release"),
        ("update control.publication set kind = 'rollback'", "permission denied for table publication"),
        ("delete from control.release", "permission denied for table release"),
        ("set role pdic_admin", "permission denied to set role"),
        ("create temporary table mine (a int)", "permission denied to create temporary tables"),
    ],
    "pdic_reader": [
        ("select from published.of_rights", "permission denied for schema published"),
        ("select from control.release", "permission denied for schema control"),
        ("create table shared.mine (a int)", "permission denied for schema shared"),
        ("create table public.mine (a int)", "permission denied for schema public"),
        ("create temporary table mine (a int)", "permission denied to create temporary tables"),
        ("delete from shared.release", "cannot delete from view|permission denied for view release"),
        ("set role pdic_publisher", "permission denied to set role"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("role", ESCALATIONS)
def test_a_stolen_credential_leads_no_further(attempt: Any, role: str) -> None:
    said = {statement: attempt(role, statement) for statement, _ in ESCALATIONS[role]}
    refusals = dict(ESCALATIONS[role])
    assert {statement: text for statement, text in said.items() if not re.search(refusals[statement], text)} == {}


def test_a_slot_that_is_live_is_opened_to_nobody(attempt: Any, superuser: psycopg.Connection[Any]) -> None:
    closed = next(name for name in slots.NAMES if f"slot_{name}" != building(superuser))
    said = attempt("pdic_publisher", f"grant update on slot_{closed}.of_rights to pdic_transformer")
    assert said.startswith(f"pdic_publisher may not grant update on slot_{closed}.of_rights to pdic_transformer")
    assert (
        attempt("pdic_publisher", f"grant update on {building(superuser)}.of_rights to pdic_transformer")
        == "it was done"
    )


@pytest.mark.parametrize("role", ["admin", "loader"])
@pytest.mark.parametrize(
    "statement", ["delete from {0}", "update {0} set what = 'waived'", "truncate {0}", "drop table {0}"]
)
def test_what_became_of_held_rows_is_only_added_to(attempt: Any, role: str, statement: str) -> None:
    assert re.match("permission denied|must be owner", attempt(role, statement.format("quarantine.event")))


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("loader", "insert into quarantine.event (record_id, what, happened_at) select 1, 'waived', '2020-01-01'"),
        ("loader", "insert into quarantine.event (event_id, record_id, what) overriding system value select 1, 1, 'waived'"),
        ("publisher", "insert into control.publication (release_id, kind, published_at) values (1, 'publish', '2020-01-01')"),
        (
            "publisher",
            "insert into control.publication (publication_id, release_id, kind) overriding system value values (0, 1, 'publish')",
        ),
        ("publisher", "insert into control.approval (release_id, os_user, said_by, reason, findings, approved_at)"
         " values (1, 'a', 'b', 'c', 'd', '2020-01-01')"),
    ],
)  # fmt: skip
def test_when_a_row_of_a_register_came_is_not_for_a_step_to_say(attempt: Any, role: str, statement: str) -> None:
    assert "permission denied" in attempt(role, statement)


def test_a_step_adds_to_the_quarantines_register_what_is_for_it_to_say(attempt: Any) -> None:
    said = attempt(
        "loader",
        "insert into quarantine.event (record_id, what, batch_id, who, note) values (-1, 'waived', 1, 'x', 'y')",
    )
    assert "foreign key" in said, "the right is there"


REGISTERS = (
    "control.approval",
    "control.ledger_entry",
    "control.ledger_head",
    "control.publication",
    "control.release_note",
)


@pytest.mark.parametrize("role", ["pdic_admin", "pdic_publisher"])
def test_the_registers_of_releases_are_only_added_to(attempt: Any, role: str) -> None:
    statements = [
        *(f"delete from {register}" for register in REGISTERS),
        *(f"truncate {register} cascade" for register in REGISTERS),
        *(f"drop table {register} cascade" for register in REGISTERS),
        *(f"alter table {register} disable trigger all" for register in REGISTERS),
        "update control.approval set reason = 'x'",
        "update control.publication set kind = 'rollback'",
        "update control.release_note set note_en = 'x'",
        "update control.ledger_head set seq = 0",
        "insert into control.ledger_entry select * from control.ledger_entry",
        "drop trigger added_only on control.ledger_entry",
        "drop schema control cascade",
        "set role pdic_keeper",
    ]
    if role == "pdic_admin":
        statements += [
            "create or replace function control.refuse_change() returns trigger language plpgsql as 'begin return new; end'",
            "drop function control.append_to_ledger",
            "select rights.hand_over('pdic_admin')",
        ]
    said = {statement: attempt(role, statement) for statement in statements}
    refused = "permission denied|must be owner|may not drop"
    assert {statement: text for statement, text in said.items() if not re.search(refused, text)} == {}


def test_what_is_added_to_them_goes_on(attempt: Any, superuser: psycopg.Connection[Any]) -> None:
    (release_id,) = superuser.execute(
        "insert into control.release (status, code_digest) values ('failed', 'x') returning release_id"
    ).fetchone() or (0,)
    added = [
        "select control.append_to_ledger('resume', '{\"taken_back\": 1}')",
        "insert into control.approval (release_id, os_user, said_by, reason, findings) values "
        f"({release_id}, 'lan', 'Lan', 'x', 'y')",
        f"insert into control.publication (release_id, kind) values ({release_id}, 'publish')",
        f"insert into control.release_note (release_id, line, topic, note_vi, note_en) values ({release_id}, 1, 'release', 'x', 'x')",
    ]
    try:
        assert {statement: attempt("pdic_publisher", statement) for statement in added} == dict.fromkeys(
            added, "it was done"
        )
        assert "foreign key" in attempt("pdic_publisher", added[2].replace(f"({release_id}", "(-1"))
    finally:
        superuser.execute("delete from control.release where release_id = %s", (release_id,))


@pytest.mark.parametrize(
    ("done", "told"),
    [
        (
            "drop trigger added_only on control.ledger_entry",
            "the trigger added_only of control.ledger_entry is not in force",
        ),
        (
            "alter table control.ledger_entry disable trigger added_only",
            "the trigger added_only of control.ledger_entry is not in force",
        ),
        ("alter table control.approval owner to pdic_admin", "control.approval belongs to pdic_admin"),
        ("alter schema control owner to pdic_admin", "the schema control belongs to pdic_admin"),
        (
            "alter function control.append_to_ledger owner to pdic_admin",
            "control.append_to_ledger(text,jsonb) belongs to pdic_admin",
        ),
        *(
            (done, "the trigger marks_change of slot_b.of_rights is not in force")
            for done in (
                "drop trigger marks_change on slot_b.of_rights",
                "alter table slot_b.of_rights disable trigger marks_change",
                "drop trigger marks_change on slot_b.of_rights; create trigger marks_change after insert on slot_b.of_rights"
                " for each statement execute function published.mark_changed()",
            )
        ),
    ],
)
def test_a_guard_that_is_missing_is_told_and_put_back(
    postgres: Postgres, superuser: psycopg.Connection[Any], done: str, told: str
) -> None:
    assert rights.unguarded(connections.warehouse("publisher")) == []
    superuser.execute(done)  # type: ignore[arg-type]
    found = {"in_force": True, "unguarded": rights.unguarded(connections.warehouse("publisher"))}
    assert found["unguarded"] == [told]
    (problem,) = problems({"datasets": [], "unreadable": [], "slots": [], "release": NO_RELEASE, "rights": found})
    assert problem["what"].startswith(told)
    rights.provide(postgres.uri("warehouse"))
    assert rights.unguarded(connections.warehouse("publisher")) == []
    assert differences(superuser) == []


@pytest.fixture
def at_0016(postgres: Postgres, superuser: psycopg.Connection[Any]) -> Iterator[None]:
    """A warehouse that says it is at an older migration."""
    superuser.execute("update control.alembic_version set version_num = '0016'")
    yield
    superuser.execute("update control.alembic_version set version_num = %s", (newest(),))
    rights.provide(postgres.uri("warehouse"))
    assert differences(superuser) == []


def test_a_migration_that_is_due_may_change_the_registers_and_seals_them(
    postgres: Postgres, superuser: psycopg.Connection[Any], at_0016: None
) -> None:
    superuser.execute("update rights.handed_over set migration = '0016'")  # as a version left it that knew no newer one
    for _ in range(2):  # the second time, the migration broke off
        rights.provide(postgres.uri("warehouse"))
        with psycopg.connect(connections.warehouse("admin")) as admin:
            admin.execute("alter table control.approval add column of_test integer")
            admin.execute("alter table control.approval drop column of_test")
            admin.execute("comment on function control.append_to_ledger is 'Of a migration'")
        assert "control.approval belongs to pdic_admin" in rights.unguarded(connections.warehouse("publisher"))
    _seal(connections.warehouse("admin"))
    assert rights.unguarded(connections.warehouse("publisher")) == []


@pytest.mark.parametrize(
    "done",
    [
        "update control.alembic_version set version_num = '0016'",
        "delete from control.alembic_version; insert into control.alembic_version values ('0001')",
        "drop table control.alembic_version; create table control.alembic_version (version_num text); "
        "insert into control.alembic_version values ('0018')",
    ],
)
def test_the_registers_stay_sealed_where_the_owner_of_the_database_says_that_a_migration_is_due(
    postgres: Postgres, superuser: psycopg.Connection[Any], done: str, at_0016: None
) -> None:
    superuser.execute("update control.alembic_version set version_num = %s", (newest(),))
    with psycopg.connect(connections.warehouse("admin")) as admin:
        admin.execute(done)  # type: ignore[call-overload]
        for change in ("update rights.handed_over set migration = '0001'", "delete from rights.handed_over"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction():
                admin.execute(change)  # type: ignore[call-overload]
    for _ in range(2):
        with pytest.raises(
            PdicError, match=f"was set back: the registers were sealed after the migration to {newest()}"
        ):
            rights.provide(postgres.uri("warehouse"))
        assert rights.unguarded(connections.warehouse("publisher")) == []


@pytest.mark.parametrize(
    ("made", "undone", "told"),
    [
        (
            "create policy old on raw.quyen__hang using (true)",
            "drop policy old on raw.quyen__hang",
            "raw.quyen__hang: the policy old",
        ),
        (
            "create trigger old before update on quarantine.event for each row execute function suppress_redundant_updates_trigger()",
            "drop trigger old on quarantine.event",
            "quarantine.event: the trigger old",
        ),
        (
            "create type raw.old as enum ('a'); alter type raw.old owner to pdic_loader",
            "drop type raw.old",
            "raw.old: the type",
        ),
    ],
)
def test_code_that_was_there_before_is_told(
    postgres: Postgres,
    superuser: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
    made: str,
    undone: str,
    told: str,
) -> None:
    superuser.execute(made)  # type: ignore[arg-type]
    try:
        rights.provide(postgres.uri("warehouse"))
    finally:
        superuser.execute(undone)  # type: ignore[arg-type]
    said = [each for each in caplog.messages if "would run for whoever uses it" in each]
    assert [each.split(" would")[0] for each in said] == [told]


def test_rules_that_were_switched_off_are_in_force_again(
    postgres: Postgres, superuser: psycopg.Connection[Any], attempt: Any
) -> None:
    superuser.execute("alter event trigger pdic_refuse_command disable")
    assert attempt("pdic_loader", "create view raw.mine as select 1 as a") == "it was done"
    found = {"in_force": rights.in_force(connections.warehouse("publisher"))}
    (told,) = problems({"datasets": [], "unreadable": [], "slots": [], "release": NO_RELEASE, "rights": found})
    assert (told["where"], "run `pdic up`" in told["what"]) == ("rights", True)
    rights.provide(postgres.uri("warehouse"))
    assert rights.in_force(connections.warehouse("publisher"))
    assert "may not create view" in attempt("pdic_loader", "create view raw.mine as select 1 as a")
