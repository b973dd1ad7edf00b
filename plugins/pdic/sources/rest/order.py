"""The order of a feed's records, as the warehouse has to sort them, and cursors as the feed writes them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic.contracts import pg_types

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.sources.rest.page import Cursor


def in_order(contract: Contract, alias: str) -> sql.Composed:
    """The cursor's columns as PostgreSQL has to sort them for the feed's order: texts by their bytes."""
    assert contract.feed is not None
    return sql.SQL(", ").join(_sorted(contract, name, alias) for _, name in contract.feed.cursor)


def is_after(contract: Contract, cursor: Cursor | None, alias: str = "batch") -> sql.Composable:
    """A condition: a row of `alias` comes after the cursor (None: every row does)."""
    assert contract.feed is not None
    at = cursor or {}
    given = [(name, at[parameter]) for parameter, name in contract.feed.cursor if parameter in at]
    if not given:
        return sql.SQL("true")
    return sql.SQL("({}) > ({})").format(
        sql.SQL(", ").join(_sorted(contract, name, alias) for name, _ in given),
        sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(contract.column(name).physical_type))
            for name, value in given
        ),
    )


def written_like(value: Any, sample: str) -> str:
    """A cursor's value as the feed writes it: a moment in the zone and with the separators of `sample`."""
    if isinstance(value, datetime):
        like = datetime.fromisoformat(sample)
        moment = value.astimezone(like.tzinfo) if like.tzinfo and value.tzinfo else value
        text = moment.isoformat(sep=sample[10:11] or "T")
        return text.removesuffix("+00:00") + "Z" if sample.endswith("Z") else text
    return value.isoformat() if isinstance(value, date) else str(value)


def _sorted(contract: Contract, name: str, alias: str) -> sql.Composed:
    text = pg_types.logical_type(contract.column(name).physical_type) == "string"
    return sql.SQL('{} collate "C"' if text else "{}").format(sql.Identifier(alias, name))
