"""The replication slot of a dataset: its name, what the source says of it, its end.

A slot makes the source keep its log from where PDIC stopped reading. One slot a dataset, so that one that stops holds back
no other, and the lock of the dataset is the lock of its slot.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import errorcodes

from pdic.errors import Busy
from pdic.sources.cdc import lsn
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

PREFIX = "pdic_"
PATIENCE = 20.0
"""Seconds that a slot may still be held by the session of a reader that was killed."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as the source sees it. Sizes are in bytes: ``retained`` is the log that the source keeps for it,
    ``safe`` how much more may be written before the source gives it up (None: no limit)."""

    name: str
    plugin: str | None
    here: bool
    active: bool
    confirmed: int
    wal_status: str
    retained: int
    safe: int | None


def installation(warehouse: Connection) -> str:
    """Eight hex digits that no other warehouse has: a copy of this one on another server may not read this one's slots."""
    with warehouse.cursor() as cursor:
        cursor.execute(
            """
            select left(md5(system_identifier || '/' || (select oid from pg_database where datname = current_database())), 8)
            from pg_control_system()
            """
        )
        return str(one(cursor)[0])


def name(warehouse: Connection, sector: str, dataset: str) -> str:
    """The name of a dataset's slot: at most 63 bytes, the same every time, this warehouse's own."""
    return f"{PREFIX}{installation(warehouse)}_{sector}__{dataset}"


def find(source: Connection, slot: str) -> Slot | None:
    """The slot of this name, or None."""
    return next(iter(_slots(source, "slot_name = %s", slot)), None)


def with_prefix(source: Connection, prefix: str) -> list[Slot]:
    """The slots in the source's database whose names begin so, by name."""
    return _slots(source, "starts_with(slot_name, %s) and database = current_database()", prefix)


def current_position(source: Connection) -> int:
    """Up to where the source's log is on disk: what is committed before may be read."""
    with source.cursor() as cursor:
        cursor.execute("select pg_current_wal_flush_lsn()::text")
        return lsn.number(one(cursor)[0])


def drop(source: Connection, slot: str) -> bool:
    """Drop the slot if it is there; returns whether it was. Raises `Busy` while another session reads from it.

    `source` must be in autocommit.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with source.cursor() as cursor:
                cursor.execute(
                    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s", (slot,)
                )
                return cursor.rowcount > 0
        except psycopg2.Error as error:
            if error.pgcode == errorcodes.UNDEFINED_OBJECT:
                return False
            if error.pgcode != errorcodes.OBJECT_IN_USE:
                raise
            if time.monotonic() > deadline:
                raise Busy(
                    f"slot {slot} is being read by another session; wait for it or stop it, then try again."
                ) from error
            time.sleep(0.2)


def _slots(source: Connection, condition: str, value: str) -> list[Slot]:
    with source.cursor() as cursor:
        cursor.execute(
            f"""
            select
                slot_name, plugin, coalesce(database = current_database(), false), active,
                coalesce(confirmed_flush_lsn, '0/0')::text,
                coalesce(wal_status, 'lost'),
                coalesce(pg_wal_lsn_diff(
                    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn
                ), 0)::bigint,
                safe_wal_size
            from pg_replication_slots where {condition} order by slot_name
            """,  # noqa: S608 (a condition of this module's own)
            (value,),
        )
        return [
            Slot(found, plugin, here, active, lsn.number(confirmed), status, retained, safe)
            for found, plugin, here, active, confirmed, status, retained, safe in cursor.fetchall()
        ]
