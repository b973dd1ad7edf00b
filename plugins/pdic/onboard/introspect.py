"""What can be learnt of a source's tables in order to draft their contracts: catalogue, keys, checks, and a few values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import psycopg2
from psycopg2 import sql

from pdic.contracts import key_identity, pg_types
from pdic.contracts.model import table_written
from pdic.errors import OnboardError
from pdic.onboard import keys
from pdic.onboard.attempt import attempt
from pdic.onboard.belonging import belonging
from pdic.onboard.keys import FoundKey
from pdic.onboard.source_reach import Reach, reach_of
from pdic.sources import carried, policies
from pdic.sources.carried import speak
from pdic.sources.catalogue import SourceColumn, SourceTable, read_table
from pdic.sources.entry import enter, staying
from pdic.sources.names import Name
from pdic.sources.reading import own_rows
from pdic.sources.session import SHORT, pin
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

SAMPLE_ROWS: Final = 500
SAMPLE_CHARACTERS: Final = 200
SCATTERED_FROM: Final = 10_000
"""A table of more rows is looked at in other places too, not only where it begins."""
_TELLING: Final = re.compile(r"integer|bigint|numeric.*|jsonb?")
"""Types beside text whose values may be a person's numbers."""


@dataclass(frozen=True)
class TableFacts:
    """A table of a source and what helps to guess. ``samples`` are texts, without empty ones: they never leave the process.

    ``unique`` are the unique indexes over columns that are never empty; ``indexed`` columns that an index begins with;
    ``references`` columns that refer to another table; ``checks`` the values that a check constraint allows.
    ``table`` has the columns that the login may read; ``unread`` are the others, and ``grant`` is the statement that opens
    them. ``children`` are tables that inherit from it. ``rows`` is how many rows the source expects it to hold, ``bytes`` its
    size there (0 for what has none), ``empty_shares`` the share of rows that are empty in a column, as far as it knows.
    ``found_key`` is what somebody named, or what a search came to where nothing is declared. ``hidden_rows``: a policy hides some.
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
    found_key: FoundKey | None = None
    unread: tuple[str, ...] = ()
    grant: str = ""
    children: tuple[str, ...] = ()
    rows: float = 0
    bytes: int = 0
    empty_shares: Mapping[str, float] = field(default_factory=dict)
    hidden_rows: bool = False

    @property
    def written(self) -> str:
        """``schema.table`` as a contract writes it."""
        return table_written(self.schema, self.name)


@contextmanager
def open_source(
    uri: str, conn_id: str, *, hidden_rows: bool = False, encoding: str | None = None
) -> Iterator[Connection]:
    """A read-only look into a source: one snapshot, with a time limit per statement. Raises as `enter`.

    With ``hidden_rows`` the rows that policies hide are left out, as somebody has agreed to. With ``encoding`` a database that names
    none is spoken to byte by byte (`pdic.sources.carried`).
    """
    whose = f"the source of connection {conn_id}"
    connection = enter(uri, "onboard", whose, conn_id)
    try:
        speak(connection, encoding)
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with staying(whose):
            pin(connection, SHORT, row_security=hidden_rows)
            yield connection
    except psycopg2.Error as error:  # its text may quote a row
        raise OnboardError(
            f"connection {conn_id}: the source refused to be read ({type(error).__name__}): see that the role may select from "
            "its tables, and that a look at a view ends within a minute. Nothing was written."
        ) from error
    finally:
        connection.close()


def tables_of(connection: Connection, schema: str, encoding: str | None = None) -> list[tuple[str, str]]:
    """(name, kind letter) of everything in a schema that stands for itself: partitions do not.

    ``encoding`` is what a database is written in that names none. Raises `OnboardError` where there is nothing.
    """
    read_by = carried.letters(connection, encoding)
    read = carried.reader(read_by) if read_by else str
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select relation.relname::text, relation.relkind::text
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
            (carried.schema_there(connection, schema, read_by) if read_by else schema,),
        )
        found = [(read(name), kind) for name, kind in cursor.fetchall()]
    if not found:
        raise OnboardError(f"there is no schema {schema} that holds a table: check the name (capitals count)")
    return found


def facts(
    connection: Connection,
    schema: str,
    name: str,
    key: Sequence[str] | None = (),
    *,
    hidden_rows: bool = False,
    encoding: str | None = None,
) -> TableFacts:
    """Everything about one table; ``key`` is what somebody says is its key, () where a declared one or a search decides, None
    where no key is wanted.

    Of a database that names no encoding, ``encoding`` is what its names, comments and values are read by. Raises `OnboardError` where
    there is no such table, where it cannot be read (with the reason, and what mends it), and where ``key`` does not hold. The
    connection can be used on.
    """
    read_by = carried.letters(connection, encoding)
    if read_by is None:
        return _looked_at(connection, schema, name, key, hidden_rows=hidden_rows)
    there = carried.table_there(connection, schema, name, read_by)
    columns = carried.columns_there(connection, *there, read_by)
    table = read_table(connection, *there)
    if key and table is not None:
        keys.require_columns(carried.decoded_table(table, read_by), table_written(schema, name), key)
        key = [columns[column] for column in key]
    read = carried.reader(read_by)
    try:
        found = _looked_at(connection, *there, key, hidden_rows=hidden_rows)
    except OnboardError as error:
        raise OnboardError(" ".join(map(read, str(error).split(" ")))) from error
    result: TableFacts = decoded_facts(found, read)
    return result


def decoded_facts(found: Any, read: Callable[[str], str]) -> Any:
    """What was found out in bytes, every text of it read."""
    if isinstance(found, str):
        return " ".join(map(read, found.split(" ")))  # word by word: one byte that cannot be read spoils one word
    if isinstance(found, tuple | frozenset):
        return type(found)(decoded_facts(item, read) for item in found)
    if isinstance(found, Mapping):
        return {decoded_facts(name, read): decoded_facts(value, read) for name, value in found.items()}
    if is_dataclass(found) and not isinstance(found, type):
        return replace(found, **{each.name: decoded_facts(getattr(found, each.name), read) for each in fields(found)})
    return found


def _looked_at(
    connection: Connection, schema: str, name: str, key: Sequence[str] | None, *, hidden_rows: bool
) -> TableFacts:
    """`facts`, by the names as statements at the source write them."""
    table = read_table(connection, schema, name)
    if table is None:
        raise OnboardError(f"there is no table {table_written(schema, name)} that this role may see: check the name")
    reach = reach_of(connection, schema, name)
    if reach.refusal:
        raise OnboardError(reach.refusal)
    hiding = policies.hiding(connection, schema, name)
    if hiding and not hidden_rows:
        raise OnboardError(
            f"{reach.table}: {policies.told(hiding)} hides rows from this login. {policies.remedy(hiding)}; or, where what it sees "
            "is the dataset, agree to that with --hidden-rows"
        )
    table = replace(table, columns=tuple(column for column in table.columns if column.name not in reach.unread))
    try:
        with attempt(connection):
            return replace(_facts(connection, schema, name, table, reach, key), hidden_rows=bool(hiding))
    except psycopg2.Error as error:  # its text may quote a row
        if connection.closed:
            raise
        raise OnboardError(reach.failed(error)) from error


def _facts(
    connection: Connection, schema: str, name: str, table: SourceTable, reach: Reach, key: Sequence[str] | None
) -> TableFacts:
    relation = own_rows(Name(schema, name), reach.kind)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("select not exists (select 1 from {})").format(relation))
        (empty,) = one(cursor)
        cursor.execute(sql.SQL("explain (format json) select 1 from {}").format(relation))
        ((plan,),) = cursor.fetchall()
    rows = 0 if empty else float(plan[0]["Plan"]["Plan Rows"])
    unique, may_be_empty, indexed = _indexes(connection, reach.oid, table)
    references = _references(connection, reach.oid)
    order = {column.name: place for place, column in enumerate(table.columns)}
    declared = bool(table.key) and set(table.key) <= order.keys()
    belongs = None if declared or key else belonging(connection, reach.oid, references)
    if belongs is not None:
        unique, may_be_empty = (tuple(belongs.ranked(each, order)) for each in (unique, may_be_empty))
    found = TableFacts(
        schema,
        name,
        table,
        empty=empty,
        unique=unique,
        indexed=indexed,
        references=references,
        checks=_checks(connection, reach.oid),
        samples=_samples(connection, relation, table, rows if reach.kind in "rpm" else 0),
        unread=reach.unread,
        grant=reach.grant,
        children=reach.children,
        rows=rows,
        bytes=reach.bytes,
        empty_shares=_empty_shares(connection, schema, name),
    )
    if key:
        return replace(found, found_key=keys.check(connection, relation, table, found.written, key))
    if belongs is None or key is None or table.key or unique or empty:
        return found
    return replace(
        found,
        found_key=keys.find(connection, relation, table, unique=may_be_empty, expected_rows=rows, belongs=belongs),
    )


def _indexes(
    connection: Connection, oid: int, table: SourceTable
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...], frozenset[str]]:
    """Unique indexes over columns that are never empty, those over columns that may be, and columns that an index begins with.

    A unique index of some rows, or of an expression, says nothing of the columns. One that is checked at commit holds for
    everything that others can read.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                index.indisunique and index.indpred is null and index.indexprs is null,
                index.indpred is null,
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
    known = {column.name: column for column in table.columns}
    usable = {
        name
        for name, column in known.items()
        if column.carrier is None or not key_identity.problem(column.carrier, column.type)
    }
    unique = [tuple(names) for is_unique, _, names in rows if is_unique and set(names) <= usable]
    filled = {name for name, column in known.items() if column.not_null}
    return (
        tuple(names for names in unique if set(names) <= filled),
        tuple(names for names in unique if not set(names) <= filled),
        frozenset({names[0] for _, of_all_rows, names in rows if of_all_rows} | set(table.key[:1])),
    )


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


