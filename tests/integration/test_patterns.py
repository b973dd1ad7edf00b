"""A cheaper test says the same as the pattern it stands for, of every value, in a real PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from pdic import cleaning, patterns
from pdic.contracts.output import literal
from pdic.quality.predicates import predicate_of

CHEAPER = (
    "^[0-9]{12}$", r"^\d{12}$", r"^\d\d\d\d{2}$", "^0[0-9]{9}$", "^0[2-9][0-9]{8}$", r"^(\d{12}|\d{9})$", r"^(?:\d{12}|\d{9})$",
    "^([0-9]{2}|[0-9]{3}|[0-9]{5})$", "^[0-9]{9,12}$", "^[A-Z][0-9A-Z]{5}$", "^[0-9][0-9.]{2}[0-9][0-9.]$", r"^[0-9.]{4}\.[0-9.]$",
    "^[a-z_%]{3}%_[a-z_%]$", "^([0-9]{5}|[A-Z]{5})$", "^(00[0-9]{3}|[A-Z]{9})$",
)  # fmt: skip
AS_THEY_ARE = (
    "^[0-9]{5}", "[0-9]{5}$", "[0-9]", "^[0-9]+$", "^[0-9]*$", "^[0-9]{5,}$", "^[0-9]{5}?$", "^[^@ ]+@[^@ ]+$", "^[0-9]{5}|[A-Z]{5}$",
    "^([0-9]{5}|[A-Z]+)$", "^H[0-9]{6}$", r"^[\d]{5}$", "^[[:digit:]]{5}$", "^[^0-9]{5}$", "^.{5}$", "^[0-9 ]{5}$", "^[0-9]{4}$", "^$",
    r"^\w{5}$", r"^[0-9]{3}-[0-9]{3}$", "^[0-9]{2,3}[A-Z]{3}$", "^(|[0-9]{5})$", r"^\u0030{5}$", "^12345$", "^([0-9]{5})([0-9])$",
    "^[À-ỹ]{5}$", "^[A-Z]{2}[0-9A-Z]{4}$", "^[0-9.]{3}[0-9]{2}$",
)  # fmt: skip


def values() -> list[str | None]:
    """Short texts of all kinds of characters, and long ones near what the patterns ask for."""
    characters = ("0", "1", "9", "A", "z", "_", "%", ".", "\\", " ", "\n", "ế", "٣", "５")
    short = ["".join(each) for size in range(4) for each in itertools.product(characters, repeat=size)]
    sound = [
        "012345678901",
        "0912345678",
        "012345678",
        "12345",
        "00123",
        "ABCDE",
        "ABCDEFGHI",
        "ABC12Z",
        "1.234",
        "1.23.4",
    ]
    sound += ["ab_%_z", "ếếếếế", "01.02.2024", "02.2024"]
    long = []
    for text in sound:
        long += [text, text + "\n", "\n" + text, text + " ", text + "0", text[:-1], text[1:]]
        long += [text[:at] + character + text[at + 1 :] for at in range(len(text)) for character in characters]
    return [None, *short, *long]


@pytest.fixture(scope="module")
def server(postgres: Any) -> Iterator[Connection]:
    with closing(psycopg2.connect(postgres.create_database("patterns"))) as connection, connection.cursor() as cursor:
        cursor.execute("create table tried (value text, padded char(14))")
        cursor.executemany("insert into tried values (%s, %s)", [(value, value) for value in values()])
        yield connection


def rows(server: Connection, statement: str) -> list[tuple[Any, ...]]:
    with server.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


@pytest.mark.parametrize(
    "pattern", [*CHEAPER, *AS_THEY_ARE, *(kind.sound for kind in cleaning.KINDS.values() if kind.sound)]
)
def test_the_same_values_match(server: Connection, pattern: str) -> None:
    for value in ("value", "padded", "padded::text", 'value collate "C"'):
        itself = f"{value} ~ {literal(pattern)}"
        same = f"({patterns.matches(value, pattern)}) is not distinct from ({itself})"
        assert rows(server, f"select count(*) from tried where not ({same})") == [(0,)], value


@pytest.mark.parametrize("pattern", CHEAPER)
def test_what_is_cheaper_is_taken_and_meets_both_kinds_of_value(server: Connection, pattern: str) -> None:
    test = patterns.matches("value", pattern)
    assert " ~ " not in test
    found = rows(server, f"select distinct {test} from tried where value is not null order by 1")
    assert found == [(False,), (True,)]


@pytest.mark.parametrize("pattern", AS_THEY_ARE)
def test_other_patterns_are_left_alone(pattern: str) -> None:
    assert patterns.matches("value", pattern).startswith("value ~ ")


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("least", "most"), [(2, None), (None, 3), (3, 10), (0, 0)])
def test_lengths_are_of_characters(server: Connection, least: int | None, most: int | None, strict: bool) -> None:
    kwargs = {"column": "value", "min_value": least, "max_value": most, "strict_min": strict, "strict_max": strict}
    failing = predicate_of("expect_column_value_lengths_to_be_between", kwargs).as_string(server)

    def fits(value: str) -> bool:
        above = least is None or (len(value) > least if strict else len(value) >= least)
        return above and (most is None or (len(value) < most if strict else len(value) <= most))

    found = rows(server, f"select value from tried where {failing}")
    wanted = [value for value in values() if value is not None and not fits(value)]
    assert sorted(value for (value,) in found) == sorted(wanted)


@pytest.mark.parametrize("kind", [kind for kind in cleaning.KINDS.values() if kind.sound])
def test_what_is_known_of_a_sound_value_answers_as_the_pattern(server: Connection, kind: cleaning.Kind) -> None:
    answered = 0
    for pattern in (*CHEAPER, *AS_THEY_ARE, *kind.also):
        known = kind.known("value", pattern)
        if known is not None:
            answered += 1
            other = f"{kind.leaves('value')} and ({known}) is distinct from (value ~ {literal(pattern)})"
            assert rows(server, f"select count(*) from tried where {other}") == [(0,)], pattern
    assert answered or kind.sound == cleaning.KINDS["words"].sound
    assert kind.known("value", "^[^@ ]+@[^@ ]+$") is None


@pytest.mark.parametrize(
    ("pattern", "known", "wanted"),
    [
        (r"^\d{12}$", "^([0-9]{12}|[0-9]{9})$", "octet_length(v) = 12"),
        ("^0[0-9]{9}$", "^0[2-9][0-9]{8}$", "true"),
        ("^[0-9]{3}$", "^[0-9]{5}$", "false"),
        ("^1[0-9]{4}$", "^[0-9]{5}$", None),
        ("^[0-9]{5}$", r"^\d{5}$", None),
        ("^[0-9]{5}$", "^[0-9A-Z]{5}$", None),
        ("^[0-9]{5}|[A-Z]$", "^[0-9]{5}$", None),
    ],
)
def test_a_pattern_is_answered_from_a_known_one(pattern: str, known: str, wanted: str | None) -> None:
    assert patterns.given("v", pattern, known) == wanted
