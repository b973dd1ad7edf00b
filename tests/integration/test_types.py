"""Every type that a source may use arrives exactly as it was, or is refused by name before any row moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pdic import connections, load, warehouse
from pdic.contracts import yaml_text
from pdic.contracts.compile import compile_all
from pdic.contracts.pg_types import logical_type
from pdic.contracts.read import dataset_path
from pdic.errors import DriftError, LoadError
from tests.conftest import Postgres

SECTOR = "kieu"

SCHEMA = """
create schema muc;
create type muc.mood as enum ('vui', 'buồn', 'it''s', 'a,b"c');
create domain muc.code as character varying(12) check (value <> 'cấm');
create domain muc.inner_code as muc.code not null;
create domain muc.amounts as numeric(38, 10)[];
create domain muc.feeling as muc.mood;
create type muc.place as (lat double precision, lon double precision);
create type muc.span as range (subtype = text);
"""

ENDLESS = "case when current_setting('server_version_num')::integer >= 170000 then 'infinity'::text::interval end"
"""An interval without an end, which PostgreSQL 17 brought."""

# Name of a column → (type at the source, type it travels as where that is another, values of the rows). A row whose value
# is not given holds NULL.
TYPES: dict[str, tuple[str, str | None, list[str]]] = {
    "b": ("boolean", None, ["true", "false"]),
    "i2": ("smallint", None, ["-32768", "32767"]),
    "i8": ("bigint", None, ["-9223372036854775808", "9223372036854775807"]),
    "num": ("numeric", None, ["'NaN'", "'-Infinity'", "-1.500", "1e-300", "12345678901234567890.0123456789"]),
    "num_38_10": ("numeric(38,10)", None, ["9999999999999999999999999999.9999999999", "-0.0000000001", "'NaN'"]),
    "num_up": ("numeric(3,-2)", None, ["12345", "-99900"]),
    "f4": ("real", None, ["'-0'", "'NaN'", "1e-45", "3.4028235e38"]),
    "f8": ("double precision", None, ["'-0'", "'NaN'", "'-Infinity'", "'4.9e-324'", "0.1"]),
    "t": ("text", None, ["''", "E'\\t\\n\\\\N'", "U&'a\\0323\\0302'", "'ậ'", "'NULL'", "' '"]),
    "v": ("character varying(5)", None, ["''", "' a '", "'Đặng'"]),
    "c": ("character(5)", None, ["'ab'", "''", "'ab  x'"]),
    "c_any": ("bpchar", None, ["'ab   '", "'  '"]),
    "ch": ('"char"', None, ["'x'", "''"]),
    "nm": ("name", None, ["'pg_class'", "''"]),
    "bytes": ("bytea", None, [r"'\x00ff00'", "''"]),
    "d": ("date", None, ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"]),
    "ts": (
        "timestamp without time zone",
        None,
        ["'0044-03-15 12:00 BC'", "'infinity'", "'294276-12-31 23:59:59.999999'"],
    ),
    "ts3": ("timestamp(3) without time zone", None, ["'2026-07-01 00:00:00.1239'", "'-infinity'"]),
    "tz": ("timestamp with time zone", None, ["'4713-11-24 00:00+00 BC'", "'infinity'", "'2026-07-01 00:00+07'"]),
    "tm": ("time without time zone", None, ["'24:00'", "'00:00:00.000001'"]),
    "tmz": ("time with time zone", None, ["'24:00+07'", "'12:34:56.789-15:59'"]),
    "iv": ("interval", None, ["'-1 mon +3 days -04:05:06'", "'24:00'", "'2 years'", ENDLESS]),
    "iv_ym": ("interval year to month", None, ["'2-3'"]),
    "ub": ("bit varying(9)", None, ["B'101'", "B''"]),
    "fb": ("bit(3)", None, ["B'101'"]),
    "u": ("uuid", None, ["'00000000-0000-0000-0000-000000000001'"]),
    "ip": ("inet", None, ["'10.0.0.1/8'", "'::1'"]),
    "net": ("cidr", None, ["'10.0.0.0/8'"]),
    "mac": ("macaddr", None, ["'08:00:2b:01:02:03'"]),
    "mac8": ("macaddr8", None, ["'08:00:2b:01:02:03:04:05'"]),
    "js": ("json", None, ["""'{"a": 1,  "a": 2}'""", "'null'", """'"\\u0041"'"""]),
    "jb": ("jsonb", None, ["""'{"a": 1e400, "ấ": [null, ""]}'""", "'null'", "'[]'", "'1.10'"]),
    "xm": ("xml", "text", []),  # the embedded server is built without libxml: it can hold no value
    "jp": ("jsonpath", None, ["'$.a[*] ? (@ > 1)'"]),
    "tv": ("tsvector", None, ["'''a b'':1A,2 c'", "''"]),
    "tq": ("tsquery", None, ["'a & !b | c:*'"]),
    "r4": ("int4range", None, ["'[1,5)'", "'empty'", "'(,)'"]),
    "r8": ("int8range", None, ["'[-9223372036854775808,)'"]),
    "rn": ("numrange", None, ["'(0.10,1.0]'", "'[NaN,NaN]'"]),
    "rts": ("tsrange", None, ["'[-infinity,infinity)'", "'[0044-03-15 BC,)'"]),
    "rtz": ("tstzrange", None, ["'(2026-07-01 00:00+07,infinity]'", "'empty'"]),
    "rd": ("daterange", None, ["'[2026-07-01,2026-07-02]'"]),
    "mr": ("nummultirange", None, ["'{}'", "'{[1.0,2],(3,)}'"]),
    "mtz": ("tstzmultirange", None, ["'{[2026-01-01 00:00+07,2026-02-01 00:00+07)}'"]),
    "pt": ("point", None, ["'(-0,1e300)'"]),
    "ln": ("line", None, ["'{1,-1,0}'"]),
    "bx": ("box", None, ["'(1,2),(3,4)'"]),
    "pa": ("path", None, ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"]),
    "po": ("polygon", None, ["'((0,0),(1,1),(1,0))'"]),
    "ci": ("circle", None, ["'<(0,0),2>'"]),
    "lsn": ("pg_lsn", None, ["'16/B374D848'"]),
    "od": ("oid", None, ["4294967295"]),
    "x8": ("xid8", None, ["'18446744073709551615'"]),
    "a_t": ("text[]", None, ["array[null, '', '{x}', 'ạ']", "'{}'", "'{{a,b},{c,d}}'", "'[2:3]={a,NULL}'"]),
    "a_v": ("character varying(5)[]", None, ["'{Đặng,\"a,b\"}'"]),
    "a_n": ("numeric[]", None, ["'{NaN,1.50,-Infinity}'"]),
    "a_tz": ("timestamp with time zone[]", None, ["'{infinity,NULL}'"]),
    "a_r": ("int4range[]", None, ["'{\"[1,5)\",empty}'"]),
    "a_j": ("jsonb[]", None, ["""array['{"a": 1e400}', 'null']::jsonb[]"""]),
    "gen": ("integer generated always as (id * 2) stored", None, []),
    "e": ("muc.mood", "text", ["'vui'", "'buồn'", "'it''s'", "'a,b\"c'"]),
    "a_e": ("muc.mood[]", "text[]", ["'{{vui,NULL},{buồn,it''s}}'", '\'[0:0]={"a,b\\"c"}\'', "'{}'"]),
    "dom": ("muc.code", "character varying(12)", ["'mã 1'"]),
    "dom_dom": ("muc.inner_code", "character varying(12)", ["'a'", "'b'", "''", "'d'", "'e'", "'f'"]),
    "dom_a": ("muc.amounts", "numeric(38,10)[]", ["'{1.5,NULL}'"]),
    "a_dom": ("muc.code[]", "character varying(12)[]", ["'[5:6]={a,NULL}'"]),
    "dom_e": ("muc.feeling", "text", ["'buồn'"]),
}
MONEY = ("money", "numeric", ["'-92233720368547758.08'", "'1.10'"])
READ_BY_CAST = {"e", "a_e", "a_dom", "dom_e", "tien", "xm"}

REFUSED = {
    "place": ("muc.place", r"column x is muc\.place, a type that the warehouse does not have: carry it as text"),
    "places": ("muc.place[]", r"muc\.place\[\].*physicalType: text\[\]"),
    "span": ("muc.span", r"column x is muc\.span"),
    "class": ("regclass", r"column x is regclass"),
    "acl": ("aclitem[]", r"column x is aclitem\[\]"),
}


def column(name: str, source: str, carrier: str | None, **more: Any) -> dict[str, Any]:
    """A contract's column, as docs/contracts.md has it."""
    physical = carrier or source.partition(" generated")[0]
    properties = [{"property": "descriptionEn", "value": "Value"}]
    if more.pop("cast", name in READ_BY_CAST):
        properties.append({"property": "sourceType", "value": source})
    return {
        "name": f"value_{name}".lower(),
        "physicalName": name,
        "physicalType": physical,
        "logicalType": logical_type(physical),
        "description": "Giá trị",
        "classification": "internal",
        "customProperties": properties,
    } | more


