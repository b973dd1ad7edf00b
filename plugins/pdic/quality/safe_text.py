"""Error texts that cannot carry a row's value.

PostgreSQL quotes the value it could not cast (`invalid input syntax for type integer: "Nguyễn Văn A"`), and everything that
repeats its messages repeats that. What went wrong is shown only where PostgreSQL said it of the statement, not of a row.
"""

from __future__ import annotations

import re

import psycopg2

# Messages that name objects, settings or limits only.
_ALWAYS_SAFE = frozenset(
    {
        "2201B",  # invalid regular expression
        "25006",  # read-only transaction
        "42501",  # insufficient privilege
        "55P03",  # lock not available
        "57014",  # query cancelled, statement timeout
        "57P01",  # the server is shutting down
        "57P03",  # the server is starting up
    }
)
_WITHHELD = "the database's message may hold a row's value and is not shown"
_PSYCOPG2_CLASS = re.compile(r"\(psycopg2\.(?:errors\.)?(\w+)\)")
_RAISED_CLASS = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Interrupt|Exit))\b", re.MULTILINE)


def safe_text(error: BaseException) -> str:
    """One line saying what failed: the exception's class, and its message where that is known to hold no row value."""
    origin = getattr(error, "orig", None) or error
    name = type(origin).__name__
    if not isinstance(origin, psycopg2.Error):
        return name
    if origin.pgcode is None:
        return f"{name}: the connection failed or broke"
    # A position points into the statement that was parsed: such a message speaks of the rule's own text.
    if origin.pgcode in _ALWAYS_SAFE or origin.diag.statement_position is not None:
        return f"{name}: {' '.join((origin.diag.message_primary or '').split())}"
    return f"{name} (SQLSTATE {origin.pgcode}): {_WITHHELD}"


def safe_class(traceback: str) -> str:
    """The innermost exception class that a traceback's text names, and nothing else of it."""
    if found := _PSYCOPG2_CLASS.search(traceback):
        return f"{found[1]}: {_WITHHELD}"
    if classes := _RAISED_CLASS.findall(traceback):
        return f"{classes[-1]}: {_WITHHELD}"
    return f"an unknown error: {_WITHHELD}"
