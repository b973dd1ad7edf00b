"""Does a column hold numbers that stand for one person? By its name in Vietnamese, English and run together, and by the look of
some values: papers, insurance, tax, cards, and what a person is reached by.

Values are looked at here and go nowhere else. A shape counts only with what makes it unlikely by chance: a code of a province
and a year of birth that can be, a check digit, numbers that do not run on one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pdic.onboard.names import snake_case

MOST: Final = 0.6
"""The share of a column's values that has to look alike for the column to be taken for it."""
FEW_VALUES: Final = 4
"""Of fewer values than this, all have to look alike, and only in a shape that chance does not give."""
SOME: Final = 0.05
"""The share of texts that mention a person's number or address from which on the column counts as holding them."""

_NUMBER: Final = r"(no|nr|nbr|num|number)(?![a-z])"
_CODE: Final = r"(id|code|card|no|nr|nbr|num|number)(?![a-z])"
_ANYWHERE: Final = re.compile(
    r"so_?dinh_?danh|ma_?dinh_?danh|dinh_?danh_?ca_?nhan|cccd|cmnd|cmtnd|can_?cuoc|chung_?minh_?(thu|nhan)|ho_?chieu|passport"
    r"|(?<!inter)national_?id(?!ea)|national_?insurance|identity_?(card|doc)|social_?security|bhxh|bhyt|bao_?hiem_?(y_?te|xa_?hoi)|giay_?to"
    r"|driv(er|ing)s?_?licen[cs]e|gplx|giay_?phep_?lai|bang_?lai|tax_?payer|ma_?so_?thue|ma_?(benh_?nhan|hoc_?(sinh|vien)|(sinh|nhan|giao)_?vien|ho_?so)|giay_?(chung_?sinh|bao_?tu)"
    rf"|(citizen|personal|insurance|tax|vat|patient|voter|military|civil|medical_?record)_?{_CODE}|licen[cs]e_?{_NUMBER}"
    r"|(student|pupil|employee|staff)_?(code|card|no|nr|nbr|num|number)(?![a-z])"
    rf"|(identity|identification|person|insured|insuree|health_?insurance)_?{_NUMBER}|health_?card(?![a-z])"
)
"""Stems so long that they mean this wherever they stand, with or without what separates words."""
_WORDS: Final = re.compile(
    rf"(^|_)(cmt|gttt|so_(the|cmt)|ma_the|mst|(?<!thong_)(?<!ban_)(?<!dang_)(?<!nhan_)tin(?!_(tuc|nhan|chi|hoc|dung))|nin|ssn|nric|mrn|mssv|msnv|mshs"
    rf"|ma_?(bn|sv|hv|nv|gv|lk|gcs|gbt)|chf_?id|id_?card|id_{_NUMBER}|(identity|identification)_id|bao_hiem)(_|$)"
)
"""Short ones count as whole words only."""
_RUN_TOGETHER: Final = re.compile(
    rf"(?<!b)(?<!gr)(?<!vo)(?<!flu)(?<!pa)(?<!cov)(?<!val)(?<!gu)(?<!uu)(?<!ra)(?<!sol)(?<!ac)(?<!dro)id_?{_NUMBER}$"
)
"""`ihidnum`, but not a bid's number or a grid's."""
_ABOUT: Final = re.compile(
    r"(^|_)(is|has|co|loai|type|kind|country|expir\w*|valid\w*|issued?|verified|ngay|date|han)(_|$)"
)
"""Words that make a name one about a paper, not its number."""


def named(name: str) -> str | None:
    """Why a column called so numbers a person, None where its name does not say it."""
    folded = snake_case(name)
    if _ANYWHERE.search(folded) or _WORDS.search(folded) or _RUN_TOGETHER.search(folded):
        return "its name says that it numbers a person or a paper"
    return None


def is_about_a_paper(name: str) -> bool:
    """Whether a name that `named` knows is of a paper's kind, date or the like, as far as the name says."""
    return _ABOUT.search(snake_case(name)) is not None


