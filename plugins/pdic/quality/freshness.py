"""Whether a source still writes: how long it had been quiet when a batch was read from it, news or not.

    quiet     since the newest moment that any row bears, or since the first reading where that came later: nothing was promised
              before it, and what it brought may be an archive (docs/decisions/0021)
    limit     the contract's latency and `quiet_days`, or what its own history says: `silence_factor` times its longest silence
              but one. Silences that go on, or that broke the limit of their time, teach nothing
    ahead     moments later than the clock of the reading, and a source's clock unlike this centre's: said, never held for

Pure: what is read of the warehouse, and what is kept there, is in `pdic.quality.moments`. Results hold lengths of time only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pdic.contracts import pg_types
from pdic.quality.history import REASONS
from pdic.quality.results import RuleResult
from pdic.quality.rules import Dimension, OnFail, Origin, Rule, RuleError, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from pdic.contracts import Contract
    from pdic.quality.history import Limits

TYPE: Final = "pdic_history_freshness"
OWN_HISTORY: Final = "own history"


@dataclass(frozen=True)
class Text:
    """The same in both languages."""

    vi: str
    en: str


@dataclass(frozen=True)
class Reading:
    """A source as one batch found it. `stale`: what was said then; None: it was not judged."""

    read_at: datetime
    quiet_since: datetime
    stale: bool | None = None

    @property
    def silence(self) -> timedelta:
        """For how long nothing had been written. A clock that was set back makes it nothing, not less."""
        return max(self.read_at - self.quiet_since, timedelta(0))


@dataclass(frozen=True)
class Clock:
    """What is wrong with moments: how many rows are `ahead` of the reading, the latest `by` how much; the source's clock's `skew`."""

    ahead: int = 0
    by: timedelta = timedelta(0)
    skew: timedelta = timedelta(0)


@dataclass(frozen=True)
class Limit:
    """How long a source may be quiet, where that follows from, and which setting of `history.yaml` would change it."""

    length: timedelta
    because: Text
    setting: str


@dataclass(frozen=True)
class Judged:
    """What is said of one batch. `limit` and `stale` are None where its silence was not judged, `result` where nothing was."""

    limit: Limit | None
    stale: bool | None
    result: RuleResult | None


def measure(contract: Contract, bounds: Limits, path: Path | None = None) -> str:
    """The source's column that says when a row was written; '' where only a comparison can tell that anything was.

    Raises RuleError where `moment_column` names no column that could.
    """
    stated = bounds.moment_column
    if stated is None:
        return contract.cursor_column or (contract.feed.time if contract.feed else "")
    found = next((column for column in contract.columns if column.source_name == stated), None)
    if found is None or pg_types.logical_type(found.physical_type) not in ("timestamp", "date"):
        what = "no column of it" if found is None else f"of type {found.physical_type}"
        raise RuleError(
            f"{path or 'expectations/history.yaml'}: {contract.id}: moment_column {stated} is {what}: name a date or timestamp of "
            f"{contract.path}, by the source's name, or leave it out"
        )
    return stated


def judged_by(contract: Contract, bounds: Limits, path: Path | None = None) -> str:
    """What a dataset's freshness is judged by: a column, changes, or its own history alone, which takes weeks; '' where it never is.

    Raises what `measure` raises.
    """
    column = measure(contract, bounds, path)
    if _allowed(contract, bounds)[1] is not None:
        return f"column {column}" if column else "changes"
    return OWN_HISTORY if bounds.silence_factor is not None else ""


def _allowed(contract: Contract, bounds: Limits) -> tuple[str, float | None]:
    """The setting that says for how many days a source may be quiet, and what it says.

    A list that is compared whole rightly stands still, unless its dataset says otherwise.
    """
    if measure(contract, bounds) or contract.capture == "cdc":
        return "quiet_days", bounds.quiet_days
    return "unchanged_days", bounds.unchanged_days


def limit(
    contract: Contract, bounds: Limits, since: datetime, earlier: Sequence[Reading], now: datetime
) -> Limit | None:
    """How long the source may be quiet, at a reading `now` in a silence that goes on `since`; None where nothing says so.

    `earlier` are the readings of accepted batches, in any order, of which those within `silence_days` count.
    """
    setting, allowed = _allowed(contract, bounds)
    promised = contract.freshness
    stated = None
    if allowed is not None:
        quiet = timedelta(days=allowed)
        stated = Limit(
            promised + quiet,
            Text(
                f"{words(promised).vi} trong hợp đồng và {words(quiet).vi} nghỉ",
                f"{words(promised).en} by the contract and {words(quiet).en} of rest",
            ),
            setting,
        )
    if bounds.silence_factor is None or not earlier:
        return stated
    recent = [reading for reading in earlier if reading.read_at > now - timedelta(days=bounds.silence_days)]
    silences = _silences(recent, since)
    if len(silences) < bounds.least_batches:
        return stated
    usual = silences[-2]
    own = Limit(
        max(promised, usual * bounds.silence_factor),
        Text(
            f"{bounds.silence_factor:g} lần khoảng lặng dài thường gặp, {words(usual).vi}",
            f"{bounds.silence_factor:g} times its usual long silence, {words(usual).en}",
        ),
        "silence_factor",
    )
    # Until it has seen weeks of its own, nights are all it knows, and the first weekend would be unlike them.
    is_known = now - min(reading.read_at for reading in earlier) >= timedelta(days=bounds.known_days)
    if stated is None:
        return own if is_known else None
    return own if is_known or own.length > stated.length else stated


def judge(
    contract: Contract,
    batch_id: int,
    bounds: Limits,
    now: Reading,
    earlier: Sequence[Reading],
    clock: Clock,
    *,
    newest_at: datetime | None = None,
    path: Path | None = None,
) -> Judged:
    """What a batch says of its source's freshness, against `earlier` readings; its silence is judged from the second reading on."""
    found = limit(contract, bounds, now.quiet_since, earlier, now.read_at) if earlier else None
    stale = None if found is None else now.silence > found.length
    column = measure(contract, bounds, path)
    findings = []
    if found is not None and stale:
        findings.append(_stale(column, now, newest_at, found))
    tolerated = timedelta(minutes=bounds.ahead_minutes)
    if clock.ahead:
        findings.append(_ahead(column, clock))
    if abs(clock.skew) > tolerated:
        findings.append(_skew(clock.skew))
    if stale is None and not findings:
        return Judged(None, None, None)
    on_fail = OnFail(bounds.freshness_on_fail) if stale else OnFail.WARN
    kwargs = {"column": column} if column else {}
    rule = Rule(
        id=".".join((contract.dataset, "history", *([column.replace(" ", "_")] if column else []), "freshness")),
        type=TYPE,
        kwargs=kwargs | ({"hours": round(found.length / timedelta(hours=1), 1)} if found else {}),
        severity=Severity.WARNING,
        dimension=Dimension.FRESHNESS,
        on_fail=on_fail,
        reason=REASONS[TYPE],
        origin=Origin.TEXT,
        source=f"{contract.path}: latency; assumption: expectations/history.yaml",
        path=path,
    )
    text = _message(contract, batch_id, column, findings) if findings else None
    return Judged(
        found, stale, RuleResult(rule, text is None, checked=1, failed=0 if text is None else 1, finding=text)
    )


