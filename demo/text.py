"""Columns made of text and dates, a whole column at a time (numpy in, Arrow out)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array = Any  # pyarrow.Array: pyarrow ships no types

MINUTES = 1440


def pool(values: Sequence[str | None]) -> Array:
    """A list of texts to pick from."""
    return pa.array(list(values), pa.string())


def pick(texts: Array, index: np.ndarray) -> Array:
    """texts[index]."""
    return texts.take(pa.array(index))


def concat(*parts: Array | str) -> Array:
    """The parts of each row put together; null where one part is null."""
    return pc.binary_join_element_wise(*[pa.scalar(part) if isinstance(part, str) else part for part in parts], "")


def const(value: str | None, n: int) -> Array:
    """The same text n times."""
    return pa.nulls(n, pa.string()) if value is None else pool([value]).take(pa.array(np.zeros(n, dtype=np.int32)))


def only(keep: np.ndarray, values: Array) -> Array:
    """The values where `keep`, else null."""
    return pc.if_else(pa.array(keep), values, pa.scalar(None, values.type))


def either(condition: np.ndarray, yes: Array | str, no: Array | str) -> Array:
    """yes where the condition holds, else no."""
    yes, no = (pa.scalar(value) if isinstance(value, str) else value for value in (yes, no))
    return pc.if_else(pa.array(condition), yes, no)


def fixed(values: np.ndarray, width: int) -> Array:
    """Whole numbers as exactly `width` digits with leading zeros (higher digits are cut off)."""
    left = np.asarray(values, dtype=np.int64).copy()
    digits = np.empty((len(left), width), dtype=np.uint8)
    for column in range(width - 1, -1, -1):
        left, digit = np.divmod(left, 10)
        digits[:, column] = digit + 48
    offsets = np.arange(len(left) + 1, dtype=np.int64) * width
    return pa.LargeStringArray.from_buffers(len(left), pa.py_buffer(offsets), pa.py_buffer(digits)).cast(pa.string())


def number(values: np.ndarray) -> Array:
    """Whole numbers as text."""
    return pa.array(np.asarray(values, dtype=np.int64)).cast(pa.string())


def ymd(days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Year, month and day of days since 1970."""
    day = np.asarray(days).astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    return (
        day.astype("datetime64[Y]").astype(np.int64) + 1970,
        month.astype(np.int64) % 12 + 1,
        (day - month.astype("datetime64[D]")).astype(np.int64) + 1,
    )


def year(days: np.ndarray) -> np.ndarray:
    """Year of days since 1970."""
    return np.asarray(days).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def new_year(years: np.ndarray | int) -> np.ndarray:
    """Days since 1970 of 1 January of the years."""
    return (np.asarray(years) - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)


def dates(days: np.ndarray, known: np.ndarray | None = None) -> Array:
    """Days since 1970 as dates; null where not known."""
    return pa.array(np.asarray(days).astype(np.int32), pa.int32(), mask=None if known is None else ~known).cast(
        pa.date32()
    )


def compact(days: np.ndarray) -> Array:
    """Days since 1970 as yyyymmdd."""
    y, m, d = ymd(days)
    return fixed(y * 10_000 + m * 100 + d, 8)


def compact_minutes(minutes: np.ndarray) -> Array:
    """Minutes since 1970 as yyyymmddHHMM."""
    days, minute = np.divmod(np.asarray(minutes, dtype=np.int64), MINUTES)
    y, m, d = ymd(days)
    return fixed(((y * 100 + m) * 100 + d) * 10_000 + minute // 60 * 100 + minute % 60, 12)


def dotted(days: np.ndarray) -> Array:
    """Days since 1970 as dd.mm.yyyy."""
    y, m, d = ymd(days)
    return concat(fixed(d, 2), ".", fixed(m, 2), ".", fixed(y, 4))


def moments(minutes: np.ndarray, rng: np.random.Generator) -> Array:
    """Minutes since 1970 (local time) as timestamps, with random seconds."""
    seconds = np.asarray(minutes, dtype=np.int64) * 60_000_000 + rng.integers(0, 60_000_000, len(minutes))
    return pa.array(seconds, pa.timestamp("us"))
