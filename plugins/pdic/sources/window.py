"""The window of a cursor load: which rows to read now, and where the next load must start so that nothing is lost.

Pure functions over what the source said (`Standing`) and what the ledger keeps (`Seam`); docs/decisions/0014 has the proof.

A row that this load's snapshot does not show, and a later one does, was written by a transaction that was open at the
snapshot or began after it. Two things are known of such a row:

    its stamp   is no earlier than its transaction's start, as far as stamps come from the source's clock. The next load
                goes by the cursor's index from the earliest start on. Needs the starts: a primary, and `pg_monitor`
    its `xmin`  is no less than the snapshot's. Holds whatever the clock says and whoever looks, but has no index: the
                source reads the table, and sends only what is new. Used where nobody can say when transactions began
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pdic.errors import SourceUnavailable
from pdic.sources.clocks import Instant

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.sources.standing import Standing, Transaction

CLOCK_GRAIN = timedelta(seconds=1)
"""A transaction takes its start time a moment before `pg_stat_activity` shows it, and stamps may be rounded."""

LONG_OPEN = timedelta(hours=1)
"""A transaction open for longer than this is worth a remark: every load reads again what was stamped since it began."""

TOO_LONG_OPEN = timedelta(days=1)
"""With a transaction open for longer than this, reading by transaction id costs less than reading everything since."""

XIDS_KNOWN_APART = 2**31 - 2**24
"""Rows carry transaction ids of 32 bits: further apart than this, the older of two cannot be told from the newer."""


@dataclass(frozen=True, slots=True)
class Xids:
    """A snapshot's bounds, in whole transaction ids: all below `xmin` have ended, none from `xmax` on had begun."""

    xmin: int
    xmax: int


@dataclass(frozen=True, slots=True)
class Window:
    """The rows to read: stamped at or after `since`, or written by transaction `since_xid` or a later one; else all.

    With `compare`, which says why, all are compared with those known.
    """

    since: datetime | None = None
    since_xid: int | None = None
    compare: str | None = None


@dataclass(frozen=True, slots=True)
class Seam:
    """Where one load ended and the next starts, as the ledger keeps it (`watermark`, `position`).

    ``watermark``: no row that is still to come is stamped earlier; None where nobody can say. ``clock`` is the source's
    (None: a standby's, which stamps nothing), read at ``instant`` here. ``across``: transactions that were open while the
    clock was set back, whose start says nothing of their stamps.
    """

    watermark: datetime | None
    cursor: str
    xids: Xids
    clock: datetime | None
    instant: Instant
    across: frozenset[Transaction] = frozenset()

    def position(self) -> dict[str, Any]:
        """All but the watermark, for the ledger."""
        return {
            "cursor": self.cursor,
            "xmin": self.xids.xmin,
            "xmax": self.xids.xmax,
            "clock": self.clock.isoformat() if self.clock else None,
            "instant": self.instant.as_json(),
            "across": [[pid, start.isoformat()] for pid, start in sorted(self.across)],
        }


def former_seam(watermark: datetime | None, position: dict[str, Any] | None) -> Seam | None:
    """The seam that the ledger keeps; None where it keeps none, or that of another kind of capture."""
    if position is None or not {"cursor", "xmin", "xmax", "clock", "instant", "across"} <= position.keys():
        return None
    return Seam(
        watermark,
        str(position["cursor"]),
        Xids(int(position["xmin"]), int(position["xmax"])),
        datetime.fromisoformat(position["clock"]) if position["clock"] else None,
        Instant(*position["instant"]),
        frozenset((int(pid), datetime.fromisoformat(start)) for pid, start in position["across"]),
    )


