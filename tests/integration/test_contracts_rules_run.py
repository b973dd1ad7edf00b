"""The compiled rules and those in expectations/batch run on the raw tables, and judge sample rows as they should.

`tests/samples/<sector>/<dataset>.yaml` holds, for every row rule written by hand, a row that keeps it and one that breaks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from pdic import settings
from pdic.cleaning import relation
from pdic.contracts import Contract, load_all, yaml_text
from pdic.contracts.raw_tables import raw_tables
from pdic.quality import Rule, predicate, quarantine_sql, rules_for_batch
from pdic.warehouse.migrate import replace_functions

ROOT = settings.project_root()
CONTRACTS = load_all(ROOT)
SAMPLES = ROOT / "tests" / "samples"
BATCH_RULES = ROOT / "expectations" / "batch"


class Server(Protocol):
    """What this module needs of the session's server."""

    def create_database(self, name: str) -> str: ...


@pytest.fixture(scope="module")
def tables(postgres: Server) -> Iterator[Connection]:
    """A connection to a database with every dataset's tables; what a test inserts is rolled back."""
    uri = postgres.create_database("contracts_rules")
    replace_functions(uri)
    with psycopg2.connect(uri) as connection:
        with connection.cursor() as cursor:
            cursor.execute("create schema raw; create schema quarantine")
            for contract in CONTRACTS.values():
                cursor.execute(raw_tables(contract).text)
        connection.commit()
        yield connection
    connection.close()


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    return rules_for_batch(ROOT, contract.sector, contract.dataset)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.id)
def test_every_row_rule_is_sql_that_the_table_understands(contract: Contract, tables: Connection) -> None:
    """Checked on one row of NULLs: the rules about missing values see it, no other rule does."""
    table = sql.Identifier("quarantine", contract.raw_table)
    row_rules = [rule for rule in rules_of(contract) if rule.is_row_rule]
    with tables.cursor() as cursor:
        cursor.execute(sql.SQL("insert into {} (_batch_id) values (1)").format(table))
        counts = sql.SQL(", ").join(sql.SQL("count(*) filter (where {})").format(predicate(rule)) for rule in row_rules)
        cursor.execute(sql.SQL("select {} from {}").format(counts, table))
        failed = {rule.id for rule, count in zip(row_rules, cursor.fetchone() or (), strict=True) if count}
    tables.rollback()
    required = {f"{contract.dataset}.{column.source_name}.required" for column in contract.columns if column.required}
    # Two rules are about what is missing from several columns (birth, service or supply); `given` asks for names.
    several = {rule.id for rule in row_rules if rule.id.endswith((".one_of_three", ".service_or_supply", ".given"))}
    assert failed == required | several


def insert(tables: Connection, contract: Contract, row: dict[str, Any]) -> None:
    """Put a row, as its source would send it, into the dataset's quarantine table."""
    statement = sql.SQL("insert into {} (_batch_id, {}) values (1, {})").format(
        sql.Identifier("quarantine", contract.raw_table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Literal, row.values())),
    )
    with tables.cursor() as cursor:
        cursor.execute(statement)


def cleaned(contract: Contract) -> sql.Composable:
    """The rows of the dataset's quarantine table with cleaned values."""
    names = ["_batch_id", *(column.source_name for column in contract.columns)]
    return relation(contract, sql.Identifier("quarantine", contract.raw_table), names)


def written(contract: Contract) -> dict[str, Rule]:
    """The row rules of the dataset that were written by hand, drafts too."""
    rules = rules_for_batch(ROOT, contract.sector, contract.dataset, drafts=True)
    return {rule.id: rule for rule in rules if rule.is_row_rule and rule.path and rule.path.is_relative_to(BATCH_RULES)}


def samples(contract: Contract) -> dict[str, dict[str, dict[str, Any]]]:
    """Rule id → `passes` and `fails`, each a row."""
    path = SAMPLES / contract.sector / f"{contract.dataset}.yaml"
    return yaml_text.load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def holds(rule: Rule) -> sql.Composable:
    """TRUE where a row keeps the rule because of its values, not for want of any."""
    if "condition" in rule.kwargs:
        return sql.SQL("coalesce(") + sql.SQL(rule.kwargs["condition"]) + sql.SQL(", false)")
    values = sql.SQL(", ").join(map(sql.Identifier, rule.needed_columns))
    return sql.SQL("(not {} and num_nulls({}) = 0)").format(predicate(rule), values)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.id)
