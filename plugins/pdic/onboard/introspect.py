"""What can be learnt of a source's tables in order to draft their contracts: catalogue, keys, checks, and a few values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2 import sql

from pdic.contracts import pg_types
from pdic.contracts.model import table_written
from pdic.errors import OnboardError, SourceUnavailable
from pdic.sources.catalogue import SourceTable, read_table
from pdic.warehouse import connect, one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

SAMPLE_ROWS: Final = 500
SAMPLE_CHARACTERS: Final = 200
COUNTED_ROWS: Final = 2_000_000
"""A key that nobody declared is looked for in tables up to this size only: counting reads them whole."""
CANDIDATES: Final = 8


@dataclass(frozen=True)
class TableFacts:
    """A table of a source and what helps to guess. ``samples`` are texts, without empty ones: they never leave the process.

    ``unique`` are the unique indexes over columns that are never empty; ``indexed`` columns that an index begins with;
    ``references`` columns that refer to another table; ``checks`` the values that a check constraint allows.
    """

    schema: str
    name: str
    table: SourceTable
    empty: bool
    unique: tuple[tuple[str, ...], ...] = ()
    indexed: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()
    checks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    samples: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    counted_key: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """``schema.table`` as a contract writes it."""
        return table_written(self.schema, self.name)


@contextmanager
def open_source(uri: str, conn_id: str) -> Iterator[Connection]:
    """A read-only look into a source: one snapshot, with a time limit per statement. Raises `SourceUnavailable`."""
    try:
        connection = connect(uri, "onboard")
    except psycopg2.OperationalError as error:
        what = str(error).strip().split("\n", 1)[0]
        raise SourceUnavailable(f"the source of connection {conn_id} cannot be reached ({what})") from error
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = '60s'")
        yield connection
    except psycopg2.Error as error:  # its text may quote a row
        raise OnboardError(
            f"connection {conn_id}: the source refused to be read ({type(error).__name__}): see that the role may select from "
            "its tables, and that a look at a view ends within a minute. Nothing was written."
        ) from error
    finally:
        connection.close()


def tables_of(connection: Connection, schema: str) -> list[tuple[str, str, bool]]:
    """(name, kind letter, may be read whole) of everything in a schema that stands for itself: partitions do not.

    Raises `OnboardError` where there is nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                relation.relname::text,
                relation.relkind::text,
                has_schema_privilege(namespace.oid, 'usage') and has_table_privilege(relation.oid, 'select')
            from pg_class as relation
            inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
            where namespace.nspname = %s
                and relation.relkind in ('r', 'p', 'v', 'm', 'f')
                and not relation.relispartition
                and not exists (
                    select 1 from pg_depend
                    where classid = 'pg_class'::regclass and objid = relation.oid and deptype = 'e'
                )
            order by relation.relname
            """,
            (schema,),
        )
        found = [(name, kind, readable) for name, kind, readable in cursor.fetchall()]
    if not found:
        raise OnboardError(f"there is no schema {schema} that holds a table: check the name (capitals count)")
    return found


def facts(connection: Connection, schema: str, name: str) -> TableFacts:
    """Everything about one table. Raises `OnboardError` where there is none."""
    table = read_table(connection, schema, name)
    if table is None:
        raise OnboardError(f"there is no table {table_written(schema, name)} that this role may see: check the name")
    relation = sql.Identifier(schema, name)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("select not exists (select 1 from {})").format(relation))
        (empty,) = one(cursor)
        cursor.execute("select oid from pg_class where oid = %s::regclass", (relation.as_string(connection),))
        (oid,) = one(cursor)
    unique, indexed = _indexes(connection, oid, table)
    found = TableFacts(
        schema,
        name,
        table,
        empty=empty,
        unique=unique,
        indexed=indexed,
        references=_references(connection, oid),
        checks=_checks(connection, oid),
        samples=_samples(connection, relation, table),
    )
    if table.key or unique or empty:
        return found
    return _with_counted_key(connection, relation, oid, found)


def _indexes(
    connection: Connection, oid: int, table: SourceTable
) -> tuple[tuple[tuple[str, ...], ...], frozenset[str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                index.indisunique and index.indpred is null and index.indexprs is null and index.indimmediate,
                (
                    select array_agg(attribute.attname::text order by part.position)
                    from unnest(index.indkey) with ordinality as part (attnum, position)
                    inner join pg_attribute as attribute
                        on attribute.attrelid = index.indrelid and attribute.attnum = part.attnum
                    where part.position <= index.indnkeyatts
                )
            from pg_index as index
            where index.indrelid = %s and index.indisvalid and not index.indisprimary and index.indkey[0] <> 0
            order by index.indexrelid
            """,
            (oid,),
        )
        rows = cursor.fetchall()
    filled = {column.name for column in table.columns if column.not_null}
    unique = sorted((tuple(names) for is_unique, names in rows if is_unique and set(names) <= filled), key=len)
    return tuple(unique), frozenset({names[0] for _, names in rows} | set(table.key[:1]))


