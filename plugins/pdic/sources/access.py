"""May the login read what a contract names, and does reading it bring that table's own rows? Asked before any row moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic.errors import LoadError, SourceUnavailable
from pdic.sources import policies
from pdic.sources.reading import own_rows, source_table

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


@dataclass(frozen=True, slots=True)
class Access:
    """How the table is written where its rows are read (see `own_rows`), and a remark where others inherit from it."""

    rows: sql.Composed
    remark: str | None = None


def require(connection: Connection, contract: Contract) -> Access:
    """The access to the contract's table.

    Raises `LoadError` with the statement to run where the login may not read the contract's columns or a policy hides rows from
    it, `SourceUnavailable` where it is a materialized view that has no data. `connection` must have found the table (`check_drift`).
    """
    table = source_table(contract)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                relation.relkind::text,
                relation.relispopulated,
                has_schema_privilege(relation.relnamespace, 'usage'),
                array(
                    select quote_ident(attribute.attname)
                    from pg_attribute as attribute
                    where attribute.attrelid = relation.oid and attribute.attname = any(%s)
                        and not has_column_privilege(relation.oid, attribute.attnum, 'select')
                    order by attribute.attnum
                ),
                array(
                    select child.oid::regclass::text
                    from pg_inherits
                    inner join pg_class as child on child.oid = pg_inherits.inhrelid
                    where pg_inherits.inhparent = relation.oid and not child.relispartition
                    order by 1
                ),
                quote_ident(namespace.nspname),
                quote_ident(relation.relname),
                quote_ident(current_user)
            from pg_class as relation
            inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
            where namespace.nspname = %s and relation.relname = %s and relation.relkind in ('r', 'p', 'v', 'm', 'f')
            """,
            ([column.name_at_source for column in contract.columns], contract.table_schema, contract.table_name),
        )
        found = cursor.fetchone()
    if found is None:  # dropped since, which the read itself meets
        return Access(sql.SQL("{}").format(table))
    kind, populated, usage, hidden, children, schema, name, role = found
    written = f"{schema}.{name}"
    if not usage or hidden:
        whole = len(hidden) == len(contract.columns)
        grants = [] if usage else [f"grant usage on schema {schema} to {role}"]
        if hidden:
            columns = "" if whole else f" ({', '.join(hidden)})"
            grants.append(f"grant select{columns} on {written} to {role}")
        what = written if whole or not hidden else f"the columns {', '.join(hidden)} of {written}"
        raise LoadError(
            f"{contract.id}: the login of {contract.source_connection} may not read {what}. Nothing was accepted. Have the "
            f"source's administrator run: {'; '.join(grants)}. Then load again."
        )
    if not populated:
        raise SourceUnavailable(
            f"{contract.id}: {contract.table} is a materialized view without data. Nothing was accepted. Have "
            f"{contract.owner_agency} run: refresh materialized view {written}. Then load again."
        )
    policies.require(connection, contract)
    remark = f"the rows of {', '.join(children)}, which inherit from it, are not read with it" if children else None
    return Access(own_rows(table, kind), remark)
