"""pgoutput (protocol version 1, binary values): messages as the server sends them in, plain values out. No input or output.

A value of a row comes as its binary form after its length, which is also how COPY wants it. So a field is a slice of the
message, length included, and no value is ever looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BEGIN: Final = ord("B")
COMMIT: Final = ord("C")
ORIGIN: Final = ord("O")
RELATION: Final = ord("R")
TYPE: Final = ord("Y")
INSERT: Final = ord("I")
UPDATE: Final = ord("U")
DELETE: Final = ord("D")
TRUNCATE: Final = ord("T")

_KEY: Final = ord("K")
_OLD: Final = ord("O")
_NEW: Final = ord("N")
_BINARY: Final = ord("b")
_NULL: Final = ord("n")
_UNCHANGED: Final = ord("u")
_TEXT: Final = ord("t")

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


@dataclass(frozen=True, slots=True)
class Change:
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
    at = 5
    try:
        if message[at] in (_KEY, _OLD) and message[0] in (UPDATE, DELETE):
            old_is_whole = message[at] == _OLD
            old, at = _fields(message, at + 1)
        if message[0] != DELETE:
            if message[at] != _NEW or message[0] not in (INSERT, UPDATE):
                raise NotPgoutput(f"a message {chr(message[0])!r} is no change of a row")
            new, at = _fields(message, at + 1)
    except IndexError:
        raise NotPgoutput("a change is cut short") from None
    if at != len(message) or (old is None and new is None):
        raise NotPgoutput("a change has another length than it says")
    return Change(old, old_is_whole, new)


def _fields(message: bytes, at: int) -> tuple[Fields, int]:
    """The fields of a row and where the message goes on. The hot loop: one slice a value, nothing else is made."""
    count = int.from_bytes(message[at : at + 2])
    at += 2
    fields: Fields = []
    add, number = fields.append, int.from_bytes
    for _ in range(count):
        kind = message[at]
        # A type without a binary form comes as text: PDIC carries none of them, so its field is never used.
        if kind in (_BINARY, _TEXT):
            end = at + 5 + number(message[at + 1 : at + 5])
            add(message[at + 1 : end])
            at = end
        elif kind == _NULL:
            add(NULL)
            at += 1
        elif kind == _UNCHANGED:
            add(UNCHANGED)
            at += 1
        else:
            raise NotPgoutput(f"a value of unknown kind {kind}")
    return fields, at


def _text(message: bytes, at: int) -> tuple[str, int]:
    end = message.index(0, at)
    return message[at:end].decode(), end + 1
