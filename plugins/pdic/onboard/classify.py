"""Guess how far a column may be shown, from its name and from some of its values. Nothing is ever guessed to be public.

The class errs to the safe side: free text that nothing is known of counts as personal. Names are compared without accents,
in Vietnamese and English; the groups follow docs/contracts.md (Classification).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pdic.contracts import pg_types
from pdic.contracts.model import Classification
from pdic.onboard.names import snake_case

MOST: Final = 0.6
"""The share of a column's values that has to look alike for the column to be taken for it."""
FEW_VALUES: Final = 4
"""Fewer values than this say nothing about a column."""

_SENSITIVE_NAME: Final = re.compile(
    r"(^|_)(dan_?toc|ton_?giao|ethnic\w*|race|relig\w*|nhom_?mau|blood\w*|benh|ma_?benh\w*|ten_?benh\w*|chan_?doan\w*|diagnos\w*|icd\w*"
    r"|disease\w*|illness\w*|health\w*|suc_?khoe|medical\w*|hiv|khuyet_?tat|loai_?khuyet_?tat|disab\w*|tien_?(an|su|su_?benh)|tien_an_tien_su"
    r"|crim\w*|convict\w*|nguyen_?nhan(_tu_vong)?|cause_of_death|symptom\w*|trieu_?chung|thuoc|ma_thuoc|drug\w*|medication\w*|allerg\w*"
    r"|di_?ung|pregnan\w*|thai_?(san|nghen)|sexual\w*|gioi_tinh_thuc|politic\w*|dang_?vien|van_?tay|fingerprint\w*|biometric\w*"
    r"|khuon_?mat|genetic\w*|dna|adn|ho_?ngheo|hongheo|poor\w*|chinh_?sach|bank_?account\w*|so_?tai_?khoan|iban|credit_?card\w*|card_?number)(_|$)"
)
_IDENTIFIER_NAME: Final = re.compile(
    r"(^|_)(so_?dinh_?danh(_ca_nhan)?|ma_?dinh_?danh|cccd|cmnd|cmt|cmtnd|can_?cuoc|personal_?(id|number)|national_?id|citizen_?id"
    r"|identity_?(card|number)|id_?card\w*|ssn|social_?security\w*|passport\w*|ho_?chieu|giay_?to\w*|bhyt|bhxh|bao_?hiem|so_the|ma_?the"
    r"|insurance_?(no|number|id|card)|ma_?so_?thue_?ca_?nhan|tax_?(id|code|number)|mst|tin|driver\w*_?licen[cs]e\w*|gplx|ma_?benh_?nhan|patient_?(id|code|no|number)"
    r"|ma_?hoc_?sinh|ma_?sinh_?vien|student_?(code|no|number)|employee_?(code|no|number)|ma_?nhan_?vien|mrn)(_|$)"
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
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_PHONE: Final = re.compile(r"(\+84|84|0)[\s.-]?[235789](?:[\s.-]?\d){8}|\+\d{1,3}[\s.-]?(?:[\s.-]?\d){7,11}")
_PERSONAL_ID: Final = re.compile(r"0\d{2}[0-3]\d{8}")
"""Số định danh: the province of birth (001 to 096), sex and century, two digits of the year of birth, six more."""
_OLD_ID: Final = re.compile(r"[0-3]\d{8}")
_INSURANCE: Final = re.compile(r"[A-Z]{2}\d{13}")
_ICD: Final = re.compile(r"[A-TV-Z]\d{2}(\.\d{1,2})?")
_WORDS_FAMILY_NAMES: Final = """
    nguyen tran le pham hoang huynh phan vu vo dang bui do ho ngo duong ly doan trinh dinh lam luong mai to ha dao truong
    cao chau thai ta phung vuong tong quach la kieu tang luu
"""
_FAMILY_NAMES: Final = frozenset(_WORDS_FAMILY_NAMES.split())
_NUMBERED: Final = frozenset({"smallint", "integer", "bigint", "uuid"})
_NOT_SHOWN_AS_TEXT: Final = frozenset(
    {"text[]", "jsonb", "json", "bytea", "tsvector", "inet", "cidr", "point", "macaddr"}
)


@dataclass(frozen=True, slots=True)
class ClassGuess:
    """A class, and why."""

    classification: Classification
    why: str


def classify(
    name: str, physical_type: str, values: Sequence[str], *, is_key: bool = False, has_codes: bool = False
) -> ClassGuess:
    """The class of a column called ``name`` at the source, which holds ``values`` among others (empty ones left out).

    ``is_key``: part of a key or reference; ``has_codes``: the source itself allows few values only. The values are looked
    at here and go nowhere else.
    """
    folded = snake_case(name)
    for pattern, class_, why in (
        (_IDENTIFIER_NAME, "identifier", "its name says that it numbers a person or a paper"),
        (_SENSITIVE_NAME, "sensitive", "its name says health, ethnicity, religion or the like"),
    ):
        if pattern.search(folded):
            return ClassGuess(class_, why)  # type: ignore[arg-type]
    if found := _by_values(values, physical_type):
        return found
    if is_key and physical_type in _NUMBERED:
        return ClassGuess("internal", "a number that is part of a key or a reference")
    if _PERSONAL_NAME.search(folded):
        return ClassGuess("personal", "its name says something of a person")
    if has_codes:
        return ClassGuess("internal", "the source allows listed codes only")
    if is_key and (not pg_types.is_text(physical_type) or _are_codes(values)):
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
    if len(values) < FEW_VALUES or not (pg_types.is_text(physical_type) or physical_type in ("bigint", "numeric")):
        return None
    if _share(values, _PERSONAL_ID) >= MOST:
        return ClassGuess("identifier", "most values look like số định danh")
    if not pg_types.is_text(physical_type):
        return None
    if _share(values, _INSURANCE) >= MOST:
        return ClassGuess("identifier", "most values look like insurance cards")
    if _share(values, _EMAIL) >= MOST:
        return ClassGuess("personal", "most values are e-mail addresses")
    if _share(values, _PHONE) >= MOST:
        return ClassGuess("personal", "most values look like telephone numbers")
    if _share(values, _OLD_ID) >= MOST:
        return ClassGuess("identifier", "most values look like CMND of nine digits")
    if len(set(values)) >= FEW_VALUES and _share(values, _ICD) >= MOST:
        return ClassGuess("sensitive", "most values look like ICD-10 codes")
    if sum(map(_is_a_vietnamese_name, values)) / len(values) >= MOST:
        return ClassGuess("personal", "most values look like people's names")
    return None


def _share(values: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(pattern.fullmatch(value.strip()) is not None for value in values) / len(values)


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
