"""Guess how far a column may be shown, from its name and from some of its values. Nothing is ever guessed to be public.

The class errs to the safe side: free text that nothing is known of counts as personal. Names are compared without accents,
in Vietnamese and English; the groups follow docs/contracts.md (Classification).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from pdic.contracts import pg_types
from pdic.contracts.model import Classification
from pdic.onboard import identifiers
from pdic.onboard.names import snake_case

_SENSITIVE_NAME: Final = re.compile(
    r"(^|_)(dan_?toc|ton_?giao|ethnic\w*|race|relig\w*|nhom_?mau|blood\w*|benh|ma_?benh\w*|ten_?benh\w*|chan_?doan\w*|diagnos\w*|icd\w*"
    r"|disease\w*|illness\w*|health\w*|suc_?khoe|medical\w*|hiv|khuyet_?tat|loai_?khuyet_?tat|disab\w*|tien_?(an|su|su_?benh)|tien_an_tien_su"
    r"|crim\w*|convict\w*|nguyen_?nhan(_tu_vong)?|cause_of_death|symptom\w*|trieu_?chung|thuoc|ma_thuoc|drug\w*|medication\w*|allerg\w*"
    r"|di_?ung|pregnan\w*|thai_?(san|nghen)|sexual\w*|gioi_tinh_thuc|politic\w*|dang_?vien|van_?tay|fingerprint\w*|biometric\w*"
    r"|khuon_?mat|genetic\w*|dna|adn|ho_?ngheo|hongheo|poor\w*|chinh_?sach|bank_?account\w*|so_?tai_?khoan|iban|credit_?card\w*|card_?number)(_|$)"
)
_PERSONAL_NAME: Final = re.compile(
    r"(^|_)(ho_?(va_?)?ten\w*|hoten\w*|ho_dem|ten_?(cha|me|con|chong|vo|nguoi\w*|khach\w*|benh_?nhan|hoc_?sinh)|nguoi_\w+|ten_goi_khac"
    r"|full_?name|first_?name|last_?name|middle_?name|sur_?name|family_?name|given_?name|maiden_?name|nick_?name|display_?name|user_?name"
    r"|contact\w*|customer_?name|person_?name|owner_?name|(father|mother|spouse|wife|husband|child|parent|guardian)\w*"
    r"|e?_?mail\w*|thu_?dien_?tu|phone\w*|mobile\w*|fax|tel|telephone\w*|dien_?thoai\w*|sdt|so_dt|di_?dong|zalo|facebook"
    r"|dia_?chi\w*|noi_?o\w*|noi_?cu_?tru|thuong_?tru|tam_?tru|que_?quan|address\w*|street\w*|house_?no|home_?town|post(al)?_?code|zip\w*"
    r"|ngay_?(thang_?)?(nam_?)?sinh|nam_?sinh|thang_?sinh|birth\w*|dob|noi_?sinh\w*|tuoi|age|gioi_?tinh|phai|gender|sex|quoc_?tich|nationality"
    r"|hon_?nhan|marital\w*|nghe_?nghiep|occupation|job_title|luong|salary|income|thu_?nhap|password\w*|mat_?khau|passwd|pass_?hash|secret\w*|token\w*|username|login"
    r"|photo\w*|picture\w*|avatar|anh|portrait|chu_?ky|signature|ghi_?chu|note|notes|comment|comments|remark\w*|ip|ip_?address|location|toa_?do"
    r"|latitude|longitude|ngay_?mat|ngay_?chet|death\w*|ngay_kham|ngay_vao_vien|ngay_ra_vien|visit_?date|admission\w*|discharge\w*)(_|$)"
)
_ICD: Final = re.compile(r"[A-TV-Z]\d{2}(\.\d{1,2})?")
_WORDS_FAMILY_NAMES: Final = """
    nguyen tran le pham hoang huynh phan vu vo dang bui do ho ngo duong ly doan trinh dinh lam luong mai to ha dao truong
    cao chau thai ta phung vuong tong quach la kieu tang luu