_WORDS_PROVINCES: Final = """
    001 002 004 006 008 010 011 012 014 015 017 019 020 022 024 025 026 027 030 031 033 034 035 036 037 038 040 042 044 045 046
    048 049 051 052 054 056 058 060 062 064 066 067 068 070 072 074 075 077 079 080 082 083 084 086 087 089 091 092 093 094 095 096
"""
_PROVINCES: Final = frozenset(_WORDS_PROVINCES.split())
"""The provinces in which a birth was registered, as số định danh has them: never renumbered."""
_TAX_WEIGHTS: Final = (31, 29, 23, 19, 17, 13, 7, 5, 3)


def is_personal_id(value: str) -> bool:
    """Số định danh: province of birth, century and sex, two digits of the year of birth, which is not ahead; six more."""
    if not re.fullmatch(r"0\d{2}[0-3]\d{8}", value, re.ASCII) or value[:3] not in _PROVINCES:
        return False
    return value[3] in "01" or int(value[4:6]) <= datetime.now(tz=UTC).year % 100


def is_tax_number(value: str) -> bool:
    """Mã số thuế of ten digits, the last of which follows from the others; of thirteen with the number of a branch."""
    match = re.fullmatch(r"(\d{10})(-?\d{3})?", value, re.ASCII)
    if not match or not value.strip("0"):
        return False
    rest = sum(weight * int(digit) for weight, digit in zip(_TAX_WEIGHTS, value, strict=False)) % 11
    return rest != 0 and 10 - rest == int(value[9])