def _empty_shares(connection: Connection, schema: str, name: str) -> dict[str, float]:
    """Column → the share of rows that are empty there, by the source's statistics; columns without any are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select attname::text, null_frac from pg_stats where schemaname = %s and tablename = %s and not inherited",
            (schema, name),
        )
        return {column: float(share) for column, share in cursor.fetchall()}


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


def _samples(
    connection: Connection, relation: sql.Composable, table: SourceTable, rows: float
) -> dict[str, tuple[str, ...]]:
    """Column → some of its values as text, for the columns whose values can say what they are.

    The first rows, and where the table has places (``rows`` above 0) and is large, some from anywhere in it.
    """
    wanted = [column for column in table.columns if _is_telling(column)]
    if not wanted:
        return {}
    values = sql.SQL(", ").join(
        sql.SQL("left({}::text, {})").format(Name(column.name), sql.Literal(SAMPLE_CHARACTERS)) for column in wanted
    )
    found: list[tuple[str | None, ...]] = []
    with connection.cursor() as cursor:
        if rows > SCATTERED_FROM:
            share = sql.Literal(min(100.0, 400.0 * SAMPLE_ROWS / rows))
            statement = sql.SQL("select {} from {} tablesample system ({}) limit {}")
            cursor.execute(statement.format(values, relation, share, sql.Literal(SAMPLE_ROWS // 2)))
            found += cursor.fetchall()
        first = sql.Literal(SAMPLE_ROWS - len(found))
        cursor.execute(sql.SQL("select {} from {} limit {}").format(values, relation, first))
        found += cursor.fetchall()
    texts = {column.name: [row[place] for row in found] for place, column in enumerate(wanted)}
    return {
        name: tuple(value for value in column if value is not None and value.strip()) for name, column in texts.items()
    }


def _is_telling(column: SourceColumn) -> bool:
    carrier = (column.carrier or "text").removesuffix("[]")
    return pg_types.is_text(carrier) or _TELLING.fullmatch(carrier) is not None
