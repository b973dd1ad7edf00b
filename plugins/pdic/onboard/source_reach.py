"""How far a login reaches into one table of a source: may it be read, which columns of it, and what mends what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import errors

from pdic.contracts.model import table_written
from pdic.warehouse import one

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as Connection


@dataclass(frozen=True, slots=True)
class Reach:
    """What the catalogue says of reading a table. ``kind`` is its letter in `pg_class.relkind`.

    ``refusal`` says why it cannot be read, and what mends that; '' where it can. ``unread`` are the columns that the login may
    not read, ``grant`` the statement that opens them. ``children`` are the tables that inherit from it.
    """

    oid: int
    kind: str
    table: str
    server: str | None
    refusal: str
    unread: tuple[str, ...]
    grant: str
    children: tuple[str, ...]
    bytes: int

    def failed(self, error: psycopg2.Error) -> str:
        """Why a read of it failed, in words that hold nothing of its rows, and what mends that."""
        kind = type(error).__name__
        if isinstance(error, errors.CharacterNotInRepertoire | errors.UntranslatableCharacter):
            return (
                f"{self.table}: it holds text that is not in its database's encoding, or its database names none (SQL_ASCII): say what "
                "it is written in with --encoding, like --encoding tcvn3 (docs/sources.md)"
            )
        if isinstance(error, errors.QueryCanceled):
            what = "a look at it took longer than a minute"
            return f"{self.table}: {what}: have a table made that holds what this {'view' if self.kind == 'v' else 'table'} shows"
        if self.kind == "v" and isinstance(error, errors.InsufficientPrivilege):
            return (
                f"{self.table}: the view's owner, or this login, may not read what is behind it ({kind}): have its "
                "administrator grant select on that"
            )
        if self.kind in ("v", "m"):
            return f"{self.table}: reading the view fails at the source ({kind}): have its agency mend the view, then onboard it"
        if self.kind == "f":
            return (
                f"{self.table}: it is a foreign table, and reading it fails at the source ({kind}): have its administrator see "
                f"that server {self.server} answers, or onboard the table from where it is"
            )
        return f"{self.table}: the source refused to read it ({kind}): have its administrator see why"


def reach_of(connection: Connection, schema: str, name: str) -> Reach:
    """How far the login reaches into a table that `read_table` has found."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                relation.oid,
                relation.relkind::text,
                relation.relispopulated,
                has_schema_privilege(namespace.oid, 'usage'),
                array(
                    select attribute.attname::text from pg_attribute as attribute
                    where attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped
                        and not has_column_privilege(relation.oid, attribute.attnum, 'select')
                    order by attribute.attnum
                ),
                array(
                    select quote_ident(attribute.attname) from pg_attribute as attribute
                    where attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped
                        and not has_column_privilege(relation.oid, attribute.attnum, 'select')
                    order by attribute.attnum
                ),
                has_any_column_privilege(relation.oid, 'select'),
                array(
                    select quote_ident(of_child.nspname) || '.' || quote_ident(child.relname)
                    from pg_inherits
                    inner join pg_class as child on child.oid = pg_inherits.inhrelid
                    inner join pg_namespace as of_child on of_child.oid = child.relnamespace
                    where pg_inherits.inhparent = relation.oid and not child.relispartition
                    order by 1
                ),
                case
                    when relation.relkind in ('r', 'm') then pg_relation_size(relation.oid)
                    when relation.relkind = 'p' then (select sum(pg_relation_size(relid)) from pg_partition_tree(relation.oid))
                    else 0
                end::bigint,
                (
                    select quote_ident(server.srvname)
                    from pg_foreign_table as foreign_table
                    inner join pg_foreign_server as server on server.oid = foreign_table.ftserver
                    where foreign_table.ftrelid = relation.oid
                ),
                quote_ident(namespace.nspname),
                quote_ident(namespace.nspname) || '.' || quote_ident(relation.relname),
                quote_ident(current_user)
            from pg_class as relation
            inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
            where namespace.nspname = %s and relation.relname = %s and relation.relkind in ('r', 'p', 'v', 'm', 'f')
            """,
            (schema, name),
        )
        oid, kind, populated, usage, unread, quoted, any_, children, size, server, of, table, role = one(cursor)
    columns = f" ({', '.join(quoted)})" if any_ else ""
    grant = f"grant select{columns} on {table} to {role}"
    refusal = ""
    if not usage or not any_:
        statements = [*([] if usage else [f"grant usage on schema {of} to {role}"]), *([grant] if unread else [])]
        refusal = f"this login may not read {table}: have its administrator run: {'; '.join(statements)}"
    elif not populated:
        refusal = f"{table} is a materialized view without data: have its agency run: refresh materialized view {table}"
    return Reach(
        oid,
        kind,
        table_written(schema, name),
        server,
        refusal,
        tuple(unread),
        grant if unread else "",
        tuple(children),
        size,
    )
