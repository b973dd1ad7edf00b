"""Positions in a server's log (LSN): a number, written as two halves in hex."""

from __future__ import annotations


def number(text: str) -> int:
    """The position written as ``16/B374D848``."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def written(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
