"""What each kind of cleaning makes of a value, in a real PostgreSQL: repaired, left alone, or nothing."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import psycopg
import psycopg2
import pytest
from psycopg2 import sql

from pdic import cleaning, connections, warehouse
from pdic.quality import predicates

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.quality import Rule

EXAMPLES: dict[str, list[tuple[str, str | None]]] = {
    "words": [
        ("Nguyễn", "Nguyễn"),
        ("hoà bình", "hòa bình"),
        ("NguyÔn ThÞ Hoµ", "Nguyễn Thị Hòa"),
        ("V¨n", "Văn"),
        ("Nguyeãn Vaên Traàn", "Nguyễn Văn Trần"),
        ("coâng", "công"),
        ("Ðà Nẵng", "Đà Nẵng"),
        ("Lê Ðức", "Lê Đức"),
        ("  a\u00a0\u200b b ", "a b"),
        ("N/A", None),
        ("khong co thong tin", None),
        ("Không Có Thông Tin", None),
        ("-", None),
        ("José Núñez", "José Núñez"),
        ("Köhler", "Köhler"),
        ("Müller", "Müller"),
        ("quí", "quí"),
        ("Qúy", "Quý"),
        ("quý", "quý"),
        ("tòan", "toàn"),
        ("Hùynh", "Huỳnh"),
        ("thuỷ", "thủy"),
        ("khoẻ", "khỏe"),
        ("ngòai", "ngoài"),
        ("§oµn V¨n §ång", "Đoàn Văn Đồng"),
        ("Ñoaøn Vaên Ñoàng", "Đoàn Văn Đồng"),
        ("NGUYEÃN THÒ HOA", "NGUYỄN THỊ HOA"),
        ("BÐ", "Bé"),
        ("x· Gio Linh, §«ng Hµ", "xã Gio Linh, Đông Hà"),
        ("huyÖn §a Kr«ng", "huyện Đa Krông"),
        ("Hòa", "Hòa"),
        ("gìa", "già"),
        ("Phan Minh LÖ", "Phan Minh Lệ"),  # TCVN3: VNI would have a capital inside of a word
        ("Khæng Minh Ca", "Khổng Minh Ca"),
        ("KP. 4, xaõ Gio Linh, tænh Quaûng Trò", "KP. 4, xã Gio Linh, tỉnh Quảng Trị"),
        ("Y Blang Ñuôl", "Y Blang Ñuôl"),
    ],
    "name": [
        ("NGUYỄN VĂN AN", "Nguyễn Văn An"),
        ("nguyễn thị đào", "Nguyễn Thị Đào"),
        ("H'Hen Niê", "H'Hen Niê"),
        ("H'HEN NIÊ", "H'Hen Niê"),
        ("Ông Nguyễn Văn An", "Nguyễn Văn An"),
        ("Ông Ích Khiêm", "Ông Ích Khiêm"),
        ("Khổng Có", None),
        ("Khổng Minh", "Khổng Minh"),
        ("Cấn Thị  Hoà", "Cấn Thị Hòa"),
        ("Cấn Thị Lan ", "Cấn Thị Lan"),
        ("Cấn thị Lan", "Cấn thị Lan"),
        ("CẤN THỊ LAN", "Cấn Thị Lan"),
        ("Lan Nguyễn", "Nguyễn Lan"),
        ("Thị Lan Nguyễn", "Nguyễn Thị Lan"),
        ("Đình Thị Thu Hà Trần", "Trần Đình Thị Thu Hà"),
        ("Thị Lan Lê", "Thị Lan Lê"),  # Lê is given, too: which one it is here, the letters do not tell
        ("Uông Minh Phan", "Uông Minh Phan"),
        ("Văn An Nguyễn", "Văn An Nguyễn"),  # Văn is a family name, too
        ("Văn Thị Hoa", "Văn Thị Hoa"),
        ("Văn Đình Phan", "Văn Đình Phan"),
        ("VĂN THỊ HOA", "Văn Thị Hoa"),
        ("An Văn Nguyễn", "Nguyễn Văn An"),
        ("Nguyen Van An", "Nguyen Van An"),
        ("Kray Thị Ế", "Kray Thị Ế"),
        ("bà TRẦN THỊ B", "Trần Thị B"),
        ("BÀ TRẦN THỊ B", "Trần Thị B"),
        ("Tạ Thị Mai", "Tạ Thị Mai"),
        ("An", "An"),
        ("NGUYÔN THÞ HOµ", "Nguyễn Thị Hòa"),
        ("Không có", None),
        ("Nguyễn Thị Thuý", "Nguyễn Thị Thúy"),
        ("Nguyễn Anh", "Nguyễn Anh"),
        ("Hồ Văn Pả", "Hồ Văn Pả"),
        ("Cô Hồ Thị Em", "Hồ Thị Em"),
        ("Ông Văn Hùng", "Ông Văn Hùng"),  # Ông is a family name, too
        ("Ông Cao Thắng", "Ông Cao Thắng"),
        ("Ông Lê Hùng", "Lê Hùng"),
        ("Ông Cao Văn Thắng", "Cao Văn Thắng"),
        ("Ông Khuỷu Văn An", "Khuỷu Văn An"),
        ("Bà Khuỷu Thị Na", "Khuỷu Thị Na"),
        ("bà H'Hen Niê", "H'Hen Niê"),
        ("Anh Thư Kray", "Anh Thư Kray"),
        ("H’Lan Đinh", "H’Lan Đinh"),
        ("Khuỷu Thị Phan", "Khuỷu Thị Phan"),
        ("Thị Hồng Ngọc Bích Hân Nguyễn", "Nguyễn Thị Hồng Ngọc Bích Hân"),
        ("Y Kp¨", "Y Kpă"),
        ("Kbu«r Văn An", "Kbu«r Văn An"),
        ("Y Kbu«r", "Y Kbuôr"),
        ("Êñuôl", "Êñuôl"),
        ("Zơrâm Văn Đoàn", "Zơrâm Văn Đoàn"),
        ("H Y Ê-đê", "H Y Ê-đê"),
        ("Quý Văn Đoàn", "Quý Văn Đoàn"),  # Đoàn is given now and then
        ("Thị Lan Đoàn", "Đoàn Thị Lan"),
    ],
    "code": [
        (" A1 ", "A1"),
        ("", None),
        ("null", None),
        ("H46.12", "H46.12"),
        ("VD-1234-16", "VD-1234-16"),
        ("NSTW", "NSTW"),
        ("NULL", None),
        ("NONE", None),
        ("NONE-1", "NONE-1"),
        ("N/A", None),
        ("A 1", "A 1"),
        ("-", None),
    ],
    "personal_id": [
        ("44012345678", "044012345678"),
        ("045 012.345-678", "045012345678"),
        ("12345678", "012345678"),
        ("B1234567", "B1234567"),
        ("123456789", "123456789"),
    ],
    "phone": [
        ("0912345678", "0912345678"),
        ("+84 912.345.678", "0912345678"),
        ("84912345678", "0912345678"),
        ("912345678", "0912345678"),
        ("01621234567", "0321234567"),
        ("0123 456 7890", "0834567890"),
        ("0233385123", "0233385123"),
        ("1201234567", "0701234567"),
        ("abc", "abc"),
    ],
    "dotted_date": [
        ("1/2/1980", "01.02.1980"),
        ("01.02.1980", "01.02.1980"),
        ("1980-02-01", "01.02.1980"),
        ("12/25/1980", "25.12.1980"),
        ("1/2/80", "01.02.1980"),
        ("1/2/05", "01.02.2005"),
        ("29252", "01.02.1980"),
        ("2/1980", "02.1980"),
        ("1980", "1980"),
        ("hôm qua", "hôm qua"),
        ("00/00/1980", "1980"),
        ("19800201", "01.02.1980"),
        ("20121980", "20.12.1980"),
        ("00.02.1980", "02.1980"),
        ("32/01/1980", "32/01/1980"),
        ("N/A", None),
    ],
    "compact_date 12": [
        ("198002010000", "198002010000"),
        ("19800201", "198002010000"),
        ("01/02/1980", "198002010000"),
        ("1980", "198000000000"),
        ("29252", "198002010000"),
        ("2020-01-02 03:04", "202001020304"),
        ("20200102030455", "202001020304"),
        ("xyz", "xyz"),
    ],
    "compact_date 8": [("198002010000", "19800201"), ("19800201", "19800201"), ("01/02/1980", "19800201")],
    "digits 5": [("4000", "04000"), ("19000", "19000"), ("7.0", "00007"), ("4400A", "4400A"), ("123456", "123456")],
    "unit_code": [("1", "01"), ("45", "45"), ("9123", "09123"), ("454", "454")],
}


@pytest.fixture(scope="module")
def cleaner(pdic_home: Path) -> psycopg.Connection:
    warehouse.migrate(connections.warehouse("admin"))
    return psycopg.connect(connections.warehouse("auditor"))


@pytest.mark.parametrize(
    ("kind", "value", "wanted"), [(kind, *pair) for kind, pairs in EXAMPLES.items() for pair in pairs]
)
def test_a_value_is_cleaned_once(cleaner: psycopg.Connection, kind: str, value: str, wanted: str | None) -> None:
    """As wanted, the same when cleaned again, and a value that the guard lets pass is one that the function leaves alone."""
    rule = cleaning.KINDS[kind]
    call = "select " + rule.call.format("%s::text")
    (once,) = cleaner.execute(call, [value]).fetchone()
    assert once == wanted
    assert cleaner.execute(call, [once]).fetchone() == (once,)
    (sound,) = cleaner.execute(
        f"select {rule.leaves('value')} from (select %s::text) as sent (value)", [value]
    ).fetchone()
    assert not sound or once == value


COUNTED = """
create table raw_batch.tried (_batch_id bigint, _op "char", phone text);
insert into raw_batch.tried values (1, 'U', '0912345678'), (1, 'U', 'x'), (1, 'U', 'y'), (1, 'D', 'z');
create function pg_temp.counted(value text) returns text stable parallel safe language plpgsql as $$
begin
    perform set_config('tried.calls', (current_setting('tried.calls')::integer + 1)::text, true);
    return value;
