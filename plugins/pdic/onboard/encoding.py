"""What the texts of a database are written in that does not say so itself (SQL_ASCII): said, known from contracts, or guessed and asked.

A wrong encoding would turn every text into another one without a word, so a guess is never taken without a person's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2 import sql

from pdic import encodings
from pdic.errors import OnboardError
from pdic.onboard.attempt import attempt
from pdic.sources.carried import server_encoding
from pdic.sources.names import Name

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Ask = Callable[[str], str]
"""Shows the likeliest encoding to a person, and returns one of `encodings.NAMES`."""

SAMPLE_TABLES: Final = 30
SAMPLE_ROWS: Final = 100
SAMPLE_BYTES: Final = 400
"""A longer text is not looked at: its end would be cut within a letter."""
SAMPLE_NAMES: Final = 2_000
ASKED_SECONDS: Final = 5
"""A table whose first rows take longer is left out."""


def require_known(encoding: str) -> None:
    """Raises `OnboardError` where `encoding` is none that can be read."""
    if encoding not in encodings.NAMES:
        raise OnboardError(f"--encoding {encoding} is not read here: say one of {', '.join(encodings.NAMES)}")


def settled(
    connection: Connection,
    conn_id: str,
    said: str | None,
    known: Iterable[str],
    schemas: Iterable[str],
    ask: Ask | None,
) -> str | None:
    """What the contracts to be have to say; None where the server itself says it, or every text that was looked at is UTF-8.

    `connection` speaks to a database without an encoding byte by byte (`carried.speak`). `said` is what somebody says, `known`
    what the contracts of the connection say, `schemas` those whose tables are looked at first. Raises `OnboardError` where the
    server contradicts, and where the texts are not UTF-8 and there is nobody to ask.
    """
    server = server_encoding(connection)
    if said is not None:
        require_known(said)
        if server not in (encodings.SQL_ASCII,) and encodings.OF_SERVERS.get(server) != said:
            raise OnboardError(
                f"the database of connection {conn_id} is {server} and converts texts itself: leave --encoding {said} out"
            )
        return said
    if server != encodings.SQL_ASCII:
        return None
    if agreed := next(iter(sorted(known)), None):
        return agreed
    texts = [text for text in _texts(connection, list(schemas)) if not text.isascii()]
    if all(encodings.is_utf8(text) for text in texts):
        return None
    likely = encodings.likeliest(texts)
    if ask is None:
        raise OnboardError(
            f"the database of connection {conn_id} names no encoding (SQL_ASCII), and its texts are not UTF-8: say what they are "
            f"written in with --encoding ({', '.join(encodings.NAMES)}), {likely} by the looks of {len(texts):,} of them"
        )
    answer = ask(likely)
    require_known(answer)
    return answer


def _texts(connection: Connection, schemas: list[str]) -> Iterator[str]:
    """Names, comments and values, each letter of them a byte. Bounded, and none of them leaves the process."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, (SAMPLE_NAMES,))
        yield from (text for (text,) in cursor.fetchall())
        cursor.execute(_TABLES, (schemas, SAMPLE_TABLES))
        tables = cursor.fetchall()
    for schema, table, columns in tables:
        yield from _values(connection, schema, table, columns)


def _values(connection: Connection, schema: str, table: str, columns: list[str]) -> list[str]:
    values = sql.SQL(", ").join(
        sql.SQL("case when octet_length({name}::text) <= {most} then {name}::text end").format(
            name=Name(column), most=sql.Literal(SAMPLE_BYTES)
        )
        for column in columns
    )
    statement = sql.SQL("select {} from {} limit {}").format(values, Name(schema, table), sql.Literal(SAMPLE_ROWS))
    try:
        with attempt(connection, seconds=ASKED_SECONDS), connection.cursor() as cursor:
            cursor.execute(statement.as_string(connection))
            return [text for row in cursor.fetchall() for text in row if text]
    except psycopg2.Error:  # onboarding the table itself will say why it cannot be read
        if connection.closed:
            raise
        return []


_NAMES: Final = """
    select text
    from (
        select relation.relname::text as text
        from pg_class as relation
        inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
        where namespace.nspname !~ '^pg_' and namespace.nspname <> 'information_schema'
        union all
        select attribute.attname::text
        from pg_attribute as attribute
        inner join pg_class as relation on relation.oid = attribute.attrelid
        inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
        where namespace.nspname !~ '^pg_' and namespace.nspname <> 'information_schema' and attribute.attnum > 0
        union all
        select description from pg_description
        where objoid >= 16384
    ) as texts
    where text ~ '[^\\x01-\\x7f]'
    limit %s
"""
"""What is beyond ASCII among the names and comments of the database. (Objects from 16384 on are not PostgreSQL's own.)"""

_TABLES: Final = """
    select namespace.nspname::text, relation.relname::text, array_agg(attribute.attname::text order by attribute.attnum)
    from pg_class as relation
    inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
    inner join pg_attribute as attribute on attribute.attrelid = relation.oid
    inner join pg_type as type on type.oid = attribute.atttypid
    where relation.relkind in ('r', 'p') and not relation.relispartition
        and namespace.nspname !~ '^pg_' and namespace.nspname <> 'information_schema'
        and attribute.attnum > 0 and not attribute.attisdropped
        and (type.typcategory = 'S' or type.typname in ('json', 'jsonb'))
        and has_schema_privilege(namespace.oid, 'usage')
        and has_column_privilege(relation.oid, attribute.attnum, 'select')
    group by namespace.nspname, relation.relname, relation.reltuples
    order by namespace.nspname = any(%s) desc, relation.reltuples desc, namespace.nspname, relation.relname
    limit %s
"""
