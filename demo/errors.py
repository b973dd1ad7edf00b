"""What the demo refuses to do."""

from __future__ import annotations

from pdic.errors import PdicError


class DemoError(PdicError):
    """The demo cannot do what was asked; the message says what to do instead."""


class SeedMismatchError(DemoError):
    """The databases hold a seed of another size, number, profile or generator."""
