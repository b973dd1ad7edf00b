"""Dates in other forms, cut short, impossible, or in the wrong order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo.defects.engine import Fate, Plant, filled, has_day, kind
from demo.table import STAMP, Table
from demo.text import MINUTES

EXCEL = date(1899, 12, 30)
# Text dates that others write in other forms: dotted in the civil registry, compact in health. Those that carry a time of day
# are left out: the other forms have none.
DATES: dict[str, tuple[str, ...]] = {
    "civil_registry.khai_sinh": ("nksNgaySinh", "meNgaySinh", "chaNgaySinh"),
    "civil_registry.ket_hon": ("chongNgaySinh", "voNgaySinh"),
    "civil_registry.khai_tu": ("nktNgaySinh", "nktNgayChet"),
    "civil_registry.nhan_cha_me_con": ("ncNgaySinh", "cmNgaySinh"),
    "health.xml1": ("NGAY_SINH", "GT_THE_DEN"),
    "health.giay_chung_sinh": ("NGAY_SINH_ME",),
    "health.giay_bao_tu": ("NGAY_SINH",),
}
JUDGED: dict[str, tuple[str, ...]] = {
    "civil_registry.khai_sinh": ("nksNgaySinh", "meNgaySinh", "chaNgaySinh"),
    "civil_registry.ket_hon": ("chongNgaySinh", "voNgaySinh"),
    "civil_registry.khai_tu": ("nktNgaySinh", "nktNgayChet"),
    "health.xml1": ("NGAY_SINH", "NGAY_VAO", "NGAY_RA"),
    "health.xml2": ("NGAY_YL",),
    "health.xml3": ("NGAY_YL", "NGAY_TH_YL"),
    "health.giay_chung_sinh": ("NGAY_SINH_ME", "NGAY_SINH_CON"),
    "health.giay_bao_tu": ("NGAY_SINH", "NGAY_TU_VONG"),
}


def read(value: str) -> date | None:
    """A dotted or compact date known to the day and without a time of day; None for others."""
    if "." in value:
        parts = value.split(".")
        return date(*map(int, reversed(parts))) if len(parts) == 3 else None
    if len(value) in (8, 12) and value[8:] in ("", "0000") and "00" not in (value[4:6], value[6:8]):
        return date(int(value[:4]), int(value[4:6]), int(value[6:8]))
    return None


def _written(name: str, fate: Fate, write: Callable[[date, np.random.Generator], str | None]) -> None:
    def plant(p: Plant) -> np.ndarray:
        def change(value: str) -> str | None:
            day = read(value)
            return None if day is None else write(day, p.rng)

        return p.change_one(p.target, change)

    kind(name, DATES, fate, has_day)(plant)


def _other_form(day: date, rng: np.random.Generator) -> str:
    forms = (f"{day:%d/%m/%Y}", f"{day.day}/{day.month}/{day.year}", f"{day:%d-%m-%Y}", f"{day:%Y-%m-%d}")
    return forms[int(rng.integers(0, len(forms)))]


def _american(day: date, rng: np.random.Generator) -> str | None:
    return f"{day:%m/%d/%Y}" if day.day > 12 else None


def _two_digits(day: date, rng: np.random.Generator) -> str | None:
    return f"{day:%d/%m/%y}" if 1930 <= day.year <= 2029 else None


def _serial(day: date, rng: np.random.Generator) -> str | None:
    serial = (day - EXCEL).days
    return str(serial) if 10_000 <= serial <= 60_000 else None


_written("date_form", Fate.REPAIRED, _other_form)
_written("american_date", Fate.REPAIRED, _american)
_written("two_digit_year", Fate.REPAIRED, _two_digits)
_written("excel_serial", Fate.REPAIRED, _serial)


@kind("impossible_date", JUDGED, Fate.QUARANTINED, filled)
def impossible_date(p: Plant) -> np.ndarray:
    """A day that no calendar has: 31 February, the 32nd, a 13th month."""
    spoiled = ((31, 2), (32, 5), (15, 13))

    def change(value: str) -> str | None:
        day, month = spoiled[int(p.rng.integers(0, len(spoiled)))]
        if "." in value:
            return f"{day:02d}.{month:02d}.{value[-4:]}"
        return f"{value[:4]}{month:02d}{day:02d}{value[8:]}" if len(value) >= 8 else None

    return p.change_one(p.target, change)


BIRTHS = {
    "education.hocsinh": "ngaythangnamsinh",
    "education.giaovien": "ngaythangnamsinh",
    "health.xml1": "NGAY_SINH",
    "health.giay_bao_tu": "NGAY_SINH",
    "civil_registry.khai_sinh": "nksNgaySinh",
    "civil_registry.khai_tu": "nktNgaySinh",
}


@kind("year_only_birth", BIRTHS, Fate.NONE, has_day, why="the sectors allow partial dates")
def year_only_birth(p: Plant) -> np.ndarray:
    """Only the year of birth is given, in the way of the sector."""
    values = p.table.get(p.target, p.rows)
    if p.table.sector == "education":
        p.table.set("namsinh", p.rows, [value.year for value in values])
        p.table.set(p.target, p.rows, [None] * len(values))
        p.cells.update({int(row): (p.target, value) for row, value in zip(p.rows, values, strict=True)})
        return p.rows
    if p.table.sector == "health":
        return p.write(p.target, p.rows, [value[:4] + "0" * 8 for value in values])
    if "nksNgaySinhBangChu" in p.table.columns:
        p.table.set("nksNgaySinhBangChu", p.rows, [None] * len(values))
    return p.write(p.target, p.rows, [value[-4:] for value in values])


@kind("first_of_january", BIRTHS, Fate.WARNED, has_day)
def first_of_january(p: Plant) -> np.ndarray:
    """Only the year was known, and 1 January was written."""

    def change(value: Any) -> Any:
        if isinstance(value, date):
            return value.replace(month=1, day=1)
        return "01.01." + value[-4:] if "." in value else value[:4] + "0101" + value[8:]

    return p.change(p.target, change)


def _ordered(table: Table, target: Any) -> np.ndarray:
    first, second = (table.columns[name] for name in target)
    if pa.types.is_date(first.type) and pa.types.is_string(second.type):
        known = pc.fill_null(pc.equal(pc.utf8_length(second), 10), False)
    else:
        known = pc.fill_null(pc.not_equal(first, second), False)
    return np.asarray(known.to_numpy(zero_copy_only=False))


def _day(dotted: str) -> date:
    day, month, year = (int(part) for part in dotted.split("."))
    return date(year, month, day)


@kind(
    "dates_out_of_order",
    {
        "health.xml1": ("NGAY_VAO", "NGAY_RA"),
        "health.xml3": ("NGAY_YL", "NGAY_TH_YL"),
        "civil_registry.khai_sinh": ("ngayDangKy", "nksNgaySinh"),
        "civil_registry.khai_tu": ("ngayDangKy", "nktNgayChet"),
        "investment.du_an": ("ngay_khoi_cong", "ngay_hoan_thanh"),
        "investment.hop_dong": ("ngay_ky", "ngay_ket_thuc"),
    },
    Fate.QUARANTINED,
    _ordered,
)
def dates_out_of_order(p: Plant) -> np.ndarray:
    """Beginning and end exchanged; a registration dated before what it registers."""
    first, second = p.target
    ones, others = p.table.get(first, p.rows), p.table.get(second, p.rows)
    if p.table.sector == "civil_registry":
        gaps = p.rng.integers(1, 90, len(others))
        readable = [at for at, value in enumerate(others) if read_or_none(value)]
        rows = p.rows[readable]
        early = [_day(others[at]) - timedelta(days=int(gaps[at])) for at in readable]
        return p.write(first, rows, early)
    p.table.set(first, p.rows, others)
    p.table.set(second, p.rows, ones)
    return p.rows


def read_or_none(value: str) -> date | None:
    """As `read`; None where a defect made the text unreadable."""
    try:
        return read(value)
    except ValueError:
        return None


@kind("service_outside_stay", {"health.xml3": "NGAY_YL"}, Fate.WARNED, has_day)
def service_outside_stay(p: Plant) -> np.ndarray:
    """A service ordered weeks before the patient came."""

    def change(value: str) -> str:
        moment = datetime.strptime(value, "%Y%m%d%H%M") - timedelta(days=40)  # noqa: DTZ007 (local, as in the source)
        return moment.strftime("%Y%m%d%H%M")

    return p.change(p.target, change)


def _years_after(value: str, years: int) -> str:
    return f"{value[:-4]}{int(value[-4:]) + years}"


@kind("mother_too_young", {"civil_registry.khai_sinh": ("meNgaySinh", "nksNgaySinh")}, Fate.QUARANTINED, filled)
def mother_too_young(p: Plant) -> np.ndarray:
    """A mother born less than ten years before her child."""
    mother, child = p.target
    gaps = p.rng.integers(5, 10, len(p.rows))
    born = p.table.get(child, p.rows)
    old = p.table.get(mother, p.rows)
    new = [
        None if was is None or not value[-4:].isdigit() else f"{_safe(was)}{int(value[-4:]) - int(gap)}"
        for was, value, gap in zip(old, born, gaps, strict=True)
    ]
    return p.write(mother, p.rows, new)


def _safe(dotted: str) -> str:
    """Day and month of a dotted date, with dots; 29 February as the 28th."""
    return dotted[:-4].replace("29.02.", "28.02.")


@kind("married_too_young", {"civil_registry.ket_hon": ("ngayDangKy", "voNgaySinh")}, Fate.QUARANTINED, filled)
def married_too_young(p: Plant) -> np.ndarray:
    """A bride of 11 to 15 years."""
    registered, bride = p.target
    ages = p.rng.integers(12, 15, len(p.rows))
    days = p.table.get(registered, p.rows)
    old = p.table.get(bride, p.rows)
    new = [
        None if was is None else f"{_safe(was)}{day.year - int(age)}"
        for was, day, age in zip(old, days, ages, strict=True)
    ]
    return p.write(bride, p.rows, new)


@kind(
    "late_record",
    {"health.xml1": "NGAY_RA", "health.giay_chung_sinh": "NGAY_CT", "health.giay_bao_tu": "NGAY_CT"},
    Fate.NONE,
    has_day,
    why="late, not wrong: freshness is judged for the dataset",
)
def late_record(p: Plant) -> np.ndarray:
    """A record of an old event that was sent on one of the last days."""
    stamp = STAMP[p.table.sector]
    if stamp not in p.table.columns:
        return p.rows[:0]  # stamped by the clock when it is written
    last = pc.max(p.table.columns[stamp]).as_py()
    ago = p.rng.integers(0, 2 * MINUTES, len(p.rows))
    old = p.table.get(stamp, p.rows)
    new = [last - timedelta(minutes=int(at)) for at in ago]
    late = [at for at, was in enumerate(old) if was < last - timedelta(days=30)]
    p.table.set(stamp, p.rows[late], [new[at] for at in late])
    return p.rows[late]
