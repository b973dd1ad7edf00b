"""Does the source give what reading its log needs? Asked before anything is made or moved; what is missing is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic.sources import policies
from pdic.sources.catalogue import NEVER_EMPTY
from pdic.sources.cdc.errors import not_granted
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

OLDEST_VERSION = 150000


def require(source: Connection, contract: Contract) -> int:
    """Check server, role and table. Returns the table's OID; raises `NotGranted`."""
    _require_server(source, contract)
    return _require_table(source, contract)


def _require_server(source: Connection, contract: Contract) -> None:
    if source.server_version < OLDEST_VERSION:
        raise not_granted(contract, f"PostgreSQL {source.server_version // 10000} is older than 15", "an upgrade")
    with source.cursor() as cursor:
        cursor.execute(
            """
            select pg_is_in_recovery(), current_setting('wal_level'), current_user,
                (select rolreplication or rolsuper from pg_roles where rolname = current_user),
                current_setting('synchronous_standby_names') like '%*%'
            """
        )
        standby, wal_level, role, may_replicate, anybody_is_awaited = one(cursor)
    if standby:
        raise not_granted(
            contract, "the server is a standby", f"nothing; point {contract.source_connection} at the primary"
        )
    if wal_level != "logical":
        raise not_granted(
            contract, f"wal_level is {wal_level}", "alter system set wal_level = logical, and restart the server"
        )
    if anybody_is_awaited:
        # PDIC confirms a day late: commits at the source would wait for it.
        what = "synchronous_standby_names holds *, which would make every commit wait for PDIC"
        raise not_granted(contract, what, "alter system set synchronous_standby_names = <the standbys' names>")
    if not may_replicate:
        raise not_granted(
            contract,
            f"role {role} lacks REPLICATION",
            sql.SQL("alter role {} replication").format(sql.Identifier(role)).as_string(source),
        )


def _require_table(source: Connection, contract: Contract) -> int:
    table = sql.Identifier(contract.table_schema, contract.table_name).as_string(source)
    role = _role(source)
    with source.cursor() as cursor:
        cursor.execute(
            "select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = %s", (contract.table_schema,)
        )
        usage = cursor.fetchone()
        if usage is not None and not usage[0]:
            schema = sql.Identifier(contract.table_schema).as_string(source)
            raise not_granted(contract, "the role may not use its schema", f"grant usage on schema {schema} to {role}")
        cursor.execute(
            """
            select
                class.oid, class.relkind::text, class.relpersistence::text, class.relreplident::text,
                exists (select 1 from pg_inherits where inhparent = class.oid),
                array(
                    select attribute.attname::text from pg_attribute as attribute
                    where
                        attribute.attrelid = class.oid and attribute.attname = any(%(columns)s)
                        and not has_column_privilege(class.oid, attribute.attnum, 'select')
                )
            from pg_class as class
            inner join pg_namespace as namespace on namespace.oid = class.relnamespace
            where namespace.nspname = %(schema)s and class.relname = %(table)s
            """,
            {
                "schema": contract.table_schema,
                "table": contract.table_name,
                "columns": [column.name_at_source for column in contract.columns],
            },
        )
        found = cursor.fetchone()
    if found is None:
        return 0  # the check for drift says it better
    oid, kind, persistence, identity, has_children, hidden = found
    if hidden:
        raise not_granted(contract, f"the role may not read {', '.join(hidden)}", f"grant select on {table} to {role}")
    if kind == "p":
        what = "it is partitioned, and the log tells of partitions only"
        raise not_granted(contract, what, "nothing; a contract for each partition is possible")
    if kind != "r":
        raise not_granted(
            contract, "it is no table, so the log holds nothing of it", "nothing; no statement changes that"
        )
    if has_children:
        what = "other tables inherit from it, and a publication gives out their rows with its own"
        raise not_granted(contract, what, "nothing; captures snapshot and cursor read its own rows alone")
    if persistence != "p":
        raise not_granted(contract, "it is unlogged or temporary", f"alter table {table} set logged")
    if protected := policies.hiding(source, contract.table_schema, contract.table_name):
        what = f"{policies.told(protected)} hides rows from the role that the log shows"
        raise not_granted(contract, what, f"alter role {role} bypassrls")
    _require_identity(source, contract, oid, identity, table)
    return int(oid)


def _require_identity(source: Connection, contract: Contract, oid: int, identity: str, table: str) -> None:
    """The log must name the contract's key of every changed and deleted row, and the key must be one at every moment."""
    key = sorted(contract.key_at_source)
    columns = ", ".join(sql.Identifier(name).as_string(source) for name in contract.key_at_source)
    with source.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
            select
                indisprimary, indisreplident,
                array(select attname::text from pg_attribute where attrelid = indrelid and attnum = any(indkey[:indnkeyatts - 1]))
            from pg_index
            where
                indrelid = %s and indisunique and indisvalid and indimmediate
                and indpred is null and indexprs is null
                and not exists (
                    select 1 from pg_attribute as attribute
                    where attribute.attrelid = indrelid and attribute.attnum = any(indkey) and not {never_empty}
                )
            """
            ).format(never_empty=NEVER_EMPTY),
            (oid,),
        )
        indexes = [(primary, marked, set(names)) for primary, marked, names in cursor.fetchall()]
    if not any(names <= set(key) for _, _, names in indexes):
        raise not_granted(
            contract,
            f"its key ({', '.join(key)}) has no unique index that is checked at once (not deferrable)",
            f"alter table {table} add primary key ({columns})",
        )
    held: set[str] = set()
    for primary, marked, names in indexes:
        if (identity == "d" and primary) or (identity == "i" and marked):
            held = names
    if identity != "f" and not set(key) <= held:
        what = f"its replica identity ({', '.join(sorted(held)) or 'nothing'}) does not hold the key ({', '.join(key)})"
        raise not_granted(contract, what, f"alter table {table} replica identity full")


def _role(source: Connection) -> str:
    with source.cursor() as cursor:
        cursor.execute("select quote_ident(current_user)")
        return str(one(cursor)[0])
