"""Whole records: sent again, withdrawn, twice; and money that does not add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo.defects.engine import Fate, Plant, kind
from demo.table import SOFT_DELETE, STAMP

MILLION = 1_000_000


@kind("cumulative_falls", {"investment.giai_ngan": ("luy_ke_nam", "so_tien_thang")}, Fate.WARNED)
def cumulative_falls(p: Plant) -> np.ndarray:
    """What was paid up to a month is less than up to the month before."""
    running, month = (p.table.get(name, p.rows) for name in p.target)
    less = [None if total <= paid else (total - paid) * 3 // 5 for total, paid in zip(running, month, strict=True)]
    return p.write(p.target[0], p.rows, less)


@kind("total_mismatch", {"health.xml1": ("T_THUOC", "T_TONGCHI_BV", "T_TONGCHI_BH", "T_BNTT", "T_BHTT")}, Fate.WARNED)
def total_mismatch(p: Plant) -> np.ndarray:
    """The visit's total of drugs is not the sum of its lines; the total and its parts follow the wrong one."""
    drugs, total, insured, own, paid = p.target
    more = p.rng.integers(5, 200, len(p.rows)) * 1000.0
    has_card = [value > 0 for value in p.table.get(insured, p.rows)]
    for column, applies in ((total, None), (insured, True), (paid, True), (own, False)):
        old = p.table.get(column, p.rows)
        new = [
            value + (extra if applies is None or applies == card else 0.0)
            for value, extra, card in zip(old, more, has_card, strict=True)
        ]
        p.table.set(column, p.rows, new)
    return p.write(
        drugs, p.rows, [value + extra for value, extra in zip(p.table.get(drugs, p.rows), more, strict=True)]
    )


@kind(
    "wrong_unit",
    {
        "investment.ke_hoach_von": "so_von",
        "investment.du_an": "tong_muc_dau_tu",
        "investment.quyet_dinh": "gia_tri",
        "investment.hop_dong": "gia_tri",
    },
    Fate.WARNED,
)
def wrong_unit(p: Plant) -> np.ndarray:
    """Đồng where triệu đồng is meant, and the other way round."""
    values = p.table.get(p.target, p.rows)
    if "don_vi_tinh" not in p.table.columns:
        return p.write(p.target, p.rows, [value // MILLION or None for value in values])
    units = p.table.get("don_vi_tinh", p.rows)
    new = [
        value // MILLION or None if unit == "đồng" else value * MILLION if value >= 100 else None
        for value, unit in zip(values, units, strict=True)
    ]
    return p.write(p.target, p.rows, new)


@kind(
    "school_renamed",
    {"education.truong": "tentruong"},
    Fate.NONE,
    why="a school may be called anything: its code is the key",
)
def school_renamed(p: Plant) -> np.ndarray:
    """A school under the name it had before its commune was merged."""
    names = p.units.old_name.take(pa.array(np.asarray(p.table.place)[p.rows])).to_pylist()
    short = [name.split(" ", 1)[1] for name in names]
    old = p.table.get(p.target, p.rows)
    kinds = [" ".join(value.split(" ")[:2]) for value in old]
    return p.write(p.target, p.rows, [f"{what} {name} cũ" for what, name in zip(kinds, short, strict=True)])


@kind(
    "withdrawn",
    {
        "education.ketquahoctap": None,
        "civil_registry.khai_sinh": None,
        "health.giay_chung_sinh": None,
    },
    Fate.NONE,
    why="no error: the agency took the record back, and staging drops it",
)
def withdrawn(p: Plant) -> np.ndarray:
    """A record that its agency has flagged as deleted."""
    flag = SOFT_DELETE[p.table.sector]
    if flag not in p.table.columns:
        return p.rows[:0]
    p.table.set(flag, p.rows, [True] * len(p.rows))
    return p.rows


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


_RESENT: dict[str, Any] = {
    "education.hocsinh": ("cannang", lambda value: value if value is None else value + 1),
    "education.ketquahoctap": ("songaynghi", lambda value: value + 1),
    "health.xml1": ("MA_KHOA", lambda value: "K01"),
    "health.xml2": None,
    "health.xml3": None,
    "health.giay_chung_sinh": ("CAN_NANG_CON", lambda value: value + 50),
    "health.giay_bao_tu": None,
    "civil_registry.khai_sinh": ("trangSo", lambda value: str(int(value) + 1)),
    "investment.giai_ngan": ("trang_thai", lambda value: "3"),
}


@kind("resent", _RESENT, Fate.MERGED)
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
    Fate.MERGED,
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
