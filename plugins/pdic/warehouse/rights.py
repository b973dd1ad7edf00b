"""Which role may do what in the warehouse, and what no step may do whatever it owns: docs/rights.md.

`RELATIONS`, `SCHEMAS`, `FUNCTIONS` and `DATABASE` say it once; `bring_up` makes the grants, and a test compares the catalogue with them.
`rights.sql`, which only the server's superuser can put in, keeps one role's statements from running with the rights of another.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from pdic import logins
from pdic.errors import PdicError
from pdic.warehouse.connect import connect_psycopg

if TYPE_CHECKING:
    from psycopg import Connection

KEEPER: Final = "pdic_keeper"
"""Owns what is only ever added to. Nobody can log in by it, and nobody is a member of it."""
PINNED: Final = "pg_catalog, pg_temp"
"""The search_path of every role that works in the warehouse: all names there are written with their schema."""

OF_SUPERUSER: Final = "-c search_path=pg_catalog,pg_temp"
"""The same for the superuser's sessions: a schema that somebody named after the superuser must not be looked into."""

OWNER: Final = "owner"
"""Stands for every right. A table's owner is the role that makes it; a migration makes it for that role."""

SCHEMAS: Final[Mapping[str, str]] = {
    "candidate": "publisher: owner; transformer auditor: usage",
    "clean": "loader transformer auditor publisher: usage",
    "control": "admin: usage create; loader transformer auditor publisher: usage",
    "landing": "loader: owner",
    "published": "publisher: owner; transformer: usage",
    "quarantine": "loader: usage create; transformer auditor: usage",
    "raw": "loader: owner; transformer auditor: usage",
    "raw_batch": "loader: owner; auditor: usage",
    "readers": "admin loader publisher: usage",
    "retired": "publisher: owner",
    "rights": "public: usage",
    "shared": "publisher: owner; reader: usage",
    "slot_a": "publisher: owner; transformer: usage",
    "slot_b": "publisher: owner; transformer: usage",
    "slot_c": "publisher: owner; transformer: usage",
    "staging": "transformer: owner",
    "valid": "loader transformer auditor publisher: usage",
    "vault": "transformer: owner",
}
"""Schema → roles → rights. What is not said of a role it has not; the rest belongs to pdic_admin or the superuser."""

RELATIONS: Final[Mapping[str, str]] = {
    "candidate.*": "publisher: owner; transformer auditor: select",
    "control.agency_check": "auditor: select insert; loader transformer publisher: select",
    "control.agency_failure": "auditor: select insert; loader transformer publisher: select",
    "control.alembic_version": "",
    "control.announcement": "publisher: select insert",
    "control.approval": "loader transformer auditor publisher: select",  # and what COLUMNS says
    "control.approval_approval_id_seq": "",
    "control.batch": "loader: select insert update; transformer auditor publisher: select",
    "control.batch_freshness": "auditor: select insert update; loader transformer publisher: select",
    "control.batch_id": "loader: usage",
    "control.batch_profile": "auditor: select insert; loader transformer publisher: select",
    "control.building": "loader transformer auditor publisher: select",
    "control.building_batch": "loader transformer auditor publisher: select",
    "control.dataset": "loader: select insert update; transformer auditor publisher: select",
    "control.expectation_result": "auditor: select insert; loader transformer publisher: select",
    "control.expectation_result_id_seq": "",
    "control.key_check": "publisher: select insert",
    "control.key_count": "loader: select insert update",
    "control.model_result": "publisher: select insert update delete",
    "control.ledger_entry": "auditor publisher: select",
    "control.ledger_head": "auditor publisher: select",
    "control.pin": "publisher: select insert delete",
    "control.profile_of_release": "auditor publisher: select",
    "control.publication": "publisher loader auditor: select",  # and what COLUMNS says
    "control.publication_publication_id_seq": "",
    "control.reconciliation": "loader: select insert; transformer auditor publisher: select",
    "control.release": "publisher: select insert update; loader transformer auditor: select",
    "control.release_batch": "publisher: select insert; loader transformer auditor: select",
    "control.release_content": "publisher: select insert delete",
    "control.release_dataset": "publisher: select insert delete; loader transformer: select",
    "control.release_finding": "auditor: select insert delete; publisher: select",
    "control.release_id": "publisher: usage",
    "control.release_note": "publisher: select insert",
    "control.release_profile": "auditor: select insert delete; publisher: select",
    "control.release_table": "auditor: select insert delete; publisher: select",
    "control.shown_view": "publisher: select insert update delete",
    "control.slot": "publisher: select update; transformer auditor: select",
    "control.slot_content": "publisher: select update",
    "control.source_shape": "loader: select insert update",
    "landing.*": "loader: owner",
    "published.*": "publisher: owner",
    "published.applied_release": "publisher: owner; transformer: select",
    "published.table_content": "publisher: owner; transformer: select",
    "quarantine.*": "loader: owner; transformer auditor: select",
    "quarantine.event": "loader: select",  # and what COLUMNS says
    "quarantine.event_event_id_seq": "",
    "quarantine.record": "loader: owner; transformer: select",
    "quarantine.record_record_id_seq": "loader: owner",
    "quarantine.standing": "loader: owner; transformer: select",
    "raw.*": "loader: owner; transformer auditor: select",
    "raw_batch.*": "loader: owner; transformer auditor: select",
    "readers.event": "admin loader publisher: select",
    "readers.event_event_id_seq": "",
    "readers.limits": "admin loader publisher: select",
    "readers.login": "",  # but what COLUMNS says: all but the verifier of the password
    "readers.removed": "admin loader publisher: select",
    "rights.handed_over": "",
    "shared.*": "publisher: owner; reader: select",
    "staging.*": "transformer: owner",
    "valid.unit": "loader transformer auditor publisher: select",
    "vault.*": "transformer: owner",
}
"""Table, view or sequence, or all others of a schema → roles → rights, where they do not change with a release's steps."""

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "control.approval": (
        "pdic_loader INSERT batch_id, findings, os_user, reason, said_by",
        "pdic_publisher INSERT findings, os_user, reason, release_id, said_by",
    ),
    "control.publication": ("pdic_publisher INSERT former_release_id, kind, release_id",),
    "quarantine.event": ("pdic_loader INSERT batch_id, note, record_id, what, who",),
    "readers.login": tuple(
        f"pdic_{role} SELECT connections, login, made_at" for role in ("admin", "loader", "publisher")
    ),
}
"""Rights to columns alone. When a row of a register came, and which number it has, is not for a step to say."""