def window(
    contract: Contract, standing: Standing, xids: Xids, watermark: datetime | None, former: Seam | None
) -> tuple[Window, str | None]:
    """Which rows to read now, and a remark for the operator where that is more than usual.

    `xids` are those of this load's snapshot. Raises `SourceUnavailable` where a standby shows less than was read before.
    """
    if former is None:
        # The first load; or a ledger from before seams were kept, which has a watermark alone.
        trusted = watermark is not None and not standing.standby and standing.clock >= watermark
        return Window(since=watermark if trusted else None), None
    if xids.xmax < former.xids.xmax:
        if standing.standby:
            raise SourceUnavailable(
                f"{contract.id}: this replica of sector {contract.sector} is behind what was read before (transaction "
                f"{xids.xmax}, then {former.xids.xmax}). Nothing was moved. Load again when it has caught up; if the source was "
                "restored from a backup, load once from its primary."
            )
        restored = "the source's transaction ids have gone back, as after a restore from a backup"
        return Window(compare=restored), f"{restored}: all rows were compared with those known"
    doubt = _doubt(contract, standing, former)
    if doubt is None:
        return Window(since=former.watermark), None
    if standing.has_row_ids and xids.xmax - former.xids.xmin < XIDS_KNOWN_APART:
        return Window(since_xid=former.xids.xmin), f"{doubt}: read by transaction id"
    return Window(), f"{doubt}, and the rows of {contract.table} do not tell who wrote them: everything was read"


def _doubt(contract: Contract, standing: Standing, former: Seam) -> str | None:
    """Why the watermark may not be relied on; None where it may."""
    if former.cursor != contract.cursor_column:
        return f"the cursor was {former.cursor}"
    if former.watermark is None:
        if standing.standby and not contract.overlap:
            return "a replica does not show when transactions began at its primary, and the contract states no overlap"
        if not standing.sees_starts and not contract.overlap:
            return "not all transactions' start can be seen (grant pg_monitor), and the contract states no overlap"
        return "at the last load nobody could say when the transactions then open had begun"
    if step := _set_back(contract, standing, former):
        return f"the source's clock was set back by about {step:.0f} s"
    return None


def _set_back(contract: Contract, standing: Standing, former: Seam | None) -> float | None:
    """By how many seconds the source's clock was set back since the former load; None for what the margin covers."""
    if former is None or former.clock is None or standing.standby:
        return None
    passed = (standing.clock - former.clock).total_seconds()
    behind = standing.instant.seconds_since(former.instant) - passed
    margin = (contract.overlap + CLOCK_GRAIN).total_seconds()
    return max(behind, -passed) if passed < 0 or behind > margin else None


def next_seam(
    contract: Contract, standing: Standing, xids: Xids, watermark: datetime | None, former: Seam | None
) -> tuple[Seam, str | None]:
    """Where the next load starts, and a remark where somebody at the source keeps it back.

    `watermark` is that of the load under way, `former` its seam.
    """
    assert contract.cursor_column is not None, "only cursor loads have a seam"
    set_back = _set_back(contract, standing, former)
    across = standing.open & (standing.open if set_back else former.across if former else frozenset())
    bound, remark = _bound(contract, standing, None if set_back else watermark)
    if across:
        bound, remark = None, "a transaction is open since before the source's clock was set back"
    clock = None if standing.standby else standing.clock
    return Seam(bound, contract.cursor_column, xids, clock, standing.instant, across), remark


def _bound(contract: Contract, standing: Standing, watermark: datetime | None) -> tuple[datetime | None, str | None]:
    """The next watermark and a remark. `watermark` is the former one, where it may still be relied on."""
    margin = contract.overlap + CLOCK_GRAIN
    if not standing.sees_starts:
        # The contract's word: no transaction lasts longer. On a standby time is that of the last commit it shows.
        known = standing.replayed if standing.standby else standing.clock
        return (known - margin if contract.overlap and known else None), None
    bound = min([standing.clock, *(start for _, start in standing.open)]) - margin
    what = "a transaction"
    if standing.prepared:
        # Unseen by the former snapshot as by this one: the former bound holds for it too.
        if watermark is None:
            return None, "a prepared transaction is open at the source"
        if watermark < bound:
            bound, what = watermark, "a prepared transaction"
    open_for = standing.clock - bound - margin
    if open_for <= LONG_OPEN:
        return bound, None
    since = f"{what} at the source is open since about {standing.clock - open_for:%Y-%m-%d %H:%M %z}"
    todo = "ask the agency to end it (pg_stat_activity, pg_prepared_xacts)"
    if open_for > TOO_LONG_OPEN:
        return None, f"{since}: until it ends, loads read by transaction id; {todo}"
    return bound, f"{since}: until it ends, each load reads again what was stamped since; {todo}"
