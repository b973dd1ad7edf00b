"""Is the table, as the log describes it, still what the contract says? Asked at each change of it in the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdic.errors import DriftError
from pdic.sources.cdc.errors import lost

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.sources.cdc.pgoutput import Relation


def require(source: Connection, contract: Contract, relation: Relation) -> None:
    """Raises `DriftError` where a column of the contract is missing or has another type, `SlotLost` where changes made
    then do not name the contract's key."""
    columns = {column.name: column for column in relation.columns}
    types = _types(source, relation)
    problems = []
    for column in contract.columns:
        name = column.name_at_source
        if name not in columns:
            problems.append(f"column {name} is not there (contract: {column.physical_type})")
        elif types[name] != column.physical_type:
            problems.append(f"column {name} is {types[name]} (contract: {column.physical_type})")
    if problems:
        raise DriftError(
            f"{contract.id}: in the log, changes were made to {contract.table} while it differed from its contract: "
            f"{'; '.join(problems)}. Nothing was accepted and the slot stands where it was. Agree the change with "
            f"{contract.owner_agency}; when table and contract agree, run `pdic load {contract.id} --full`: the table is "
            f"copied anew, for its older changes no longer fit."
        )
    outside = [name for name in contract.key_at_source if not columns[name].in_identity]
    if outside:
        raise lost(contract, f"{contract.table} was changed while its replica identity left out {', '.join(outside)}")


def attribute_numbers(source: Connection, contract: Contract, table: int) -> dict[str, int]:
    """The number that each of the contract's columns has at the source: one that was dropped and made anew has another."""
    with source.cursor() as cursor:
        cursor.execute(
            """
            select attname::text, attnum from pg_attribute
            where attrelid = %s and attname = any(%s) and not attisdropped order by attnum
            """,
            (table, [column.name_at_source for column in contract.columns]),
        )
        return dict(cursor.fetchall())


def _types(source: Connection, relation: Relation) -> dict[str, str]:
    """Each column's type as `format_type()` prints it; a domain is the type beneath it."""
    with source.cursor() as cursor:
        cursor.execute(
            """
            select
                wanted.name,
                coalesce(
                    format_type(
                        case when type.typtype = 'd' then type.typbasetype else wanted.oid end,
                        case when type.typtype = 'd' then type.typtypmod else wanted.modifier end
                    ),
                    'of a type that is gone'
                )
            from unnest(%s::text[], %s::oid[], %s::integer[]) as wanted (name, oid, modifier)
            left join pg_type as type on type.oid = wanted.oid
            """,
            (
                [column.name for column in relation.columns],
                [column.type_oid for column in relation.columns],
                [column.type_modifier for column in relation.columns],
            ),
        )
        return dict(cursor.fetchall())
