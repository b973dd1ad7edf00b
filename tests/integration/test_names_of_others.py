"""Names that the default profile does not have: sound ones stay, and every planted form of them is given back."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from demo.defects import texts
from pdic import connections, warehouse

NAMES = (
    """
Khuỷu Văn An|Huỳnh Thị Thúy Quỳnh|Đặng Hòa|Ngụy Khắc Uy|Ông Văn Hùng|Ông Cao Thắng|Ông Ích Khiêm|Quý Văn Đoàn|Võ Đoàn|Đỗ Ý|Ưng Ái
Y Blang Niê|H'Hen Niê|H’Hen Niê|Y Kpă Êban|Rcom H'Lưm|Ksor Kbuôr|Y Blang Êñuôl|Y Yoh Ñuôl|Bh’riu Thị Nhơm|Zơrâm Văn Đoàn|Rơ Châm Pơ
Công Tằng Tôn Nữ Thị Hồng Ngọc Bích Hà|Nguyễn Phúc Thị Diễm Hương Quỳnh Ân|Trần Ơn|Nguyễn Lan Thị|Nguyễn Tấn Tài|Đoàn Lan Anh
Phan Minh Lệ|Khổng Minh Ca|Vũ Phúc Bửu Hi|Giàng A Pháo|Thào Thị Mỷ|Moong Văn Nghệ|Lò Văn Ơn|Tòng Thị Hoè|Hà Mai Lê|Y Ê-đê|Ê Á
""".replace("\n", "|")
    .strip("|")
    .split("|")
)  # noqa: SIM905
PLANTED: dict[str, Callable[[str], str | None]] = {
    "nfd_text": lambda name: unicodedata.normalize("NFD", name),
    "tone_placement": texts.new_tone_placement,
    "eth_letters": lambda name: name.replace("đ", "ð").replace("Đ", "Ð"),
    "tcvn3_text": texts.to_tcvn3,
    "vni_text": texts.to_vni,
    "stray_blanks": lambda name: " " + name.replace(" ", "  ", 1),
    "shouted_name": texts._shouted,
    "given_name_first": texts._given_name_first,
    **{
        f"honorific {title}": lambda name, title=title: f"{title} {name}" if texts._is_told(title, name) else None  # type: ignore[misc]
        for title in texts.HONORIFICS
    },
}


@pytest.fixture(scope="module")
def cleaner(pdic_home: Path) -> psycopg.Connection:
    warehouse.migrate(connections.warehouse("admin"))
    return psycopg.connect(connections.warehouse("auditor"))


def cleaned(cleaner: psycopg.Connection, names: list[str]) -> list[str]:
    rows = cleaner.execute(
        "select clean.name(name) from unnest(%s::text[]) with ordinality as t (name, n) order by n", [names]
    )
    return [name for (name,) in rows.fetchall()]


def test_sound_names_stay(cleaner: psycopg.Connection) -> None:
    names = [name.replace("Hoè", "Hòe") for name in NAMES]
    assert [pair for pair in zip(names, cleaned(cleaner, names), strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_form_is_given_back(cleaner: psycopg.Connection, kind: str) -> None:
    names = [name.replace("Hoè", "Hòe") for name in NAMES]
    planted = [(name, form) for name in names if (form := PLANTED[kind](name)) not in (None, name)]
    assert planted
    back = cleaned(cleaner, [str(form) for _, form in planted])
    assert [(name, form, got) for (name, form), got in zip(planted, back, strict=True) if name != got] == []


def test_an_order_that_only_a_reader_can_put_right_is_told(cleaner: psycopg.Connection) -> None:
    planted = [form for name in NAMES if (form := texts._given_name_first_unclear(name))]
    assert planted
    rows = cleaner.execute(
        "select name from unnest(%s::text[]) as name where not valid.family_last(clean.name(name))", [planted]
    )
    assert rows.fetchall() == []
