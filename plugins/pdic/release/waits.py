"""Changes of tables and views that others use: for how long those are waited for, and who is named where that was in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from pdic.release import slots, views
from pdic.warehouse import locks

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

T = TypeVar("T")


@contextmanager
def for_writers(publisher_uri: str, what: str) -> Iterator[None]:
    """Where slots are closed: who writes in one is waited for, and named if that is in vain."""
    tables = [f"{slots.schema_of(slot)}.{view.name}" for slot in slots.NAMES for view in views.views()]
    with locks.held_up(publisher_uri, what, tables):
        yield


def for_readers(publisher: Connection, publisher_uri: str, what: str, action: Callable[[], T]) -> T:
    """Runs what may change tables or views that readers use: they wait for a moment only, and who holds one for long is named."""
    tables = [f"{schema}.{view.name}" for view in views.views() for schema in ("shared", "published")]
    return locks.in_short_tries(publisher, publisher_uri, what, tables, action)