class Source:
    """A sector whose tables hold what is awkward."""

    def __init__(self, root: Path, uri: str) -> None:
        self.root = root
        self.uri = uri

    def connect_to(self, conn_id: str) -> str:
        return self.uri if conn_id == f"pdic_source_{SECTOR}" else connections.uri(conn_id)

    def contract(self, dataset: str, columns: list[dict[str, Any]], version: str = "1.0.0", **properties: Any) -> None:
        key = column("id", "bigint", None, primaryKey=True, required=True) | {"name": "row_id"}
        custom = {"descriptionEn": "Awkward values", "capture": "snapshot", "deletes": "none"} | properties
        document = {
            "apiVersion": "v3.2.0",
            "kind": "DataContract",
            "id": f"{SECTOR}.{dataset}",
            "name": dataset,
            "version": version,
            "status": "active",
            "domain": SECTOR,
            "team": {"name": "Sở Thử nghiệm"},
            "description": {"purpose": "Giá trị khó"},
            "slaProperties": [
                {"property": "frequency", "value": 1, "unit": "d", "scheduler": "cron", "schedule": "0 1 * * *"},
                {"property": "latency", "value": 26, "unit": "h"},
            ],
            "customProperties": [{"property": name, "value": value} for name, value in custom.items()],
            "schema": [
                {
                    "name": dataset,
                    "physicalName": f"public.{dataset}",
                    "physicalType": "table",
                    "businessName": "Giá trị khó",
                    "properties": [key, *columns],
                }
            ],
        }
        path = self.root / dataset_path(SECTOR, dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml_text.dump(document), encoding="utf-8")
        compile_all(self.root)

    def run(self, statement: str) -> None:
        with psycopg.connect(self.uri) as source:
            source.execute(statement)  # type: ignore[call-overload]

    def load(self, dataset: str) -> dict[str, Any]:
        (report,) = load.load([f"{SECTOR}.{dataset}"], self.connect_to)
        return report

    def extract(self, dataset: str) -> None:
        load.extract(SECTOR, dataset, self.connect_to)

    def warehouse(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(connections.warehouse("loader"), autocommit=True) as loader:
            return loader.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


def copied(uri: str, table: sql.Composable, columns: list[str]) -> bytes:
    """The rows as text, by key: what COPY writes."""
    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'Asia/Ho_Chi_Minh'; set extra_float_digits = 3; set xmloption = content")
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        with cursor.copy(sql.SQL("copy (select {} from {} order by id) to stdout").format(names, table)) as rows:
            return b"".join(bytes(block) for block in rows)


@pytest.fixture(scope="module")
def source(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    root = tmp_path_factory.mktemp("types")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    source = Source(root, postgres.create_database(SECTOR))
    source.run(SCHEMA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield source


def fill(source: Source, table: str, types: dict[str, tuple[str, str | None, list[str]]]) -> int:
    """Make the table and its rows: row n holds the nth value of each column, and one row more holds NULLs. Returns how many."""
    source.run(f"create table {table} (id bigint primary key, {', '.join(f'{n} {t[0]}' for n, t in types.items())})")
    rows = max(len(values) for _, _, values in types.values()) + 1
    for row in range(rows):
        given = {name: values[row] for name, (_, _, values) in types.items() if row < len(values)}
        given |= {"dom_dom": "'z'"} if "dom_dom" in types and "dom_dom" not in given else {}
        names, values = ", ".join(["id", *given]), ", ".join([str(row), *given.values()])
        source.run(f"insert into {table} ({names}) values ({values})")
    return rows


@pytest.mark.parametrize("capture", ["snapshot", "again"])
def test_awkward_types_arrive_identical(source: Source, capture: str) -> None:
    assert len(TYPES) >= 27
    if capture == "snapshot":
        rows = fill(source, "awkward", TYPES)
        source.contract("awkward", [column(name, kind[0], kind[1]) for name, kind in TYPES.items()])
        assert source.load("awkward")["rows_accepted"] == rows
    else:  # nothing has changed, and the difference says so of every type
        assert source.load("awkward")["rows_accepted"] == 0
    sent = copied(source.uri, sql.Identifier("awkward"), ["id", *TYPES])
    came = copied(connections.warehouse("loader"), sql.Identifier("raw", f"{SECTOR}__awkward"), ["id", *TYPES])
    assert came.decode().splitlines() == sent.decode().splitlines()


def test_money_arrives_as_the_number_it_is(source: Source) -> None:
    """Money prints and counts by the locale of its server: as a number it says the same everywhere."""
    several = ("money[]", "numeric[]", ["'{-0.01,NULL}'"])
    fill(source, "money", {"tien": MONEY, "cac_tien": several})
    source.contract("money", [column("tien", *MONEY[:2]), column("cac_tien", *several[:2], cast=True)])
    assert source.load("money")["status"] == "accepted"
    assert [str(value) for (value,) in source.warehouse(f"select tien from raw.{SECTOR}__money order by id")] == [
        "-92233720368547758.08",
        "1.10",
        "None",
    ]
    assert source.warehouse(f"select cac_tien::text from raw.{SECTOR}__money where id = 0") == [("{-0.01,NULL}",)]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_carried_is_refused_by_name(source: Source, name: str) -> None:
    type_, message = REFUSED[name]
    dataset = f"refused_{name}"
    source.run(f"create table {dataset} (id bigint primary key, x {type_}); insert into {dataset} values (1)")
    source.contract(dataset, [column("x", "text", None)])
    with pytest.raises(DriftError, match=message) as refusal:
        source.extract(dataset)
    assert f"{SECTOR}.{dataset}" in str(refusal.value)
    assert source.warehouse(
        f"select count(*) from pg_tables where tablename like '{SECTOR}\\_\\_{dataset}\\_\\_%'"
    ) == [(0,)]


def test_a_composite_travels_as_text_where_the_contract_says_so(source: Source) -> None:
    source.run(
        "create table spots (id bigint primary key, x muc.place, xs muc.place[]);"
        "insert into spots values (1, (1.5, '-0')::muc.place, array[(1, null)::muc.place]), (2, null, '{}')"
    )
    source.contract(
        "spots", [column("x", "muc.place", "text", cast=True), column("xs", "muc.place[]", "text[]", cast=True)]
    )
    assert source.load("spots")["rows_accepted"] == 2
    assert copied(
        connections.warehouse("loader"), sql.Identifier("raw", f"{SECTOR}__spots"), ["id", "x", "xs"]
    ) == copied(source.uri, sql.Identifier("spots"), ["id", "x", "xs"])


def test_an_enum_that_the_contract_takes_for_text_is_told_apart(source: Source) -> None:
    source.run("create table untold (id bigint primary key, x muc.mood)")
    source.contract("untold", [column("x", "text", None)])
    with pytest.raises(DriftError, match=r"add the custom property sourceType: muc\.mood"):
        source.extract("untold")


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("character varying(3)", "character varying(9)"),
        ("numeric(4,2)", "numeric(9,2)"),
        ("character varying(3)", "text"),
    ],
)
def test_a_type_that_only_grew_is_widened_by_the_load(source: Source, narrow: str, wide: str) -> None:
    dataset = {"character varying(9)": "grown_a", "numeric(9,2)": "grown_b", "text": "grown_c"}[wide]
    source.run(f"create table {dataset} (id bigint primary key, x {narrow}); insert into {dataset} values (1, '1.5')")
    source.contract(dataset, [column("x", narrow, None)])
    source.load(dataset)
    source.run(f"alter table {dataset} alter column x type {wide}; insert into {dataset} values (2, '12345.67')")
    with pytest.raises(DriftError, match="which is wider"):
        source.extract(dataset)
    source.contract(dataset, [column("x", wide, None)], version="2.0.0")
    assert source.load(dataset)["rows_accepted"] == 1
    assert source.warehouse(f"select x::text from raw.{SECTOR}__{dataset} order by id") == [
        ("1.50" if "numeric" in wide else "1.5",),
        ("12345.67",),
    ]


def test_a_type_that_became_another_is_written_anew_by_a_full_load(source: Source) -> None:
    source.run("create table moved (id bigint primary key, x integer); insert into moved values (1, 7)")
    source.contract("moved", [column("x", "integer", None)])
    source.load("moved")
    source.run("alter table moved alter column x type bigint; insert into moved values (2, 5000000000)")
    source.contract("moved", [column("x", "bigint", None)], version="2.0.0")
    with pytest.raises(
        LoadError, match=rf"x \(now integer, contract: bigint\).*`pdic load {SECTOR}.moved --full`"
    ) as refusal:
        source.extract("moved")
    assert "alter" not in str(refusal.value)
    (report,) = load.load([f"{SECTOR}.moved"], source.connect_to, full=True)
    assert (report["status"], report["rows_accepted"], report["rows_unchanged"]) == ("accepted", 1, 1)
    assert source.warehouse(f"select x from raw.{SECTOR}__moved order by id") == [(7,), (5000000000,)]


def test_a_type_that_accepted_values_are_not_of_is_refused_in_words(source: Source) -> None:
    source.run("create table unfit (id bigint primary key, x text); insert into unfit values (1, 'chín mươi')")
    source.contract("unfit", [column("x", "text", None)])
    source.load("unfit")
    source.run("update unfit set x = '90'; alter table unfit alter column x type integer using x::integer")
    source.contract("unfit", [column("x", "integer", None)], version="2.0.0")
    (report,) = load.load([f"{SECTOR}.unfit"], source.connect_to, full=True)
    assert report["status"] == "failed"
    assert "accepted rows hold values of x that are no integer" in report["message"]
    assert "chín" not in report["message"]
    assert source.warehouse(f"select x from raw.{SECTOR}__unfit") == [("chín mươi",)]


def test_a_type_that_became_narrower_keeps_what_raw_holds(source: Source) -> None:
    source.run("create table shrunk (id bigint primary key, x varchar(9)); insert into shrunk values (1, 'abcdefghi')")
    source.contract("shrunk", [column("x", "character varying(9)", None)])
    source.load("shrunk")
    source.run("update shrunk set x = 'abc'; alter table shrunk alter column x type varchar(3)")
    with pytest.raises(
        DriftError, match=r"character varying\(3\) \(contract: character varying\(9\)\), which is narrower"
    ):
        source.extract("shrunk")
    source.contract("shrunk", [column("x", "character varying(3)", None)], version="2.0.0")
    assert source.load("shrunk")["rows_accepted"] == 1
    assert source.warehouse(f"select x from raw.{SECTOR}__shrunk order by _batch_id") == [("abcdefghi",), ("abc",)]
