"""The project's rules that judge rows by other rows: what each lets pass and what it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from pdic import contracts, raw, settings
from pdic.contracts.raw_tables import raw_tables
from pdic.quality import Rule, lookups, rules_for_batch
from pdic.quality.rule_types import Engine
from pdic.warehouse.migrate import replace_functions
from tests.conftest import Postgres
from tests.integration.test_quality_of_the_project import EMPTY_LEDGER

ROOT = settings.project_root()
CONTRACTS = {contract.id: contract for contract in contracts.load_all(ROOT).values()}
RULES: dict[str, tuple[str, Rule]] = {
    rule.id: (name, rule)
    for name, contract in CONTRACTS.items()
    for rule in rules_for_batch(ROOT, contract.sector, contract.dataset)
    if rule.rule_type.engine is Engine.LOOKUP
}
REFERENCES = {rule_id: rule for rule_id, (_, rule) in RULES.items() if rule.type == "pdic_expect_reference_to_exist"}

Rows = Mapping[str, list[dict[str, Any]]]
"""Rows by dataset, named from 1 on in their order."""


@pytest.fixture(scope="module")
def warehouse(postgres: Postgres) -> Iterator[Connection]:
    """Every dataset with an empty batch 1 that is being checked; what a test inserts is rolled back."""
    uri = postgres.create_database("lookup_rules")
    replace_functions(uri)
    with closing(psycopg2.connect(uri)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(
                "create schema raw; create schema quarantine; create schema raw_batch; create schema control"
            )
            cursor.execute(EMPTY_LEDGER)
            for contract in CONTRACTS.values():
                cursor.execute(raw_tables(contract).text)
                cursor.execute(raw.create_batch_table(contract, 1))
                named = sql.SQL("alter table {} add column _number integer").format(raw.batch_table(contract, 1))
                cursor.execute(named)
        connection.commit()
        yield connection


def failing(warehouse: Connection, rule_id: str, rows: Rows) -> set[int]:
    """The numbers of the rows that a rule names."""
    name, rule = RULES[rule_id]
    contract, table = CONTRACTS[name], raw.batch_table(CONTRACTS[name], 1)
    with warehouse.cursor() as cursor:
        for dataset, entries in rows.items():
            for number, row in enumerate(entries, start=1):
                keyed = {CONTRACTS[dataset].key[0]: number} | row | {"_number": number}
                cursor.execute(
                    sql.SQL("insert into {} ({}) values ({})").format(
                        raw.batch_table(CONTRACTS[dataset], 1),
                        sql.SQL(", ").join(map(sql.Identifier, keyed)),
                        sql.SQL(", ").join(map(sql.Literal, keyed.values())),
                    )
                )
        pending = {key: (each, 1, raw.batch_table(each, 1)) for key, each in CONTRACTS.items()}
        ready = lookups.prepare(warehouse, contract, table, [rule], root=ROOT, pending=pending)
        cursor.execute(lookups.PLANNING)
        cursor.execute(
            sql.SQL("select _number from {} where ctid in (select failing._row from ({}) as failing)").format(
                table, ready.queries[rule_id]
            )
        )
        found = {number for (number,) in cursor.fetchall()}
    warehouse.rollback()
    return found


@pytest.mark.parametrize("rule_id", REFERENCES)
def test_a_reference_must_be_known_or_not_given(warehouse: Connection, rule_id: str) -> None:
    name, rule = RULES[rule_id]
    mine, other = rule.kwargs["columns"], rule.kwargs["references"]
    target = rule.kwargs["dataset"]

    def values(dataset: str, columns: list[str], text: str) -> dict[str, Any]:
        types = {column.source_name: column.physical_type for column in CONTRACTS[dataset].columns}
        return {column: int(text) if types[column] in ("integer", "bigint") else text for column in columns}

    known, missing, none = values(name, mine, "10123"), values(name, mine, "10124"), dict.fromkeys(mine)
    if target != name:
        rows = {target: [values(target, other, "10123")], name: [known, missing, none]}
        assert failing(warehouse, rule_id, rows) == {2}
    else:
        rows = {name: [values(name, other, "10123") | none, known, missing]}
        assert failing(warehouse, rule_id, rows) == {3}


def line(stt: int | None, amount: float, link: str = "L1", **more: Any) -> dict[str, Any]:
    return {"MA_LK": link, "STT": stt, "THANH_TIEN_BV": amount, **more}


def visit(number: str | None, name: str | None, day: str, **more: Any) -> dict[str, Any]:
    born = {"NGAY_SINH": "195003040000", "GIOI_TINH": "1"}
    return {"MA_LK": "L1", "SO_CCCD": number, "HO_TEN": name, "NGAY_VAO": day, **born, **more}


def death(number: str | None, name: str, day: str, born: str = "04.03.1950") -> dict[str, Any]:
    person = {"nktSoDinhDanh": number, "nktHoTen": name, "nktNgaySinh": born, "nktGioiTinh": "1"}
    return {**person, "nktNgayChet": day}


def paid(month: int, total: int, in_month: int = 5, **more: Any) -> dict[str, Any]:
    of = {"ma_du_an": "D1", "ma_nguon_von": "NSTW", "nam": 2026}
    return {**of, "thang": month, "luy_ke_nam": total, "so_tien_thang": in_month, **more}


def plan(amount: float, unit: str = "đồng", kind: str = "2", **more: Any) -> dict[str, Any]:
    of = {"ma_du_an": "D1", "ma_nguon_von": "NSTW", "nam": 2026}
    return {**of, "so_von": amount, "don_vi_tinh": unit, "loai": kind, **more}


ID, OTHER_ID, THIRD_ID = "044050123456", "044050654321", "044050999999"
AN, BINH = "Nguyễn Văn An", "Trần Văn Bình"
SUMS = [
    ({"LINES": [line(1, 10), line(2, 5)]}, [15, 13, None], {2}),
    ({"LINES": [line(1, 10), line(1, 10), line(2, 5)]}, [15], set()),  # a line sent again counts once
    ({"LINES": [line(None, 10), line(None, 5)]}, [15], set()),  # lines without a number are lines of their own
    ({"LINES": [line(1, 10) | {"DA_XOA": True}]}, [10, 0], {1}),  # withdrawn
    ({"LINES": [line(1, 10, "L2")]}, [0, 10], {2}),  # a visit without lines has a total of nothing
    ({"LINES": [line(1, 10.6)]}, [11, 12], {2}),  # amounts are rounded
]


@pytest.mark.parametrize(("total", "lines"), [("T_THUOC", "xml2"), ("T_DICH_VU", "xml3")])
@pytest.mark.parametrize(("given", "totals", "expected"), SUMS)
def test_a_visits_total_is_the_sum_of_its_lines(
    warehouse: Connection, total: str, lines: str, given: Any, totals: list[Any], expected: set[int]
) -> None:
    visits = [{"MA_LK": "L1", total: amount} for amount in totals]
    rows = {f"health.{lines}": given["LINES"], "health.xml1": visits}
    assert failing(warehouse, f"xml1.{total}.sum_of_lines", rows) == expected


ONE_PERSON = {
    "xml1.SO_CCCD.one_person": ("SO_CCCD", "HO_TEN"),
    "hocsinh.sodinhdanh.one_person": ("sodinhdanh", "hovaten"),
    "giaovien.sodinhdanh.one_person": ("sodinhdanh", "hovaten"),
    "khai_sinh.nksSoDinhDanh.one_person": ("nksSoDinhDanh", "nksHoTen"),
    "khai_tu.nktSoDinhDanh.one_person": ("nktSoDinhDanh", "nktHoTen"),
}


@pytest.mark.parametrize("rule_id", ONE_PERSON)
def test_a_number_is_one_persons(warehouse: Connection, rule_id: str) -> None:
    number, name = ONE_PERSON[rule_id]
    people = [
        (ID, AN),
        (ID, "NGUYEN VAN AN"),
        (ID, "An Văn Nguyễn"),
        (ID, None),
        (OTHER_ID, AN),
        (OTHER_ID, BINH),
        (None, AN),
        (None, BINH),
        ("191234567", AN),  # nine digits are no number of this kind
        ("191234567", BINH),
        (THIRD_ID, AN),
        (THIRD_ID, AN),
        (THIRD_ID, BINH),  # most records give another name
    ]
    rows = [{number: who, name: called} for who, called in people]
    assert failing(warehouse, rule_id, {RULES[rule_id][0]: rows}) == {5, 6, 13}


CASES: list[tuple[str, Rows, set[int]]] = [
    (
        f"{lines}.NGAY_YL.within_stay",
        {
            "health.xml1": [
                {"MA_LK": "L1", "NGAY_VAO": "202603010800", "NGAY_RA": "202603031700"},
                {"MA_LK": "L2", "NGAY_VAO": "202603031700", "NGAY_RA": "202603010800"},  # the wrong way round
                {"MA_LK": "L4", "NGAY_VAO": "202613150800", "NGAY_RA": "202603031700"},  # on no calendar
                {"MA_LK": "L5", "NGAY_VAO": "202602310800", "NGAY_RA": "202603000000"},  # nor known to the day
            ],
            f"health.{lines}": [
                line(1, 1, NGAY_YL="202603010800"),
                line(2, 1, NGAY_YL="202603010759"),
                line(3, 1, NGAY_YL="202603031701"),
                line(4, 1, "L2", NGAY_YL="202601010000"),
                line(5, 1, "L3", NGAY_YL="202601010000"),
                line(6, 1, NGAY_YL=None),
                line(7, 1, "L2", NGAY_YL="202603020000"),
                line(8, 1, "L4", NGAY_YL="202603010900"),
                line(9, 1, "L4", NGAY_YL="202603041700"),
                line(10, 1, "L4", NGAY_YL="202601220900"),  # weeks before it left; when it came is not known
                line(11, 1, "L5", NGAY_YL="202601220900"),
            ],
        },
        {2, 3, 4, 9, 10},
    )
    for lines in ("xml2", "xml3")
] + [
    (
        "xml1.NGAY_VAO.before_registered_death",
        {
            "civil_registry.khai_tu": [death(ID, AN, "05.03.2026"), death(None, BINH, "03.2026")],
            "health.xml1": [
                visit(ID, AN, "202603051000"),
                visit(ID, "Nguyễn Văn Ăn", "202603061000"),
                visit(None, BINH, "202603311000"),
                visit(OTHER_ID, BINH, "202604011000"),
                visit(None, BINH, "202604011000", GIOI_TINH="2"),
                visit(None, "Trần Văn Nam", "202604011000"),
                visit(None, BINH, "202604011000", NGAY_SINH="195000000000"),
                visit(OTHER_ID, AN, "202604011000"),  # another number, so another person
            ],
        },
        {2, 4},
    ),
    (
        "xml1.NGAY_VAO.before_reported_death",
        {
            "health.giay_bao_tu": [
                {"SO_CCCD": ID, "HO_TEN": AN, "NGAY_TU_VONG": "202603052359", "GIOI_TINH": "1", "NGAY_SINH": "195003040000"},
                {"SO_CCCD": None, "HO_TEN": BINH, "NGAY_TU_VONG": "202603050000", "GIOI_TINH": "1", "NGAY_SINH": "195003040000"},
            ],
            "health.xml1": [
                visit(ID, AN, "202603051000"),
                visit(ID, AN, "202603061000"),
                visit(OTHER_ID, BINH, "202603061000"),
                visit(OTHER_ID, AN, "202603061000"),
            ],
        },
        {2, 3},
    ),
    (
        "khai_tu.nktNgayChet.after_last_visit",
        {
            "health.xml1": [visit(ID, AN, "202603061000"), visit(OTHER_ID, BINH, "202603061000")],
            "civil_registry.khai_tu": [
                death(ID, AN, "05.03.2026"),
                death(ID, AN, "06.03.2026"),
                death(OTHER_ID, BINH, "03.2026"),
                death(None, BINH, "05.03.2026"),
            ],
        },
        {1},
    ),
    (
        "giai_ngan.luy_ke_nam.never_falls",
        {
            "investment.giai_ngan": [
                paid(1, 10),
                paid(2, 9),
                paid(3, 40),
                paid(4, 2, nam=2025),
                paid(4, 2, ma_nguon_von="NSDP"),
            ]
        },
        {2},
    ),
    (
        "giai_ngan.luy_ke_nam.never_falls",
        {"investment.giai_ngan": [paid(1, 10), paid(2, 7, -3), paid(3, 6, 0)]},  # an advance of 3 was taken back
        {3},
    ),
    (
        "giai_ngan.luy_ke_nam.never_falls",
        {"investment.giai_ngan": [paid(1, 10, 10), paid(2, 6, 20), paid(3, 18, 4)]},  # above what fell before, below the months
        {2, 3},
    ),
    (
        "giai_ngan.luy_ke_nam.within_plan",
        {
            "investment.ke_hoach_von": [plan(2, "triệu đồng"), plan(500_000), plan(9, "triệu đồng", kind="1")],
            "investment.giai_ngan": [paid(1, 2_500_000), paid(2, 2_500_001), paid(1, 9_000_000, nam=2025)],
        },
        {2},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule_id", "rows", "expected"), CASES)
def test_what_a_rule_lets_pass_and_what_it_names(
    warehouse: Connection, rule_id: str, rows: Rows, expected: set[int]
) -> None:
    assert failing(warehouse, rule_id, rows) == expected


def test_every_rule_has_an_example_here() -> None:
    sums = {"xml1.T_THUOC.sum_of_lines", "xml1.T_DICH_VU.sum_of_lines"}
    assert {rule_id for rule_id, _, _ in CASES} | set(ONE_PERSON) | sums | set(REFERENCES) == set(RULES)
