"""The pin: while it is set, releases are built and audited, and not published. A rollback sets it, a person takes it away."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from pdic import approval
from pdic.airflow_names import TIME_ZONE
from pdic.release import ledger

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

NO_REASON: Final = "no reason was given"


@dataclass(frozen=True, slots=True)
class Pin:
    """Who took which release back, when and why, and which one readers see since."""

    pinned_at: datetime
    by_person: str
    reason: str
    taken_back_release_id: int
    shown_release_id: int

    def __str__(self) -> str:
        at = self.pinned_at.astimezone(ZoneInfo(TIME_ZONE))
        return (
            f"release {self.taken_back_release_id} was taken back on {at:%Y-%m-%d %H:%M} by {self.by_person} ({self.reason}), and "
            f"readers see release {self.shown_release_id}"
        )

    def as_report(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "pinned_at": self.pinned_at.isoformat()}


def waiting(pin: Pin, release_id: int) -> str:
    """Why a release that is ready is not published, and what to do."""
    return (
        f"release {release_id} is built and audited, and is not published: {pin}. Once the cause is mended, "
        "`pdic release resume --reason WHY` publishes it"
    )


def read(publisher: Connection) -> Pin | None:
    """The pin; None where releases go out."""
    with publisher.cursor() as cursor:
        cursor.execute("select pinned_at, by_person, reason, taken_back_release_id, shown_release_id from control.pin")
        row = cursor.fetchone()
    return Pin(*row) if row else None


def put(publisher: Connection, reason: str | None, taken_back: int, shown: int) -> Pin:
    """Set the pin. The caller has locked the slots' row, notes it in the ledger, and commits."""
    with publisher.cursor() as cursor:
        cursor.execute(
            "insert into control.pin (by_person, reason, taken_back_release_id, shown_release_id) values (%s, %s, %s, %s)",
            (approval.person(), (reason or "").strip() or NO_REASON, taken_back, shown),
        )
    pin = read(publisher)
    assert pin is not None, "it was written in this transaction"
    return pin


def take_away(publisher: Connection, reason: str | None) -> Pin | None:
    """Take the pin away, and note it in the ledger. Returns it; None where there was none. The caller commits."""
    with publisher.cursor() as cursor:
        cursor.execute(
            "delete from control.pin returning pinned_at, by_person, reason, taken_back_release_id, shown_release_id"
        )
        row = cursor.fetchone()
    if row is None:
        return None
    pin = Pin(*row)
    ledger.append(
        publisher,
        "resume",
        {
            "by": approval.person(),
            "reason": (reason or "").strip() or NO_REASON,
            "taken_back": pin.taken_back_release_id,
        },
    )
    return pin
