"""Cron lines: are they well formed, and which of two fires more often?"""

from __future__ import annotations

from typing import Final

_RANGES: Final[tuple[tuple[str, int, int], ...]] = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
_DAYS_IN_MONTH: Final = 30.4


def _values(text: str, name: str, lowest: int, highest: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        try:
            step = int(step_text) if slash else 1
            if span == "*":
                first, last = lowest, highest
            else:
                first = int(first_text)
                last = int(last_text) if dash else (highest if slash else first)
        except ValueError:
            raise ValueError(f"{name} {part!r} is not a number, a range, a list or a step") from None
        if step < 1 or not lowest <= first <= last <= highest:
            raise ValueError(f"{name} {part!r} is outside {lowest}-{highest}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def firings_per_month(line: str) -> float:
    """How often a cron line of five numeric fields fires in an average month. Raises ValueError where it is malformed.

    When both day fields are restricted, cron fires on the days of either; that is counted the same way here.
    """
    fields = line.split()
    if len(fields) != len(_RANGES):
        raise ValueError(f"a cron line has {len(_RANGES)} fields, this one has {len(fields)}")
    minutes, hours, days, months, weekdays = (
        _values(text, *limits) for text, limits in zip(fields, _RANGES, strict=True)
    )
    day_share = len(days) / 31
    weekday_share = len({day % 7 for day in weekdays}) / 7
    if fields[2] != "*" and fields[4] != "*":
        share = day_share + weekday_share - day_share * weekday_share
    else:
        share = min(day_share, weekday_share)
    return len(minutes) * len(hours) * share * _DAYS_IN_MONTH * len(months) / 12
