"""Numbers and codes: of people, cards, phones, firms, procedures, communes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc

from demo.defects.engine import Fate, Plant, filled, kind
from demo.defects.names import NAMES, same_name
from demo.table import Table

ID_COLUMNS = {
    "education.hocsinh": "sodinhdanh",
    "education.giaovien": "sodinhdanh",
    "health.xml1": "SO_CCCD",
    "health.giay_chung_sinh": "SO_CCCD_ME",
    "health.giay_bao_tu": "SO_CCCD",
    "civil_registry.khai_sinh": "nksSoDinhDanh",
    "civil_registry.ket_hon": "chongSoGiayToTuyThan",
    "civil_registry.khai_tu": "nktSoDinhDanh",
}
STALE_PHONES = {
    "032": "0162", "033": "0163", "034": "0164", "035": "0165", "036": "0166", "037": "0167", "038": "0168", "039": "0169",
    "070": "0120", "079": "0121", "077": "0122", "076": "0126", "078": "0128", "083": "0123", "084": "0124", "085": "0125",
    "081": "0127", "082": "0129", "056": "0186", "058": "0188", "059": "0199",
}  # fmt: skip


def _has_full_id(table: Table, target: Any) -> np.ndarray:
    full = pc.fill_null(pc.equal(pc.utf8_length(table.columns[target]), 12), False)
    return np.asarray(full.to_numpy(zero_copy_only=False))


def broken_id(number: str, how: int) -> str:
    """A số định danh with one of four breaks: a digit lost, a letter O, the other sex, another year."""
    if how == 0:
        return number[:-1]
    if how == 1:
        return number[:6] + "O" + number[7:]
    if how == 2:
        return number[:3] + str(int(number[3]) ^ 1) + number[4:]
    return number[:4] + f"{(int(number[4:6]) + 37) % 100:02d}" + number[6:]


@kind("wrong_id", ID_COLUMNS, Fate.QUARANTINED, _has_full_id)
def wrong_id(p: Plant) -> np.ndarray:
    """The structure of the number is broken, or it contradicts sex or year of birth."""
    how = p.rng.integers(0, 4, len(p.rows)).tolist()
    values = p.table.get(p.target, p.rows)
    return p.write(p.target, p.rows, [broken_id(value, way) for value, way in zip(values, how, strict=True)])


@kind("lost_zero_id", ID_COLUMNS, Fate.REPAIRED, _has_full_id)
def lost_zero_id(p: Plant) -> np.ndarray:
    """A spreadsheet took the number for a number: the zeros in front are gone."""
    return p.change(p.target, lambda value: value.lstrip("0"))


@kind(
    "swapped_id",
    ID_COLUMNS,
    Fate.NONE,
    _has_full_id,
    why="both numbers are good: a rule sees it only where the two differ in sex or year of birth",
)
def swapped_id(p: Plant) -> np.ndarray:
    """Two people's numbers exchanged; both rows carry the defect."""
    rows = p.rows[: len(p.rows) // 2 * 2]
    values = p.table.get(p.target, rows)
    pairs = [(at, at + 1) for at in range(0, len(rows), 2) if values[at] != values[at + 1]]
    for one, other in pairs:
        values[one], values[other] = values[other], values[one]
    return p.write(p.target, rows, values)


_SHARED = (
    "education.hocsinh",
    "education.giaovien",
    "health.xml1",
    "civil_registry.khai_sinh",
    "civil_registry.khai_tu",
)


@kind("shared_id", {label: ID_COLUMNS[label] for label in _SHARED}, Fate.WARNED, _has_full_id)
def shared_id(p: Plant) -> np.ndarray:
    """The number of somebody else of the same sex and year of birth and of another name: one number for two people."""
    pool = np.flatnonzero(p.free & _has_full_id(p.table, p.target)[: len(p.free)])
    pool = np.setdiff1d(pool, p.rows)
    pool = p.rng.choice(pool, min(len(pool), 20_000 + 50 * len(p.rows)), replace=False)
    donors: dict[str, list[tuple[int, str]]] = {}
    for at, number in zip(pool.tolist(), p.table.get(p.target, pool), strict=True):
        donors.setdefault(number[3:6], []).append((at, number))
    names = p.table.columns[NAMES[p.table.label][0]].to_pylist()
    values: list[str | None] = []
    for row, number in zip(p.rows.tolist(), p.table.get(p.target, p.rows), strict=True):
        found = donors.get(number[3:6], [])
        fits = next(
            (at for at in range(len(found) - 1, -1, -1) if not same_name(names[found[at][0]], names[row])), None
        )
        values.append(None)
        if fits is not None:
            donor, values[-1] = found.pop(fits)
            p.leans.append(donor)
    return p.write(p.target, p.rows, values)


@kind("old_paper", {"health.xml1": "SO_CCCD", "health.giay_bao_tu": "SO_CCCD"}, Fate.MERGED, _has_full_id)
def old_paper(p: Plant) -> np.ndarray:
    """The nine digits of a CMND where others give the twelve: one person with two papers."""
    where = dict(zip(p.rows.tolist(), range(len(p.rows)), strict=True))
    values: list[str | None] = [None] * len(p.rows)
    if p.table.old_ids is not None:
        for row, number in zip(p.rows, p.table.old_ids.take(p.rows).to_pylist(), strict=True):
            values[where[int(row)]] = number
    return p.write(p.target, p.rows, values)


@kind(
    "old_paper_as_id",
    {"education.giaovien": "sodinhdanh", "civil_registry.khai_tu": "nktSoDinhDanh"},
    Fate.QUARANTINED,
    _has_full_id,
)
def old_paper_as_id(p: Plant) -> np.ndarray:
    """A CMND in the column for the số định danh, which has twelve digits."""
    values = [None] * len(p.rows) if p.table.old_ids is None else p.table.old_ids.take(p.rows).to_pylist()
    return p.write(p.target, p.rows, values)


def _sexed(table: Table, target: Any) -> np.ndarray:
    return _has_full_id(table, target[1])


@kind(
    "wrong_sex",
    {
        "education.hocsinh": ("gioitinh", "sodinhdanh"),
        "education.giaovien": ("gioitinh", "sodinhdanh"),
        "health.xml1": ("GIOI_TINH", "SO_CCCD"),
        "health.giay_bao_tu": ("GIOI_TINH", "SO_CCCD"),
        "civil_registry.khai_sinh": ("nksGioiTinh", "nksSoDinhDanh"),
        "civil_registry.khai_tu": ("nktGioiTinh", "nktSoDinhDanh"),
    },
    Fate.QUARANTINED,
    _sexed,
)
def wrong_sex(p: Plant) -> np.ndarray:
    """The sex recorded is not the one the number tells."""
    return p.change(p.target[0], lambda value: {"1": "2", "2": "1"}.get(value))


@kind(
    "lost_zero_code",
    {
        "education.hocsinh": ("dantoc",),
        "education.giaovien": ("dantoc",),
        "health.xml1": ("MA_DANTOC", "MA_LOAI_KCB"),
        "health.giay_chung_sinh": ("MA_DANTOC_ME",),
        "health.giay_bao_tu": ("MA_DANTOC",),
        "investment.du_an": ("linh_vuc",),
    },
    Fate.REPAIRED,
)
def lost_zero_code(p: Plant) -> np.ndarray:
    """A code of digits without its zero in front."""
    return p.change_one(p.target, lambda value: value.lstrip("0"))


@kind("stale_phone", {"health.xml1": "DIEN_THOAI"}, Fate.REPAIRED, filled)
def stale_phone(p: Plant) -> np.ndarray:
    """A mobile number with the prefix it had before 2018."""
    return p.change(p.target, lambda value: STALE_PHONES[value[:3]] + value[3:] if value[:3] in STALE_PHONES else None)


@kind("written_phone", {"health.xml1": "DIEN_THOAI"}, Fate.REPAIRED, filled)
def written_phone(p: Plant) -> np.ndarray:
    """A phone number with blanks, dots or the country's prefix, or without its zero."""
    forms = (
        lambda n: f"{n[:4]} {n[4:7]} {n[7:]}",
        lambda n: f"{n[:4]}.{n[4:7]}.{n[7:]}",
        lambda n: "+84" + n[1:],
        lambda n: n[1:],
    )
    return p.change(p.target, lambda value: forms[int(p.rng.integers(0, len(forms)))](value))


@kind("bad_insurance_card", {"health.xml1": "MA_THE_BHYT"}, Fate.QUARANTINED, filled)
def bad_insurance_card(p: Plant) -> np.ndarray:
    """A card number with a digit too few, a letter O for a zero, or a benefit level that does not exist."""

    def spoil(card: str) -> str:
        if len(card) == 15 and p.rng.random() < 0.5:
            return card[:2] + "9" + card[3:]
        return card[:-1] if p.rng.random() < 0.5 else card[:-1] + "O"

    return p.change(p.target, spoil)


@kind("bad_tax_code", {"investment.hop_dong": "ma_so_thue"}, Fate.QUARANTINED, filled)
def bad_tax_code(p: Plant) -> np.ndarray:
    """A tax code whose check digit is another."""
    return p.change(p.target, lambda value: value[:9] + str((int(value[9]) + 3) % 10) + value[10:])


@kind("bad_procedure_code", {"one_stop.hoso": "MaTTHC"}, Fate.QUARANTINED, filled)
def bad_procedure_code(p: Plant) -> np.ndarray:
    """The code of a procedure without its dot, or with a digit lost."""
    return p.change(p.target, lambda value: value.replace(".", "") if p.rng.random() < 0.5 else value[:-1])


@kind("bad_dossier_code", {"one_stop.hoso": "MaHoSo"}, Fate.QUARANTINED, filled)
def bad_dossier_code(p: Plant) -> np.ndarray:
    """The code of a dossier whose day of receipt is no day, or without its dashes."""

    def spoil(code: str) -> str:
        agency, day, number = code.rsplit("-", 2)
        return f"{agency}-{day[:2]}13{day[4:]}-{number}" if p.rng.random() < 0.5 else agency + day + number

    return p.change(p.target, spoil)


COMMUNES = {
    "education.hocsinh": ("noiohientai_maxa", "noiohientai_mahuyen", "noiohientai_matinh"),
    "education.giaovien": ("noiohientai_maxa", "noiohientai_mahuyen", "noiohientai_matinh"),
    "health.xml1": ("MAXA_CU_TRU", "MAHUYEN_CU_TRU", "MATINH_CU_TRU"),
    "health.giay_chung_sinh": ("MAXA_CU_TRU", "MAHUYEN_CU_TRU", "MATINH_CU_TRU"),
    "health.giay_bao_tu": ("MAXA_CU_TRU", "MAHUYEN_CU_TRU", "MATINH_CU_TRU"),
    "civil_registry.khai_sinh": ("noiDangKy", "maHuyen", None),
    "civil_registry.ket_hon": ("noiDangKy", "maHuyen", None),
    "civil_registry.khai_tu": ("noiDangKy", "maHuyen", None),
    "investment.du_an": ("dia_diem", "ma_huyen", "ma_tinh"),
}


def _after_reform(table: Table, target: Any) -> np.ndarray:
    return np.zeros(table.n, dtype=bool) if table.after is None or table.place is None else table.after


@kind("old_commune_code", COMMUNES, Fate.MAPPED, _after_reform)
def old_commune_code(p: Plant) -> np.ndarray:
    """Commune, district and province codes from before the reform on a record from after it."""
    place = np.asarray(p.table.place)[p.rows]
    before = np.zeros(len(p.rows), dtype=bool)
    commune, district, province = p.target
    codes = p.units.code(place, before).to_pylist()
    if commune == "dia_diem":
        p.write(commune, p.rows, [f"{{{code}}}" for code in codes])
    else:
        p.write(commune, p.rows, codes)
    p.table.set(district, p.rows, p.units.district_code(place, before).to_pylist())
    if province is not None:
        p.table.set(province, p.rows, p.units.province_code(place, before).to_pylist())
    return p.rows


@kind(
    "unknown_commune",
    {name: at[0] for name, at in COMMUNES.items() if at[0] != "dia_diem"},
    Fate.QUARANTINED,
    _after_reform,
)
def unknown_commune(p: Plant) -> np.ndarray:
    """A commune code that no list has ever had."""
    codes = p.rng.integers(0, 1000, len(p.rows))
    return p.write(p.target, p.rows, [f"99{code:03d}" for code in codes])


@kind(
    "old_address",
    {"education.hocsinh": "noiohientai_diachi", "health.xml1": "DIA_CHI", "health.giay_bao_tu": "DIA_CHI"},
    Fate.NONE,
    _after_reform,
    why="free text: nothing compares it with the codes beside it",
)
def old_address(p: Plant) -> np.ndarray:
    """An address with the commune, district and province of before on a record from after the reform."""
    place = np.asarray(p.table.place)[p.rows]
    old = p.units.address(None, place, np.zeros(len(p.rows), dtype=bool)).to_pylist()
    hamlets = [value.split(",")[0] for value in p.table.get(p.target, p.rows)]
    return p.write(p.target, p.rows, [f"{hamlet}, {name}" for hamlet, name in zip(hamlets, old, strict=True)])