def _references(connection: Connection, oid: int) -> frozenset[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select attribute.attname::text
            from pg_constraint as reference
            inner join pg_attribute as attribute
                on attribute.attrelid = reference.conrelid and attribute.attnum = any(reference.conkey)
            where reference.conrelid = %s and reference.contype = 'f'
            """,
            (oid,),
        )
        return frozenset(name for (name,) in cursor.fetchall())


_LISTED: Final = re.compile(
    r"CHECK \(\(+\"?[^()]+?\"?\)?(?:::text)? = ANY \(+ARRAY\[(?P<list>[^\]]*)\]\)?(?:::[a-z ]+\[\])?\)+"
)
_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'::(?:text|character varying|bpchar)(?:\(\d+\))?(?:::text)?")


def _checks(connection: Connection, oid: int) -> dict[str, tuple[str, ...]]:
    """Column → the texts that a check constraint over it alone lists as allowed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select attribute.attname::text, pg_get_constraintdef(constraint_.oid)
            from pg_constraint as constraint_
            inner join pg_attribute as attribute
                on attribute.attrelid = constraint_.conrelid and attribute.attnum = constraint_.conkey[1]
            where constraint_.conrelid = %s and constraint_.contype = 'c' and constraint_.convalidated
                and cardinality(constraint_.conkey) = 1
            order by constraint_.conname
            """,
            (oid,),
        )
        found = {}
        for name, definition in cursor.fetchall():
            match = _LISTED.fullmatch(definition)
            if match and re.fullmatch(rf"{_LITERAL.pattern}(, {_LITERAL.pattern})*", match["list"]):
                values = (literal.replace("''", "'") for literal in (m[1] for m in _LITERAL.finditer(match["list"])))
                found[name] = tuple(dict.fromkeys(values))
        return found


def _samples(connection: Connection, relation: sql.Identifier, table: SourceTable) -> dict[str, tuple[str, ...]]:
    """Column → some of its values as text, for the columns whose values can say what they are."""
    wanted = [
        column.name
        for column in table.columns
        if column.carrier is not None and (pg_types.is_text(column.carrier) or column.carrier in ("bigint", "numeric"))
    ]
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        values = sql.SQL(", ").join(
            sql.SQL("left({}::text, {})").format(sql.Identifier(name), sql.Literal(SAMPLE_CHARACTERS))
            for name in wanted
        )
        cursor.execute(sql.SQL("select {} from {} limit {}").format(values, relation, sql.Literal(SAMPLE_ROWS)))
        rows = cursor.fetchall()
    return {
        name: tuple(row[place] for row in rows if row[place] is not None and row[place].strip())
        for place, name in enumerate(wanted)
    }


def _with_counted_key(connection: Connection, relation: sql.Identifier, oid: int, found: TableFacts) -> TableFacts:
    """The facts with a key that the rows have although nobody declared it: one column, else all of them together."""
    comparable = [
        column.name
        for column in found.table.columns
        if column.carrier is not None and pg_types.can_be_key(column.carrier)
    ]
    with connection.cursor() as cursor:
        cursor.execute("select reltuples from pg_class where oid = %s", (oid,))
        if one(cursor)[0] > COUNTED_ROWS or not comparable:
            return found
        likely = sorted(comparable, key=lambda name: not re.search(r"(^|_)(id|ma|code|so|no|key)(_|$)", name.lower()))
        tried = likely[:CANDIDATES]
        counts = sql.SQL(", ").join(
            sql.SQL("count(distinct {0}) = count(*) and count({0}) = count(*)").format(sql.Identifier(name))
            for name in tried
        )
        cursor.execute(sql.SQL("select {} from {}").format(counts, relation))
        for name, is_key in zip(tried, one(cursor), strict=True):
            if is_key:
                return _keyed(found, (name,))
        names = sql.SQL(", ").join(map(sql.Identifier, comparable))
        filled = sql.SQL(" and ").join(sql.SQL("{} is not null").format(sql.Identifier(name)) for name in comparable)
        cursor.execute(
            sql.SQL(
                "select (select count(*) from {table}) = "
                "(select count(*) from (select distinct {names} from {table} where {filled}) as row)"
            ).format(table=relation, names=names, filled=filled)
        )
        return _keyed(found, tuple(comparable)) if one(cursor)[0] else found


def _keyed(found: TableFacts, key: tuple[str, ...]) -> TableFacts:
    return replace(found, counted_key=key)