def test_every_written_row_rule_has_a_row_that_keeps_it_and_one_that_breaks_it(
    contract: Contract, tables: Connection
) -> None:
    rules, given = written(contract), samples(contract)
    wrong = [f"{rule_id} has no samples" for rule_id in rules.keys() - given.keys()]
    wrong += [f"{rule_id} has samples and is no rule" for rule_id in given.keys() - rules.keys()]
    for rule_id in rules.keys() & given.keys():
        rule, sides = rules[rule_id], given[rule_id]
        if sides.keys() != {"passes", "fails"} or any(row.keys() != set(rule.needed_columns) for row in sides.values()):
            wrong.append(f"{rule_id} wants `passes` and `fails`, each with every column that it reads")
            continue
        for side, row in sides.items():
            insert(tables, contract, row)
            judged = sql.SQL("select {}, {} from ({}) as cleaned").format(
                predicate(rule), holds(rule), cleaned(contract)
            )
            with tables.cursor() as cursor:
                cursor.execute(judged)
                if cursor.fetchall() != [(side == "fails", side == "passes")]:
                    wrong.append(f"{rule_id} is judged otherwise on the row of `{side}`")
            tables.rollback()
    assert not wrong, "\n".join(sorted(wrong))


def test_no_samples_lie_about_for_a_dataset_that_is_none() -> None:
    found = {(path.parent.name, path.stem) for path in SAMPLES.glob("*/*.yaml")}
    assert found <= CONTRACTS.keys()
    assert found


def reasons(tables: Connection, sector: str, dataset: str, row: dict[str, Any]) -> set[str]:
    """The quarantine rules that a row breaks once cleaned, those about missing values left out."""
    contract = CONTRACTS[sector, dataset]
    insert(tables, contract, row)
    with tables.cursor() as cursor:
        judged = quarantine_sql(rules_of(contract))
        cursor.execute(sql.SQL("select {} from ({}) as cleaned").format(judged, cleaned(contract)))
        (found,) = cursor.fetchone() or ([],)
    tables.rollback()
    return {reason for reason in found if not reason.endswith((".required", ".given"))}


@pytest.mark.parametrize(
    ("registered", "born", "good"),
    [
        ("2026-05-10", "10.05.2026", True),
        ("2026-05-10", "11.05.2026", False),
        ("2026-05-10", "05.2026", True),
        ("2026-05-10", "06.2026", False),
        ("2026-05-10", "2026", True),
        ("2026-05-10", "2027", False),
        ("2026-05-10", "31.12.2025", True),
        ("2026-05-10", None, True),
        (None, "10.05.2026", True),
    ],
)
def test_registration_follows_birth(tables: Connection, registered: str | None, born: str | None, good: bool) -> None:
    found = reasons(tables, "civil_registry", "khai_sinh", {"ngayDangKy": registered, "nksNgaySinh": born})
    assert found == (set() if good else {"khai_sinh.registration.after_birth"})


@pytest.mark.parametrize(
    ("died", "born", "good"),
    [
        ("01.01.2026", "31.12.2025", True),
        ("01.01.2026", "02.01.2026", False),
        ("2026", "02.01.2026", True),
        ("01.01.2026", "2026", True),
        ("2025", "01.2026", False),
        ("12.2025", "2026", False),
    ],
)
def test_death_follows_birth(tables: Connection, died: str, born: str, good: bool) -> None:
    found = reasons(tables, "civil_registry", "khai_tu", {"nktNgayChet": died, "nktNgaySinh": born})
    assert found == (set() if good else {"khai_tu.death.after_birth"})