OPENED: Final[Mapping[str, str]] = {
    "retired.*": "publisher: owner",
    "slot_a.*": "publisher: owner",
    "slot_b.*": "publisher: owner",
    "slot_c.*": "publisher: owner",
}
"""The same of a published table's slots: the one that is being built is opened to the transformer, and closed for the audit.
`retired` is the release from before there were slots, until the first publish."""

WHILE_BUILDING: Final = "transformer: select insert update delete"

FUNCTIONS: Final[Mapping[str, str]] = {
    "clean.*": "public: execute",
    "control.append_to_ledger": "publisher: execute",
    "control.refuse_change": "",
    "published.mark_changed": "publisher: owner",
    "published.remember_columns": "publisher: owner; transformer: execute",
    "published.remember_release": "publisher: owner; transformer: execute",
    "published.require_open": "publisher: owner",
    "published.sample_where_it_grew": "publisher: owner; transformer: execute",
    "readers.*": "",
    "readers.add": "admin: execute",
    "readers.end_beyond_limits": "admin loader publisher: execute",
    "readers.finish_removals": "admin: execute",
    "readers.put_right": "admin loader publisher: execute",
    "readers.remove": "admin: execute",
    "rights.*": "public: execute",
    "rights.seal": "admin: execute",
    "rights.hand_over": "",
    "valid.*": "public: execute",
}
DATABASE: Final = (
    "loader transformer auditor publisher reader: connect; loader transformer auditor: temporary"  # temporary tables
)

_SCRIPT: Final = Path(__file__).with_name("rights.sql")
_TRIGGERS: Final = {"pdic_refuse_command": "ddl_command_start", "pdic_refuse_code": "ddl_command_end"}
_log = logging.getLogger(__name__)


@cache
def granted(said: str) -> dict[str, frozenset[str]]:
    """What a line of the declaration says: role → its rights, upper-case as the catalogue has them."""
    found: dict[str, frozenset[str]] = {}
    for part in filter(None, said.split(";")):
        roles, _, rights = part.partition(":")
        for role in roles.split():
            name = "public" if role == "public" else f"pdic_{role}"
            found[name] = found.get(name, frozenset()) | {right.upper() for right in rights.split()}
    return found


def declared(declaration: Mapping[str, str], schema: str, name: str) -> dict[str, frozenset[str]] | None:
    """Role → rights of an object, by its own line or its schema's; None where nothing is said of either."""
    said = declaration.get(f"{schema}.{name}", declaration.get(f"{schema}.*"))
    return None if said is None else granted(said)


