"""The registry of kinds of defect, and how they are planted.

A kind says which tables it touches and how (`targets`), which of their rows can carry it, how it is planted, and what the centre
is meant to do with it (`fate`). The engine chooses the rows, keeps to at most one defect a row, and marks what was planted. Rows
without a mark are sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo.table import Table
from demo.units import Units

Ids = Callable[[int], int]  # how many record numbers are wanted → the first of them
Change = Callable[[Any], Any]  # a value → the defective one; None or the same: this value cannot carry the defect


class Fate(StrEnum):
    """What the centre is meant to do with a defect."""

    QUARANTINED = "quarantined"  # a row rule takes the row out of its batch
    WARNED = "warned"  # a rule counts it, the row goes on
    REPAIRED = "repaired"  # cleaning gives back the value there was
    MAPPED = "mapped"  # the code is known as an old one and mapped to the one of today
    MERGED = "merged"  # found by key or identity, later than the rules
    NONE = "none"  # no rule can see it; the kind says why


@dataclass
class Plant:
    """What a planting function gets: the table, the rows chosen for it (ascending), its target, and its random stream.

    `free`: rows that carry nothing so far. A function adds to `leans` the sound rows its defect depends on: nothing more is
    planted on them. `cells` takes what stood in a cell before: row → (column, value).
    """

    table: Table
    rows: np.ndarray
    target: Any
    rng: np.random.Generator
    units: Units
    ids: Ids
    free: np.ndarray
    leans: list[int] = field(default_factory=list)
    cells: dict[int, tuple[str, Any]] = field(default_factory=dict)

    def write(self, column: str, rows: np.ndarray, values: list[Any]) -> np.ndarray:
        """Puts the values that are there and differ into a column, keeps the old ones; returns the rows that changed."""
        old = self.table.get(column, rows)
        changed = [at for at, new in enumerate(values) if new is not None and new != old[at]]
        keep = np.asarray(rows)[changed]
        if changed:
            self.table.set(column, keep, [values[at] for at in changed])
        self.cells.update({int(rows[at]): (column, old[at]) for at in changed})
        return keep

    def change(self, column: str, change: Change, rows: np.ndarray | None = None) -> np.ndarray:
        """Puts the values of a column through a function; nulls stay. Returns the rows that changed."""
        where = self.rows if rows is None else rows
        values = [None if value is None else change(value) for value in self.table.get(column, where)]
        return self.write(column, where, values)

    def change_one(self, columns: tuple[str, ...], change: Change) -> np.ndarray:
        """Changes one of the columns in each row. Returns the rows that changed, ascending."""
        which = self.rng.integers(0, len(columns), len(self.rows))
        parts = [self.change(column, change, self.rows[which == at]) for at, column in enumerate(columns)]
        return np.sort(np.concatenate(parts))


@dataclass(frozen=True)
class Kind:
    """A kind of defect. `plant` returns the rows that carry it now; `eligible` the rows that can (default: all)."""

    name: str
    targets: Mapping[str, Any]
    plant: Callable[[Plant], np.ndarray]
    fate: Fate
    eligible: Callable[[Table, Any], np.ndarray] | None = None
    why: str = ""  # of fate none: why no rule can see it


@dataclass(frozen=True)
class EventKind:
    """A kind that is planted where the event itself is made: the builder reads the rate and sets the mark."""

    targets: tuple[str, ...]
    fate: Fate


KINDS: dict[str, Kind] = {}
EVENT_KINDS = {"visit_after_death": EventKind(("health.xml1",), Fate.WARNED)}


def fate_of(kind: str) -> Fate:
    """What is meant to become of a kind of defect. Raises KeyError where there is no such kind."""
    return EVENT_KINDS[kind].fate if kind in EVENT_KINDS else KINDS[kind].fate


def kind(
    name: str,
    targets: Mapping[str, Any],
    fate: Fate,
    eligible: Callable[[Table, Any], np.ndarray] | None = None,
    why: str = "",
) -> Callable[[Callable[[Plant], np.ndarray]], Callable[[Plant], np.ndarray]]:
    """Registers a planting function."""

    def register(plant: Callable[[Plant], np.ndarray]) -> Callable[[Plant], np.ndarray]:
        KINDS[name] = Kind(name, targets, plant, fate, eligible, why)
        return plant

    return register


def plant_all(
    table: Table, rates: Mapping[str, float], rng: np.random.Generator, units: Units, ids: Ids
) -> dict[str, tuple[int, int]]:
    """Plants every kind that touches the table; marks go to `table.marks`, former values to `table.cells`.

    Returns (eligible, planted) by kind. Where only a look at the values tells whether a row can carry the defect, `eligible` is
    estimated from the rows looked at.
    """
    counts = {}
    taken = np.zeros(table.n, dtype=bool)
    for name, rows in table.marks.items():
        taken[rows] = True
        counts[name] = (table.n, len(rows))
    original = table.n
    rates = _fitting(table, rates)
    for name, registered in KINDS.items():
        rate = rates.get(name, 0.0)
        if rate <= 0 or table.label not in registered.targets:
            continue
        target = registered.targets[table.label]
        can = _able(table, registered)[:original]
        able = int(can.sum())
        free = np.flatnonzero(can & ~taken[:original])
        wanted = min(int(rate * able + rng.random()), len(free))
        if not wanted:
            counts[name] = (able, 0)
            continue
        rows = np.sort(rng.choice(free, wanted, replace=False))
        plant = Plant(table, rows, target, rng, units, ids, ~taken[:original])
        planted = registered.plant(plant)
        taken[rows] = True  # the sources of copies too: a copy must stay like a sound row
        taken[plant.leans] = True
        table.marks[name] = planted
        table.cells[name] = {row: (column, as_text(value)) for row, (column, value) in plant.cells.items()}
        counts[name] = (round(able * len(planted) / wanted), len(planted))
    return counts


def _able(table: Table, registered: Kind) -> np.ndarray:
    if registered.eligible is None:
        return np.ones(table.n, dtype=bool)
    return registered.eligible(table, registered.targets[table.label])


FULL = 0.8
"""Share of a table's rows that carry a defect at most: with more, the kinds that come last would find no free row."""


def _fitting(table: Table, rates: Mapping[str, float]) -> Mapping[str, float]:
    """The rates, all lowered alike where together they ask for more rows than there are."""
    wanted = sum(
        rates[name] * int(_able(table, registered).sum())
        for name, registered in KINDS.items()
        if rates.get(name, 0.0) > 0 and table.label in registered.targets
    )
    if wanted <= FULL * table.n:
        return rates
    return {name: rate * FULL * table.n / wanted for name, rate in rates.items()}


def as_text(value: Any) -> str | None:
    """A value as it stands in the source, as text."""
    if value is None:
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def filled(table: Table, target: Any) -> np.ndarray:
    """Rows with a value in the target column (of several: in any)."""
    columns = (target,) if isinstance(target, str) else target
    masks = [pc.is_valid(table.columns[name]).to_numpy(zero_copy_only=False) for name in columns]
    return np.asarray(np.logical_or.reduce(masks))


def has_day(table: Table, target: Any) -> np.ndarray:
    """Rows whose date in the target column (of several: in any) is known to the day."""
    columns = (target,) if isinstance(target, str) else target
    result = np.zeros(table.n, dtype=bool)
    for name in columns:
        values = table.columns[name]
        if pa.types.is_date(values.type):
            result |= pc.is_valid(values).to_numpy(zero_copy_only=False)
        else:
            known = pc.fill_null(pc.greater_equal(pc.utf8_length(values), 8), False)
            result |= known.to_numpy(zero_copy_only=False)
    return result
