"""A key is one, however its values are written: in raw, in comparisons, in staging, in the register of the quarantine."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pdic.contracts import key_identity, pg_types
from tests.conftest import Postgres

OUTLANDISH = {
    "TimeZone": "Pacific/Marquesas",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "lc_monetary": "C",
}
"""What an administrator may have set for a role or a database; no key may change by it."""

KINDS: dict[str, list[tuple[str, ...]]] = {
    # Of each type several values, each in all the spellings that are equal to it.
    "smallint": [("7",), ("-7",)],
    "bigint": [("7", "007"), ("70",)],
    "boolean": [("true", "on"), ("false",)],
    "text": [("a",), ("a ",), ("A",), ("",)],
    "character varying(9)": [("a",), ("a ",)],
    "character(4)": [("a", "a  "), (" a",), ("",)],
    "bpchar": [("a", "a   "), (" a",)],
    "numeric": [
        ("2.5", "2.50", "02.5000"),
        ("100", "100.0"),
        ("1e3", "1000.00"),
        ("0", "-0.0"),
        ("NaN",),
        ("Infinity",),
    ],
    "numeric(8,2)": [("2.5", "2.50"), ("100",), ("-0.01",)],
    "numeric(8,0)": [("100",), ("1",)],
    "real": [("0", "-0"), ("1.1",), ("NaN", "-NaN"), ("-Infinity",)],
    "double precision": [("0", "-0"), ("0.30000000000000004",), ("0.3",), ("NaN",), ("1e300",)],
    "date": [("2026-02-01", "20260201"), ("2026-01-02",), ("infinity",), ("0044-03-15 BC",)],
    "timestamp without time zone": [
        ("2026-02-01 12:00", "2026-02-01T12:00:00.000"),
        ("2026-01-02 12:00",),
        ("-infinity",),
    ],
    "timestamp(0) without time zone": [("2026-02-01 12:00:00.4", "2026-02-01 12:00"), ("2026-01-02 12:00",)],
    "timestamp with time zone": [
        ("2026-02-01 12:00+07", "2026-02-01 05:00Z"),
        ("2026-02-01 12:00Z",),
        ("1970-01-01 00:00:00.000001+08",),
        ("infinity",),
        ("-infinity",),
    ],
    "time without time zone": [("12:00", "12:00:00.000"), ("00:00",), ("24:00",)],
    "time with time zone": [("12:00+07", "12:00:00+07:00"), ("05:00+00",)],
    "interval": [
        ("1 day", "24:00", "0.5 day 12 hours"),
        ("1 mon", "30 days", "720:00"),
        ("1 year", "360 days"),
        ("365 days",),
        ("-1 day +1 hour", "-23:00"),
        ("0", "1 day -24:00"),
    ],
    "interval year to month": [("1-0", "12 mons"), ("0-1",)],
    "bytea": [(r"\x5c27", r"\\'"), (r"\x00",), ("",)],
    "uuid": [("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}")],
    "inet": [("10.0.0.1", "10.0.0.1/32"), ("10.0.0.1/31",), ("::1", "0:0:0:0:0:0:0:1")],
    "cidr": [("10", "10.0.0.0/8"), ("10.0.0.0/16",)],
    "macaddr": [("08:00:2b:01:02:03", "08-00-2B-01-02-03")],
    "bit(3)": [("101",), ("010",)],
    "bit varying": [("101",), ("0101",)],
    "pg_lsn": [("0/1", "0/00000001"), ("1/0",)],
    "xid8": [("7", "07")],
    "tsvector": [("b a", "a b b"), ("a:1",)],
    "int4range": [("[1,2]", "[1,3)", "(0,3)"), ("empty", "(1,1)"), ("[1,)",)],
    "numrange": [("[1.0,2.50)", "[1,2.5)"), ("[1,2.5]",), ("(,2.5)",), ("empty", "[1,1)")],
    "daterange": [("[2026-01-01,2026-01-02]", "[2026-01-01,2026-01-03)"), ("[2026-01-02,2026-02-01)",), ("empty",)],
    "tsrange": [
        ("[2026-01-01 00:00,2026-01-02)", "[2026-01-01,2026-01-02 00:00:00)"),
        ("[2026-01-01,infinity)",),
        ("(,)",),
    ],
    "tstzrange": [("[2026-01-01 00:00+07,)", "[2025-12-31 17:00Z,)"), ("[2026-01-01 00:00Z,)",)],
    "int8multirange": [("{[1,2],[3,4]}", "{[1,5)}"), ("{}", "{empty}")],
    "nummultirange": [("{[1.0,2),[3,4)}", "{[3,4.00),[1,2.0)}"), ("{}",), ("{[1,4)}",)],
    "tstzmultirange": [("{[2026-01-01 00:00+07,)}", "{[2025-12-31 17:00Z,)}"), ("{}",)],
    "integer[]": [("{1,2}",), ("[0:1]={1,2}",), ("{{1,2}}",), ("{1,NULL}",)],
    "text[]": [("{a,NULL}", '{"a",null}'), ('{a,"NULL"}',), ("{}",)],
    "character(2)[]": [("{a,b}", '{"a ",b}'), ("{a}",)],
}
REFUSED = (
    *("json", "jsonb", "point", "polygon", "xid", "tsquery", "numeric[]", "date[]", "jsonb[]", "bytea[]"),
    *("interval[]", "interval(3)[]", "interval day to second(3)[]", "timestamp with time zone[]", "numrange[]"),
)


ENDLESS_INTERVALS = 17
"""The first version with the intervals `infinity` and `-infinity`."""


def kinds(postgres: Postgres) -> dict[str, list[tuple[str, ...]]]:
    """The table above for the server's version."""
    endless = [("infinity",)] if postgres.major >= ENDLESS_INTERVALS else []
    return KINDS | {"interval": KINDS["interval"] + endless}


