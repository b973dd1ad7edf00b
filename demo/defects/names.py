"""Which columns hold people's names, and when two names are one to a reader."""

from __future__ import annotations

import unicodedata

NAMES: dict[str, tuple[str, ...]] = {
    "education.hocsinh": ("hovaten",),
    "education.giaovien": ("hovaten",),
    "health.xml1": ("HO_TEN",),
    "health.giay_chung_sinh": ("HO_TEN_ME", "HO_TEN_CHA"),
    "health.giay_bao_tu": ("HO_TEN",),
    "civil_registry.khai_sinh": ("nksHoTen", "meHoTen", "chaHoTen"),
    "civil_registry.ket_hon": ("chongHoTen", "voHoTen"),
    "civil_registry.khai_tu": ("nktHoTen",),
    "civil_registry.nhan_cha_me_con": ("cmHoTen", "ncHoTen"),
    "civil_registry.cai_chinh": ("nccHoTen",),
}


def unaccented(value: str) -> str:
    """The text without marks; đ becomes d."""
    plain = unicodedata.normalize("NFD", value.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def same_name(one: str | None, other: str | None) -> bool:
    """Whether nobody can tell two names apart: the same words without marks, in whatever order, or none on one side."""
    return not one or not other or sorted(unaccented(one).lower().split()) == sorted(unaccented(other).lower().split())
