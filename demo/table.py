"""Rows of one source table on their way to it, with what is true about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo import text
from demo.people import Facilities
from demo.profile import Profile
from demo.text import Array
from demo.units import Units

SECTORS = ("education", "health", "civil_registry", "investment", "one_stop")
STAMP = {
    "education": "thoigiancapnhat",
    "health": "THOI_GIAN_CAP_NHAT",
    "civil_registry": "thoiGianCapNhat",
    "investment": "ngay_cap_nhat",
    "one_stop": "ThoiGianCapNhat",
}
SOFT_DELETE = {"education": "daxoa", "health": "DA_XOA", "civil_registry": "daXoa", "investment": "da_xoa"}


@dataclass(frozen=True)
class World:
    """What every record of one seed depends on."""

    seed: int
    profile: Profile
    units: Units
    facilities: Facilities


@dataclass
class Table:
    """Some rows of `sector`.`name`.

    `columns` are written as they are; a missing column takes its default. `people`: person ids by role (NOBODY: none).
    `place` and `after` (the new units are in force) let a defect go back to the old codes. `marks`: rows with a defect, by kind;
    `cells`: what stood in the cell they changed, by kind and row (column, value). `old_ids`: the CMND of each row's person.
    """

    sector: str
    name: str
    key: str
    columns: dict[str, Array]
    people: dict[str, np.ndarray] = field(default_factory=dict)
    place: np.ndarray | None = None
    after: np.ndarray | None = None
    marks: dict[str, np.ndarray] = field(default_factory=dict)
    cells: dict[str, dict[int, tuple[str, str | None]]] = field(default_factory=dict)
    old_ids: Array | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.columns[self.key])

    @property
    def label(self) -> str:
        """sector.name"""
        return f"{self.sector}.{self.name}"

    def keys(self) -> Array:
        """The physical primary keys as text."""
        return self.columns[self.key].cast(pa.string())

    def take(self, rows: np.ndarray) -> Table:
        """These rows, without their marks."""
        where = pa.array(rows)
        return replace(
            self,
            columns={name: values.take(where) for name, values in self.columns.items()},
            people={role: ids[rows] for role, ids in self.people.items()},
            place=None if self.place is None else self.place[rows],
            after=None if self.after is None else self.after[rows],
            marks={},
            cells={},
            old_ids=None if self.old_ids is None else self.old_ids.take(where),
        )

    def extend(self, more: Table) -> None:
        """Adds the rows of `more` (same columns) at the end."""
        for name, values in self.columns.items():
            self.columns[name] = pa.concat_arrays([values, more.columns[name]])
        for role, ids in self.people.items():
            self.people[role] = np.concatenate([ids, more.people[role]])
        if self.place is not None and more.place is not None:
            self.place = np.concatenate([self.place, more.place])
        if self.after is not None and more.after is not None:
            self.after = np.concatenate([self.after, more.after])
        if self.old_ids is not None and more.old_ids is not None:
            self.old_ids = pa.concat_arrays([self.old_ids, more.old_ids])

    def get(self, column: str, rows: np.ndarray) -> list[Any]:
        """The values of some rows."""
        return list(self.columns[column].take(pa.array(rows)).to_pylist())

    def set(self, column: str, rows: np.ndarray, values: Sequence[Any]) -> None:
        """Replaces the values of some rows (in ascending order)."""
        old = self.columns[column]
        mask = np.zeros(self.n, dtype=bool)
        mask[rows] = True
        self.columns[column] = pc.replace_with_mask(old, pa.array(mask), pa.array(list(values), old.type))

    def edit(self, column: str, rows: np.ndarray, change: Callable[[Any], Any]) -> None:
        """Puts every value of some rows through a function."""
        self.set(column, rows, [change(value) for value in self.get(column, rows)])


def serial_ids(start: int, n: int) -> Array:
    """Record numbers start, start + 1, …"""
    return pa.array(np.arange(start, start + n, dtype=np.int64))


def falses(n: int) -> Array:
    """False n times: nothing is deleted yet."""
    return pa.array(np.zeros(n, dtype=bool))


def stamped(world_as_of: int, minutes: np.ndarray, rng: np.random.Generator) -> Array:
    """Time stamps at or before the end of the business date."""
    return text.moments(np.minimum(minutes, world_as_of * text.MINUTES + 1435), rng)
