"""Keys that leave the vault: made in SQL as in Python, of no use for another purpose, and not without the secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import psycopg2.errors
import pytest
from psycopg2.extensions import cursor as Cursor

from pdic import connections, warehouse
from pdic.release import keys
from pdic.warehouse import connect
from pdic.warehouse.formats import startup_options
from tests.conftest import Postgres

SECRET = b"a secret"
VALUES = ["", "0148-2025-7", "Nguyễn Thị Bích", "a|b", "x" * 500]


@pytest.fixture
def session(postgres: Postgres) -> Iterator[Cursor]:
    warehouse.migrate(connections.warehouse("admin"))
    given = startup_options(keys.settings_of(SECRET))
    connection = psycopg2.connect(connections.warehouse("transformer"), options=given)
    with connection, connection.cursor() as cursor:
        yield cursor
    connection.close()


def made(cursor: Cursor, purpose: str, values: list[str | None]) -> list[str | None]:
    cursor.execute(
        "select clean.key_of(value, (select clean.key_block(%(purpose)s, 54)), (select clean.key_block(%(purpose)s, 92)))"
        " from unnest(%(values)s::text[]) with ordinality as given (value, place) order by place",
        {"purpose": purpose, "values": values},
    )
    return [key for (key,) in cursor.fetchall()]


@pytest.mark.parametrize("purpose", ["student", "visit"])
def test_sql_makes_the_keys_that_python_makes(session: Cursor, purpose: str) -> None:
    assert made(session, purpose, [*VALUES, None]) == [*(keys.key_of(SECRET, purpose, value) for value in VALUES), None]


def test_a_key_is_an_hmac_by_rfc_2104(session: Cursor) -> None:
    """By Python's own HMAC, step by step: a secret of the purpose from the root, then the key from it."""
    root = hmac.digest(SECRET, b"root of the keys that leave the vault", "sha256")
    of_purpose = hmac.digest(root, b"key of student", "sha256")
    wanted = hmac.new(of_purpose, b"0148-2025-7", hashlib.sha256).digest()[:16]
    (key,) = made(session, "student", ["0148-2025-7"])
    assert key is not None
    assert bytes.fromhex(key.translate(str.maketrans("ghijklmnopqrstuv", "0123456789abcdef"))) == wanted


def test_another_purpose_or_secret_gives_other_keys(session: Cursor) -> None:
    student, visit = made(session, "student", VALUES), made(session, "visit", VALUES)
    others = [keys.key_of(b"another secret", "student", value) for value in VALUES]
    assert len({*student, *visit, *others}) == 3 * len(VALUES)


def test_without_the_secret_there_are_no_keys(session: Cursor) -> None:
    """A reader has neither the setting nor the functions; a step's role without the setting gets an error, never a weaker key."""
    plain = connect(connections.warehouse("transformer"), "test")
    with plain, plain.cursor() as cursor, pytest.raises(psycopg2.errors.UndefinedObject, match="pdic.key_root"):
        made(cursor, "student", ["a"])
    plain.close()
    reader = psycopg2.connect(connections.warehouse("reader"))
    with reader, reader.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        made(cursor, "student", ["a"])
    reader.close()
