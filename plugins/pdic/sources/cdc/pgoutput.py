"""pgoutput (protocol version 1, binary values): messages as the server sends them in, plain values out. No input or output.

A value of a row comes as its binary form after its length, which is also how COPY wants it. So a field is a slice of the
message, length included, and no value is ever looked at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

BEGIN: Final = ord("B")
COMMIT: Final = ord("C")
ORIGIN: Final = ord("O")
RELATION: Final = ord("R")
TYPE: Final = ord("Y")
INSERT: Final = ord("I")
UPDATE: Final = ord("U")
DELETE: Final = ord("D")
TRUNCATE: Final = ord("T")
CHANGES: Final = frozenset({INSERT, UPDATE, DELETE})
WITHOUT_ROWS: Final = frozenset({BEGIN, COMMIT, ORIGIN, TYPE})
"""Messages that say nothing about a table."""

_KEY: Final = ord("K")
_OLD: Final = ord("O")
_NEW: Final = ord("N")
_BINARY: Final = ord("b")
_NULL: Final = ord("n")
_UNCHANGED: Final = ord("u")
_TEXT: Final = ord("t")
_OLD_ROWS: Final = frozenset({_KEY, _OLD})
_PAD: Final = bytes(4)
_kind_and_size = struct.Struct("!BI").unpack_from

NULL: Final = b"\xff\xff\xff\xff"
"""The field of a null."""
UNCHANGED: Final = b""
"""A large value (TOAST) that the change left as it was, and that the log therefore does not repeat. No field is empty."""

Fields = list[bytes]


class NotPgoutput(ValueError):
    """Bytes that are no message of this protocol version."""


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A published column: its name, whether the table's replica identity holds it, its type's OID and modifier."""

    name: str
    in_identity: bool
    type_oid: int
    type_modifier: int


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as it was when the changes that follow were made."""

    relation_id: int
    schema: str
    name: str
    columns: tuple[RelationColumn, ...]


class Change(NamedTuple):
    """One row's change. ``old`` is there for a delete, and for an update that moved the identity or under identity FULL;
    ``old_is_whole`` tells the latter, else its fields outside the identity mean nothing. ``new`` is None for a delete."""

    old: Fields | None
    old_is_whole: bool
    new: Fields | None


def commit_lsn(begin: bytes) -> int:
    """Where the transaction that a Begin message opens has its commit record."""
    return int.from_bytes(begin[1:9])


def relation_id(message: bytes) -> int:
    """The table (OID) of a Relation, Insert, Update or Delete message."""
    return int.from_bytes(message[1:5])


def relation(message: bytes) -> Relation:
    """A Relation message. Raises NotPgoutput where it is cut short."""
    try:
        schema, at = _text(message, 5)
        name, at = _text(message, at)
        at += 1  # the identity's kind: what matters is which columns it holds
        count, at = int.from_bytes(message[at : at + 2]), at + 2
        columns = []
        for _ in range(count):
            flags, (column, at) = message[at], _text(message, at + 1)
            oid, modifier = int.from_bytes(message[at : at + 4]), int.from_bytes(message[at + 4 : at + 8], signed=True)
            columns.append(RelationColumn(column, bool(flags & 1), oid, modifier))
            at += 8
    except (IndexError, ValueError):
        raise NotPgoutput("a Relation message is malformed") from None
    if at != len(message):
        raise NotPgoutput("a Relation message has another length than it says")
    return Relation(relation_id(message), schema, name, tuple(columns))


def truncated(message: bytes) -> frozenset[int]:
    """The tables (OIDs) that a Truncate message empties."""
    count = int.from_bytes(message[1:5])
    if len(message) != 6 + 4 * count:
        raise NotPgoutput("a Truncate message has another length than it says")
    return frozenset(int.from_bytes(message[at : at + 4]) for at in range(6, 6 + 4 * count, 4))


def change(message: bytes) -> Change:
    """An Insert, Update or Delete message. Raises NotPgoutput where it is none, or is cut short."""
    old, old_is_whole, new = None, False, None
    kind, at = message[0], 5
    padded = message + _PAD
    try:
        if padded[at] in _OLD_ROWS and kind != INSERT:
            old_is_whole = padded[at] == _OLD
            old, at = _fields(padded, at + 1)
        if kind != DELETE:
            if padded[at] != _NEW or kind not in CHANGES:
                raise NotPgoutput(f"a message {chr(kind)!r} is no change of a row")
            new, at = _fields(padded, at + 1)
    except (IndexError, struct.error):
        raise NotPgoutput("a change is cut short") from None
    if at != len(message) or (old is None and new is None):
        raise NotPgoutput("a change has another length than it says")
    return Change(old, old_is_whole, new)


def _fields(padded: bytes, at: int) -> tuple[Fields, int]:
    """The fields of a row and where the message goes on. The hot loop: one look and one slice a value.

    A value's kind and length are read at once, so the message must go on for four bytes after its last value.
    """
    count = int.from_bytes(padded[at : at + 2])
    at += 2
    fields: Fields = []
    add = fields.append
    for _ in range(count):
        kind, size = _kind_and_size(padded, at)
        if kind == _BINARY:
            end = at + 5 + size
            add(padded[at + 1 : end])
            at = end
        elif kind == _NULL:
            add(NULL)
            at += 1
        elif kind == _UNCHANGED:
            add(UNCHANGED)
            at += 1
        elif kind == _TEXT:
            # Of a type without a binary form: PDIC carries none of them, so nobody looks at this field.
            add(NULL)
            at += 5 + size
        else:
            raise NotPgoutput(f"a value of unknown kind {kind}")
    return fields, at


def _text(message: bytes, at: int) -> tuple[str, int]:
    end = message.index(0, at)
    return message[at:end].decode(), end + 1
