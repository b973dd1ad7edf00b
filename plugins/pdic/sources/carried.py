"""Reading a database whose texts are bytes: they cross as they are, and the warehouse reads them as the contract says.

Values: the source gives each text as `bytea`, so no server converts or refuses it; the warehouse takes them into the temporary table
`carried` and reads them from there (`clean.read_as`). Names: such a source is spoken to in Latin-1, by which each byte of a name is one
letter, and the contract's names are found among those (`at_source`). Contracts without an encoding know nothing of all this.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from psycopg2 import sql

from pdic.contracts import pg_types
from pdic.contracts.model import table_written
from pdic.encodings import OF_SERVERS, SQL_ASCII, decoded
from pdic.errors import LoadError
from pdic.sources.names import Name
from pdic.warehouse.formats import CLIENT_ENCODING

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Column, Contract
    from pdic.sources.catalogue import SourceTable

_BYTE_BY_BYTE: Final = "LATIN1"


def is_text(column: Column) -> bool:
    """Whether values of the column may hold letters that no ASCII has."""
    return pg_types.holds_text(column.physical_type)


def server_encoding(connection: Connection) -> str:
    """What the database says its texts are in: UTF8, WIN1258, SQL_ASCII …"""
    found: str | None = connection.info.parameter_status("server_encoding")
    return found or CLIENT_ENCODING


def speak(connection: Connection, encoding: str | None) -> None:
    """Let names cross byte by byte where a database does not know its encoding and a contract does. Outside a transaction."""
    wanted = _BYTE_BY_BYTE if encoding is not None and server_encoding(connection) == SQL_ASCII else CLIENT_ENCODING
    if connection.encoding != wanted:
        connection.set_client_encoding(wanted)


def at_source(connection: Connection, contract: Contract) -> Contract:
    """The contract with the names of its table and columns as statements at the source write them.

    Raises `LoadError` where the database itself names another encoding than the contract.
    """
    if contract.encoding is None:
        return contract
    server = server_encoding(connection)
    if server != SQL_ASCII:
        if OF_SERVERS.get(server) != contract.encoding:
            raise LoadError(
                f"{contract.id}: the database of {contract.source_connection} is {server} and converts texts itself. Nothing was moved. "
                f"Take encoding: {contract.encoding} out of {contract.path}, then load again."
            )
        return contract
    schema, table = table_there(connection, contract.table_schema, contract.table_name, contract.encoding)
    there = columns_there(connection, schema, table, contract.encoding)

    def name(true: str) -> str:
        return there.get(_same(true), true)

    return replace(
        contract,
        table=table_written(schema, table),
        key=tuple(map(name, contract.key)),
        cursor_column=contract.cursor_column and name(contract.cursor_column),
        columns=tuple(
            replace(
                column,
                source_name=name(column.source_name),
                renamed_from=column.renamed_from and name(column.renamed_from),
            )
            for column in contract.columns
        ),
    )


def letters(connection: Connection, encoding: str | None) -> str | None:
    """What to read names by where they cross byte by byte; None where the server has converted them."""
    return encoding if server_encoding(connection) == SQL_ASCII else None


def table_there(connection: Connection, schema: str, name: str, encoding: str) -> tuple[str, str]:
    """Schema and table as the source's bytes have them; as they are given where there is none of that name."""
    wanted = (_same(schema), _same(name))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select namespace.nspname::text, class.relname::text
            from pg_class as class inner join pg_namespace as namespace on namespace.oid = class.relnamespace
            where class.relkind in ('r', 'p', 'v', 'm', 'f')
            """
        )
        for of, table in cursor.fetchall():
            if (_read(of, encoding), _read(table, encoding)) == wanted:
                return of, table
    return schema, name


def schema_there(connection: Connection, schema: str, encoding: str) -> str:
    """The schema as the source's bytes have it; as it is given where there is none of that name."""
    with connection.cursor() as cursor:
        cursor.execute("select nspname::text from pg_namespace")
        return next((name for (name,) in cursor.fetchall() if _read(name, encoding) == _same(schema)), schema)


def columns_there(connection: Connection, schema: str, table: str, encoding: str) -> dict[str, str]:
    """Name as read → as the source's bytes have it, of a table's columns."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select attname::text from pg_attribute
            where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
            """,
            (Name(schema, table).as_string(connection),),
        )
        return {_read(name, encoding): name for (name,) in cursor.fetchall()}


def decoded_table(table: SourceTable, encoding: str) -> SourceTable:
    """What the catalogue says of a table, its names, labels and comments as `encoding` reads them."""

    def read(text: str) -> str:
        return _read(text, encoding)

    return replace(
        table,
        columns=tuple(
            replace(
                column,
                name=read(column.name),
                type=read(column.type),
                labels=tuple(map(read, column.labels)),
                comment=column.comment and read(column.comment),
            )
            for column in table.columns
        ),
        key=tuple(map(read, table.key)),
        comment=table.comment and read(table.comment),
    )


def make_room(contract: Contract) -> sql.Composed:
    """The statement that makes the warehouse's temporary table `carried`, which takes the rows as they come."""
    return sql.SQL("create temporary table carried ({}) on commit drop").format(
        sql.SQL(", ").join(
            sql.SQL("{} {}").format(
                sql.Identifier(column.source_name), sql.SQL("bytea" if is_text(column) else column.physical_type)
            )
            for column in contract.columns
        )
    )


def read_into(target: sql.Composable, contract: Contract) -> sql.Composed:
    """The statement that puts the rows of `carried` into `target`, their texts read."""

    def value(column: Column) -> sql.Composable:
        name = sql.Identifier(column.source_name)
        if not is_text(column):
            return name
        return sql.SQL("clean.read_as({}, {})::{}").format(
            name, sql.Literal(contract.encoding), sql.SQL(column.physical_type)
        )

    return sql.SQL("insert into {} ({}) select {} from carried").format(
        target,
        sql.SQL(", ").join(sql.Identifier(column.source_name) for column in contract.columns),
        sql.SQL(", ").join(map(value, contract.columns)),
    )


def reader(encoding: str) -> Callable[[str], str]:
    """What reads a carried text."""
    return lambda text: _read(text, encoding)


def _read(carried: str, encoding: str) -> str:
    return _same(decoded(carried, encoding))


def _same(name: str) -> str:
    """One form of letters for names, for windows-1258 writes a tone apart from its vowel."""
    return unicodedata.normalize("NFC", name)
