"""Which agency a row belongs to, as the row itself says: fit to be shown, so a code or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg2 import sql

from pdic import cleaning

if TYPE_CHECKING:
    from pdic.contracts import Contract

UNREADABLE: Final = "?"
"""Stands for the agency of a row that names none, or by something that is no code: whatever stands there is not shown."""

_CODE: Final = "^[0-9A-Za-z._-]{1,35}$"
_PERSONAL: Final = "(^|[^0-9])([0-9]{9}|0[0-9]{9}|[0-9]{11,})([^0-9]|$)"
"""Digits as an old identity card (9), a phone or the identity number (10 from a zero, 11 without its zero, 12) has them."""


def code(contract: Contract, *, cleaned: bool = False) -> sql.Composable:
    """The SQL of a row's agency code, over the dataset's columns; NULL where the dataset is one agency's as a whole.

    `cleaned`: the columns are cleaned already. A value is a code where it has the letters and length of one, and no
    digits in a row that could be a person's number.
    """
    if contract.agency_column is None:
        return sql.SQL("null::text")
    column = contract.column(contract.agency_column)
    value = sql.Identifier(column.source_name) if cleaned else cleaning.expression(column)
    return sql.SQL(
        "case when ({value})::text ~ {code} and ({value})::text !~ {personal} then ({value})::text else {unreadable} end"
    ).format(value=value, code=sql.Literal(_CODE), personal=sql.Literal(_PERSONAL), unreadable=sql.Literal(UNREADABLE))
