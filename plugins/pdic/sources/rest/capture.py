"""One load of one feed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from pdic.arrival import Arrival
from pdic.sources.rest.endpoint import read_endpoint
from pdic.sources.rest.landing import Landing
from pdic.sources.rest.page import Cursor, reach_back
from pdic.sources.rest.paging import Walk, count, parameters, validators_for
from pdic.warehouse import connect

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.ledger import Batch
    from pdic.sources.rest.session import Session
    from pdic.warehouse import Connect


def capture(contract: Contract, batch: Batch, connect_to: Connect, *, whole: bool = False) -> Arrival:
    """Bring what a feed has had since the batch's position into the batch's table: the newest version of each key.

    The position is {cursor, records: how many the feed had, validators: for the next first question}. `whole` forgets it, and
    brings every record. Raises SourceUnavailable, LoadError, DriftError; then the batch's table may be there, and nobody has
    accepted it.
    """
    assert contract.feed is not None
    position = {} if whole else batch.position_from or {}
    since = position.get("cursor")
    if since and set(since) != {parameter for parameter, _ in contract.feed.cursor}:
        since = None  # the contract pages in another way now: everything is read again, which changes nothing
    start: Cursor | None = reach_back(contract, since) if since else None
    with (
        closing(_session(contract, connect_to(contract.source_connection))) as session,
        closing(connect(connect_to("pdic_warehouse_loader"), f"land {contract.id}")) as warehouse,
    ):
        landing = Landing(warehouse, contract, batch.batch_id)
        walk = Walk(contract, session, landing, start=start, last=start)
        asked = validators_for(position, parameters(contract, start))
        first = walk.page(start, asked)
        held = int(position.get("records", 0))
        if first is None and walk.count(None) == held:
            landing.make_batch()
            return Arrival(rows=0, bytes=landing.bytes, digest=landing.digest, position=position)
        rows, records = walk.settle(first, held, since)
        landing.name_unreadable()
        return Arrival(
            rows=rows,
            bytes=landing.bytes,
            digest=landing.digest,
            drift=_remarks(walk, landing),
            position=_position(contract, walk, records, since),
            warning=None if whole else _missing(contract, walk.gone),
        )


def count_rows(uri: str, contract: Contract) -> int:
    """How many records the feed has now by its own count, cancelled ones included."""
    with closing(_session(contract, uri)) as session:
        return count(contract, session, None)


def _session(contract: Contract, uri: str) -> Session:
    # Here, not above: whoever has tables only does not load the libraries that ask services.
    from pdic.sources.rest.session import Session

    return Session(read_endpoint(contract.source_connection, uri), contract.id)


def _position(contract: Contract, walk: Walk, records: int, since: Cursor | None) -> dict[str, Any]:
    """Where the next load begins. A load that reached back and found nothing stays where the former one ended."""
    cursor = walk.last if walk.last is not None and walk.last != walk.start else since
    position: dict[str, Any] = {"cursor": cursor, "records": records}
    query = parameters(contract, reach_back(contract, cursor) if cursor else None)
    if walk.last_reply is not None and query == parameters(contract, walk.last):
        known = {"etag": walk.last_reply.etag, "modified": walk.last_reply.modified}
        position["validators"] = {"of": query, **{name: value for name, value in known.items() if value}}
    return position


def _remarks(walk: Walk, landing: Landing) -> str | None:
    """What an operator should know of this load: fields and values that the contract does not expect. No value is named."""
    unknown = sorted(name if name.isprintable() else ascii(name) for name in walk.unknown)
    remarks = ([f"fields not in the contract: {', '.join(unknown)}"] if unknown else []) + landing.remarks()
    return "; ".join(remarks) or None


def _missing(contract: Contract, gone: int) -> str | None:
    """What an operator should know where the feed has lost records. They stand in the warehouse until a reconcile."""
    if not gone:
        return None
    return (
        f"{gone} known records are no longer at the service, which has to cancel records and keep them: run "
        f"`pdic reconcile {contract.id}` to mark them deleted"
    )