def provide(superuser_uri: str) -> None:
    """Put the rules into the database `warehouse`, pin the search path of its roles, make the grants. Doing it again changes nothing."""
    with connect_psycopg(superuser_uri, "rights", dbname="warehouse", options=OF_SUPERUSER) as database:
        require_own(database, "rights")
        if database.execute("select to_regrole(%s) is null", (KEEPER,)).fetchone() == (True,):
            database.execute(sql.SQL("create role {} nologin").format(sql.Identifier(KEEPER)))
        for login in (logins.ADMIN, *logins.STEPS):  # (those of readers: pdic.warehouse.readers)
            _pin(database, login.role)
        if not _are_in(database):
            _put_in(database)
        set_back = _seal_or_hand_over(database)
        bring_up(database)
        for relation, what in database.execute("select relation, what from rights.kept_by_steps()"):
            _log.warning(
                "%s: %s would run for whoever uses it; see who made it, and drop it as the superuser", relation, what
            )
    if set_back is not None:
        raise PdicError(set_back)


def require_own(database: Connection[Any], schema: str) -> None:
    """Raise PdicError where anybody but a superuser owns a schema or a part of it: the superuser would run what was put there."""
    found = database.execute(
        """
        select owner.rolname
        from (
            select nspowner from pg_namespace where nspname = %(schema)s
            union all
            select relowner from pg_class where relnamespace = to_regnamespace(%(schema)s)
            union all
            select proowner from pg_proc where pronamespace = to_regnamespace(%(schema)s)
        ) as part (whose)
        inner join pg_roles as owner on owner.oid = part.whose
        where not owner.rolsuper
        limit 1
        """,
        {"schema": schema},
    ).fetchone()
    if found is not None:
        raise PdicError(
            f"the schema {schema} of the warehouse, or something in it, belongs to {found[0]} and not to the superuser: see who made it, "
            f"have the superuser drop it (`drop schema {schema} cascade`; readers are then added anew), and run the command again"
        )


def bring_up(database: Connection[Any]) -> None:
    """Make the grants of every schema, function, table, view, sequence and column of which the declaration says something.

    Takes those that it does not say. What belongs to somebody whose rights the session has not is left to the superuser's turn.
    """
    for differences in (
        _of_schemas,
        _of_functions,
        _of_relations,
        _of_columns,
    ):  # (a right to a table goes with those to its columns)
        for statement in list(differences(database)):
            database.execute(statement)


def _of_schemas(database: Connection[Any]) -> Iterator[sql.Composed]:
    found = database.execute(
        """
        select schema.nspname, schema.nspowner::regrole::text, array(
            select coalesce(role.rolname, 'public') || ' ' || entry.privilege_type
            from aclexplode(schema.nspacl) as entry
            left join pg_roles as role on role.oid = entry.grantee
            where entry.grantee <> schema.nspowner
        )
        from pg_namespace as schema
        where schema.nspname = any(%s) and pg_has_role(schema.nspowner, 'usage')
        order by 1
        """,
        (list(SCHEMAS),),
    )
    for schema, owner, entries in found.fetchall():
        yield from _changes(
            "schema", sql.Identifier(schema), *_should_and_has(granted(SCHEMAS[schema]), owner, entries)
        )


def _of_functions(database: Connection[Any]) -> Iterator[sql.Composed]:
    found = database.execute(
        """
        select
            function.pronamespace::regnamespace::text, function.proname, pg_get_function_identity_arguments(function.oid),
            function.proowner::regrole::text,
            array(
                select coalesce(role.rolname, 'public') || ' ' || entry.privilege_type
                from aclexplode(coalesce(function.proacl, acldefault('f', function.proowner))) as entry
                left join pg_roles as role on role.oid = entry.grantee
                where entry.grantee <> function.proowner
            )
        from pg_proc as function
        where function.pronamespace::regnamespace::text = any(%s) and pg_has_role(function.proowner, 'usage')
        order by 1, 2, 3
        """,
        (list(SCHEMAS),),
    )
    for schema, name, arguments, owner, entries in found.fetchall():
        wanted = declared(FUNCTIONS, schema, name)
        if wanted is not None:
            called = sql.SQL("{}({})").format(sql.Identifier(schema, name), sql.SQL(arguments))
            yield from _changes("routine", called, *_should_and_has(wanted, owner, entries))


