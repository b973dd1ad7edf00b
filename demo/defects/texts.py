"""Names and addresses written in the ways they come in: fonts, forms of Unicode, case, order, words for nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.compute as pc

from demo.defects.engine import Fate, Plant, filled, kind
from demo.defects.names import NAMES, unaccented
from demo.table import Table

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
# Family names that a reader knows for such (a test holds them against those that the cleaning knows).
_KNOWN_FAMILIES = """
nguyễn trần lê phạm hoàng huỳnh phan vũ võ đặng bùi đỗ hồ ngô dương lý âu bá bạch bành bế biện ca cái cam cao cát chu chung
chử chế cung cù dã danh diệp doãn diêm đàm đan đào đậu điền điểu đinh đoàn đồng đổng đới đống đường đồ giang giáp hà hạ hàn
hàng hầu hình hoa hứa hùng kha khà khiếu khổng khúc khuất khương kiên kiều kim kỷ la lã lại lâm lầu lèng lò lỗ lộc lô lù lục
lữ lương lường lưu lềnh ma má mã mạc mạch mai mẫn mâu mông mùa ngân nghê nghiêm ngụy ninh nông ôn ông phí phó phù phùng
phương quách quan quàng sái sầm sùng sơn tạ tăng tào tẩn thạch thái thẩm thân thào thi thiều thang tiêu tòng tô tôn tống trà
trang tráng triệu trịnh trình trương tưởng từ ung văn vàng vàm vi viên vì viêm vừ vương xa xồng yên giàng cà cầm côn kray pả
alăng arất bríu bling bhling coor zơrâm pơloong ploong hiên riah ksor siu rơ rmah nay kpă kpuih niê ayun êban mlô byă ktla
buôn adrơng knul hwing ndu cil kơ liêng bon đa kră y a h chamaléa katơr pinăng pupur ân bàng bồ cáp cổ công cứ diêu đái đôn
giản hoắc khâu khưu kỳ lạc lều liễu mộc nhâm nhan nhiêu nhữ phi sử tất tiết trác trầm trì uông ưng vạn vòng bạc bàn bao bì
bồng cai cấn châu chiêm chúc cồ cự dư đầu đèo điêu đoạn giao hán hi hy khu lai lăng lầm liêu lộ luyện lư man mao miêu mục
ngạc nghị ngọ ngũ ong ô phàn quyền sỳ tán tấn thôi thục tiếp vệ vưu xung thàng rcom rah ralan rahlan rmăh kpa kpăh kbuôr
kbuor bdap êñuôl eñuôl ênuôl enuôl eban hmok hđơk hdơk kriêng krông kdăm kđăm ndrông arul zơ râm tơ pơ ating blúp hốih kring
bhnướch rơmah rơchâm jơr bkrông mlo nie hạng hờ phàng lừu khoàng pờ chẻo phùn chảo lèo cút moong cụt xeo ngần khuỷu
"""
KNOWN_FAMILIES = frozenset(_KNOWN_FAMILIES.split())
# Words that may be a family name in some record: a given name among these may not change places with the family name.
FAMILIES = KNOWN_FAMILIES | {"an", "hồng", "liên", "long", "minh", "quang", "thanh", "viết", "ê"}
# Family names that are hardly ever given ones: where one stands last and the first word is none, the order is certain.
UNMISTAKABLE = frozenset(
    ["nguyễn", "trần", "phạm", "huỳnh", "phan", "võ", "đặng", "bùi", "đỗ", "ngô", "đoàn", "trương", "trịnh", "đinh"]
)
# Some of them are given now and then: the order is certain only where the first word is no family name for sure.
SOMETIMES_GIVEN = frozenset(["huỳnh", "phan", "võ", "đỗ", "đoàn", "đinh"])
_NEVER_FAMILIES = """
thị hữu đức đình xuân ngọc thu bích diệu mỹ như thùy quốc trọng gia nhật khắc tiến mạnh thế tuấn anh duy thành hoài
khánh quỳnh tường lan
"""
NEVER_FAMILIES = frozenset(_NEVER_FAMILIES.split())
# Family names that are hardly ever middle names: after Ông, which is a family name itself, it is a form of address.
FREQUENT = UNMISTAKABLE | {"lê", "vũ", "hồ", "dương", "lý", "phùng", "tạ", "đào"}
WIDTH = 100  # of the narrowest column with a name
HONORIFICS = ("Ông", "Bà", "Anh", "Chị")
# A word in Vietnamese or in the names of the highlands: onset, vowels without their tone, coda.
_SYLLABLE = re.compile(
    "(đa(?=kr))?(ngh|ng|nh|gh|gi|kh|ph|qu|th|ch|px|[bdđghkmpstxz][lr]|[bdđ]h|h[dđmrw]|k[bdđnpst]|m[dđ]|n[dđ]|r[chlm]|bd"
    "|[bcdđghjklmnpqrstvwxyz])?"
    "(ươu|ươi|ươ|ưa|ưi|ưu|uyê|uya|uyu|uây|uâ|uêu|uê|uôi|uô|uơ|ua|ui|uy|iêu|iê|ia|iu|yêu|yê|oai|oao|oay|oeo|oa|oă|oe|oi|oo"
    "|ôi|ơi|ai|ao|au|ay|âu|ây|eo|êu|a|ă|â|e|ê|i|o|ô|ơ|u|ư|y)(ng|nh|ch|[chklmnprst])?"
)
NOTHING = ("Không có thông tin", "N/A", "Null", "không có thông tin", "NULL")


def is_readable(value: str) -> bool:
    """Whether every word that is not plain ASCII is a syllable: of others no reader can tell in which font they are."""
    words = re.split("[^\\w]+|[0-9_]+", unicodedata.normalize("NFC", value).lower())
    bare = (re.sub(f"[{TONES}]", "", unicodedata.normalize("NFD", word)) for word in words if not word.isascii())
    misplaced = re.search(f"[^aeiouy\u0302\u0306\u031b][{TONES}]", unicodedata.normalize("NFD", value.lower()))
    return not misplaced and all(_SYLLABLE.fullmatch(unicodedata.normalize("NFC", word)) for word in bare)


def to_tcvn3(value: str) -> str | None:
    """Text in a .Vn font as it looks when its bytes are read as Latin-1; None where the way back is not certain."""
    if not is_readable(value) or any(
        letter.lower() in VIETNAMESE and letter not in TCVN3 and not letter.isascii() for letter in value
    ):
        return None  # a capital with a tone has no byte
    return _told("".join(TCVN3.get(letter, letter) for letter in value))


def to_vni(value: str) -> str | None:
    """Text in a VNI font as it looks when its bytes are read as Latin-1; None where the way back is not certain."""
    return _told("".join(VNI.get(letter, letter) for letter in value)) if is_readable(value) else None


def _told(value: str) -> str | None:
    """The text, if a character in it cannot be Vietnamese; else nothing tells that it is in a font."""
    return value if any(not c.isascii() and c.lower() not in VIETNAMESE and c not in "‘’“”–—" for c in value) else None


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
    def fitting(value: str) -> str | None:
        changed = change(value)
        return None if changed and len(changed) > WIDTH >= len(value) else changed

    def plant(p: Plant) -> np.ndarray:
        return p.change_one(p.target, fitting)

    kind(name, values, fate, filled)(plant)


def _shouted(value: str) -> str | None:
    changed = value.upper() if len(value) % 3 else value.lower()
    back = " ".join(word[:1].upper() + word[1:].lower() for word in changed.split(" "))
    plain_words = all(word.isalpha() for word in value.split(" "))  # of H'Hen nobody knows whether it was H'hen
    return changed if back == value and plain_words else None


def _given_name_first(value: str) -> str | None:
    family, *others = value.lower().split(" ")
    certain = family in UNMISTAKABLE and (family not in SOMETIMES_GIVEN or others[0] in NEVER_FAMILIES)
    return _family_last(value) if certain else None


def _given_name_first_unclear(value: str) -> str | None:
    family = value.split(" ")[0].lower()
    return _family_last(value) if family in KNOWN_FAMILIES - UNMISTAKABLE else None


def _family_last(value: str) -> str | None:
    words = value.split(" ")
    if len(words) < 3 or words[0].lower() not in FAMILIES or any(word.lower() in FAMILIES for word in words[1:]):
        return None
    if not words[1].isalpha() or words[-1] in ("Văn", "Thị"):
        return None  # the order is not certain
    return " ".join([*words[1:], words[0]])


def _without_marks(value: str) -> str | None:
    plain = unaccented(value)
    return plain if re.sub("[‘’]", "", plain).isascii() and plain.split(" ")[0] != value.split(" ")[0] else None


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
    """A form of address before the name, one that can be told from a name there."""

    def addressed(value: str) -> str | None:
        sure = [title for title in HONORIFICS if _is_told(title, value)]
        return f"{sure[int(p.rng.integers(0, len(sure)))]} {value}" if sure else None

    return p.change_one(p.target, addressed)


def _is_told(title: str, name: str) -> bool:
    family, *rest = name.split(" ")
    known = family.lower() in KNOWN_FAMILIES
    if title == "Ông":
        longer = len(rest) >= 2 and family != "Văn" and (known or rest[0] in ("Văn", "Thị"))
        return bool(rest) and (family.lower() in FREQUENT or longer)
    return bool(rest) and (known or title in ("Bà", "Chị"))


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
