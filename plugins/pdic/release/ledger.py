"""The ledger: what happened to releases, entry by entry, each with the hash of the one before it.

    append    adds an entry, in the transaction of what it tells of: `append(publisher, "approve", {"release_id": 7, …})`
    check     computes all hashes again, and says what does not agree

Only the publisher may add, by a function of the database; nobody may change or remove an entry. Who owns the database can do
so all the same, and compute every hash anew: against that helps a hash that was noted elsewhere (`pdic release verify --expect`).

An entry holds numbers, names of tables and columns, and what a person gave as a reason; never a value of a row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

START: Final = bytes(32)
"""The hash before the first entry."""
FETCHED: Final = 500
"""So many entries are read at a time."""


@dataclass(slots=True)
class Check:
    """What computing the chain again found: how many entries there are, the last hash, and what is wrong, a sentence each."""

    entries: int = 0
    last_hash: str = START.hex()
    wrong: list[str] = field(default_factory=list)


def append(connection: Connection, kind: str, payload: Mapping[str, Any]) -> None:
    """Add an entry in the transaction that is open on the publisher's connection: both are kept, or neither.

    `kind` is publish, rollback, resume or approve; `payload["by"]` says who decided (`pdic.approval.person`), and the database notes its
    own login by itself. What else is added waits until the transaction ends: do it last.
    """
    with connection.cursor() as cursor:
        add(cursor, kind, payload)


def add(cursor: Cursor, kind: str, payload: Mapping[str, Any]) -> None:
    """The same by a cursor, which may send it together with other statements."""
    cursor.execute("select control.append_to_ledger(%s, %s)", (kind, json.dumps(payload)))


def check(connection: Connection, expected: str | None = None) -> Check:
    """Compute every hash again. `expected`: a hash that was noted elsewhere, which one of the entries must have.

    Memory does not grow with the ledger. To be called in a transaction.
    """
    found = Check()
    met = expected is None
    before_seq, before_hash = 0, START
    with connection.cursor("ledger") as cursor:
        cursor.itersize = FETCHED
        cursor.execute(
            """
            select seq, previous_hash, hash, jsonb_build_object(
                'seq', seq,
                'at', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
                'kind', kind,
                'role', role,
                'payload', payload
            )::text
            from control.ledger_entry order by seq
            """
        )
        for seq, previous, own, written in cursor:
            if seq != before_seq + 1:
                found.wrong.append(_missing(before_seq + 1, seq - 1))
            elif bytes(previous) != before_hash:
                found.wrong.append(
                    f"entry {seq} of the ledger does not follow entry {before_seq}: one of the two was replaced"
                )
            if hashlib.sha256(bytes(previous) + written.encode()).digest() != bytes(own):
                found.wrong.append(f"entry {seq} of the ledger was changed after it was written")
            before_seq, before_hash = seq, bytes(own)
            found.entries += 1
            met = met or bytes(own).hex() == expected
    with connection.cursor() as cursor:
        cursor.execute("select seq, hash from control.ledger_head")
        last_seq, last_hash = one(cursor)
    if last_seq > before_seq:
        found.wrong.append(_missing(before_seq + 1, last_seq))
    elif (last_seq, bytes(last_hash)) != (before_seq, before_hash):
        found.wrong.append(f"entry {before_seq} of the ledger is not the one that was written last (entry {last_seq})")
    if not met:
        found.wrong.append(
            f"no entry of the ledger has the hash {expected}: the ledger was written anew, or the hash is of another one"
        )
    found.last_hash = before_hash.hex()
    return found


def _missing(first: int, last: int) -> str:
    which = f"entry {first} of the ledger is" if first == last else f"entries {first} to {last} of the ledger are"
    return f"{which} missing"