end
$$;
set local tried.calls = 0
"""


@pytest.mark.parametrize("told", [(), ("phone",)])
def test_what_several_rules_read_is_cleaned_once_a_row_in_a_parallel_scan(
    cleaner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, told: tuple[str, ...]
) -> None:
    kinds = {"phone": dataclasses.replace(cleaning.KINDS["phone"], call="pg_temp.counted({})")}
    monkeypatch.setattr(cleaning, "KINDS", kinds)
    column = SimpleNamespace(source_name="phone", cleaning="phone")
    contract = cast("Contract", SimpleNamespace(columns=(column,)))
    relation = cleaning.relation(contract, sql.Identifier("raw_batch", "tried"), told=told)
    unsound = f"not {cleaning.told_by(contract, 'phone')}" if told else "length(phone) = 1"
    with closing(psycopg2.connect(connections.warehouse("admin"))) as admin, admin.cursor() as cursor:
        query = (
            "select count(*) filter (where phone is null), count(*) filter (where phone > '1'), "
            f"count(*) filter (where {unsound}), count(*) "
            f"from ({relation.as_string(admin)}) as cleaned where _op = 'U'"
        )
        cursor.execute(COUNTED)
        cursor.execute(query)
        assert cursor.fetchall() == [(0, 2, 2, 3)]
        cursor.execute("select current_setting('tried.calls')")
        assert cursor.fetchall() == [("2",)]
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            cursor.execute(f"set local {setting} = 0")
        cursor.execute(f"explain {query}")
        assert any("Parallel Seq Scan" in line for (line,) in cursor.fetchall())


PATTERNS = (
    r"^\d{2}$",
    r"^\d{3}$",
    r"^\d{5}$",
    r"^\d{12}$",
    "^0[0-9]{9}$",
    r"^(\d{2}|\d{3}|\d{5})$",
    *cleaning.KINDS["dotted_date"].also,
)


@pytest.mark.parametrize("kind", [name for name, kind in cleaning.KINDS.items() if kind.sound])
def test_a_pattern_that_is_not_asked_again_judges_as_the_pattern(cleaner: psycopg.Connection, kind: str) -> None:
    column = SimpleNamespace(source_name="value", cleaning=kind)
    contract = cast("Contract", SimpleNamespace(columns=(column,)))
    sent = [value for pairs in EXAMPLES.values() for value, _ in pairs]
    sent += ["1", "01", "001", "00001", "012345678901", "123456789", "0912345678", "01.02.2024", "31.12.0999", "2024"]
    with closing(psycopg2.connect(connections.warehouse("admin"))) as admin, admin.cursor() as cursor:
        cursor.execute('create temporary table sent (_batch_id bigint, _op "char", value text)')
        cursor.executemany("insert into sent values (1, 'U', %s)", [(value,) for value in [*sent, None]])
        relation = cleaning.relation(contract, sql.Identifier("sent"), told=("value",)).as_string(admin)
        for regex in PATTERNS:
            for rule_type in ("expect_column_values_to_match_regex", "expect_column_values_to_not_match_regex"):
                kwargs = {"column": "value", "regex": regex}
                known = predicates.shortcut(cast("Rule", SimpleNamespace(type=rule_type, kwargs=kwargs)), contract)
                quick, whole = (
                    predicates.predicate_of(rule_type, kwargs, each).as_string(admin) for each in (known, None)
                )
                cursor.execute(
                    f"select count(*), count(*) filter (where {quick} <> {whole}) from ({relation}) as cleaned"
                )
                assert cursor.fetchall() == [(1 + len(sent), 0)], regex
