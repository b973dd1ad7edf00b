"""Names and addresses written in the ways they come in: fonts, forms of Unicode, case, order, words for nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.compute as pc

from demo.defects.engine import Fate, Plant, filled, kind
from demo.table import Table

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
PLACES: dict[str, tuple[str, ...]] = {
    "education.hocsinh": ("noiohientai_diachi",),
    "health.xml1": ("DIA_CHI",),
    "health.giay_chung_sinh": ("DIA_CHI",),
    "health.giay_bao_tu": ("DIA_CHI",),
    "civil_registry.khai_sinh": ("nksNoiSinh", "nksQueQuan"),
    "civil_registry.ket_hon": ("chongNoiCuTru", "voNoiCuTru"),
    "civil_registry.khai_tu": ("nktNoiCuTru",),
    "investment.du_an": ("ten",),
}
TEXTS = {label: NAMES.get(label, ()) + PLACES.get(label, ()) for label in sorted(NAMES.keys() | PLACES.keys())}

TONES = "\u0300\u0301\u0303\u0309\u0323"  # huyền, sắc, ngã, hỏi, nặng
VOWELS = "aăâeêioôơuưy"
VIETNAMESE = frozenset(unicodedata.normalize("NFC", vowel + tone) for vowel in VOWELS for tone in ("", *TONES)) | {"đ"}
# TCVN 5712:1993, set 3 (the .Vn fonts): one byte a letter, in the order of VOWELS with the tones of TONES; capitals have no tones.
_TCVN3 = {
    "a": "µ¸·¶¹",
    "ă": "»¾½¼Æ",
    "â": "ÇÊÉÈË",
    "e": "ÌÐÏÎÑ",
    "ê": "ÒÕÔÓÖ",
    "i": "×ÝÜØÞ",
    "o": "ßãâáä",
    "ô": "åèçæé",
    "ơ": "êíìëî",
    "u": "ïóòñô",
    "ư": "õø÷öù",
    "y": "úýüûþ",
}
TCVN3 = {unicodedata.normalize("NFC", v + t): c for v, cs in _TCVN3.items() for t, c in zip(TONES, cs, strict=True)}
TCVN3 |= dict(zip("ăâđêôơưĂÂÊÔƠƯĐ", "¨©®ª«¬\xad¡¢£¤¥¦§", strict=True))
# VNI for Windows: the bare letter, then one byte for its marks; i, ơ, ư, đ and ỵ have bytes of their own.
_VNI_MARKS = {"": "øùõûï", "ă": "èéüúë", "^": "àáãåä"}
_VNI_BASE = {"a": ("a", ""), "ă": ("a", "ă"), "â": ("a", "^"), "e": ("e", ""), "ê": ("e", "^"), "o": ("o", "")}
_VNI_BASE |= {"ô": ("o", "^"), "ơ": ("ô", ""), "u": ("u", ""), "ư": ("ö", ""), "y": ("y", "")}
VNI = {
    unicodedata.normalize("NFC", v + t): base + mark
    for v, (base, shape) in _VNI_BASE.items()
    for t, mark in zip(TONES, _VNI_MARKS[shape], strict=True)
}
VNI |= {"ă": "aê", "â": "aâ", "ê": "eâ", "ô": "oâ", "ơ": "ô", "ư": "ö", "đ": "ñ"}
VNI |= {"ì": "ì", "í": "í", "ĩ": "ó", "ỉ": "æ", "ị": "ò", "ỵ": "î"}
VNI |= {letter.upper(): code.upper() for letter, code in VNI.items()}
NEW_TONES = {
    "òa": "oà", "óa": "oá", "ỏa": "oả", "õa": "oã", "ọa": "oạ", "òe": "oè", "óe": "oé", "ỏe": "oẻ", "õe": "oẽ", "ọe": "oẹ",
    "ùy": "uỳ", "úy": "uý", "ủy": "uỷ", "ũy": "uỹ", "ụy": "uỵ",
}  # fmt: skip
# Words that are a family name in some record: a given name on this list may not change places with the family name.
_FAMILIES = """
nguyễn lê trần hoàng huỳnh phan phạm trương võ vũ hồ đỗ bùi đặng dương cao đinh mai ngô lý đào thái tạ văn
lương cái đoàn hà lâm trịnh lưu vương tô tôn châu quách la thạch tăng phùng kiều diệp từ khúc ông bành an ân
bạch bế bàng công cù cung danh doãn điền giang giáp hứa hàn kha khương kim lã lạc lại lục mạc mạch nghiêm ninh
nông ôn phí phó quang quan sử tiêu tống tất thân thang thi tiết triệu ưng uông viên vi vạn xa yên thào giàng
sùng lò cầm quàng hầu vàng cứ côn kray hoa sơn chu long liên nhan âu đàm đồng đường bá chung diêu khổng lều lữ
ma nhâm ngân thẩm trà tòng trang thiều viết vòng ksor rơ hồng hạ thanh minh kpă y ê ca đan hiên hùng kỳ phi phương kiên lộc a
"""
FAMILIES = frozenset(_FAMILIES.split())
# Family names that are hardly ever given ones: where one stands last and the first word is none, the order is certain.
UNMISTAKABLE = frozenset(
    ["nguyễn", "trần", "phạm", "huỳnh", "phan", "võ", "đặng", "bùi", "đỗ", "ngô", "đoàn", "trương", "trịnh", "đinh"]
)
HONORIFICS = ("Ông", "Bà", "Anh", "Chị")
NOTHING = ("Không có thông tin", "N/A", "Null", "không có thông tin", "NULL")


def to_tcvn3(value: str) -> str | None:
    """Text in a .Vn font as it looks when its bytes are read as Latin-1; None where the way back is not certain."""
    if any(letter.lower() in VIETNAMESE and letter not in TCVN3 and not letter.isascii() for letter in value):
        return None  # a capital with a tone has no byte
    return _told("".join(TCVN3.get(letter, letter) for letter in value))


def to_vni(value: str) -> str | None:
    """Text in a VNI font as it looks when its bytes are read as Latin-1; None where the way back is not certain."""
    return _told("".join(VNI.get(letter, letter) for letter in value))


def _told(value: str) -> str | None:
    """The text, if a character in it cannot be Vietnamese; else nothing tells that it is in a font."""
    return value if any(not c.isascii() and c.lower() not in VIETNAMESE for c in value) else None


def unaccented(value: str) -> str:
    """The text without marks; đ becomes d."""
    plain = unicodedata.normalize("NFD", value.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def new_tone_placement(value: str) -> str | None:
    """hòa as hoà: the tone on the second vowel where the syllable ends with it. None where the text mixes both ways."""
    if any(new in value for new in NEW_TONES.values()):
        return None
    words = value.split(" ")
    for at, word in enumerate(words):
        for old, new in NEW_TONES.items():
            if word.endswith(old) and not (old[1] == "y" and word.lower().startswith("qu")):
                words[at] = word.removesuffix(old) + new
    return " ".join(words)


def _simple(values: dict[str, tuple[str, ...]], name: str, fate: Fate, change: Callable[[str], str | None]) -> None:
    def plant(p: Plant) -> np.ndarray:
        return p.change_one(p.target, change)

    kind(name, values, fate, filled)(plant)


def _shouted(value: str) -> str | None:
    changed = value.upper() if len(value) % 3 else value.lower()
    back = " ".join(word[:1].upper() + word[1:].lower() for word in changed.split(" "))
    return changed if back == value else None


def _given_name_first(value: str) -> str | None:
    return _family_last(value) if value.split(" ")[0].lower() in UNMISTAKABLE else None


def _given_name_first_unclear(value: str) -> str | None:
    return None if value.split(" ")[0].lower() in UNMISTAKABLE else _family_last(value)


def _family_last(value: str) -> str | None:
    words = value.split(" ")
    if len(words) < 3 or words[0].lower() not in FAMILIES or any(word.lower() in FAMILIES for word in words[1:]):
        return None
    return " ".join([*words[1:], words[0]])


def _without_marks(value: str) -> str | None:
    plain = unaccented(value)
    return plain if plain.split(" ")[0] != value.split(" ")[0] else None


_simple(TEXTS, "nfd_text", Fate.REPAIRED, lambda value: unicodedata.normalize("NFD", value))
_simple(TEXTS, "tone_placement", Fate.REPAIRED, new_tone_placement)
_simple(TEXTS, "eth_letters", Fate.REPAIRED, lambda value: value.replace("đ", "ð").replace("Đ", "Ð"))
_simple(TEXTS, "tcvn3_text", Fate.REPAIRED, to_tcvn3)
_simple(TEXTS, "vni_text", Fate.REPAIRED, to_vni)
_simple(TEXTS, "stray_blanks", Fate.REPAIRED, lambda value: " " + value.replace(" ", "  ", 1).replace(", ", ",\u00a0 "))
_simple(NAMES, "shouted_name", Fate.REPAIRED, _shouted)
_simple(NAMES, "given_name_first", Fate.REPAIRED, _given_name_first)
_simple(NAMES, "given_name_first_unclear", Fate.WARNED, _given_name_first_unclear)
_simple(NAMES, "unaccented_name", Fate.WARNED, _without_marks)


@kind("honorific", NAMES, Fate.REPAIRED, filled)
def honorific(p: Plant) -> np.ndarray:
    """A form of address before the name."""
    return p.change_one(p.target, lambda value: HONORIFICS[int(p.rng.integers(0, len(HONORIFICS)))] + " " + value)


def _nothing_there(table: Table, target: Any) -> np.ndarray:
    return np.asarray(pc.is_null(table.columns[target]).to_numpy(zero_copy_only=False))


@kind(
    "words_for_nothing",
    {
        "health.giay_chung_sinh": "TEN_CON",
        "civil_registry.khai_sinh": "meHoTen",
        "civil_registry.khai_tu": "gbtCoQuanCap",
    },
    Fate.REPAIRED,
    _nothing_there,
)
def words_for_nothing(p: Plant) -> np.ndarray:
    """'Không có thông tin' where nothing would say it."""
    which = p.rng.integers(0, len(NOTHING), len(p.rows))
    return p.write(p.target, p.rows, [NOTHING[at] for at in which])


@kind(
    "nameless",
    {
        "education.hocsinh": "hovaten",
        "health.xml1": "HO_TEN",
        "health.giay_bao_tu": "HO_TEN",
        "civil_registry.khai_sinh": "nksHoTen",
        "civil_registry.nhan_cha_me_con": "ncHoTen",
    },
    Fate.QUARANTINED,
)
def nameless(p: Plant) -> np.ndarray:
    """Words for nothing where a name must be."""
    which = p.rng.integers(0, len(NOTHING), len(p.rows))
    return p.write(p.target, p.rows, [NOTHING[at] for at in which])


@kind(
    "missing_value",
    {
        "civil_registry.khai_tu": "nktHoTen",
        "civil_registry.ket_hon": "voHoTen",
        "civil_registry.nhan_cha_me_con": "cmHoTen",
    },
    Fate.QUARANTINED,
    filled,
)
def missing_value(p: Plant) -> np.ndarray:
    """Nothing at all where the source allows it and the record needs it."""
    old = p.table.get(p.target, p.rows)
    p.table.set(p.target, p.rows, [None] * len(old))
    p.cells.update({int(row): (p.target, value) for row, value in zip(p.rows, old, strict=True)})
    return p.rows
