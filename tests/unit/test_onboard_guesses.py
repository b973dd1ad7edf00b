"""What onboarding guesses from names and values, and how it folds names: without a database."""

from __future__ import annotations

import pytest

from pdic.onboard import sector_of
from pdic.onboard.classify import classify
from pdic.onboard.names import RESERVED, fold, snake_case

PEOPLE = [
    f"0{province}{i % 4 and 1}{60 + i % 40}{i * 7919 % 1000000:06d}"
    for i, province in enumerate(["44", "45", "01", "79"] * 8)
]
TAX_NUMBERS = ["0100109106", "0300588569", "0101248141", "0100686209", "0301442379", "0100112437"]
IDS = [f"044{i % 4}{i:08d}" for i in range(20)]


@pytest.mark.parametrize(
    ("name", "type_", "values", "expected"),
    [
        # By name, in both languages, with and without accents, in any spelling.
        ("họ và tên", "text", [], "personal"),
        ("HoVaTen", "character varying(100)", [], "personal"),
        ("first_name", "text", [], "personal"),
        ("ContactName", "text", [], "personal"),
        ("email", "text", [], "personal"),
        ("dien_thoai", "text", [], "personal"),
        ("địa chỉ thường trú", "text", [], "personal"),
        ("ngay_sinh", "date", [], "personal"),
        ("dateOfBirth", "date", [], "personal"),
        ("dob", "timestamp without time zone", [], "personal"),
        ("gioi_tinh", "smallint", [], "personal"),
        ("SoDinhDanh", "text", [], "identifier"),
        ("so_cccd", "text", [], "identifier"),
        ("cmnd", "character varying(9)", [], "identifier"),
        ("passport_number", "text", [], "identifier"),
        ("ma_the_bhyt", "text", [], "identifier"),
        ("patient_id", "integer", [], "identifier"),
        # The issue's own, and others run together or in other systems' words.
        ("nationalidnumber", "character varying(15)", [], "identifier"),
        ("NationalIDNumber", "text", [], "identifier"),
        ("id_number", "text", [], "identifier"),
        ("ihidnum", "character varying(50)", [], "identifier"),
        ("so_gttt", "text", [], "identifier"),
        ("chf_id", "character varying(12)", [], "identifier"),
        ("CHFID", "text", [], "identifier"),
        ("socialsecuritynumber", "text", [], "identifier"),
        ("passportno", "text", [], "identifier"),
        ("sodinhdanh", "text", [], "identifier"),
        ("soCmndNguoiNop", "text", [], "identifier"),
        ("taxno", "text", [], "identifier"),
        ("masothue", "text", [], "identifier"),
        ("driverslicensenumber", "text", [], "identifier"),
        ("insuranceNumber", "text", [], "identifier"),
        ("studentcode", "text", [], "identifier"),
        ("ma_sv", "text", [], "identifier"),
        # Names that only sound alike.
        ("thong_tin", "text", ["một", "hai"], "personal"),
        ("tin_tuc", "integer", [], "internal"),
        ("bid_number", "integer", [], "internal"),
        ("gridno", "integer", [], "internal"),
        ("class_name", "character varying(1)", ["A", "B"] * 20, "internal"),
        ("person_note", "text", ["x"] * 4, "personal"),
        ("international_id", "integer", [], "internal"),
        ("valid_no", "integer", [], "internal"),
        # What is of a paper is not its number.
        ("passport_expiry_date", "date", [], "personal"),
        ("has_cccd", "boolean", [], "personal"),
        ("dan_toc", "character varying(2)", [], "sensitive"),
        ("Tôn giáo", "text", [], "sensitive"),
        ("chẩn đoán", "text", [], "sensitive"),
        ("icd_code", "text", [], "sensitive"),
        ("religion", "text", [], "sensitive"),
        ("blood_type", "text", [], "sensitive"),
        # By values, whatever the name.
        ("f1", "text", IDS, "identifier"),
        ("f1", "bigint", ["44190000001"] * 20, "internal"),  # one number again and again: not of many people
        ("f1", "bigint", [value[1:] for value in PEOPLE], "identifier"),  # the zero in front is lost
        ("f1", "numeric(12,0)", [value[1:] for value in PEOPLE], "identifier"),
        ("f1", "text", PEOPLE[:2], "identifier"),
        ("f1", "jsonb", ['{"k": "' + value + '"}' for value in PEOPLE], "personal"),
        ("f2", "text", ["a.b@c.vn", "x@y.com", "q@z.org", "m@n.gov.vn"], "personal"),
        ("f3", "text", ["0912345678", "+84 912 345 678", "0233.385.2345", "0912 345 678"], "personal"),
        ("f4", "text", ["Nguyễn Thị Bé", "TRẦN VĂN AN", "lê hoàng long", "Đặng Tuấn"], "personal"),
        ("f5", "text", ["J18.9", "A09", "I10", "E11.9"], "sensitive"),
        (
            "f6",
            "character(15)",
            ["HS4440123456789", "DN4440123456780", "TE1440123456781", "GD4440123456782"],
            "identifier",
        ),
        ("f7", "character varying(9)", ["190123456", "191234567", "012345678", "290123456"], "identifier"),
        ("f8", "integer", [f"{190000000 + i * 7919 % 1000000}" for i in range(30)], "identifier"),
        ("f9", "text", TAX_NUMBERS, "identifier"),
        ("f9", "bigint", TAX_NUMBERS, "identifier"),
        ("f9", "text", [f"{value}-001" for value in TAX_NUMBERS], "identifier"),
        ("f10", "text", ["B1234567", "C7654321", "B9182736", "C1029384"], "identifier"),
        ("f11", "text", ["044190012345", "190123456", "B1234567", "HS4440123456789", "001302045678"], "identifier"),
        ("f12", "text", ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"] * 2, "sensitive"),
        ("f12", "text", ["4111111111111111", "5500005555555559", "340000000000009"] * 2, "sensitive"),
        ("f13", "text", ["7936517822", "7936517111", "7930087654", "7921119000"], "identifier"),
        # Dates, moments, amounts, counters and codes have as many digits.
        ("n1", "integer", [f"2023{1 + i % 12:02d}{1 + i % 28:02d}" for i in range(60)], "internal"),
        ("n1", "text", [f"2023{1 + i % 12:02d}{1 + i % 28:02d}0730" for i in range(60)], "personal"),
        ("n2", "bigint", [f"{150000000 + i * 1000000}" for i in range(50)], "internal"),
        ("n2", "numeric", [f"{i * 7919 * 104729}" for i in range(1, 60)], "internal"),
        ("n3", "integer", [f"{100000001 + i}" for i in range(100)], "internal"),
        ("n3", "bigint", [f"{1000000001 + 3 * i}" for i in range(100)], "internal"),
        ("n4", "bigint", [f"{1700000000 + i * 86413}" for i in range(100)], "internal"),
        ("n5", "text", [f"P{i:07d}" for i in range(100)], "personal"),
        ("n6", "bigint", [f"2021{i:07d}" for i in range(1, 50)], "internal"),
        # Unknown text is on the safe side; what cannot say much of a person is open inside.
        ("title", "text", ["Một", "Hai"], "personal"),
        ("payload", "jsonb", [], "personal"),
        ("picture_data", "bytea", [], "personal"),
        ("quantity", "integer", [], "internal"),
        ("created_at", "timestamp with time zone", [], "internal"),
        ("is_active", "boolean", [], "internal"),
        ("status", "character varying(1)", ["A", "B"] * 20, "internal"),
    ],
)
def test_classes_are_guessed_to_the_safe_side(name: str, type_: str, values: list[str], expected: str) -> None:
    assert classify(name, type_, values).classification == expected


@pytest.mark.parametrize(
    ("name", "type_", "values", "why"),
    [
        ("full_name", "text", [], "none of its values was looked at"),  # personal by its name, in a table without rows
        ("ngay_sinh", "date", [], "none of its values was looked at"),
        ("f", "text", [], "none of its values was looked at"),
        ("code", "text", [], "none of its values was looked at"),
        ("f", "text", ["a@b.vn", "c@d.vn", "e@f.vn", "g@h.vn"], "e-mail"),
        ("f", "text", ["0912345678", "0233385234", "0987654321", "0356789012"], "telephone"),
        ("f", "text", ["Nguyễn Văn An", "Trần Thị Bình", "Lê Cường", "Phạm Dung"], "people's names"),
        ("ghi_chu", "text", ["giấy tờ đủ"] * 15 + ["ông An, CCCD 044190012345"], "số định danh"),
        ("note", "text", ["ok"] * 10 + ["gọi 0912345678 trước"], "telephone"),
        ("payload", "jsonb", ['{"mail": "an.nguyen@tinh.gov.vn"}'], "e-mail"),
        ("tags", "text[]", ["{DN4440123456780,x}"], "insurance cards"),
    ],
)
def test_what_is_or_may_be_a_persons_is_not_shared_by_naming_it(
    name: str, type_: str, values: list[str], why: str
) -> None:
    guess = classify(name, type_, values, is_key=name == "code")
    assert guess.classification == "personal"
    assert why in str(guess.held)
    assert not any(value in f"{guess.why} {guess.held}" for value in values)


def test_free_text_that_was_seen_can_be_shared_by_naming_it() -> None:
    assert classify("title", "text", ["Cầu Hiền Lương", "Đường 9", "Năm 1972", "100000000000 đồng"]).held is None


def test_nothing_is_guessed_to_be_public() -> None:
    assert classify("name", "text", ["x"] * 50, has_codes=True).classification == "internal"


def test_keys_and_listed_codes_are_internal_unless_their_name_says_a_person() -> None:
    assert classify("code", "text", ["A-1", "A-2"], is_key=True).classification == "internal"
    assert classify("slug", "text", ["two words"], is_key=True).classification == "personal"
    assert classify("parent_id", "integer", [], is_key=True).classification == "internal"
    assert classify("so_dinh_danh", "text", [], is_key=True).classification == "identifier"
    assert classify("gender", "text", [], has_codes=True).classification == "personal"


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("hocSinh", "hoc_sinh"),
        ("HTTPServerID", "http_server_id"),
        ("mã đơn", "ma_don"),
        ("Order Details", "order_details"),
        ("Line.No", "line_no"),
        ("__x__", "x"),
        ("2fa", "n2fa"),
        ("100% Sure?", "n100_sure"),
        ("订单", ""),
        ("a" * 80, "a" * 80),
    ],
)
def test_names_are_folded(name: str, folded: str) -> None:
    assert snake_case(name) == folded


def test_no_two_names_fold_alike() -> None:
    folded = fold(["Unit Price", "unit_price", "UnitPrice", "order", "订单", "a" * 80, "A" * 80], "item", taken=["x"])
    assert list(folded.values()) == [
        *("unit_price", "unit_price_2", "unit_price_3", "item_order", "item_5"),
        *("a" * 63, "a" * 61 + "_2"),
    ]
    assert "order" in RESERVED


def test_a_connection_names_its_sector() -> None:
    assert sector_of("pdic_source_public_works") == "public_works"
    assert sector_of("Trader DB") == "trader_db"
