"""Whether a source still writes: what it may be quiet for, by contract, setting and history, and what is said where it is too long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdic import contracts, settings
from pdic.quality.freshness import OWN_HISTORY, Clock, Judged, Reading, judge, judged_by, limit, measure, words
from pdic.quality.history import Limits, limits
from pdic.quality.rules import RuleError

ROOT = settings.project_root()
XML1 = contracts.get("health", "xml1", ROOT)  # a cursor, 8 hours of latency
DOSSIER = contracts.get("one_stop", "hoso", ROOT)  # a feed
SCHOOL = contracts.get("education", "truong", ROOT)  # a list, compared whole
LOG = replace(SCHOOL, capture="cdc")
START = datetime(2026, 3, 2, tzinfo=UTC)
USUAL = Limits.model_validate({})
HOUR = timedelta(hours=1)


def bounds(**own: Any) -> Limits:
    return Limits.model_validate(own)


def reading(read: float, since: float, stale: bool | None = False) -> Reading:
    """Hours after the start: when it was read, and since when it was quiet."""
    return Reading(START + read * HOUR, START + since * HOUR, stale)


FIRST = [reading(0, 0, None)]


def said(now: Reading, earlier: list[Reading], own: Limits = USUAL, clock: Clock | None = None) -> Judged:
    return judge(XML1, 7, own, now, earlier, clock or Clock(), path=Path("expectations/history.yaml"))


def test_the_limit_is_the_contracts_latency_and_the_rest_of_offices() -> None:
    at_limit = said(reading(80, 0), FIRST)
    assert at_limit.result is not None
    assert (at_limit.stale, at_limit.result.success) == (False, True)
    over = said(reading(80.5, 0), FIRST)
    assert over.result is not None
    assert (over.stale, over.result.success, over.result.halts) == (True, False, False)
    assert (over.result.rule.id, over.result.rule.dimension.value) == (
        "xml1.history.THOI_GIAN_CAP_NHAT.freshness", "freshness",
    )  # fmt: skip


def test_a_message_names_contract_dataset_column_batch_age_limit_and_what_to_do_in_both_languages() -> None:
    finding = str(said(reading(100, 0), FIRST).result)
    for part in (
        "health.xml1 lô 7, cột THOI_GIAN_CAP_NHAT: không có bản ghi nào mới hơn 4 ngày 4 giờ khi đọc, hạn là 3 ngày 8 giờ",
        "8 giờ trong hợp đồng và 3 ngày nghỉ",
        "Hỏi cơ quan xem nguồn còn ghi không",
        "health.xml1 batch 7, column THOI_GIAN_CAP_NHAT: no record was newer than 4 d 4 h when it was read, the limit is 3 d 8 h",
        "8 h by the contract and 3 d of rest",
        "give the dataset a larger quiet_days in expectations/history.yaml",
    ):
        assert part in finding


def test_a_dataset_may_be_held() -> None:
    strict = bounds(freshness_on_fail="halt")
    over, fresh = said(reading(100, 0), FIRST, strict).result, said(reading(100, 99), FIRST, strict).result
    assert over is not None and over.halts
    assert fresh is not None and not fresh.halts


def test_nothing_is_said_of_a_first_reading_however_old_its_rows() -> None:
    assert said(reading(0, 0), []) == Judged(None, None, None)


def test_the_age_of_the_newest_record_is_told_where_it_is_older_than_what_was_seen_of_the_source() -> None:
    found = judge(XML1, 7, USUAL, reading(100, 0), FIRST, Clock(), newest_at=START - timedelta(days=30)).result
    assert "the newest record is 34 d 4 h old" in str(found)


def nightly(days: int, long: float = 14) -> list[Reading]:
    """Readings at 8 and 22 o'clock: something new in the evening, silence of `long` hours until the morning."""
    return [
        each
        for day in range(days)
        for each in (reading(day * 24 + 8, day * 24 + 8 - long), reading(day * 24 + 22, day * 24 + 21.5))
    ]


def test_its_own_history_binds_once_it_is_long_enough() -> None:
    now = reading(27 * 24, 27 * 24 - 30)
    assert said(now, nightly(26)).stale is False
    known = nightly(60)
    stale = said(reading(60 * 24, 60 * 24 - 30), known)
    assert stale.limit is not None
    assert (stale.stale, stale.limit.length) == (True, 28 * HOUR)
    assert "a larger silence_factor in" in str(stale.result), "a larger quiet_days would change nothing"
    assert "the limit is 1 d 4 h (2 times its usual long silence, 14 h)" in str(stale.result)
    assert said(reading(60 * 24, 60 * 24 - 27), known).stale is False


def test_a_source_with_long_silences_may_be_quiet_for_longer_at_once() -> None:
    seldom = [reading(week * 168 + 160, week * 168) for week in range(3)]
    few = said(reading(700, 505), seldom)
    assert few.stale is True, "three silences are no history"
    more = [
        reading(week * 80 + 79, week * 80) for week in range(6)
    ]  # 20 days, five silences that ended and one that goes on
    assert said(reading(560, 420), more).stale is False


def test_one_outage_teaches_nothing() -> None:
    known = [*nightly(60), reading(60 * 24 + 300, 60 * 24)]
    found = limit(XML1, USUAL, START + 1800 * HOUR, known, START + 1801 * HOUR)
    assert found is not None and found.length == 28 * HOUR


