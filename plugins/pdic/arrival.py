"""What a capture brought into a batch table, as the ledger records it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Arrival:
    """The result of one capture.

    ``rows`` counts the rows with ``_op`` 'U' that landed, ``deleted`` the tombstones ('D') that the capture itself wrote.
    ``bytes`` and ``digest`` are of the stream as it came. ``drift`` remarks on columns that the contract does not know,
    ``remark`` on anything else that the operator should hear of.
    The next load starts at ``watermark_to`` (captures by time) or at ``position`` (by anything else: a log's position, a
    feed's cursor); both move when the batch is accepted.
    """

    rows: int
    bytes: int
    digest: str
    deleted: int = 0
    drift: str | None = None
    watermark_to: datetime | None = None
    position: dict[str, Any] | None = None
    remark: str | None = None
