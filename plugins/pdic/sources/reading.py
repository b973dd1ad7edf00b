"""How a contract's columns are written in a statement that reads the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg2 import sql

if TYPE_CHECKING:
    from pdic.contracts import Column, Contract


def read_column(column: Column) -> sql.Composable:
    """The column as the warehouse holds it: itself, or cast where the source's type is not one of PostgreSQL's own."""
    name = sql.Identifier(column.source_name)
    if column.source_type is None:
        return name
    return sql.SQL("{}::{}").format(name, sql.SQL(column.physical_type))  # one of the closed list of types


def read_columns(contract: Contract) -> sql.Composed:
    """All columns, in the contract's order."""
    return sql.SQL(", ").join(read_column(column) for column in contract.columns)


def source_table(contract: Contract) -> sql.Identifier:
    """The table at the source."""
    return sql.Identifier(contract.table_schema, contract.table_name)