def words(length: timedelta) -> Text:
    """A length of time as people say it: days and hours, hours and minutes, minutes."""
    minutes = round(length / timedelta(minutes=1))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "ngày", "d"), (hours, "giờ", "h"), (0 if days else minutes, "phút", "min")]
    said = [(number, vi, en) for number, vi, en in parts if number][:2] or [(0, "phút", "min")]
    return Text(*(" ".join(f"{each[0]} {each[at]}" for each in said) for at in (1, 2)))


def _silences(readings: Iterable[Reading], since: datetime) -> list[timedelta]:
    """The silences that ended before the one that goes on `since`, each as long as it was last seen, shortest first."""
    longest: dict[datetime, timedelta] = {}
    broken = set()
    for reading in readings:
        if reading.quiet_since < since:
            longest[reading.quiet_since] = max(longest.get(reading.quiet_since, timedelta(0)), reading.silence)
            broken |= {reading.quiet_since} if reading.stale else set()
    return sorted(silence for began, silence in longest.items() if began not in broken)


def _stale(column: str, now: Reading, newest_at: datetime | None, found: Limit) -> Text:
    silence, allowed = words(now.silence), words(found.length)
    vi = (
        f"không có bản ghi nào mới hơn {silence.vi} khi đọc"
        if column
        else f"không có gì thay đổi đã {silence.vi} khi đọc"
    )
    en = (
        f"no record was newer than {silence.en} when it was read"
        if column
        else f"nothing had changed for {silence.en} when it was read"
    )
    age = words(now.read_at - newest_at) if newest_at is not None else silence
    if column and age != silence:  # nothing came since the first reading, and what that brought was older
        vi, en = f"{vi} (bản ghi mới nhất đã {age.vi})", f"{en} (the newest record is {age.en} old)"
    return Text(
        f"{vi}, hạn là {allowed.vi} ({found.because.vi}). Hỏi cơ quan xem nguồn còn ghi không; nếu im lặng như vậy là đúng, tăng "
        f"{found.setting} của bộ dữ liệu trong expectations/history.yaml",
        f"{en}, the limit is {allowed.en} ({found.because.en}). Ask the agency whether the source still writes; where such silence is "
        f"right, give the dataset a larger {found.setting} in expectations/history.yaml",
    )


def _ahead(column: str, clock: Clock) -> Text:
    by = words(clock.by)
    return Text(
        f"{clock.ahead} bản ghi mang thời điểm ở tương lai, xa nhất {by.vi} sau lúc đọc. Nhờ cơ quan xem đồng hồ và cách ghi {column}",
        f"{clock.ahead} records bear moments that lie ahead, the latest {by.en} after the reading. Have the agency look at its clock and "
        f"at what writes {column}",
    )


def _skew(skew: timedelta) -> Text:
    by = words(abs(skew))
    vi, en = ("nhanh", "ahead of") if skew > timedelta(0) else ("chậm", "behind")
    return Text(
        f"đồng hồ của nguồn {vi} hơn trung tâm {by.vi}. Nhờ cơ quan chỉnh đồng hồ (NTP)",
        f"the source's clock is {by.en} {en} this centre's. Have the agency set it (NTP)",
    )


def _message(contract: Contract, batch_id: int, column: str, findings: Sequence[Text]) -> str:
    vi_column, en_column = (f", cột {column}", f", column {column}") if column else ("", "")
    vi, en = (". ".join(getattr(finding, language) for finding in findings) for language in ("vi", "en"))
    return f"{contract.id} lô {batch_id}{vi_column}: {vi} · {contract.id} batch {batch_id}{en_column}: {en}"
