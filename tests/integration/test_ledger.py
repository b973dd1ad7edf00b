"""The ledger of releases: entries are added only, and whoever changes one all the same is found out."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from pdic import connections, warehouse
from pdic.release import ledger
from pdic.warehouse import connect
from tests.conftest import Postgres


@pytest.fixture
def publisher(postgres: Postgres) -> Iterator[Connection]:
    """A publisher's transaction that is undone."""
    warehouse.migrate(connections.warehouse("admin"))
    connection = connect(connections.warehouse("publisher"), "test")
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture
def tamperer(postgres: Postgres) -> Iterator[Connection]:
    """A superuser's transaction that is undone, with four entries of which the first two are honest whatever happens."""
    warehouse.migrate(connections.warehouse("admin"))
    connection = psycopg2.connect(postgres.uri("warehouse"))
    for number in range(4):
        ledger.append(connection, "publish", {"release_id": number, "reason": "Đợt tháng 11"})
    yield connection
    connection.rollback()
    connection.close()


def run(connection: Connection, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


def last(connection: Connection) -> int:
    return ledger.check(connection).entries


def test_entries_form_a_chain_and_say_who_wrote_them(publisher: Connection) -> None:
    before = ledger.check(publisher)
    ledger.append(publisher, "pin", {"reason": "số liệu sai", "b": 1.50, "a": None})
    ledger.append(publisher, "resume", {})
    found = ledger.check(publisher)
    with publisher.cursor() as cursor:
        cursor.execute(
            "select role, encode(hash, 'hex'), previous_hash from control.ledger_entry order by seq desc limit 2"
        )
        (role, own, previous), (_, first, _) = cursor.fetchall()
    assert (found.wrong, found.entries, found.last_hash) == ([], before.entries + 2, own)
    assert (role, bytes(previous).hex()) == ("pdic_publisher", first)


REFUSED = [
    "update control.ledger_entry set kind = 'other'",
    "delete from control.ledger_entry",
    "truncate control.ledger_entry",
    "insert into control.ledger_entry select seq + 1, at, kind, role, payload, hash, sha256(hash) from control.ledger_entry",
    "update control.ledger_head set seq = 0",
    "alter table control.ledger_entry disable trigger added_only",
]


@pytest.mark.parametrize("statement", REFUSED)
@pytest.mark.parametrize("role", ["publisher", "loader", "transformer", "auditor", "reader"])
def test_no_step_changes_the_ledger(postgres: Postgres, role: str, statement: str) -> None:
    warehouse.migrate(connections.warehouse("admin"))
    connection = connect(connections.warehouse(role), "test")
    try:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), connection:
            run(connection, "set transaction read write")  # what keeps a reader from writing is not this
            run(connection, statement)
    finally:
        connection.close()


@pytest.mark.parametrize("statement", REFUSED[:3])
def test_its_owner_is_refused_too(postgres: Postgres, statement: str) -> None:
    warehouse.migrate(connections.warehouse("admin"))
    connection = connect(connections.warehouse("admin"), "test")
    try:
        with (
            pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied for table ledger_entry"),
            connection,
        ):
            run(connection, statement)
    finally:
        connection.close()


@pytest.mark.parametrize("role", ["loader", "transformer", "auditor", "reader"])
def test_only_the_publisher_adds(postgres: Postgres, role: str) -> None:
    warehouse.migrate(connections.warehouse("admin"))
    connection = connect(connections.warehouse(role), "test")
    try:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), connection:
            ledger.append(connection, "publish", {})
    finally:
        connection.close()


TAMPERED = {
    "a changed payload": (
        "update control.ledger_entry set payload = payload || '{{\"release_id\": 99}}' where seq = {0}",
        ["entry {0} of the ledger was changed after it was written"],
    ),
    "another moment": (
        "update control.ledger_entry set at = at - interval '1 microsecond' where seq = {0}",
        ["entry {0} of the ledger was changed after it was written"],
    ),
    "another writer": (
        "update control.ledger_entry set role = 'pdic_loader' where seq = {0}",
        ["entry {0} of the ledger was changed after it was written"],
    ),
    "an entry in the middle removed": (
        "delete from control.ledger_entry where seq = {0}",
        ["entry {0} of the ledger is missing"],
    ),
    "the last two removed": (
        "delete from control.ledger_entry where seq > {0}",
        ["entries {1} to {2} of the ledger are missing"],
    ),
    "a swapped order": (
        "update control.ledger_entry as this set kind = that.kind, payload = that.payload, at = that.at, hash = decode(md5(this.seq::text)"
        " || md5(this.seq::text), 'hex') from control.ledger_entry as that where (this.seq, that.seq) in (({0}, {1}), ({1}, {0}))",
        [
            "entry {0} of the ledger was changed after it was written",
            "entry {1} of the ledger does not follow entry {0}: one of the two was replaced",
            "entry {1} of the ledger was changed after it was written",
            "entry {2} of the ledger does not follow entry {1}: one of the two was replaced",
        ],
    ),
    "an entry replaced, with a hash that fits it": (
        "update control.ledger_entry set payload = '{{}}', hash = sha256(previous_hash || convert_to(jsonb_build_object('seq', seq, 'at',"
        " to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), 'kind', kind, 'role', role, 'payload', '{{}}'::jsonb)::text,"
        " 'UTF8')) where seq = {0}",
        ["entry {1} of the ledger does not follow entry {0}: one of the two was replaced"],
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found_and_named(tamperer: Connection, how: str) -> None:
    statement, said = TAMPERED[how]
    end = last(tamperer)
    places = (end - 2, end - 1, end)
    run(tamperer, "set local session_replication_role = replica")  # a superuser's way around the trigger
    run(tamperer, statement.format(*places))
    assert ledger.check(tamperer).wrong == [sentence.format(*places) for sentence in said]


def test_a_ledger_written_anew_lacks_the_hash_that_was_noted_elsewhere(tamperer: Connection) -> None:
    noted = ledger.check(tamperer).last_hash
    ledger.append(tamperer, "publish", {"release_id": 9})
    assert ledger.check(tamperer, noted).wrong == []
    run(tamperer, "set local session_replication_role = replica")
    run(tamperer, "delete from control.ledger_entry")
    run(tamperer, "update control.ledger_head set seq = 0, hash = decode(repeat('00', 32), 'hex')")
    ledger.append(tamperer, "publish", {"release_id": 9})
    assert ledger.check(tamperer).wrong == [], "it agrees with itself"
    (said,) = ledger.check(tamperer, noted).wrong
    assert noted in said
    assert "written anew" in said
