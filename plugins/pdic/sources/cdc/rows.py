"""A dataset's changes as rows of binary COPY: decoded messages in, bytes out. No input or output.

Every change becomes a row (`U`: the key's new state, `D`: the key is gone) with its place in the log. Which of a key's
rows is the newest is the warehouse's to say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from pdic.sources.cdc.pgoutput import NULL, UNCHANGED, Change, Fields, Relation

if TYPE_CHECKING:
    from pdic.contracts import Contract

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
EXTRA_COLUMNS: Final = ("_pdic_seq", "_op", "_pdic_whole")
"""What goes before the contract's columns: the place in the log, 'U' or 'D', whether every value was there."""

_EIGHT_BYTES: Final = b"\0\0\0\x08"
_WHOLE: Final = b"\0\0\0\x01U\0\0\0\x01\x01"
_IN_PART: Final = b"\0\0\0\x01U\0\0\0\x01\x00"
_GONE: Final = b"\0\0\0\x01D\0\0\0\x01\x01"


class IncompleteKey(ValueError):
    """A change that does not say which key it is about: the replica identity was another when it was made."""


class Rows:
    """Turns the changes of one table, as one Relation message describes it, into COPY rows in the contract's order."""

    def __init__(self, contract: Contract, relation: Relation) -> None:
        names = [column.name for column in relation.columns]
        places = [names.index(column.name_at_source) for column in contract.columns]
        self._pick = _picker(places, len(names))
        self._key = [number for number, column in enumerate(contract.columns) if column.source_name in contract.key]
        self._blank = [NULL] * len(places)
        self._head = struct.pack("!h", len(EXTRA_COLUMNS) + len(places)) + _EIGHT_BYTES

    def of(self, change: Change, sequence: int) -> tuple[bytes, int]:
        """The rows of a change, numbered from `sequence` on, and how many of them are not whole (0 or 1).

        Raises IncompleteKey.
        """
        old = self._pick(change.old) if change.old is not None else None
        if change.new is None:
            return self._gone(old or [], sequence), 0
        new = self._pick(change.new)
        before = b""
        if old is not None:
            if UNCHANGED in new:
                for at in range(len(new)) if change.old_is_whole else self._key:
                    new[at] = new[at] or old[at]
            if any(old[at] != new[at] for at in self._key):
                before = self._gone(old, sequence)
        state, missing = _WHOLE, 0
        if UNCHANGED in new:
            new = [field or NULL for field in new]
            state, missing = _IN_PART, 1
        if any(new[at] == NULL for at in self._key):
            raise IncompleteKey
        return b"".join((before, self._head, (sequence + 1).to_bytes(8), state, *new)), missing

    def _gone(self, old: Sequence[bytes], sequence: int) -> bytes:
        fields = self._blank.copy()
        for at in self._key:
            if len(old) <= at or old[at] in (NULL, UNCHANGED):
                raise IncompleteKey
            fields[at] = old[at]
        return b"".join((self._head, sequence.to_bytes(8), _GONE, *fields))


def _picker(places: list[int], width: int) -> Callable[[Fields], Fields]:
    if places == list(range(width)):
        return lambda fields: fields
    return lambda fields: [fields[place] for place in places]
