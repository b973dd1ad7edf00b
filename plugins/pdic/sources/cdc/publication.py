"""The publication that says which changes the log gives out: found or made, complete, and the same since the last load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg2 import errors, sql

from pdic.sources.cdc.errors import not_granted
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


def name(contract: Contract) -> str:
    """The contract's publication, or `pdic_<sector>__<dataset>`. It holds no state, so installations may share it."""
    return contract.publication or f"pdic_{contract.raw_table}"


def ensure(source: Connection, contract: Contract, table_oid: int) -> str:
    """Find the publication, or make it where the role may (it owns the table). Returns its mark (see `mark`).

    Raises `NotGranted` with the statement to run where it is missing or gives out less than the whole table, and where the
    contract has columns that no log holds. `source` must be in autocommit.
    """
    computed = _computed(source, contract)
    create = sql.SQL("create publication {} for table {}{}").format(
        sql.Identifier(name(contract)),
        sql.Identifier(contract.table_schema, contract.table_name),
        sql.SQL(" with (publish_generated_columns = stored)" if computed else ""),
    )
    if not _exists(source, contract):
        try:
            with source.cursor() as cursor:
                cursor.execute(create)
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
            what = f"there is no publication {name(contract)}, and the role may not make it"
            raise not_granted(contract, what, create.as_string(source)) from error
    _require_complete(source, contract, computed)
    return mark(source, contract, table_oid)


def mark(source: Connection, contract: Contract, table_oid: int) -> str:
    """What changes when the publication, or the table's place in it, is altered, dropped or made anew.

    A publication that left the table out for a while leaves no gap in the log that anybody could see.
    """
    with source.cursor() as cursor:
        cursor.execute(
            """
            select concat_ws(
                '/',
                publication.oid || ':' || publication.xmin,
                (select oid || ':' || xmin from pg_publication_rel where prpubid = publication.oid and prrelid = %(table)s),
                (
                    select membership.oid || ':' || membership.xmin
                    from pg_publication_namespace as membership
                    inner join pg_class as class on class.relnamespace = membership.pnnspid
                    where membership.pnpubid = publication.oid and class.oid = %(table)s
                )
            )
            from pg_publication as publication where pubname = %(name)s
            """,
            {"table": table_oid, "name": name(contract)},
        )
        return str(one(cursor)[0])


def _exists(source: Connection, contract: Contract) -> bool:
    with source.cursor() as cursor:
        cursor.execute("select 1 from pg_publication where pubname = %s", (name(contract),))
        return cursor.fetchone() is not None


def _require_complete(source: Connection, contract: Contract, computed: list[str]) -> None:
    publication = sql.Identifier(name(contract)).as_string(source)
    table = sql.Identifier(contract.table_schema, contract.table_name).as_string(source)
    with source.cursor() as cursor:
        cursor.execute(
            """
            select publication.pubinsert and publication.pubupdate and publication.pubdelete and publication.pubtruncate,
                member.tablename is not null, member.rowfilter is not null, member.attnames::text[],
                exists (
                    select from pg_publication_rel as listed
                    where listed.prpubid = publication.oid and listed.prrelid = to_regclass(%s) and listed.prattrs is not null
                )
            from pg_publication as publication
            left join pg_publication_tables as member
                on member.pubname = publication.pubname and member.schemaname = %s and member.tablename = %s
            where publication.pubname = %s
            """,
            (table, contract.table_schema, contract.table_name, name(contract)),
        )
        everything, member, filtered, columns, listed = one(cursor)
    if not everything:
        raise not_granted(
            contract,
            f"publication {publication} leaves out some kinds of changes",
            f"alter publication {publication} set (publish = 'insert, update, delete, truncate')",
        )
    if not member:
        raise not_granted(
            contract,
            f"publication {publication} does not hold it",
            f"alter publication {publication} add table {table}",
        )
    missing = [c.name_at_source for c in contract.columns if c.name_at_source not in columns]
    if missing and not listed and set(missing) <= set(computed):
        raise not_granted(
            contract,
            f"publication {publication} leaves out what the source computes: {', '.join(missing)}",
            f"alter publication {publication} set (publish_generated_columns = stored)",
        )
    if filtered or missing:
        what = f"publication {publication} leaves out " + (f"columns {', '.join(missing)}" if missing else "some rows")
        remedy = (
            f"alter publication {publication} drop table {table}; alter publication {publication} add table {table}"
        )
        raise not_granted(contract, what, remedy)


def _computed(source: Connection, contract: Contract) -> list[str]:
    """Columns of the contract that the source computes and stores; a publication has to be told to give them out.

    Raises `NotGranted` for those that no log holds: all of them before PostgreSQL 18, later those computed when they are read.
    """
    with source.cursor() as cursor:
        cursor.execute(
            """
            select attname::text, attgenerated = 's' from pg_attribute
            where attrelid = to_regclass(%s) and attgenerated <> '' and attname = any(%s)
            order by attnum
            """,
            (
                sql.Identifier(contract.table_schema, contract.table_name).as_string(source),
                [column.name_at_source for column in contract.columns],
            ),
        )
        computed = cursor.fetchall()
    unlogged = [column for column, stored in computed if not stored or source.server_version < 180000]
    if unlogged:
        raise not_granted(
            contract,
            f"the source computes {', '.join(unlogged)}, and its log never holds them",
            f"nothing; take them out of {contract.path}",
        )
    return [column for column, _ in computed]
