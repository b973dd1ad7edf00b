"""Wait, before a release, for the loads that are under way, and end those that died."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from pdic import connections, ledger
from pdic.warehouse import Connect, connect, locks

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

GRACE_S: Final = 30.0
"""How long the next step of a load may take to begin. After that a release goes without it; its news make another release."""
POLL_S: Final = 1.0
NAMED: Final = 5
"""How many of the loads that are waited for a line of the log names."""
_log = logging.getLogger(__name__)


def settle(timeout: float, connect_to: Connect = connections.uri) -> float:
    """Wait until no load is under way, at most `timeout` seconds, so that one release takes all sectors' news.

    Whether somebody works on a batch is told by its dataset's lock, not by its age. Batches of loads that died are ended at
    once. Returns the seconds waited.
    """
    began = time.monotonic()
    said: float | None = None
    loader = connect(connect_to("pdic_warehouse_loader"), "release settle")
    try:
        while waiting := _under_way(loader):
            now = time.monotonic()
            listed = ", ".join(waiting[:NAMED]) + (f" and {len(waiting) - NAMED} more" if len(waiting) > NAMED else "")
            if now - began >= timeout:
                _log.warning("the release goes on without %s, after %.0f s", listed, now - began)
                break
            if said is None or now - said >= locks.SAY_AGAIN_S:
                _log.warning("the release waits for %s (%.0f of at most %.0f s)", listed, now - began, timeout)
                said = now
            time.sleep(POLL_S)
    finally:
        loader.close()
    return time.monotonic() - began


def _under_way(loader: Connection) -> list[str]:
    """The loads that are worth waiting for, in words; those that died are ended."""
    with loader:
        batches = ledger.under_way(loader)
    holders = locks.holders(loader, locks.Kind.DATASET)
    waiting = []
    for batch in batches:
        holder = holders.get(locks.dataset(batch.dataset_id).objid)
        begun = f"{batch.dataset_id} (batch {batch.batch_id}, begun {batch.since:%Y-%m-%d %H:%M:%S}"
        if holder is not None:
            waiting.append(f"{begun}, held by {holder})")
        elif batch.idle is None:
            if ledger.sweep(loader, batch):
                _log.warning("batch %s of %s was given up: its load died", batch.batch_id, batch.dataset_id)
        elif batch.idle < GRACE_S:
            waiting.append(f"{begun}, {batch.status} and waiting for its next step)")
    return waiting