def _of_columns(database: Connection[Any]) -> Iterator[sql.Composed]:
    found = database.execute(
        """
        select
            relation.relnamespace::regnamespace::text, relation.relname, attribute.attname,
            array(
                select coalesce(role.rolname, 'public') || ' ' || entry.privilege_type
                from aclexplode(attribute.attacl) as entry
                left join pg_roles as role on role.oid = entry.grantee
                where entry.grantee <> relation.relowner
            ),
            relation.relowner::regrole::text
        from pg_class as relation
        inner join pg_attribute as attribute on attribute.attrelid = relation.oid
        where relation.relnamespace::regnamespace::text = any(%s) and pg_has_role(relation.relowner, 'usage')
            and attribute.attnum > 0 and not attribute.attisdropped
            and (
                attribute.attacl is not null
                or format('%%s.%%s', relation.relnamespace::regnamespace, relation.relname) = any(%s)
            )
        order by 1, 2, 3
        """,
        (list(SCHEMAS), list(COLUMNS)),
    )
    for schema, name, column, entries, owner in found.fetchall():
        lines = (line.split(" ", 2) for line in COLUMNS.get(f"{schema}.{name}", ()))
        should = {(role, right) for role, right, columns in lines if role != owner and column in columns.split(", ")}
        yield from _changes("table", sql.Identifier(schema, name), should, _pairs(entries), column)


