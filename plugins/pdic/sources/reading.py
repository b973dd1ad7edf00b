"""How a contract's columns are written in a statement that reads the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg2 import sql

from pdic.sources.carried import is_text
from pdic.sources.names import Name

if TYPE_CHECKING:
    from pdic.contracts import Column, Contract


def read_column(contract: Contract, column: Column) -> sql.Composable:
    """The column as the warehouse takes it: itself, or cast where the source's type is not one of PostgreSQL's own.

    A text of a contract with an encoding comes as its bytes.
    """
    name = Name(column.name_at_source)
    if contract.encoding is not None and is_text(column):
        return sql.SQL("convert_to({}::text, 'SQL_ASCII')").format(name)
    if column.source_type is None:
        return name
    return sql.SQL("{}::{}").format(name, sql.SQL(column.physical_type))  # one of the closed list of types


def read_columns(contract: Contract) -> sql.Composed:
    """All columns, in the contract's order."""
    return sql.SQL(", ").join(read_column(contract, column) for column in contract.columns)


def names(contract: Contract) -> sql.Composed:
    """The columns' names, in the contract's order."""
    return sql.SQL(", ").join(Name(column.source_name) for column in contract.columns)


def source_table(contract: Contract) -> Name:
    """The table at the source."""
    return Name(contract.table_schema, contract.table_name)


_ROWS_ELSEWHERE: Final = frozenset({"p", "v", "m"})
"""Kinds of `pg_class.relkind` whose rows are not their own: in partitions, or behind a query."""


def own_rows(table: sql.Identifier, kind: str) -> sql.Composed:
    """The table in a `from` that brings the rows which are its own. ``kind`` is its letter in `pg_class.relkind`.

    Tables that inherit from another one are tables of their own, whose keys are not checked against the parent's: without
    `only`, their rows would come twice. Partitions hold the rows of the table they belong to.
    """
    return sql.SQL("{}" if kind in _ROWS_ELSEWHERE else "only {}").format(table)
