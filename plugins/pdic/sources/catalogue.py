"""What a source's own catalogue says of a table: its kind, columns, types and key, read without touching a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from psycopg2 import sql

from pdic.contracts import pg_types

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Column

Kind = Literal["table", "partitioned table", "view", "materialized view", "foreign table"]

_KINDS: Final[dict[str, Kind]] = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as its source has it.

    ``type`` is what the source prints, with the schema where it is not one of PostgreSQL's own. ``carrier`` is the core
    type that the warehouse can hold its values in, exactly: the type itself, a domain's base, text for an enum and for xml
    (not every server is built to read it), numeric for money (whose meaning hangs on a server's locale); None where there
    is none. ``cast`` says that the column has to be read by a cast to the carrier. ``labels``
    are an enum's, in its order. ``not_null``: no row is empty there, a domain's promise counts too (see `NEVER_EMPTY`).
    ``readable``: the login that asked may read it.
    """

    name: str
    type: str
    carrier: str | None
    cast: bool
    not_null: bool
    labels: tuple[str, ...] = ()
    extension: str | None = None
    comment: str | None = None
    readable: bool = True

    def problem(self, column: Column) -> str | None:
        """Why the column cannot be read as the contract's ``column``; None where it can. Says old, new and what to do."""
        if column.source_type is None:
            if self.carrier == column.physical_type and not self.cast:
                return None
            if self.carrier == column.physical_type:
                return (
                    f"column {self.name} is {self.type} and has to be read as {self.carrier}: "
                    f"add the custom property sourceType: {self.type}"
                )
            return self._retyped(column.physical_type)
        if self.type != column.source_type:
            return self._retyped(column.source_type)
        if column.physical_type in ("text", self.carrier) or (
            column.physical_type == "text[]" and self.type.endswith("[]")
        ):
            return None
        return (
            f"column {self.name} is {self.type}, which cannot be read as {column.physical_type}: say physicalType: text"
        )

    def _retyped(self, former: str) -> str:
        if self.carrier is None:
            return f"column {self.name} is {self.refusal()} (contract: {former})"
        became = self.type if self.type == self.carrier else f"{self.type}, read as {self.carrier},"
        how = ""
        if pg_types.widens(former, self.carrier):
            how = ", which is wider"
        elif pg_types.widens(self.carrier, former):
            how = ", which is narrower"
        return f"column {self.name} is {became} (contract: {former}){how}"

    def refusal(self) -> str:
        """Why no type of the warehouse can hold the column, and what to do."""
        origin = f" of the extension {self.extension}" if self.extension else ""
        carried = "text[]" if self.type.endswith("[]") else "text"
        return (
            f"{self.type}{origin}, a type that the warehouse does not have: carry it as text (physicalType: {carried}, "
            f"custom property sourceType: {self.type}), or leave the column out of the contract"
        )


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table, view or foreign table as its source has it. ``key`` is the declared primary key, () where there is none."""

    kind: Kind
    columns: tuple[SourceColumn, ...]
    key: tuple[str, ...]
    comment: str | None = None

    def column(self, name: str) -> SourceColumn | None:
        """The column of that name, None where there is none."""
        return next((column for column in self.columns if column.name == name), None)


def read_table(connection: Connection, schema: str, name: str) -> SourceTable | None:
    """What the catalogue says of a table; None where there is none of that name that has columns."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select relation.oid, relation.relkind, obj_description(relation.oid, 'pg_class'),
                (
                    select array_agg(attribute.attname::text order by part.position)
                    from pg_index as index
                    cross join unnest(index.indkey) with ordinality as part (attnum, position)
                    inner join pg_attribute as attribute
                        on attribute.attrelid = relation.oid and attribute.attnum = part.attnum
                    where index.indrelid = relation.oid and index.indisprimary and part.position <= index.indnkeyatts
                )
            from pg_class as relation
            inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
            where namespace.nspname = %s and relation.relname = %s and relation.relkind = any(%s)
            """,
            (schema, name, list(_KINDS)),
        )
        row = cursor.fetchone()
    if row is None:
        return None
    oid, kind, comment, key = row
    columns = _columns(connection, oid)
    return SourceTable(_KINDS[kind], columns, tuple(key or ()), comment) if columns else None


def _columns(connection: Connection, oid: int) -> tuple[SourceColumn, ...]:
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS, {"oid": oid})
        return tuple(
            SourceColumn(
                name=name,
                type=type_,
                carrier=carrier if carrier and pg_types.logical_type(carrier) else None,
                cast=cast,
                not_null=not_null,
                labels=tuple(labels or ()),
                extension=extension,
                comment=comment,
                readable=readable,
            )
            for name, type_, carrier, cast, not_null, labels, extension, comment, readable in cursor.fetchall()
        )


NEVER_EMPTY: Final = sql.SQL(
    """
    (
        attribute.attnotnull
        and not exists (
            select from pg_constraint as promise
            where promise.conrelid = attribute.attrelid and promise.contype = 'n' and not promise.convalidated
                and promise.conkey = array[attribute.attnum]
        )
        and not exists (select from pg_class as foreign_ where foreign_.oid = attribute.attrelid and foreign_.relkind = 'f')
    )