def _should_and_has(
    wanted: Mapping[str, frozenset[str]], owner: str, entries: Iterable[str]
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """The pairs of role and right that are to be given, and those that are.

    Who is to own it needs none. Where somebody else owns it (`retired` is from a former version) what that role was given is left to it.
    """
    owners = {owner, *(role for role, rights in wanted.items() if OWNER.upper() in rights)}
    should = {(role, right) for role, rights in wanted.items() if role not in owners for right in rights}
    return should, {(role, right) for role, right in _pairs(entries) if role not in owners}


def _pairs(entries: Iterable[str]) -> set[tuple[str, str]]:
    """`role RIGHT` → (role, right)."""
    return {(role, right) for role, right in (entry.rsplit(" ", 1) for entry in entries)}


def _changes(
    kind: str, what: sql.Composable, should: set[tuple[str, str]], has: set[tuple[str, str]], column: str | None = None
) -> Iterator[sql.Composed]:
    """The statements that give what is missing, and take what is too much."""
    of_column = sql.SQL(" ({})").format(sql.Identifier(column)) if column is not None else sql.SQL("")
    for verb, link, pairs in (("grant", "to", should - has), ("revoke", "from", has - should)):
        for role, right in sorted(pairs):
            whom = sql.SQL("public") if role == "public" else sql.Identifier(role)
            yield sql.SQL("{} {}{} on {} {} {} {}").format(
                sql.SQL(verb), sql.SQL(right), of_column, sql.SQL(kind), what, sql.SQL(link), whom
            )


def _of_relations(database: Connection[Any]) -> Iterator[sql.Composed]:
    found = database.execute(
        """
        select
            relation.relnamespace::regnamespace::text, relation.relname, relation.relkind = 'S', relation.relowner::regrole::text,
            array(
                select coalesce(role.rolname, 'public') || ' ' || entry.privilege_type
                from aclexplode(relation.relacl) as entry
                left join pg_roles as role on role.oid = entry.grantee
                where entry.grantee <> relation.relowner
            )
        from pg_class as relation
        where relation.relnamespace::regnamespace::text = any(%s) and relation.relkind in ('r', 'p', 'v', 'm', 'S')
            and pg_has_role(relation.relowner, 'usage')
        order by 1, 2
        """,
        (list(SCHEMAS),),
    )
    for schema, name, is_sequence, owner, entries in found.fetchall():
        wanted = declared(RELATIONS, schema, name)
        if wanted is None:
            wanted = declared(OPENED, schema, name)
            entries = [
                entry for entry in entries if not entry.startswith("pdic_transformer ")
            ]  # a release opens and closes for it
        if wanted is not None:
            should, has = _should_and_has(wanted, owner, entries)
            yield from _changes("sequence" if is_sequence else "table", sql.Identifier(schema, name), should, has)


def _pin(database: Connection[Any], role: str) -> None:
    found = database.execute(
        "select %s = any(setconfig) from pg_db_role_setting where setrole = %s::regrole and setdatabase = 0",
        (f"search_path={PINNED}", role),
    ).fetchone()
    if found != (True,):
        database.execute(sql.SQL("alter role {} set search_path = {}").format(sql.Identifier(role), sql.SQL(PINNED)))
    # What is set for this database alone would go before it.
    of_database = database.execute(
        """
        select current_database()
        from pg_db_role_setting as kept cross join unnest(kept.setconfig) as stored (setting)
        where kept.setrole = %s::regrole and stored.setting like 'search_path=%%'
            and kept.setdatabase = (select oid from pg_database where datname = current_database())
        """,
        (role,),
    ).fetchone()
    if of_database is not None:
        names = (sql.Identifier(role), sql.Identifier(of_database[0]))
        database.execute(sql.SQL("alter role {} in database {} reset search_path").format(*names))


def _comment() -> str:
    digest = hashlib.sha256(_SCRIPT.read_bytes()).hexdigest()
    return f"What no step may do, whatever it owns (docs/rights.md); file {digest}."


def in_force(uri: str) -> bool:
    """Are the rules of this version in, and in force? Any role of the warehouse may ask."""
    with connect_psycopg(uri, "rights") as database:
        return _are_in(database)


def _are_in(database: Connection[Any]) -> bool:
    found = database.execute(
        """
        select
            coalesce(obj_description(to_regnamespace('rights'), 'pg_namespace') = %s, false)
            and (select count(*) from pg_event_trigger where evtname = any(%s) and evtenabled = 'O') = %s
        """,
        (_comment(), list(_TRIGGERS), len(_TRIGGERS)),
    ).fetchone()
    return found == (True,)


def _seal_or_hand_over(database: Connection[Any]) -> str | None:
    """Give the registers to the owner of the database where a migration is due, which seals them again at its end; else seal them.

    They are given once for each version that brings migrations: its owner could set `control.alembic_version` back. Returns a sentence
    where that was done; the registers stay sealed then.
    """
    from pdic.warehouse.migrate import newest  # (which imports this module)

    if not _waits_for_migration(database, newest()):
        database.execute("select rights.seal()")
        found = None
    elif database.execute("select from rights.handed_over where migration >= %s", (newest(),)).fetchone() is None:
        database.execute("select rights.hand_over(%s)", (logins.ADMIN.role,))
        found = None
    elif _any_is_sealed(database):
        database.execute("select rights.seal()")
        found = (
            f"control.alembic_version was set back: the registers were sealed after the migration to {newest()}. See who did it, have the "
            f"superuser set its version_num to '{newest()}', and run the command again"
        )
    else:
        found = None  # the migration for which they were given broke off, and goes on
    database.execute(
        """
        insert into rights.handed_over (migration) values (%s)
        on conflict (one) do update set migration = excluded.migration where handed_over.migration < excluded.migration
        """,
        (newest(),),
    )
    return found


def _waits_for_migration(database: Connection[Any], newest: str) -> bool:
    """Is there a warehouse that an older version made? Migrations run as its owner, who may have to change a register, and seal it."""
    if database.execute("select to_regclass('control.alembic_version') is null").fetchone() == (True,):
        return False
    row = database.execute("select version_num from control.alembic_version").fetchone()
    return row is not None and row[0] < newest


def _any_is_sealed(database: Connection[Any]) -> bool:
    found = database.execute(
        """
        select exists (
            select from rights.registers() as register (name)
            inner join pg_class as relation on relation.oid = to_regclass(register.name)
            where relation.relowner = to_regrole(%s)
        )
        """,
        (KEEPER,),
    ).fetchone()
    return found == (True,)


def unguarded(uri: str) -> list[str]:
    """What keeps the owner of the database from changing the registers, and is not there. Where no rules are in, nothing is said."""
    with connect_psycopg(uri, "rights") as database:
        if database.execute("select to_regprocedure('rights.unguarded()') is null").fetchone() == (True,):
            return []
        return [what for (what,) in database.execute("select * from rights.unguarded()")]


def _put_in(database: Connection[Any]) -> None:
    database.execute("create schema if not exists rights")
    database.execute("grant usage on schema rights to public")
    database.execute(_SCRIPT.read_bytes())
    database.execute("revoke all on function rights.seal(), rights.hand_over(name) from public")
    database.execute("grant execute on function rights.seal() to pdic_admin")
    for name, event in _TRIGGERS.items():
        trigger = sql.Identifier(name)
        database.execute(sql.SQL("drop event trigger if exists {}").format(trigger))
        database.execute(
            sql.SQL("create event trigger {} on {} execute function {}()").format(
                trigger, sql.SQL(event), sql.Identifier("rights", name.removeprefix("pdic_"))
            )
        )
    database.execute(sql.SQL("comment on schema rights is {}").format(sql.Literal(_comment())))
