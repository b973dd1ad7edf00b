"""A step of a look at a source that may fail without ending the look: what it did is undone, and the transaction goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@contextmanager
def attempt(connection: Connection, *, seconds: int | None = None) -> Iterator[None]:
    """Run a step; where it raises, the transaction is as it was before and can be used on.

    ``seconds``: each statement of the step may take so long, instead of what the transaction allows.
    """
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('statement_timeout')")
        (former,) = one(cursor)
        cursor.execute("savepoint attempt")
        try:
            if seconds is not None:
                cursor.execute("select set_config('statement_timeout', %s, true)", (f"{seconds}s",))
            yield
        except BaseException:
            if not connection.closed:
                cursor.execute("rollback to savepoint attempt")
                cursor.execute("release savepoint attempt")
            raise
        cursor.execute("release savepoint attempt")
        cursor.execute("select set_config('statement_timeout', %s, true)", (former,))
