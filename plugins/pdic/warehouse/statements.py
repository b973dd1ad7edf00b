"""Statements that hold names and values of others: a `%` in them is a letter, not the place of a parameter.

The driver looks for places of parameters (`%s`) in the whole text of a statement, in its quoted names too, as soon as parameters
come with it. So this cursor doubles the `%` of everything that is not the statement's own text: of identifiers, of literals,
and of `Rendered` text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2 import extras, sql
from psycopg2.extensions import cursor as Cursor


class Rendered(sql.SQL):
    """SQL that is finished: names and values are in it already, and no place of a parameter."""


class StatementCursor(Cursor):
    """A cursor for statements with parameters whatever the names in them hold."""

    def execute(self, query: str | bytes | sql.Composable, vars: Any = None) -> None:  # noqa: A002 (the driver's name)
        """As the driver's, with `%` doubled where the driver would take it for a parameter's place."""
        super().execute(query if vars is None else self._doubled(query), vars)

    def executemany(self, query: str | bytes | sql.Composable, vars_list: Iterable[Any]) -> None:
        """As the driver's, likewise: it does not come by `execute`."""
        super().executemany(self._doubled(query), vars_list)

    def mogrify(self, query: str | bytes | sql.Composable, vars: Any = None) -> bytes:  # noqa: A002 (the driver's name)
        """As the driver's, likewise."""
        return super().mogrify(query if vars is None else self._doubled(query), vars)

    def _doubled(self, query: str | bytes | sql.Composable) -> str | bytes:
        return _with_doubled(query, self) if isinstance(query, sql.Composable) else query


class Together(StatementCursor):
    """A cursor that keeps statements until `send` gives them to the server at once.

    Beside many others each answer is waited for until a processor is free; so statements of which none needs the answer of another wait
    once. An error is that of the first one that fails, and those after it are not run.
    """

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._kept: list[bytes] = []

    def execute(self, query: str | bytes | sql.Composable, vars: Any = None) -> None:  # noqa: A002 (the driver's name)
        """Keep a statement."""
        self._kept.append(self.mogrify(query, vars))

    def send(self) -> None:
        """Run what was kept, in order. The result is that of the last one."""
        super().execute(b";\n".join(self._kept))
        self._kept.clear()


def execute_values(cursor: Cursor, query: str | sql.Composable, rows: Sequence[Sequence[Any]]) -> None:
    """The driver's, with `%` doubled likewise: one statement for many rows, whose `values %s` takes them."""
    text = _with_doubled(query, cursor) if isinstance(query, sql.Composable) else query
    extras.execute_values(cursor, text, rows)  # noqa: TID251 (here is the one place)


def _with_doubled(part: sql.Composable, context: Any) -> str:
    if isinstance(part, sql.Composed):
        return "".join(_with_doubled(inner, context) for inner in part.seq)
    text: str = part.as_string(context)
    is_own = isinstance(part, sql.SQL | sql.Placeholder) and not isinstance(part, Rendered)
    return text if is_own else text.replace("%", "%%")
