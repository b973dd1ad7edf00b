"""Planted defects: a registry of kinds. A new kind is one function here and one rate in the profile.

A kind says which tables it touches and how (`targets`), which of their rows can carry it, and how it is planted. The engine
chooses the rows, keeps to at most one defect a row, and marks what was planted. Rows without a mark are sound.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo.table import STAMP, Table
from demo.units import Units

Ids = Callable[[int], int]  # how many record numbers are wanted → the first of them


@dataclass(frozen=True)
class Plant:
    """What a planting function gets: the table, the rows chosen for it (ascending), its target, and its random stream."""

    table: Table
    rows: np.ndarray
    target: Any
    rng: np.random.Generator
    units: Units
    ids: Ids


@dataclass(frozen=True)
class Kind:
    """A kind of defect. `plant` returns the rows that carry it now; `eligible` the rows that can (default: all)."""

    name: str
    targets: Mapping[str, Any]
    plant: Callable[[Plant], np.ndarray]
    eligible: Callable[[Table, Any], np.ndarray] | None = None


KINDS: dict[str, Kind] = {}
# Planted where the event itself is made, not on finished rows: the builder reads the rate and sets the mark.
EVENT_KINDS = {"visit_after_death": ("health.xml1",)}


def kind(
    name: str, targets: Mapping[str, Any], eligible: Callable[[Table, Any], np.ndarray] | None = None
) -> Callable[[Callable[[Plant], np.ndarray]], Callable[[Plant], np.ndarray]]:
    """Registers a planting function."""

    def register(plant: Callable[[Plant], np.ndarray]) -> Callable[[Plant], np.ndarray]:
        KINDS[name] = Kind(name, targets, plant, eligible)
        return plant

    return register


def plant_all(
    table: Table, rates: Mapping[str, float], rng: np.random.Generator, units: Units, ids: Ids
) -> dict[str, tuple[int, int]]:
    """Plants every kind that touches the table; marks go to `table.marks`. Returns (eligible, planted) by kind."""
    counts = {}
    taken = np.zeros(table.n, dtype=bool)
    for name, rows in table.marks.items():
        taken[rows] = True
        counts[name] = (table.n, len(rows))
    original = table.n
    for name, registered in KINDS.items():
        rate = rates.get(name, 0.0)
        if rate <= 0 or table.label not in registered.targets:
            continue
        target = registered.targets[table.label]
        can = (
            np.ones(original, dtype=bool)
            if registered.eligible is None
            else registered.eligible(table, target)[:original]
        )
        free = np.flatnonzero(can & ~taken[:original])
        wanted = min(int(rate * can.sum() + rng.random()), len(free))
        rows = np.sort(rng.choice(free, wanted, replace=False)) if wanted else free[:0]
        planted = registered.plant(Plant(table, rows, target, rng, units, ids)) if wanted else rows
        taken[rows] = True  # the sources of copies too: a copy must stay like a sound row
        table.marks[name] = planted
        counts[name] = (int(can.sum()), len(planted))
    return counts


def _has_full_id(table: Table, target: Any) -> np.ndarray:
    return pc.fill_null(pc.equal(pc.utf8_length(table.columns[target]), 12), False).to_numpy(zero_copy_only=False)


_ID_COLUMNS = {
    "education.hocsinh": "sodinhdanh",
    "education.giaovien": "sodinhdanh",
    "health.xml1": "SO_CCCD",
    "health.giay_chung_sinh": "SO_CCCD_ME",
    "health.giay_bao_tu": "SO_CCCD",
    "civil_registry.khai_sinh": "nksSoDinhDanh",
    "civil_registry.ket_hon": "chongSoGiayToTuyThan",
    "civil_registry.khai_tu": "nktSoDinhDanh",
}


def broken_id(number: str, how: int) -> str:
    """A số định danh with one of five breaks: leading zero lost, a digit lost, a letter O, the other sex, another year."""
    if how == 0:
        return number.removeprefix("0")
    if how == 1:
        return number[:-1]
    if how == 2:
        return number[:6] + "O" + number[7:]
    if how == 3:
        return number[:3] + str(int(number[3]) ^ 1) + number[4:]
    return number[:4] + f"{(int(number[4:6]) + 37) % 100:02d}" + number[6:]


@kind("wrong_id", _ID_COLUMNS, _has_full_id)
def wrong_id(p: Plant) -> np.ndarray:
    """The structure of the number is broken, or it contradicts sex or year of birth."""
    how = p.rng.integers(0, 5, len(p.rows)).tolist()
    values = p.table.get(p.target, p.rows)
    p.table.set(p.target, p.rows, [broken_id(value, way) for value, way in zip(values, how, strict=True)])
    return p.rows


@kind("swapped_id", _ID_COLUMNS, _has_full_id)
def swapped_id(p: Plant) -> np.ndarray:
    """Two people's numbers exchanged; both rows carry the defect."""
    rows = p.rows[: len(p.rows) // 2 * 2]
    values = p.table.get(p.target, rows)
    pairs = [(at, at + 1) for at in range(0, len(rows), 2) if values[at] != values[at + 1]]
    for one, other in pairs:
        values[one], values[other] = values[other], values[one]
    p.table.set(p.target, rows, values)
    return rows[[at for pair in pairs for at in pair]] if pairs else rows[:0]


@kind(
    "nfd_text",
    {
        "education.hocsinh": ("hovaten", "noiohientai_diachi"),
        "education.giaovien": ("hovaten",),
        "health.xml1": ("HO_TEN", "DIA_CHI"),
        "health.giay_chung_sinh": ("HO_TEN_ME", "DIA_CHI"),
        "health.giay_bao_tu": ("HO_TEN", "DIA_CHI"),
        "civil_registry.khai_sinh": ("nksHoTen", "nksNoiSinh", "meHoTen", "chaHoTen"),
        "civil_registry.ket_hon": ("chongHoTen", "voHoTen"),
        "civil_registry.khai_tu": ("nktHoTen", "nktNoiCuTru"),
        "investment.du_an": ("ten",),
    },
)
def nfd_text(p: Plant) -> np.ndarray:
    """Text in decomposed Unicode: looks the same, compares different."""
    changed = np.zeros(len(p.rows), dtype=bool)
    for column in p.target:
        old = p.table.get(column, p.rows)
        new = [value if value is None else unicodedata.normalize("NFD", value) for value in old]
        changed |= np.array([a != b for a, b in zip(old, new, strict=True)])
        p.table.set(column, p.rows, new)
    return p.rows[changed]


def _has_day(table: Table, target: Any) -> np.ndarray:
    column = table.columns[target]
    if pa.types.is_date(column.type):
        return pc.is_valid(column).to_numpy(zero_copy_only=False)
    return pc.fill_null(pc.greater_equal(pc.utf8_length(column), 10), False).to_numpy(zero_copy_only=False)


@kind(
    "year_only_birth",
    {
        "education.hocsinh": "ngaythangnamsinh",
        "education.giaovien": "ngaythangnamsinh",
        "health.xml1": "NGAY_SINH",
        "health.giay_bao_tu": "NGAY_SINH",
        "civil_registry.khai_sinh": "nksNgaySinh",
        "civil_registry.khai_tu": "nktNgaySinh",
    },
    _has_day,
)
def year_only_birth(p: Plant) -> np.ndarray:
    """Only the year of birth is given, in the way of the sector."""
    values = p.table.get(p.target, p.rows)
    if p.table.sector == "education":
        p.table.set("namsinh", p.rows, [value.year for value in values])
        p.table.set(p.target, p.rows, [None] * len(values))
    elif p.table.sector == "health":
        p.table.set(p.target, p.rows, [value[:4] + "0" * 8 for value in values])
    else:
        p.table.set(p.target, p.rows, [value[-4:] for value in values])
        if "nksNgaySinhBangChu" in p.table.columns:
            p.table.set("nksNgaySinhBangChu", p.rows, [None] * len(values))
    return p.rows


def _after_reform(table: Table, target: Any) -> np.ndarray:
    return np.zeros(table.n, dtype=bool) if table.after is None or table.place is None else table.after


@kind(
    "old_commune_code",
    {
        "education.hocsinh": ("noiohientai_maxa", "noiohientai_mahuyen", "noiohientai_matinh"),
        "education.giaovien": ("noiohientai_maxa", "noiohientai_mahuyen", "noiohientai_matinh"),
        "health.xml1": ("MAXA_CU_TRU", "MAHUYEN_CU_TRU", "MATINH_CU_TRU"),
        "health.giay_chung_sinh": ("MAXA_CU_TRU", "MAHUYEN_CU_TRU", "MATINH_CU_TRU"),
        "health.giay_bao_tu": ("MAXA_CU_TRU", "MAHUYEN_CU_TRU", "MATINH_CU_TRU"),
        "civil_registry.khai_sinh": ("noiDangKy", "maHuyen", None),
        "civil_registry.ket_hon": ("noiDangKy", "maHuyen", None),
        "civil_registry.khai_tu": ("noiDangKy", "maHuyen", None),
        "investment.du_an": ("dia_diem", "ma_huyen", "ma_tinh"),
    },
    _after_reform,
)
def old_commune_code(p: Plant) -> np.ndarray:
    """Commune, district and province codes from before the reform on a record from after it."""
    place = np.asarray(p.table.place)[p.rows]
    before = np.zeros(len(p.rows), dtype=bool)
    commune, district, province = p.target
    codes = p.units.code(place, before).to_pylist()
    p.table.set(commune, p.rows, [f"{{{code}}}" for code in codes] if commune == "dia_diem" else codes)
    p.table.set(district, p.rows, p.units.district_code(place, before).to_pylist())
    if province is not None:
        p.table.set(province, p.rows, p.units.province_code(place, before).to_pylist())
    return p.rows


def _ordered(table: Table, target: Any) -> np.ndarray:
    first, second = (table.columns[name] for name in target)
    if pa.types.is_date(first.type) and pa.types.is_string(second.type):
        return pc.fill_null(pc.equal(pc.utf8_length(second), 10), False).to_numpy(zero_copy_only=False)
    return pc.fill_null(pc.not_equal(first, second), False).to_numpy(zero_copy_only=False)


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
    _ordered,
)
def dates_out_of_order(p: Plant) -> np.ndarray:
    """Beginning and end exchanged; a registration dated before what it registers."""
    first, second = p.target
    ones, others = p.table.get(first, p.rows), p.table.get(second, p.rows)
    if p.table.sector == "civil_registry":
        early = [
            _day(value) - timedelta(days=int(gap))
            for value, gap in zip(others, p.rng.integers(1, 90, len(others)), strict=True)
        ]
        p.table.set(first, p.rows, early)
    else:
        p.table.set(first, p.rows, others)
        p.table.set(second, p.rows, ones)
    return p.rows


