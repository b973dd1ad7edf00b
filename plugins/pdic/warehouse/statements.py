"""Statements that hold names and values of others: a `%` in them is a letter, not the place of a parameter.

The driver looks for places of parameters (`%s`) in the whole text of a statement, in its quoted names too, as soon as parameters
come with it. So this cursor doubles the `%` of everything that is not the statement's own text: of identifiers, of literals,
and of `Rendered` text.
"""

from __future__ import annotations

from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor


class Rendered(sql.SQL):
    """SQL that is finished: names and values are in it already, and no place of a parameter."""


class StatementCursor(Cursor):
    """A cursor for statements with parameters whatever the names in them hold."""

    def execute(self, query: str | bytes | sql.Composable, vars: Any = None) -> None:  # noqa: A002 (the driver's name)
        """As the driver's, with `%` doubled where the driver would take it for a parameter's place."""
        if vars is not None and isinstance(query, sql.Composable):
            query = _with_doubled(query, self)
        super().execute(query, vars)


def _with_doubled(part: sql.Composable, context: Any) -> str:
    if isinstance(part, sql.Composed):
        return "".join(_with_doubled(inner, context) for inner in part.seq)
    text: str = part.as_string(context)
    is_own = isinstance(part, sql.SQL | sql.Placeholder) and not isinstance(part, Rendered)
    return text if is_own else text.replace("%", "%%")