"""
)
"""Whether no row is empty in a column, the row `attribute` of `pg_attribute`.

`not null … not valid` (PostgreSQL 18) holds for new rows only, and nobody checks what a foreign table declares.
"""

# Each type is peeled: a domain to what it is based on, an array of something foreign to its element. What is left is one of
# PostgreSQL's own types, an enum, or something that only the source has.
_COLUMNS: Final = sql.SQL(
    """
with recursive attribute as (
    select attnum, attname, atttypid, atttypmod, {never_empty} as attnotnull
    from pg_attribute as attribute
    where attrelid = %(oid)s and attnum > 0 and not attisdropped
),

foreign_element as (
    select array_type.oid as array_oid, element.oid as element_oid
    from pg_type as array_type
    inner join pg_type as element on element.oid = array_type.typelem
    where array_type.typcategory = 'A'
        and array_type.typlen = -1
        and (element.typnamespace <> 'pg_catalog'::regnamespace or element.oid in ('money'::regtype, 'xml'::regtype))
),

layer as (
    select attnum, atttypid as typid, atttypmod as typmod, false as in_array, false as not_null, 0 as step
    from attribute
    union all
    select
        layer.attnum,
        case when type.typtype = 'd' then type.typbasetype else foreign_element.element_oid end,
        case when type.typtype = 'd' then type.typtypmod else layer.typmod end,
        layer.in_array or type.typtype <> 'd',
        layer.not_null or (type.typtype = 'd' and type.typnotnull and not layer.in_array),
        layer.step + 1
    from layer
    inner join pg_type as type on type.oid = layer.typid
    left join foreign_element on foreign_element.array_oid = layer.typid
    where type.typtype = 'd' or (foreign_element.element_oid is not null and not layer.in_array)
),

core as (
    select distinct on (layer.attnum)
        layer.attnum,
        layer.typid,
        layer.in_array,
        layer.not_null,
        case
            when layer.in_array and type.typcategory = 'A' then null
            when type.typtype = 'e' or type.oid = 'xml'::regtype then 'text'
            when type.oid = 'money'::regtype then 'numeric'
            when type.typnamespace = 'pg_catalog'::regnamespace then format_type(layer.typid, layer.typmod)
        end as carrier,
        type.typtype = 'e' or type.oid in ('money'::regtype, 'xml'::regtype) or layer.in_array as cast_needed
    from layer
    inner join pg_type as type on type.oid = layer.typid
    order by layer.attnum asc, layer.step desc
)

select
    attribute.attname::text,
    case
        when type.typnamespace = 'pg_catalog'::regnamespace then format_type(attribute.atttypid, attribute.atttypmod)
        else
            quote_ident(namespace.nspname) || '.' || quote_ident(element.typname)
            || coalesce(substring(format_type(attribute.atttypid, attribute.atttypmod) from '\\([^()"]*\\)'), '')
            || case when element.oid <> type.oid then '[]' else '' end
    end,
    core.carrier || case when core.in_array then '[]' else '' end,
    core.cast_needed,
    attribute.attnotnull or core.not_null,
    (
        select array_agg(enumlabel::text order by enumsortorder)
        from pg_enum
        where enumtypid = core.typid and not core.in_array
    ),
    (
        select extension.extname::text
        from pg_depend as dependency
        inner join pg_extension as extension on extension.oid = dependency.refobjid
        where dependency.classid = 'pg_type'::regclass
            and dependency.refclassid = 'pg_extension'::regclass
            and dependency.objid = core.typid
            and dependency.deptype = 'e'
        limit 1
    ),
    col_description(%(oid)s, attribute.attnum),
    has_column_privilege(%(oid)s, attribute.attnum, 'select')
from attribute
inner join core on core.attnum = attribute.attnum
inner join pg_type as type on type.oid = attribute.atttypid
left join foreign_element on foreign_element.array_oid = type.oid
inner join pg_type as element on element.oid = coalesce(foreign_element.element_oid, type.oid)
inner join pg_namespace as namespace on namespace.oid = element.typnamespace
order by attribute.attnum
"""
).format(never_empty=NEVER_EMPTY)
