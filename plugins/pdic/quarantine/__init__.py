"""The quarantine as it is worked: who holds what, since when, until when, and what became of it (docs/quarantine.md)."""

from __future__ import annotations

from pdic.ledger import AGAIN
from pdic.quarantine.register import Refusals, settle, spared
from pdic.quarantine.terms import Terms, terms, today

__all__ = ["AGAIN", "Refusals", "Terms", "settle", "spared", "terms", "today"]
