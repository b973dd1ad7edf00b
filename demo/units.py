"""Communes of the province before and after 1/7/2025, read from the dbt seeds, the one list of the project."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from demo.errors import DemoError
from demo.text import Array, concat, either, pick, pool

SEEDS = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"
UNITS = "administrative_unit.csv"
MAPPING = "administrative_unit_mapping.csv"


@dataclass(frozen=True)
class Units:
    """Old communes 0..n-1 (sorted by code), the new commune each went to, and how both are written.

    A place of the population is the number of an old commune: what it is called depends on the date.
    """

    old_code: Array
    old_name: Array
    district: Array
    district_name: Array
    province: Array
    province_name: Array
    new: np.ndarray
    new_code: Array
    new_name: Array
    urban: np.ndarray
    new_urban: np.ndarray
    digest: str

    @property
    def n(self) -> int:
        """How many old communes."""
        return len(self.new)

    @property
    def n_new(self) -> int:
        """How many new communes."""
        return len(self.new_code)

    def code(self, place: np.ndarray, after: np.ndarray) -> Array:
        """Commune code of the list that is valid `after` the reform, else the one before."""
        return either(after, pick(self.new_code, self.new[place]), pick(self.old_code, place))

    def district_code(self, place: np.ndarray, after: np.ndarray) -> Array:
        """District code, null after the reform."""
        return either(after, pa.scalar(None, pa.string()), pick(self.district, place))

    def province_code(self, place: np.ndarray, after: np.ndarray) -> Array:
        """Province code: 44 after the reform, 44 or 45 before."""
        return either(after, "44", pick(self.province, place))

    def address(self, hamlet: Array | None, place: np.ndarray, after: np.ndarray) -> Array:
        """Free text: hamlet, commune, (district,) province."""
        new = concat(pick(self.new_name, self.new[place]), ", tỉnh Quảng Trị")
        old = concat(
            pick(self.old_name, place), ", ", pick(self.district_name, place), ", ", pick(self.province_name, place)
        )
        place_name = either(after, new, old)
        return place_name if hamlet is None else concat(hamlet, ", ", place_name)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def load(folder: Path = SEEDS, province: str = "44") -> Units:
    """Reads the units of one (new) province. Raises DemoError where the seeds are missing."""
    for name in (UNITS, MAPPING):
        if not (folder / name).is_file():
            raise DemoError(f"{folder / name} is missing: the demo takes the commune codes from there")
    digest = hashlib.sha256((folder / UNITS).read_bytes() + (folder / MAPPING).read_bytes()).hexdigest()
    with (folder / UNITS).open(encoding="utf-8", newline="") as file:
        units = {row["unit_key"]: row for row in csv.DictReader(file)}
    with (folder / MAPPING).open(encoding="utf-8", newline="") as file:
        pairs = [
            row
            for row in csv.DictReader(file)
            if row["new_province_code"] == province
            and row["old_level"] == row["new_level"] == "commune"
            and row["is_default"] == "true"
        ]
    if not pairs:
        raise DemoError(f"{folder / MAPPING} has no commune of province {province}")
    before = {
        row["unit_code"]: row for row in units.values() if row["valid_to"] == "2025-07-01" and row["level"] != "commune"
    }
    pairs.sort(key=lambda row: row["old_code"])
    olds = [units[row["old_unit_key"]] for row in pairs]
    new_keys = sorted({row["new_unit_key"] for row in pairs})
    news = [units[key] for key in new_keys]
    position = {key: index for index, key in enumerate(new_keys)}
    districts = [before[row["parent_code"]] for row in olds]
    return Units(
        old_code=pool([row["unit_code"] for row in olds]),
        old_name=pool([_lower_first(row["full_name_vi"]) for row in olds]),
        district=pool([row["unit_code"] for row in districts]),
        district_name=pool([_lower_first(row["full_name_vi"]) for row in districts]),
        province=pool([row["province_code"] for row in olds]),
        province_name=pool([_lower_first(before[row["province_code"]]["full_name_vi"]) for row in olds]),
        new=np.array([position[row["new_unit_key"]] for row in pairs], dtype=np.int64),
        new_code=pool([row["unit_code"] for row in news]),
        new_name=pool([_lower_first(row["full_name_vi"]) for row in news]),
        urban=np.array([row["unit_type"] in ("phường", "thị trấn") for row in olds]),
        new_urban=np.array([row["unit_type"] == "phường" for row in news]),
        digest=digest,
    )
