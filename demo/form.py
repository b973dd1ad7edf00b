"""What a profile file must look like, and how its texts are written: as this house writes them, whatever way the file has."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints, ValidationError

_TONE = "([\u0300\u0301\u0303\u0309\u0323])"
_END = "(?![A-Za-zđĐ\u0300-\u036f])"
_TONE_PLACES = (  # in decomposed text, as the cleaning has them (clean.toned)
    (_TONE + "([\u0302\u0306\u031b])", r"\2\1"),
    ("([oO])([aAeE])" + _TONE + _END, r"\1\3\2"),
    ("(^|[^qQ])([uU])([yY])" + _TONE + _END, r"\1\2\4\3"),
    ("([oO])" + _TONE + "([aAeE])(?=[a-zA-Z])", r"\1\3\2"),
    ("(^|[^qQ])([uU])" + _TONE + "([yY])(?=[ncptNCPT])", r"\1\2\4\3"),
    ("([qQ][uU])" + _TONE + "([aAeEiIoOyY][\u0302\u0306\u031b]*)", r"\1\3\2"),
    ("([gG][iI])" + _TONE + "([aAoOuUeE][\u0302\u0306\u031b]*)", r"\1\3\2"),
)


def as_written_here(value: str) -> str:
    """NFC with single blanks, đ for ð, and the tone where this house writes it: Hòa and Thúy, also for Hoà and Thuý."""
    letters = unicodedata.normalize("NFD", " ".join(value.split()).translate(str.maketrans("ðÐ", "đĐ")))
    for found, instead in _TONE_PLACES:
        letters = re.sub(found, instead, letters)
    return unicodedata.normalize("NFC", letters)


Written = Annotated[
    str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True), AfterValidator(as_written_here)
]
NamePart = Annotated[Written, StringConstraints(max_length=30)]  # three and two blanks fit the sources' columns
Code = Annotated[Written, StringConstraints(max_length=50)]
Disease = Annotated[str, StringConstraints(pattern=r"^[A-Z][0-9]{2}(\.[0-9A-Z]{1,3})?$")]  # ICD-10
Texts = Annotated[list[Written], Field(min_length=1)]
NameParts = Annotated[list[NamePart], Field(min_length=1)]
Rate = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Price = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ProvinceOfBirth = Annotated[str, StringConstraints(pattern="^([0-9][0-9][1-9]|[0-9][1-9][0-9]|[1-9][0-9][0-9])$")]
Group = Literal["1", "2", "8", "10", "13", "15"]  # MA_NHOM, see demo/schema/health.sql


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Province(_Part):
    code: Literal["44"]  # the only one with units in the demo
    old_codes: list[Literal["44", "45"]]
    reform: date


class _Population(_Part):
    window_years: int = Field(ge=1, le=20)
    death_rate: float = Field(ge=0, le=0.1)
    birth_rate: float = Field(ge=0, le=0.1)
    marriage_rate: float = Field(ge=0, le=0.1)
    visits_per_year: float = Field(ge=0.01, le=50)
    earlier_visits: Share
    enrolled: Share
    enrolled_upper: Share
    facility_births: Share
    facility_deaths: Share
    birth_registered: Share
    late_registration: Share
    digitised_births: Share
    digitised_marriages: Share
    death_registered: Share
    registered_elsewhere: Share
    insured: Share
    old_paper_visits: Share
    no_paper_adults: Share


class _Ethnicity(_Part):
    code: Annotated[str, StringConstraints(pattern="^[0-9]{2}$")]
    hotich: Texts
    share: float = Field(gt=0, le=1)
    districts: list[str]


class _Names(_Part):
    family: NameParts
    family_highland: NameParts
    middle_male: NameParts
    middle_female: NameParts
    male: NameParts
    female: NameParts
    male_highland: NameParts
    female_highland: NameParts
    middle_highland: NameParts


Cause = Annotated[tuple[Disease, Written], Strict(False)]  # YAML has lists only
Drug = Annotated[tuple[Code, Written, Code, Written, Price], Strict(False)]
Service = Annotated[tuple[Code, Written, Group, Price], Strict(False)]


def _with_all_groups(services: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    groups = [row[2] for row in services]
    if groups[:2] != ["13", "13"] or "15" not in groups or not set(groups) - {"13", "15"}:
        raise ValueError(
            "the first two must be examinations, of adults and of children (group 13), and a bed (15) and one of another group"
            " must be among the others"
        )
    return services


class Form(_Part):
    """A whole profile."""

    as_of: date
    province: _Province
    defects: dict[str, Rate]
    population: _Population
    ethnicities: list[_Ethnicity] = Field(min_length=1)
    highland_share: Share
    elsewhere: list[ProvinceOfBirth] = Field(min_length=1)
    names: _Names
    hamlets: Texts
    icd10: list[Disease] = Field(min_length=1)
    causes_of_death: list[Cause] = Field(min_length=1)
    drugs: list[Drug] = Field(min_length=1)
    services: Annotated[list[Service], Field(min_length=4), AfterValidator(_with_all_groups)]


_WORDS = {
    "extra_forbidden": "there is no such key",
    "missing": "it is missing",
    "too_short": "it needs at least {min_length}",
    "string_too_short": "it may not be empty",
    "string_too_long": "it may have {max_length} characters at most",
    "too_long": "it may have {max_length} parts or characters at most",
    "list_type": "it must be a list",
    "string_type": "it must be text: YAML reads some words, such as No, On or a bare number, as something else; put it in quotes",
}


def complaints(data: Any) -> tuple[dict[str, Any], list[str]]:
    """The profile as it is used, and what is wrong with it: lines of a key, what was found and what must be there."""
    try:
        return Form.model_validate(data).model_dump(), []
    except ValidationError as error:
        return {}, [_line(found) for found in error.errors()]


def _line(found: Any) -> str:
    where = [str(part) for part in found["loc"] if not str(part).startswith(("function-", "constrained-"))]
    key = ".".join(where) or "the file"
    what = _WORDS[found["type"]].format(**found.get("ctx", {})) if found["type"] in _WORDS else found["msg"]
    if where and where[0] == "defects" and len(where) > 1 and found["type"] != "extra_forbidden":
        what = "a rate lies between 0 and 0.5"
    given = repr(found["input"])
    shown = (
        ""
        if found["type"] in ("missing", "extra_forbidden")
        else f" is {given if len(given) < 60 else given[:57] + '...'}"
    )
    return f"{key}{shown}: {what}"
