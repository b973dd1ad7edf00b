"""Which agency a row belongs to, as the row itself says: fit to be shown, so a code or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg2 import sql

from pdic import cleaning
from pdic.contracts.output import literal, quoted
from pdic.warehouse.statements import Rendered

if TYPE_CHECKING:
    from pdic.contracts.model import Contract

UNREADABLE: Final = "?"
"""Stands for the agency of a row that names none, or by something that is no code: whatever stands there is not shown."""

_CODE: Final = "^[0-9A-Za-z._-]{1,35}$"
_PERSONAL: Final = "(^|[^0-9])([0-9]{9}|0[0-9]{9}|[0-9]{11,})([^0-9]|$)"
"""Digits as an old identity card (9), a phone or the identity number (10 from a zero, 11 without its zero, 12) has them."""


def shown(value: str) -> str:
    """The SQL of what is shown of `value`, an expression of type text: the code that it is, or `UNREADABLE`."""
    is_code = f"{value} ~ {literal(_CODE)} and {value} !~ {literal(_PERSONAL)}"
    return f"case when {is_code} then {value} else {literal(UNREADABLE)} end"


def text(contract: Contract, *, cleaned: bool = False) -> str | None:
    """The SQL of a row's agency code, over the dataset's columns; None where the dataset is one agency's as a whole.

    `cleaned`: the columns are cleaned already. A value is a code where it has the letters and length of one, and no
    digits in a row that could be a person's number.
    """
    if contract.agency_column is None:
        return None
    column = contract.column(contract.agency_column)
    value = f"({quoted(column.source_name) if cleaned else cleaning.text(column)})::text"
    return f"case when {value} ~ {literal(_CODE)} and {value} !~ {literal(_PERSONAL)} then {value} else {literal(UNREADABLE)} end"


def code(contract: Contract, *, cleaned: bool = False) -> sql.Composable:
    """`text()` for a statement of psycopg2; NULL where there is none."""
    return Rendered(text(contract, cleaned=cleaned) or "null::text")
