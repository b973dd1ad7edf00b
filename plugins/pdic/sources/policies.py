"""Row level security: does a policy at the source hide rows from the reader of a table?

PostgreSQL leaves hidden rows out without a word, and a load that compares would then take them for deleted. So every session with
a source sets `row_security` off, by which PostgreSQL raises an error in place of sending fewer rows, and every read asks here
first, so that the refusal can name the policy. A contract may say that what the login sees is the dataset (`rowSecurity: agreed`).

A table is read by the login itself, a table behind a view by the view's owner; behind a `security_invoker` by the login again, whatever
other views lie before it. The policies of partitions and of children do not count where they are read through their parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic.contracts.findings import listed
from pdic.errors import LoadError
from pdic.sources.names import Name

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


@dataclass(frozen=True, slots=True)
class Protected:
    """A table under row level security, whose ``reader`` (a role) does not see past it. Names are quoted as SQL wants them."""

    table: str
    reader: str
    policies: tuple[str, ...]

    def words(self) -> str:
        """What hides its rows."""
        what = f"policy {listed(self.policies)}" if self.policies else "row level security without any policy"
        return f"{what} of {self.table}"


def refusal(contract: Contract, found: Sequence[Protected]) -> LoadError:
    """What to raise where these hide rows of a contract's table and the contract does not agree to that."""
    return LoadError(
        f"{contract.id}: {told(found)} hides rows of {contract.table} from the login of {contract.source_connection}. Nothing was "
        f"moved: rows that it does not see would be taken for deleted. {remedy(found)}; or, where what it sees is the "
        f"dataset, say rowSecurity: agreed in {contract.path}. Then load again."
    )


def told(found: Sequence[Protected]) -> str:
    """What hides rows, for a sentence."""
    return ", ".join(each.words() for each in found)


def remedy(found: Sequence[Protected]) -> str:
    """What shows all rows to those who read them."""
    readers = dict.fromkeys(each.reader for each in found)
    return f"Have the source's administrator run: {'; '.join(f'alter role {reader} bypassrls' for reader in readers)}"


def hiding(connection: Connection, schema: str, name: str) -> tuple[Protected, ...]:
    """The tables behind `schema.name`, it among them, of which a policy hides rows from their reader. Reads no row."""
    (found,) = hiding_of(connection, [(schema, name)])
    return found


def hiding_of(connection: Connection, tables: Sequence[tuple[str, str]]) -> list[tuple[Protected, ...]]:
    """`hiding` of each of the tables (schema, name), in one statement."""
    found: list[list[Protected]] = [[] for _ in tables]
    with connection.cursor() as cursor:
        cursor.execute(_HIDING, {"tables": [_written(connection, *table) for table in tables]})
        for number, table, reader, policies in cursor.fetchall():
            found[number - 1].append(Protected(table, reader, tuple(policies)))
    return [tuple(protected) for protected in found]


def digest(connection: Connection, schema: str, name: str) -> str:
    """What changes when other rows may be hidden: of each table behind `schema.name` under row level security, whether it
    applies, and its policies. '' where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            _DIGEST,
            {"tables": [_written(connection, schema, name)]},
        )
        (found,) = cursor.fetchone() or ("",)
        return str(found)


def _written(connection: Connection, schema: str, name: str) -> str:
    return Name(schema, name).as_string(connection)


# As PostgreSQL decides it (utils/misc/rls.c, check_enable_rls): a role with BYPASSRLS sees all rows, and so does whoever owns the
# table, unless it is under FORCE ROW LEVEL SECURITY.
_REACHED = sql.SQL("""
    with recursive me as (
        -- Not by ::regrole, which reads the name as SQL does: it would fold the capitals of a login in capitals.
        select oid from pg_roles where rolname = current_user
    ),
    reached as (
        select asked.number, to_regclass(asked.written)::oid as oid, me.oid as reader
        from unnest(%(tables)s::text[]) with ordinality as asked (written, number)
        cross join me
        union
        select
            reached.number,
            dependency.refobjid,
            case
                when exists (
                    select from pg_options_to_table(viewed.reloptions)
                    where option_name = 'security_invoker' and option_value::boolean
                ) then me.oid
                else viewed.relowner
            end
        from reached
        cross join me
        inner join pg_class as viewed on viewed.oid = reached.oid and viewed.relkind = 'v'
        inner join pg_rewrite as rule on rule.ev_class = viewed.oid and rule.rulename = '_RETURN'
        inner join pg_depend as dependency
            on dependency.objid = rule.oid
            and dependency.classid = 'pg_rewrite'::regclass
            and dependency.refclassid = 'pg_class'::regclass
            and dependency.refobjid <> viewed.oid
    ),
    protected as (
        select
            reached.number, class.oid, class.relname, class.relnamespace, reached.reader,
            not role.rolsuper and not role.rolbypassrls
            and (class.relforcerowsecurity or not pg_has_role(role.oid, class.relowner, 'usage')) as applies
        from reached
        inner join pg_class as class on class.oid = reached.oid and class.relkind in ('r', 'p') and class.relrowsecurity
        inner join pg_roles as role on role.oid = reached.reader
    )
""")

_HIDING = _REACHED + sql.SQL("""
    select
        class.number,
        quote_ident(namespace.nspname) || '.' || quote_ident(class.relname),
        quote_ident(reader.rolname),
        array(select quote_ident(polname) from pg_policy where polrelid = class.oid order by polname)
    from protected as class
    inner join pg_namespace as namespace on namespace.oid = class.relnamespace
    inner join pg_roles as reader on reader.oid = class.reader
    where class.applies
    order by 1, 2
""")

_DIGEST = _REACHED + sql.SQL("""
    select coalesce(md5(string_agg(row(
        namespace.nspname, class.relname, class.applies,
        (
            select array_agg(row(
                polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid),
                array(select rolname::text from pg_roles where oid = any(polroles) order by 1)
            )::text order by polname)
            from pg_policy where polrelid = class.oid
        )
    )::text, '/' order by namespace.nspname, class.relname, class.reader)), '')
    from protected as class
    inner join pg_namespace as namespace on namespace.oid = class.relnamespace
""")
