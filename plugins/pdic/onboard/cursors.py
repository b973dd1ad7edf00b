"""Which column says when a row changed, and what has to be known before loads may go by it: whose time it is, rows without a stamp,
and what a read without an index costs the source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import available_timezones

from pdic.errors import OnboardError
from pdic.onboard.names import snake_case

if TYPE_CHECKING:
    from pdic.onboard.introspect import TableFacts
    from pdic.sources.catalogue import SourceColumn

NONE: Final = "none"
"""The answer of whoever wants no cursor."""
PROVINCE_ZONE: Final = "Asia/Ho_Chi_Minh"

_WHEN: Final = r"(at|on|date|time|ts|timestamp|dt|dttm|datetime)"
_STAMP: Final = re.compile(
    rf"(^|_)((row_?)?(updated?|upd|updt|modified|modify|edited|edit|changed|change)_?{_WHEN}|updated|modified|changed"
    rf"|last_?(update|updated|upd|updt|modified|modify|edit|edited|change|changed)_?({_WHEN}|pnttm)?|date_?(updated|modified|changed|edited)"
    r"|write_?date|gmt_?modified|sys_?updated_?on|ngay_?(cap_?nhat|sua)|(thoi_?gian|tg|luc)_?(cap_?nhat|sua)|thoigiancapnhat)$"
)
_TIMESTAMP: Final = re.compile(r"timestamp(\(\d\))? with(?P<zoneless>out)? time zone")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody says of cursors: ``columns`` in the order of preference (`NONE`: no cursor), and ``zone``, whose time stamps
    without a time zone are. Raises `OnboardError` where there is no such zone."""

    columns: tuple[str, ...] = ()
    zone: str | None = None

    def __post_init__(self) -> None:
        if self.zone is not None:
            require_zone(self.zone)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column that may say when a row changed. ``doubts`` are what keeps it from being taken without a person's word."""

    column: str
    zoneless: bool
    doubts: tuple[str, ...]

    @property
    def words(self) -> str:
        """The column and its doubts, for the draft."""
        return f"{self.column}: {'; '.join(self.doubts) or 'indexed and never empty'}"


def require_zone(zone: str) -> None:
    """Raises `OnboardError` where ``zone`` is none."""
    if zone not in available_timezones():
        raise OnboardError(f"{zone!r} is no time zone: write it like {PROVINCE_ZONE} or UTC")


def candidates(facts: TableFacts, zone: str | None) -> list[Candidate]:
    """The columns of a table whose name says that every change moves them, those with the fewest doubts first."""
    found = [
        candidate(facts, column, zone)
        for column in facts.table.columns
        if _STAMP.search(snake_case(column.name)) and _TIMESTAMP.fullmatch(column.carrier or "")
    ]
    return sorted(found, key=lambda item: len(item.doubts))


def candidate(facts: TableFacts, column: SourceColumn, zone: str | None) -> Candidate:
    """One column as a candidate."""
    match = _TIMESTAMP.fullmatch(column.carrier or "")
    zoneless = match is not None and match["zoneless"] is not None
    doubts = []
    if zoneless and zone is None:
        doubts.append(
            "it has no time zone: --zone says whose time it is, and a wrong one loses rows until the next reconcile"
        )
    if not column.not_null:
        doubts.append(
            f"it may be empty, and every load reads the rows without a stamp again{_unstamped(facts, column.name)}"
        )
    if column.name not in facts.indexed:
        doubts.append(_cost(facts, column.name))
    return Candidate(column.name, zoneless, tuple(doubts))


def chosen(facts: TableFacts, wish: Wish, *, must: bool) -> Candidate | None:
    """The first column of a wish that the table has; None where it has none, and ``must`` is not set.

    Raises `OnboardError` for one that cannot be a cursor, or whose time zone nobody says.
    """
    column = next((known for name in wish.columns if (known := facts.table.column(name))), None)
    if column is None:
        if must:
            likely = ", ".join(item.column for item in candidates(facts, wish.zone)) or "none"
            raise OnboardError(
                f"{facts.written} has no column {', '.join(wish.columns)} that may be read: those that look like a cursor: {likely}"
            )
        return None
    if not _TIMESTAMP.fullmatch(column.carrier or ""):
        raise OnboardError(
            f"{facts.written}: {column.name} is {column.type}, and a cursor is a timestamp: say --cursor {NONE}"
        )
    found = candidate(facts, column, wish.zone)
    if found.zoneless and wish.zone is None:
        raise OnboardError(
            f"{facts.written}: {column.name} has no time zone: say whose time is stamped with --zone, like --zone {PROVINCE_ZONE}"
        )
    return found


def _unstamped(facts: TableFacts, column: str) -> str:
    share = facts.empty_shares.get(column)
    return "" if share is None else f" (now about {share * facts.rows:,.0f} of {facts.rows:,.0f})"


def _cost(facts: TableFacts, column: str) -> str:
    size = f", {facts.bytes / (1 << 20):,.0f} MiB" if facts.bytes >= 1 << 20 else ""
    scan = f"no index begins with it, so every load makes the source read the whole table (about {facts.rows:,.0f} rows{size})"
    if facts.table.kind == "table":
        return (
            f"{scan}; its administrator makes one by: create index concurrently on {_name(facts)} ({_quoted(column)})"
        )
    if facts.table.kind == "partitioned table":
        return f"{scan}; its administrator makes one by: create index on {_name(facts)} ({_quoted(column)})"
    return scan


def _name(facts: TableFacts) -> str:
    return f"{_quoted(facts.schema)}.{_quoted(facts.name)}"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
