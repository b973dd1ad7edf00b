"""May the login read what a contract names, and does reading it bring that table's own rows? Asked before any row moves."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic.contracts import readable
from pdic.contracts.model import table_written
from pdic.errors import LoadError, PdicError, SourceUnavailable
from pdic.sources import policies
from pdic.sources.reading import own_rows, source_table

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


@dataclass(frozen=True, slots=True)
class Access:
    """How the table is written where its rows are read (see `own_rows`), and what is not read with it.

    ``children`` are other tables (schema, name) that inherit from it, ``closed`` columns that the login may not read and that the
    contract does not name, quoted, and ``grant`` the statement that opens them.
    """

    rows: sql.Composed
    children: tuple[tuple[str, str], ...] = ()
    closed: tuple[str, ...] = ()
    grant: str = ""


def require(connection: Connection, contract: Contract) -> Access:
    """The access to the contract's table.

    Raises `LoadError` with the statement to run where the login may not read the contract's columns or a policy hides rows from
    it, `SourceUnavailable` where it is a materialized view that has no data. `connection` must have found the table (`check_drift`).
    """
    (found,) = of_all(connection, [contract])
    if isinstance(found, PdicError):
        raise found
    return found


def of_all(connection: Connection, contracts: Sequence[Contract]) -> list[Access | PdicError]:
    """The access to each of the contracts' tables, or what `require` would raise: two statements, however many tables."""
    asked = [contract for contract in contracts if not contract.row_security_agreed]
    hiding = policies.hiding_of(connection, [(contract.table_schema, contract.table_name) for contract in asked])
    hidden_by = {contract.id: found for contract, found in zip(asked, hiding, strict=True)}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                asked.number,
                relation.relkind::text,
                relation.relispopulated,
                has_schema_privilege(relation.relnamespace, 'usage'),
                array(
                    select array[attribute.attname::text, quote_ident(attribute.attname)]
                    from pg_attribute as attribute
                    where attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped
                        and not has_column_privilege(relation.oid, attribute.attnum, 'select')
                    order by attribute.attnum
                ),
                array(
                    select array[of_child.nspname::text, child.relname::text]
                    from pg_inherits
                    inner join pg_class as child on child.oid = pg_inherits.inhrelid
                    inner join pg_namespace as of_child on of_child.oid = child.relnamespace
                    where pg_inherits.inhparent = relation.oid and not child.relispartition
                    order by 1
                ),
                quote_ident(namespace.nspname),
                quote_ident(relation.relname),
                quote_ident(current_user)
            from unnest(%s::text[], %s::text[]) with ordinality as asked (schema, name, number)
            inner join pg_namespace as namespace on namespace.nspname = asked.schema
            inner join pg_class as relation on relation.relnamespace = namespace.oid and relation.relname = asked.name
            where relation.relkind in ('r', 'p', 'v', 'm', 'f')
            """,
            ([contract.table_schema for contract in contracts], [contract.table_name for contract in contracts]),
        )
        rows = {number: _Relation(*facts) for number, *facts in cursor.fetchall()}
    return [
        _judged(contract, rows.get(number), hidden_by.get(contract.id, ()))
        for number, contract in enumerate(contracts, start=1)
    ]


@dataclass(frozen=True, slots=True)
class _Relation:
    """What the catalogue says of a table. ``closed`` are the columns that the login may not read, as they are and quoted."""

    kind: str
    populated: bool
    usage: bool
    closed: list[list[str]]
    children: list[list[str]]
    schema: str
    name: str
    role: str


def _judged(contract: Contract, found: _Relation | None, hidden_by: Sequence[policies.Protected]) -> Access | PdicError:
    table = source_table(contract)
    if found is None:  # dropped since, which the read itself meets
        return Access(sql.SQL("{}").format(table))
    written = f"{found.schema}.{found.name}"
    asked = {column.name_at_source for column in contract.columns}
    closed = [quoted for name, quoted in found.closed if name in asked]
    if not found.usage or closed:
        whole = len(closed) == len(contract.columns)
        grants = [] if found.usage else [f"grant usage on schema {found.schema} to {found.role}"]
        if closed:
            columns = "" if whole else f" ({', '.join(closed)})"
            grants.append(f"grant select{columns} on {written} to {found.role}")
        what = written if whole or not closed else f"the columns {', '.join(closed)} of {written}"
        return LoadError(
            f"{contract.id}: the login of {contract.source_connection} may not read {what}. Nothing was accepted. Have the "
            f"source's administrator run: {'; '.join(grants)}. Then load again."
        )
    if not found.populated:
        return SourceUnavailable(
            f"{contract.id}: {contract.table} is a materialized view without data. Nothing was accepted. Have "
            f"{contract.owner_agency} run: refresh materialized view {written}. Then load again."
        )
    if hidden_by:
        return policies.refusal(contract, hidden_by)
    others = tuple(quoted for name, quoted in found.closed if name not in asked)
    return Access(
        own_rows(table, found.kind),
        tuple((schema, name) for schema, name in found.children),
        others,
        f"grant select ({', '.join(others)}) on {written} to {found.role}",
    )


def remarks(contract: Contract, found: Access) -> list[str]:
    """What to say, once, of what nobody reads: columns that are closed to the login, and the rows of tables that inherit."""
    said = [_of_children(contract, found)] if found.children else []
    if found.closed:
        said.append(
            f"the login may not read {', '.join(found.closed)}: where they are wanted, the source's administrator runs "
            f"`{found.grant}`, and `pdic onboard --update {contract.id}` drafts them"
        )
    return [text for text in said if text]


def _of_children(contract: Contract, found: Access) -> str | None:
    """What to say of tables that inherit from the contract's and have no contract of their own: nobody reads their rows."""
    read = {
        (other.table_schema, other.table_name)
        for other in readable().values()
        if other.source_connection == contract.source_connection
    }
    unread = [table_written(*child) for child in found.children if child not in read]
    if not unread:
        return None
    first = f"`pdic onboard --connection {contract.source_connection} --table {shlex.quote(unread[0])}`"
    inherit = "inherits" if len(unread) == 1 else "inherit"
    return (
        f"the rows of {', '.join(unread)}, which {inherit} from it, are not read with it: take on each whose rows are wanted as a "
        f"table of its own ({first})"
    )
