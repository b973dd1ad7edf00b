"""A cursor made from what the warehouse holds is written as the feed itself writes it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from pdic.sources.rest.order import written_like

HERE = timezone(timedelta(hours=7))
MOMENT = datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "sample", "text"),
    [
        (MOMENT, "2026-01-01T00:00:00+00:00", "2026-03-01T01:02:03+00:00"),
        (MOMENT, "2026-01-01T00:00:00Z", "2026-03-01T01:02:03Z"),
        (MOMENT, "2026-01-01T00:00:00+07:00", "2026-03-01T08:02:03+07:00"),
        (MOMENT.astimezone(HERE), "2026-01-01 00:00:00.5+00:00", "2026-03-01 01:02:03+00:00"),
        (MOMENT.replace(microsecond=120000), "2026-01-01T00:00:00Z", "2026-03-01T01:02:03.120000Z"),
        (MOMENT.replace(tzinfo=None), "2026-01-01T00:00:00", "2026-03-01T01:02:03"),
        (date(2026, 3, 1), "2026-01-01", "2026-03-01"),
        (12, "7", "12"),
        ("HS-0012", "HS-0007", "HS-0012"),
    ],
)
def test_written_as_the_feed_does(value: Any, sample: str, text: str) -> None:
    assert written_like(value, sample) == text
