"""What onboarding guesses from names and values, and how it folds names: without a database."""

from __future__ import annotations

import pytest

from pdic.onboard import sector_of
from pdic.onboard.classify import classify
from pdic.onboard.names import RESERVED, fold, snake_case

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
        ("dan_toc", "character varying(2)", [], "sensitive"),
        ("Tôn giáo", "text", [], "sensitive"),
        ("chẩn đoán", "text", [], "sensitive"),
        ("icd_code", "text", [], "sensitive"),
        ("religion", "text", [], "sensitive"),
        ("blood_type", "text", [], "sensitive"),
        # By values, whatever the name.
        ("f1", "text", IDS, "identifier"),
        ("f1", "bigint", ["44190000001"] * 20, "internal"),  # the zero in front is lost: a number like any other
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
