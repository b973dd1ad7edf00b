"""Stamps without a time zone: where a load starts, whatever the clocks of the zone do meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pdic.sources.parts import earliest_local

# Zone, and a moment near which its clocks are set back: an hour, half an hour, a whole day by a change of the date line's side.
SET_BACK = {
    "Europe/Berlin": datetime(2025, 10, 26, 1, tzinfo=UTC),
    "America/New_York": datetime(2025, 11, 2, 6, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2025, 4, 5, 15, tzinfo=UTC),
    "Africa/Casablanca": datetime(2025, 2, 23, 2, tzinfo=UTC),
    "Asia/Ho_Chi_Minh": datetime(1955, 6, 30, 17, tzinfo=UTC),
}


def shown(moment: datetime, zone: str) -> datetime:
    """What a clock of the zone shows."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@pytest.mark.parametrize("zone", SET_BACK)
def test_nothing_that_is_stamped_later_is_left_out(zone: str) -> None:
    """Fault: clocks are set back, so that what is stamped later shows less. Invariant: the next load reads it."""
    minutes = [SET_BACK[zone] + timedelta(minutes=step) for step in range(-180, 180, 7)]
    for since in minutes:
        bound = earliest_local(since, zone)
        assert all(shown(moment, zone) >= bound for moment in minutes if moment >= since)
        assert shown(since, zone) - bound <= timedelta(hours=1)


def test_where_clocks_are_not_set_back_nothing_is_read_again() -> None:
    for hour in range(0, 9000, 131):
        since = datetime(2026, 1, 1, 5, 7, 11, 123456, tzinfo=UTC) + timedelta(hours=hour)
        assert earliest_local(since, "Asia/Ho_Chi_Minh") == shown(since, "Asia/Ho_Chi_Minh")
    spring = datetime(2025, 3, 29, 18, tzinfo=UTC)  # clocks go forward the next night
    assert earliest_local(spring, "Europe/Berlin") == shown(spring, "Europe/Berlin")