@pytest.fixture(scope="module", params=[{}, OUTLANDISH], ids=["as usual", "outlandish"])
def session(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as connection:
        for name, value in request.param.items():
            connection.execute("select set_config(%s, %s, false)", (name, value))
        yield connection


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_equal_where_values_are(session: psycopg.Connection, postgres: Postgres, kind: str) -> None:
    groups = kinds(postgres)[kind]
    spellings = [(number, spelling) for number, group in enumerate(groups) for spelling in group]
    numbers, texts = zip(*spellings, strict=True)
    written = key_identity.part('spelled."giá trị"', kind)
    rows = session.execute(
        f"""
        with spelled as (
            select number, (text::{kind}) as "giá trị" from unnest(%s::int[], %s::text[]) as given (number, text)
        )
        select
            spelled.number, {written}, ({written})::{key_identity.literal_type(kind)} = spelled."giá trị",
            one.number, spelled."giá trị" = one.value
        from spelled cross join (select number, "giá trị" as value from spelled) as one
        """,  # type: ignore[arg-type]
        (list(numbers), list(texts)),
    ).fetchall()
    assert {(number == other, equal) for number, _, _, other, equal in rows} <= {(True, True), (False, False)}, (
        "the table above"
    )
    assert all(literal for _, _, literal, _, _ in rows)
    of_value = {(number, text) for number, text, *_ in rows}
    assert len(of_value) == len({text for _, text in of_value}) == len(groups)


def test_a_key_does_not_depend_on_the_session(postgres: Postgres) -> None:
    found = []
    for settings in ({}, OUTLANDISH):
        with psycopg.connect(postgres.uri("postgres")) as connection:
            for name, value in settings.items():
                connection.execute("select set_config(%s, %s, false)", (name, value))
            select = ", ".join(
                key_identity.part(f"('{spelling[0].replace(chr(39), chr(39) * 2)}'::{kind})", kind)
                for kind, groups in kinds(postgres).items()
                for spelling in groups
            )
            found.append(connection.execute("select " + select).fetchone())  # type: ignore[arg-type]
    assert found[0] == found[1]


def test_keys_of_numbers_and_texts_stay_as_they_were() -> None:
    """Warehouses that stand know their rows by these."""
    assert key_identity.part('"id"', "bigint") == '"id"::text'
    assert key_identity.part('"mã"', "character varying(20)") == '"mã"::text'


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_one_text_is_no_key(session: psycopg.Connection, kind: str) -> None:
    assert pg_types.logical_type(kind) is not None
    assert kind in str(key_identity.problem(kind))


@pytest.mark.parametrize(
    ("kind", "one", "other"), [("jsonb", "1.0", "1"), ("tsquery", "a:A", "a"), ("numeric[]", "{1.0}", "{1}")]
)
def test_types_are_refused_for_a_reason(session: psycopg.Connection, kind: str, one: str, other: str) -> None:
    row = session.execute(f"select %s::{kind} = %s::{kind}, %s::{kind}::text = %s::{kind}::text", (one, other) * 2)  # type: ignore[arg-type]
    assert row.fetchone() == (True, False)


def test_every_type_has_a_text_or_a_reason() -> None:
    for kind in [*KINDS, *REFUSED]:
        assert (key_identity.problem(kind) is None) == (kind in KINDS)