@pytest.mark.parametrize(
    ("sector", "dataset", "row", "broken"),
    [
        ("civil_registry", "khai_tu", {"ngayDangKy": "2026-01-01", "nktNgayChet": "02.01.2026"}, "khai_tu.registration.after_death"),
        ("civil_registry", "khai_tu", {"nktNgayChet": "13/01/2026"}, None),  # cleaned
        ("civil_registry", "khai_tu", {"nktNgayChet": "sáng sớm"}, "khai_tu.nktNgayChet.format .on_calendar"),
        ("civil_registry", "noi_dang_ky", {"hieuLucTu": "2025-07-01", "hieuLucDen": "2025-07-01"}, "noi_dang_ky.validity.in_order"),
        ("civil_registry", "khai_sinh", {"noiDangKy": "44"}, None),
        ("civil_registry", "khai_sinh", {"meSoGiayToTuyThan": "191234567"}, None),
        ("civil_registry", "khai_sinh", {"nksSoDinhDanh": "0442061234"}, "khai_sinh.nksSoDinhDanh.format .sex_and_birth"),
        ("education", "hocsinh", {"sodinhdanh": "044206123456"}, None),
        ("education", "hocsinh", {"sodinhdanh": "044206O23456"}, "hocsinh.sodinhdanh.format .sex_and_birth"),
        ("education", "hocsinh", {"sodinhdanh": "44206123456"}, None),  # a lost zero, put back
        ("education", "hocsinh", {"sodinhdanh": "04420612345"}, "hocsinh.sodinhdanh.format .sex_and_birth"),
        ("education", "hocsinh", {"sodinhdanh": "044206123456", "gioitinh": "1", "namsinh": 2006}, None),
        ("education", "hocsinh", {"sodinhdanh": "044206123456", "gioitinh": "2"}, "hocsinh.sodinhdanh.sex_and_birth"),
        ("education", "hocsinh", {"sodinhdanh": "044206123456", "ngaythangnamsinh": "2007-01-01"}, "hocsinh.sodinhdanh.sex_and_birth"),
        ("education", "giaovien", {"sodinhdanh": "044185123456", "gioitinh": "2", "namsinh": 1985}, None),
        ("education", "giaovien", {"sodinhdanh": "044185123456", "gioitinh": "1"}, "giaovien.sodinhdanh.sex_and_birth"),
        ("education", "hocsinh", {"noiohientai_maxa": "99001"}, "hocsinh.noiohientai_maxa.known"),
        ("education", "giaovien", {"noiohientai_maxa": "99001"}, "giaovien.noiohientai_maxa.known"),
        ("health", "xml1", {"SO_CCCD": "C1234567", "GIOI_TINH": "1"}, None),
        ("health", "xml1", {"SO_CCCD": "044185123456", "GIOI_TINH": "1"}, "xml1.SO_CCCD.sex_and_birth"),
        ("health", "xml1", {"SO_CCCD": "044185123456", "GIOI_TINH": "2", "NGAY_SINH": "198500000000"}, None),
        ("health", "xml1", {"NGAY_SINH": "198502300000"}, "xml1.NGAY_SINH.on_calendar"),
        ("health", "xml1", {"NGAY_SINH": "202402290000"}, None),
        ("health", "xml1", {"MAXA_CU_TRU": "99001", "NGAY_VAO": "202601021530"}, "xml1.MAXA_CU_TRU.known"),
        ("health", "xml1", {"MA_THE_BHYT": "TE1444433509340;4531085099"}, None),
        ("health", "xml1", {"MA_THE_BHYT": "TE9444433509340"}, "xml1.MA_THE_BHYT.card"),
        ("health", "xml2", {"NGAY_YL": "202502300900"}, "xml2.NGAY_YL.on_calendar"),
        ("health", "giay_chung_sinh", {"SO_CCCD_ME": "044094123456"}, "giay_chung_sinh.SO_CCCD_ME.sex_and_birth"),
        ("health", "giay_chung_sinh", {"SO_CCCD_ME": "044194123456", "NGAY_SINH_ME": "199410250000"}, None),
        ("health", "giay_bao_tu", {"SO_CCCD": "044094123456", "GIOI_TINH": "2"}, "giay_bao_tu.SO_CCCD.sex_and_birth"),
        ("civil_registry", "khai_sinh", {"meNgaySinh": "2015", "nksNgaySinh": "01.02.2024"}, "khai_sinh.mother.old_enough"),
        ("civil_registry", "khai_sinh", {"meNgaySinh": "2012", "nksNgaySinh": "01.02.2024"}, None),
        ("civil_registry", "khai_sinh", {"chaSoGiayToTuyThan": "044194123456"}, "khai_sinh.chaSoGiayToTuyThan.sex_and_birth"),
        ("civil_registry", "khai_sinh", {"meSoGiayToTuyThan": "044094123456"}, "khai_sinh.meSoGiayToTuyThan.sex_and_birth"),
        ("civil_registry", "khai_sinh", {"noiDangKy": "99001", "ngayDangKy": "2026-01-05"}, "khai_sinh.noiDangKy.known"),
        ("civil_registry", "khai_sinh", {"noiDangKy": "99001", "ngayDangKy": "2024-01-05"}, None),
        ("civil_registry", "ket_hon", {"ngayDangKy": "2024-01-05", "voNgaySinh": "2010"}, "ket_hon.spouses.no_children"),
        ("civil_registry", "ket_hon", {"ngayDangKy": "2024-01-05", "voNgaySinh": "2007"}, None),  # under age: a warning
        ("civil_registry", "ket_hon", {"voSoGiayToTuyThan": "044094123456"}, "ket_hon.voSoGiayToTuyThan.sex_and_birth"),
        ("civil_registry", "ket_hon", {"chongSoGiayToTuyThan": "044194123456"}, "ket_hon.chongSoGiayToTuyThan.sex_and_birth"),
        ("civil_registry", "khai_tu", {"nktSoDinhDanh": "044060123456", "nktNgaySinh": "05.1960"}, None),
        ("civil_registry", "khai_tu", {"nktSoDinhDanh": "044060123456", "nktNgaySinh": "05.1961"}, "khai_tu.nktSoDinhDanh.sex_and_birth"),
        ("investment", "hop_dong", {"ma_so_thue": "3200000002"}, None),
        ("investment", "hop_dong", {"ma_so_thue": "3200000003"}, "hop_dong.ma_so_thue.checked"),
        ("one_stop", "hoso", {"MaHoSo": "H50.60.047-251104-0000001"}, None),
        ("one_stop", "hoso", {"MaHoSo": "H50.60.047-251304-0000001"}, "hoso.MaHoSo.dossier_code"),
        ("education", "hocsinh", {"chieucao": 999}, None),  # implausible: a warning
        ("education", "hocsinh", {"noiohientai_maxa": "1885"}, None),
        ("education", "hocsinh", {"gioitinh": "3"}, "hocsinh.gioitinh.enum"),
        ("education", "ketquahoctap", {"diemtongket": 10.5}, "ketquahoctap.diemtongket.range"),
        ("health", "xml1", {"GIOI_TINH": "3"}, None),
        ("health", "xml1", {"GIOI_TINH": "0"}, "xml1.GIOI_TINH.enum"),
        ("health", "xml1", {"SO_CCCD": "191234567"}, None),
        ("health", "xml1", {"NGAY_SINH": "195000000000"}, None),
        ("health", "xml1", {"NGAY_VAO": "202601021530", "NGAY_RA": "202601021531"}, None),
        ("health", "xml1", {"NGAY_VAO": "202601021530", "NGAY_RA": "202601021529"}, "xml1.stay.dates_in_order"),
        ("health", "xml1", {"NGAY_VAO": "202613021530"}, "xml1.NGAY_VAO.format .on_calendar"),
        ("health", "xml1", {"MA_CSKCB": "4500"}, None),  # a lost zero, put back
        ("health", "xml1", {"MA_CSKCB": "45-00"}, "xml1.MA_CSKCB.format"),
        ("health", "xml3", {"NGAY_YL": "202601021530", "NGAY_TH_YL": "202601011530"}, "xml3.order.dates_in_order"),
        ("health", "giay_chung_sinh", {"NGAY_CT": "20260101", "NGAY_SINH_CON": "202601020000"}, "giay_chung_sinh.issue.after_birth"),
        ("health", "giay_bao_tu", {"NGAY_CT": "20260102", "NGAY_TU_VONG": "202601020000"}, None),
        ("health", "giay_bao_tu", {"NGAY_CT": "20260101", "NGAY_TU_VONG": "202601020000"}, "giay_bao_tu.issue.after_death"),
        ("health", "giay_bao_tu", {"NGAY_SINH": "202700000000", "NGAY_TU_VONG": "202601020000"}, "giay_bao_tu.death.after_birth"),
        ("investment", "du_an", {"ngay_khoi_cong": "2026-01-02", "ngay_hoan_thanh": "2026-01-01"}, "du_an.works.dates_in_order"),
        ("investment", "hop_dong", {"ngay_ky": "2026-01-02", "ngay_ket_thuc": "2026-01-01"}, "hop_dong.term.dates_in_order"),
        ("investment", "vuong_mac", {"ngay_phat_sinh": "2026-01-02", "ngay_giai_quyet": None}, None),
        ("investment", "giai_ngan", {"thang": 14}, "giai_ngan.thang.range"),
        ("investment", "giai_ngan", {"so_tien_thang": -5}, None),  # advances are taken back
        ("investment", "ke_hoach_von", {"don_vi_tinh": "tỷ"}, "ke_hoach_von.don_vi_tinh.enum"),
        ("one_stop", "hoso", {"NgayTiepNhan": "2026-01-02 08:00", "NgayKetThucXuLy": "2026-01-02 07:59"}, "hoso.handling.dates_in_order"),
        ("one_stop", "hoso", {"TrangThaiHoSo": "3", "NgayHenTra": None}, None),
        ("one_stop", "hoso", {"KenhThucHien": "4"}, "hoso.KenhThucHien.enum"),
        ("one_stop", "hoso", {"MaTTHC": "1.010708.000.00.00.H56"}, None),
        ("one_stop", "hoso", {"MaTTHC": "10708"}, "hoso.MaTTHC.format"),
        ("one_stop", "qua_trinh", {"TrangThai": "99"}, "qua_trinh.TrangThai.enum"),
    ],
)  # fmt: skip
def test_sample_rows(tables: Connection, sector: str, dataset: str, row: dict[str, Any], broken: str | None) -> None:
    first, *more = (broken or "").split() or [""]
    expected = {first, *(first.rpartition(".")[0] + rule for rule in more)} - {""}
    assert reasons(tables, sector, dataset, row) == expected


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("valid.dotted_digits('05.01.2026')", "20260105"),
        ("valid.dotted_digits('01.2026')", "202601"),
        ("valid.dotted_digits('2026')", "2026"),
        ("valid.dotted_digits('1/2026')", None),
        ("valid.dotted_digits(null)", None),
        ("valid.in_order('202601', '20260101')", True),
        ("valid.in_order('20260102', '202601')", True),
        ("valid.in_order('202602', '20260131')", False),
        ("valid.in_order(null, '20260131')", None),
        ("valid.day_of('29.02.2024')::text", "2024-02-29"),
        ("valid.day_of('31.02.2024')", None),
        ("valid.day_of('00.02.2024')", None),
        ("valid.day_of('00.00.2024')", None),
        ("valid.day_of('02.2024')", None),
        ("valid.school_year('2025-2026')", True),
        ("valid.school_year('2026-2025')", False),
        ("valid.school_year('năm nay')", False),
        ("valid.school_year(null)", None),
        ("valid.paper_of_kind('191234567', '1')", True),
        ("valid.paper_of_kind('044206123456', '1')", True),
        ("valid.paper_of_kind('191234567', '4')", False),
        ("valid.paper_of_kind('C1234567', '2')", None),
        ("valid.paper_of_kind(null, '1')", None),
        ("valid.agency_code('H46')", True),
        ("valid.agency_code('H46.12.03')", True),
        ("valid.agency_code('000.03.12.H56')", True),
        ("valid.agency_code('46.12.03')", False),
        ("valid.family_last('Minh Anh Lê')", True),
        ("valid.family_last('Lê Minh Anh')", False),
        ("valid.family_last('Nguyễn Lê')", False),
        ("valid.family_last('Kray Thị Ế')", False),
        ("valid.family_last('Lê')", False),
        ("valid.family_last('John Smith')", False),
    ],
)
def test_what_a_value_must_be(tables: Connection, call: str, answer: object) -> None:
    with tables.cursor() as cursor:
        cursor.execute(f"select {call}")
        assert cursor.fetchall() == [(answer,)]
    tables.rollback()
