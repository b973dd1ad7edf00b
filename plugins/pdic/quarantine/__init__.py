"""The quarantine as it is worked: who holds what, since when, until when, and what became of it (docs/quarantine.md)."""

from __future__ import annotations

from typing import Final

from pdic.quarantine.register import Refusals, settle, spared
from pdic.quarantine.terms import Terms, terms, today

AGAIN: Final = "retry"
"""What the ledger calls a batch of rows from the quarantine that are judged once more."""

__all__ = ["AGAIN", "Refusals", "Terms", "settle", "spared", "terms", "today"]
