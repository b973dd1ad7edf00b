"""One step of a release: it holds the release's lock, requires how far the release came, and notes where it failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pdic.release import state
from pdic.warehouse import Connect, connect, locks

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


STEP_WAIT_S: Final = 60.0
"""How long a single step does: a scheduler tries it again later."""


@contextmanager
def of_release(
    connect_to: Connect, release_id: int, name: str, required: str, *, held: bool
) -> Iterator[tuple[Connection, dict[str, float]]]:
    """One step of one release at a time: requires the state, records a failure with its reason.

    Holds the release's lock, if the caller does not (`held`), and gives it back for the next step.
    """
    publisher = connect(connect_to("pdic_warehouse_publisher"), f"release {release_id} {name}")
    try:
        with publisher:
            state.require(publisher, release_id, required)  # what was overtaken waits for nobody
        with alone(connect_to, f"release {release_id} {name}", held=held):
            with publisher:
                state.require(publisher, release_id, required)
            try:
                yield publisher, {}
            except BaseException as error:
                state.fail(release_id, error, connect_to)
                raise
            if not held:
                with publisher:
                    state.let_go(publisher, release_id)
    finally:
        publisher.close()


@contextmanager
def alone(connect_to: Connect, step: str, *, held: bool = False, wait: float = STEP_WAIT_S) -> Iterator[None]:
    """Hold the release's lock, if the caller does not. Raises `Busy` where a step is under way elsewhere."""
    if held:
        yield
        return
    with locks.Session(connect_to, "pdic_warehouse_publisher", step) as session:
        session.take(locks.RELEASE, wait)
        yield


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Notes in `seconds` how long the block took."""
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 3)
