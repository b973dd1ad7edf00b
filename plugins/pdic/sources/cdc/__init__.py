"""Capture by logical replication (contract `capture: cdc`): the source's own log says what changed, deletes included."""

from pdic.sources.cdc.capture import capture
from pdic.sources.cdc.errors import NotGranted, SlotLost

__all__ = ["NotGranted", "SlotLost", "capture"]
