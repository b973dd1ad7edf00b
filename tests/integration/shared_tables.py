"""A shared table as its contract would describe it, for tests that need no model."""

from __future__ import annotations

from typing import Final

from pdic.release.views import View

SCHOOL: Final = View(
    name="school",
    types={"school_key": "text", "pupils": "integer"},
    closed={"head": "text"},
    key=("school_key",),
    comment="Schools",
    column_comments={"school_key": "Key", "pupils": "Pupils"},
)
