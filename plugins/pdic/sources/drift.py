"""Is a source's table still what its contract says? Asked before any row moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic.errors import DriftError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


def check_drift(connection: Connection, contract: Contract) -> str | None:
    """Compare the table's catalogue with the contract. Returns a remark about added columns, if any."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                attribute.attname,
                -- A domain travels as the type beneath it.
                format_type(
                    case when type.typtype = 'd' then type.typbasetype else attribute.atttypid end,
                    case when type.typtype = 'd' then type.typtypmod else attribute.atttypmod end
                )
            from pg_attribute as attribute
            inner join pg_type as type on type.oid = attribute.atttypid
            where attribute.attrelid = to_regclass(%s) and attribute.attnum > 0 and not attribute.attisdropped
            order by attribute.attnum
            """,
            (sql.Identifier(contract.table_schema, contract.table_name).as_string(connection),),
        )
        found = dict(cursor.fetchall())
    if not found:
        raise DriftError(
            f"{contract.id}: the source has no table {contract.table} that this role may see. If it was renamed, change "
            f"schema/physicalName in {contract.path}; if it is gone, retire the contract."
        )
    problems = []
    for column in contract.columns:
        actual = found.get(column.source_name)
        if actual is None:
            problems.append(f"column {column.source_name} is gone (contract: {column.physical_type})")
        elif actual != column.physical_type:
            problems.append(f"column {column.source_name} is {actual} (contract: {column.physical_type})")
    if problems:
        raise DriftError(
            f"{contract.id}: {contract.table} differs from its contract: {'; '.join(problems)}. Nothing was moved. "
            f"Agree the change with {contract.owner_agency}, edit {contract.path}, run `pdic contracts compile`, load again."
        )
    added = sorted(set(found) - {column.source_name for column in contract.columns})
    return f"columns not in the contract: {', '.join(added)}" if added else None