def _day(dotted: str) -> date:
    day, month, year = (int(part) for part in dotted.split("."))
    return date(year, month, day)


def _copy(p: Plant) -> np.ndarray:
    """Appends copies of the rows under new record numbers; returns where they are."""
    more = p.table.take(p.rows)
    start = p.ids(len(p.rows))
    more.columns[p.table.key] = pa.array(np.arange(start, start + len(p.rows), dtype=np.int64))
    stamp = STAMP[p.table.sector]
    if stamp in more.columns:
        later = p.rng.integers(60, 20_000, len(p.rows)) * 60_000_000
        latest = pc.max(p.table.columns[stamp])
        moved = pc.add(more.columns[stamp], pa.array(later, pa.duration("us")))
        more.columns[stamp] = pc.min_element_wise(moved, latest)
    at = np.arange(p.table.n, p.table.n + len(p.rows))
    p.table.extend(more)
    return at


@kind(
    "resent",
    {
        "education.hocsinh": ("cannang", lambda value: value if value is None else value + 1),
        "education.ketquahoctap": ("songaynghi", lambda value: value + 1),
        "health.xml1": ("MA_KHOA", lambda value: "K01"),
        "health.xml2": None,
        "health.xml3": None,
        "health.giay_chung_sinh": ("CAN_NANG_CON", lambda value: value + 50),
        "health.giay_bao_tu": None,
        "civil_registry.khai_sinh": ("trangSo", lambda value: str(int(value) + 1)),
        "investment.giai_ngan": ("trang_thai", lambda value: "3"),
    },
)
def resent(p: Plant) -> np.ndarray:
    """The same business key again under a new record number; half of the copies with newer content."""
    at = _copy(p)
    if p.target is not None:
        column, change = p.target
        p.table.edit(column, at[::2], change)
    return at


@kind(
    "duplicate",
    {
        "education.hocsinh": "mahocsinh",
        "health.xml1": "MA_LK",
        "civil_registry.khai_sinh": "so",
        "civil_registry.ket_hon": "so",
        "civil_registry.khai_tu": "so",
    },
)
def duplicate(p: Plant) -> np.ndarray:
    """The same person or event again under another business key."""
    at = _copy(p)
    if p.target == "mahocsinh":
        p.table.set(p.target, at, [f"99{int(key) % 10**8:08d}" for key in p.table.get(p.table.key, at)])
    else:
        suffix = ".1" if p.target == "MA_LK" else "/TL"
        p.table.edit(p.target, at, lambda value: value + suffix)
    return at
