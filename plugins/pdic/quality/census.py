"""What a batch holds, counted by the scan that judges it: rows by agency, rows without a value, rows by code.

Counts only. Of agencies none is shown but by a code that could not be a person's number, and of codes none that is not in the
contract; all others are `agency.UNREADABLE` and `OTHER`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from pdic.contracts.output import literal, quoted
from pdic.warehouse.statements import execute_values

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

OTHER: Final = "(other)"
"""Stands for every code that the contract does not list."""


@dataclass(frozen=True)
class Census:
    """Rows by agency (empty where the contract names no agency's column); by column, rows without a value and rows by code."""

    rows: int
    agencies: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Questions:
    """What to count: the agency's column, the columns whose empty values count, and by column the codes that count."""

    agency: str | None = None
    columns: tuple[str, ...] = ()
    codes: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, contract: Contract, present: Iterable[str]) -> Questions:
        """What a contract wants to be counted of a table that has the columns `present`."""
        found = set(present)
        columns = [column for column in contract.columns if column.source_name in found]
        return cls(
            contract.agency_column if contract.agency_column in found else None,
            tuple(column.source_name for column in columns),
            {column.source_name: column.enum for column in columns if column.enum},
        )

    @property
    def conditions(self) -> list[str]:
        """The conditions whose rows count, as `answers` reads them."""
        missing = [f"{quoted(column)} is null" for column in self.columns]
        return missing + [
            f"{quoted(column)} = {literal(code) if isinstance(code, str) else code}"
            for column, codes in self.codes.items()
            for code in codes
        ]

    def answers(self, rows: int, agencies: Mapping[str, int], counts: Iterable[int]) -> Census:
        """The census, from how many rows meet each of `conditions`."""
        found = iter(counts)
        missing = {column: next(found) for column in self.columns}
        codes = {column: {str(code): next(found) for code in listed} for column, listed in self.codes.items()}
        for column, by_code in codes.items():
            by_code[OTHER] = rows - missing[column] - sum(by_code.values())
        return Census(rows, agencies, missing, codes)


def record_census(
    connection: Connection, batch_id: int, census: Census, failed: Mapping[str, Mapping[str, int]]
) -> None:
    """Writes what a batch holds; `failed` is, by rule id, the failing rows of each agency. The caller commits.

    A batch that is checked again holds the same rows: what stands there stays.
    """
    profile: list[tuple[str, str | None, int]] = [("", None, census.rows)]
    profile += [(column, None, rows) for column, rows in census.missing.items()]
    profile += [(column, code, rows) for column, codes in census.codes.items() for code, rows in codes.items() if rows]
    tables: dict[str, Sequence[tuple[Any, ...]]] = {
        "agency_check": [(agency, rows) for agency, rows in census.agencies.items()],
        "agency_failure": [
            (agency, rule_id, rows) for rule_id, agencies in failed.items() for agency, rows in agencies.items() if rows
        ],
        "batch_profile": profile,
    }
    with connection.cursor() as cursor:
        for table, found in tables.items():
            statement = sql.SQL("insert into {} values %s on conflict do nothing").format(
                sql.Identifier("control", table)
            )
            execute_values(cursor, statement, [(batch_id, *row) for row in found])