"""
_FAMILY_NAMES: Final = frozenset(_WORDS_FAMILY_NAMES.split())
_COUNTED: Final = re.compile(r"integer|bigint|numeric.*")
_NUMBERED: Final = frozenset({"smallint", "integer", "bigint", "uuid"})
_NOT_SHOWN_AS_TEXT: Final = frozenset(
    {"text[]", "jsonb", "json", "bytea", "tsvector", "inet", "cidr", "point", "macaddr"}
)


_WITHOUT_NUMBERS: Final = re.compile(r"boolean|date|timestamp.*|time .*")
"""Types that cannot hold a number of a person, whatever the column is called."""


@dataclass(frozen=True, slots=True)
class ClassGuess:
    """A class, and why. ``held`` says why naming a `personal` column is not enough to share it, None where it is."""

    classification: Classification
    why: str
    held: str | None = None


def classify(
    name: str, physical_type: str, values: Sequence[str], *, is_key: bool = False, has_codes: bool = False
) -> ClassGuess:
    """The class of a column called ``name`` at the source, which holds ``values`` among others (empty ones left out).

    ``is_key``: part of a key or reference; ``has_codes``: the source itself allows few values only. The values are looked
    at here and go nowhere else. A `personal` column can be shared by naming it only where values were seen, and nothing in
    them is a person's.
    """
    guess = _class(name, physical_type, values, is_key=is_key, has_codes=has_codes)
    if guess.classification != "personal" or guess.held:
        return guess
    if not values:
        return replace(guess, held=f"{guess.why}, and none of its values was looked at")
    return replace(guess, held=identifiers.mentions(values))


def _class(name: str, physical_type: str, values: Sequence[str], *, is_key: bool, has_codes: bool) -> ClassGuess:
    folded = snake_case(name)
    numbers_a_person = identifiers.named(name)
    about_a_paper = numbers_a_person and (
        identifiers.is_about_a_paper(name) or _WITHOUT_NUMBERS.fullmatch(physical_type) is not None
    )
    if numbers_a_person and not about_a_paper:
        return ClassGuess("identifier", numbers_a_person)
    if _SENSITIVE_NAME.search(folded):
        return ClassGuess("sensitive", "its name says health, ethnicity, religion or the like")
    if found := _by_values(values, physical_type):
        return found
    if about_a_paper:
        return ClassGuess("personal", "its name says something of a person's paper")
    if is_key and physical_type in _NUMBERED:
        return ClassGuess("internal", "a number that is part of a key or a reference")
    if _PERSONAL_NAME.search(folded):
        return ClassGuess("personal", "its name says something of a person")
    if has_codes:
        return ClassGuess("internal", "the source allows listed codes only")
    if is_key and (not pg_types.is_text(physical_type) or (values and _are_codes(values))):
        return ClassGuess("internal", "part of a key or a reference")
    if pg_types.is_text(physical_type):
        if _are_flags(values):
            return ClassGuess("internal", "few short codes")
        return ClassGuess("personal", "free text of which nothing is known")
    if physical_type in _NOT_SHOWN_AS_TEXT or physical_type.startswith(("character varying", "polygon", "path")):
        return ClassGuess("personal", "it can hold anything")
    return ClassGuess("internal", f"{physical_type}, and nothing about its name says a person")


def _by_values(values: Sequence[str], physical_type: str) -> ClassGuess | None:
    """What the values themselves look like; None where they look like nothing known, or are too few."""
    is_text = pg_types.is_text(physical_type)
    if not (is_text or _COUNTED.fullmatch(physical_type)):
        return None
    if found := identifiers.looks(values, is_text=is_text):
        class_, why = found
        return ClassGuess(cast(Classification, class_), why)
    if not is_text or len(values) < identifiers.FEW_VALUES:
        return None
    for what, fits in (
        ("are e-mail addresses", identifiers.is_email),
        ("look like telephone numbers", identifiers.is_phone),
        ("look like people's names", _is_a_vietnamese_name),
    ):
        if _share(values, fits) >= identifiers.MOST:
            return ClassGuess("personal", f"most values {what}", held=f"most values {what}")
    if len(set(values)) >= identifiers.FEW_VALUES and _share(values, _is_icd) >= identifiers.MOST:
        return ClassGuess("sensitive", "most values look like ICD-10 codes")
    return None


def _share(values: Sequence[str], fits: Callable[[str], bool]) -> float:
    return sum(fits(value.strip()) for value in values) / len(values)


def _is_icd(value: str) -> bool:
    return _ICD.fullmatch(value) is not None


def _is_a_vietnamese_name(value: str) -> bool:
    words = value.split()
    return 2 <= len(words) <= 6 and snake_case(words[0]) in _FAMILY_NAMES and not any(c.isdigit() for c in value)


def _are_codes(values: Sequence[str]) -> bool:
    """Single words without a blank: what a reference holds."""
    return all(re.fullmatch(r"[\w.-]{1,20}", value) for value in values)


def _are_flags(values: Sequence[str]) -> bool:
    """A handful of short words that come again and again."""
    distinct = set(values)
    return len(values) >= 20 and len(distinct) <= len(values) / 5 and len(distinct) <= 12 and _are_codes(values)
