"""What a capture brought into a batch table, as the ledger records it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Arrival:
    """The result of one capture.

    ``rows`` counts the rows that the capture read or compared at the source, ``unchanged`` those of them that did not land
    because they are known already (None where all landed, so that rules about the table can be asked of the batch),
    ``deleted`` the tombstones (``_op`` 'D') that the capture itself wrote.
    ``bytes`` and ``digest`` are of the stream as it came. ``drift`` remarks on columns that the contract does not know.
    The next load starts at ``watermark_to`` (captures by time) or at ``position`` (by anything else: a log's position, a
    feed's cursor); both move when the batch is accepted. ``warning`` tells an operator what to see to at the source.
    ``called`` is what the ledger calls the way the rows came, where that is not what was begun: its rules of history compare a
    batch with those that came the same way.
    """

    rows: int
    bytes: int
    digest: str
    deleted: int = 0
    unchanged: int | None = None
    drift: str | None = None
    watermark_to: datetime | None = None
    position: dict[str, Any] | None = None
    warning: str | None = None
    called: str | None = None