def is_iban(value: str) -> bool:
    """An account by ISO 13616, with its check digits."""
    plain = value.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", plain, re.ASCII):
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def is_payment_card(value: str) -> bool:
    """A card's number of 14 to 19 digits, the last of which follows from the others (Luhn)."""
    digits = re.sub(r"[ -]", "", value)
    if not re.fullmatch(r"[3-6]\d{13,18}", digits, re.ASCII):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _is(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


is_email: Final = _is(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
is_phone: Final = _is(
    r"(\+84|84|0)[\s.-]?[235789](?:[\s.-]?\d){8}|\+\d{1,3}[\s.-]?(?:[\s.-]?\d){7,11}|01[2689](?:[\s.-]?\d){8}"
)
_is_card: Final = _is(r"[A-Z]{2}[1-5]\d{12}( ?; ?[A-Z]{2}[1-5]\d{12})*")
_is_old_id: Final = _is(r"[0-3]\d{8}")
_is_passport: Final = _is(r"[A-Z]{1,2}\d{6,8}")
_is_ten_digits: Final = _is(r"\d{10}")
_is_moment: Final = _is(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d*|1[0-9]\d{8}(\d{3})?")
"""A day, a moment in digits, or seconds since 1970 (and their thousandth part)."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What values may look like. ``strong``: chance does not give it, so that few values are enough."""

    words: str
    fits: Callable[[str], bool]
    strong: bool = False


_PERSONS: Final = (
    _Shape("số định danh", is_personal_id, strong=True),
    _Shape("insurance cards", _is_card, strong=True),
    _Shape("mã số thuế, by their check digit", is_tax_number),
    _Shape("CMND of nine digits", _is_old_id),
    _Shape("passports", _is_passport),
    _Shape(
        "numbers of ten digits, as insurance and pupils have them",
        lambda value: _is_ten_digits(value) and not is_phone(value),
    ),
)
_MONEY: Final = (
    _Shape("accounts (IBAN)", is_iban, strong=True),
    _Shape("payment cards, by their check digit", is_payment_card),
)


def looks(values: Sequence[str], *, is_text: bool) -> tuple[str, str] | None:
    """The class of a column by its values (`identifier`, or `sensitive` for accounts), and why; None where they say neither.

    ``values`` are texts without empty ones. Numbers (``is_text`` false) have lost their zeros in front, and many that count or
    measure something have as many digits as a person's; they have to be spread as people's are.
    """
    values = [value.strip() for value in values]
    if not values:
        return None
    if not is_text:
        return _numbers_look(values)
    by_chance = _are_series(values)
    for shape in _PERSONS:
        if (shape.strong or not by_chance) and _do(values, shape):
            return "identifier", f"most values look like {shape.words}"
    if by_chance:
        return None
    for shape in _MONEY:
        if _do(values, shape):
            return "sensitive", f"most values look like {shape.words}"
    if (
        len(values) >= FEW_VALUES
        and _share(values, lambda value: any(shape.fits(value) for shape in _PERSONS[:5])) >= MOST
    ):
        return "identifier", "most values look like numbers of papers, of several kinds"
    return None


def mentions(values: Sequence[str]) -> str | None:
    """What of a person some texts hold among other words; None where they do not."""
    for words, pattern, fits in _MENTIONED:
        holding = sum(any(fits(found) for found in pattern.findall(value)) for value in values)
        if holding and holding >= SOME * len(values):
            return f"some values hold {words}"
    return None


_MENTIONED: Final = (
    ("số định danh", re.compile(r"(?<![\d.,])\d{12}(?![\d.,]\d)", re.ASCII), is_personal_id),
    ("insurance cards", re.compile(r"\b[A-Z]{2}[1-5]\d{12}\b", re.ASCII), lambda found: True),
    ("e-mail addresses", re.compile(r"[^@\s<>(),;:\"'{}\[\]]+@[^@\s<>(),;:\"'{}\[\]]+\.[A-Za-z]{2,}"), is_email),
    ("telephone numbers", re.compile(r"(?<![\d.,])0[35789]\d{8}(?!\d)", re.ASCII), is_phone),
)


def _numbers_look(values: Sequence[str]) -> tuple[str, str] | None:
    numbers = sorted({int(value) for value in values if re.fullmatch(r"\d{8,13}", value, re.ASCII)})
    if len(numbers) < max(FEW_VALUES, 0.5 * len(values)) or _run_on(numbers):
        return None
    texts = [str(number) for number in numbers]
    if _share(texts, _is_moment) >= MOST or _share(texts, lambda text: text.endswith("000")) >= 0.2:
        return None
    births = {text[2:5] for text in texts if is_personal_id(text.zfill(12)) and len(text) in (10, 11)}
    if len(births) >= min(3, len(texts)) and _share(texts, lambda text: is_personal_id(text.zfill(12))) >= MOST:
        return "identifier", "most values look like số định danh without the zero in front"
    if _share(texts, lambda text: is_tax_number(text.zfill(10)) or is_tax_number(text.zfill(13))) >= MOST:
        return "identifier", "most values look like mã số thuế, by their check digit"
    # Amounts vary in length, numbers of papers do not: at most a zero or two in front are lost.
    nine = [text for text in texts if _is_old_id(text.zfill(9)) and len(text) >= 8]
    if len(nine) >= 0.95 * len(texts) and len({len(text) for text in nine}) <= 2 and len(numbers) >= 0.9 * len(values):
        return "identifier", "most values look like CMND of nine digits"
    return None


def _do(values: Sequence[str], shape: _Shape) -> bool:
    """Whether values look like a shape: most of many; all of few, in a shape that says enough."""
    share = _share(values, shape.fits)
    if len(values) < FEW_VALUES:
        return share == 1 and shape.strong
    if share < MOST:
        return False
    if shape.strong:
        return True
    fitting = [value for value in values if shape.fits(value)]
    return _share(fitting, _is_moment) < MOST and len(set(fitting)) >= 0.5 * len(fitting)


def _are_series(values: Sequence[str]) -> bool:
    """Whether the values are numbers that something counts: the same letters, and digits that run on."""
    parts = [re.fullmatch(r"(\D*)(\d{1,18})", value, re.ASCII) for value in values]
    if len(values) < FEW_VALUES or not all(parts) or len({match[1] for match in parts if match}) > 1:
        return False
    return _run_on(sorted({int(match[2]) for match in parts if match}))


def _run_on(numbers: Sequence[int]) -> bool:
    """Whether distinct numbers in their order lie close to each other for as many as they are."""
    return len(numbers) >= FEW_VALUES and numbers[-1] - numbers[0] < 20 * len(numbers)


def _share(values: Sequence[str], fits: Callable[[str], bool]) -> float:
    return sum(map(fits, values)) / len(values) if values else 0.0