def test_silences_that_broke_their_limit_and_the_one_that_goes_on_teach_nothing() -> None:
    broken = [reading(60 * 24 + 200 * n + 190, 60 * 24 + 200 * n, True) for n in range(4)]
    on = [reading(3000 + hour, 2990) for hour in range(0, 200, 4)]
    found = limit(
        XML1, bounds(silence_days=365), START + 2990 * HOUR, [*nightly(60), *broken, *on], START + 3201 * HOUR
    )
    assert found is not None and found.length == 28 * HOUR


def test_its_own_history_never_goes_below_the_contracts_latency() -> None:
    known = [reading(hour, hour - 0.1) for hour in range(0, 24 * 40)]
    found = limit(XML1, USUAL, START + 960 * HOUR, known, START + 961 * HOUR)
    assert found is not None and found.length == XML1.freshness


def test_history_may_be_left_out() -> None:
    found = limit(XML1, bounds(silence_factor=None, quiet_days=120), START, nightly(60), START + 1440 * HOUR)
    assert found is not None and found.length == timedelta(days=120, hours=8)


def test_moments_that_lie_ahead_are_said_and_never_held_for() -> None:
    ahead = Clock(ahead=3, by=timedelta(hours=50))
    for earlier in ([], FIRST):
        found = said(reading(1, 0), earlier, bounds(freshness_on_fail="halt"), ahead).result
        assert found is not None
        assert (found.success, found.halts) == (False, False)
        assert "3 records bear moments that lie ahead, the latest 2 d 2 h after the reading" in str(found)
        assert "3 bản ghi mang thời điểm ở tương lai, xa nhất 2 ngày 2 giờ sau lúc đọc" in str(found)


@pytest.mark.parametrize(
    ("minutes", "text"), [(20, "20 min ahead of"), (-90, "1 h 30 min behind"), (14, None), (-15, None)]
)
def test_a_clock_unlike_ours_is_said(minutes: int, text: str | None) -> None:
    found = said(reading(1, 0), FIRST, clock=Clock(skew=timedelta(minutes=minutes))).result
    assert found is not None
    assert found.success is (text is None)
    assert text is None or f"the source's clock is {text} this centre's" in str(found)


def test_a_clock_that_was_set_back_makes_no_silence() -> None:
    assert reading(0, 5).silence == timedelta(0)


def test_a_list_that_is_compared_whole_is_judged_where_something_is_known_of_it() -> None:
    def stale(hours: float, own: Limits = USUAL, earlier: list[Reading] = FIRST) -> bool | None:
        return judge(SCHOOL, 7, own, reading(hours, 0), earlier, Clock()).stale

    assert stale(10_000) is None
    assert judge(SCHOOL, 7, USUAL, reading(10_000, 0), FIRST, Clock()).result is None
    assert stale(30 * 24, bounds(unchanged_days=30)) is False
    assert stale(32 * 24, bounds(unchanged_days=30)) is True
    late = [reading(hour - 40 * 24, hour - 40 * 24 - 20) for hour in range(0, 40 * 24 - 24, 24)]
    assert stale(60, earlier=late) is True
    assert stale(39, earlier=late) is False
    assert stale(60, earlier=late[-20:]) is None
    finding = str(judge(SCHOOL, 7, bounds(unchanged_days=30), reading(32 * 24, 0), FIRST, Clock()).result)
    assert "education.truong batch 7: nothing had changed for 32 d when it was read" in finding
    assert "a larger unchanged_days" in finding


def test_what_tells_when_a_row_was_written() -> None:
    assert [measure(each, USUAL) for each in (XML1, DOSSIER, SCHOOL)] == ["THOI_GIAN_CAP_NHAT", "ThoiGianCapNhat", ""]
    dated = next(column.source_name for column in XML1.columns if column.physical_type.startswith("timestamp"))
    assert measure(XML1, bounds(moment_column=dated)) == dated
    for wrong in ("nothing", SCHOOL.columns[0].source_name):
        with pytest.raises(
            RuleError, match=rf"education\.truong: moment_column {wrong} is .* contracts/education/truong"
        ):
            measure(SCHOOL, bounds(moment_column=wrong))


def test_what_judges_a_dataset_is_told() -> None:
    never = bounds(quiet_days=None, silence_factor=None)
    assert [judged_by(XML1, USUAL), judged_by(LOG, USUAL)] == ["column THOI_GIAN_CAP_NHAT", "changes"]
    assert [judged_by(SCHOOL, USUAL), judged_by(SCHOOL, bounds(unchanged_days=9))] == [OWN_HISTORY, "changes"]
    assert [judged_by(XML1, bounds(quiet_days=None)), judged_by(XML1, never)] == [OWN_HISTORY, ""]


def test_the_projects_settings_are_of_datasets_that_are_there_and_sound() -> None:
    for contract in contracts.load_all(ROOT).values():
        own = limits(ROOT, contract.id)
        assert own.freshness_on_fail == "warn"
        assert judged_by(contract, own)


@pytest.mark.parametrize(
    ("minutes", "vi", "en"),
    [
        (0, "0 phút", "0 min"),
        (61, "1 giờ 1 phút", "1 h 1 min"),
        (1440, "1 ngày", "1 d"),
        (1530, "1 ngày 1 giờ", "1 d 1 h"),
    ],
)
def test_lengths_of_time_in_words(minutes: int, vi: str, en: str) -> None:
    assert (words(timedelta(minutes=minutes)).vi, words(timedelta(minutes=minutes)).en) == (vi, en)
