"""Whether a batch is like those before it: its rows, its empty values, its codes, and how much of it would be refused.

Limits stand in `expectations/history.yaml`. Results are ordinary ones, with ids `<dataset>.history.…`. Where there is too little
to compare with, there is no result: nothing seems to have passed that was not judged.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pdic.quality.census import OTHER, Census
from pdic.quality.chance import tolerated
from pdic.quality.results import RuleResult
from pdic.quality.rules import Dimension, OnFail, Origin, Reason, Rule, RuleError, Severity

_FLOOR = 0.0001
"""A code that never came counts as this share, so that the index stays a number."""


class Limits(BaseModel):
    """From when on a batch is unlike those before it. Shares are parts of 1, points parts of 100."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least_batches: int = Field(5, ge=2)
    window: int = Field(20, ge=2)
    least_rows: int = Field(100, ge=1)
    rows_factor: float = Field(5, gt=1)
    rows_on_fail: Literal["warn", "halt"] = "warn"
    null_share_points: float = Field(10, gt=0, le=100)
    psi: float = Field(0.25, gt=0)
    max_quarantined_share: float = Field(0.5, gt=0, le=1)
    guarded_rows: int = Field(1000, ge=1)
    quarantined_points: float | None = Field(20, gt=0, le=100)
    quarantined_rows: int = Field(50, ge=1)
    quiet_days: float | None = Field(3, gt=0)
    unchanged_days: float | None = Field(None, gt=0)
    silence_factor: float | None = Field(2, gt=1)
    silence_days: int = Field(90, ge=1)
    known_days: int = Field(28, ge=1)
    ahead_minutes: float = Field(15, gt=0)
    moment_column: str | None = None
    freshness_on_fail: Literal["warn", "halt"] = "warn"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    defaults: dict[str, Any] = {}
    datasets: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class Held:
    """A batch: how many rows its source had or sent, and what is counted of those that landed."""

    rows: int
    census: Census


def path_of(root: Path) -> Path:
    """Where the limits stand; `root` is the project root."""
    return root / "expectations" / "history.yaml"


def limits(root: Path, dataset: str) -> Limits:
    """The limits of a dataset (`sector.dataset`); the usual ones where the project has no such file.

    Raises RuleError, naming file and field, where the file is wrong.
    """
    path = path_of(root)
    if not path.is_file():
        return Limits.model_validate({})
    try:
        usual, of_each = _read(path.read_text(encoding="utf-8"))
        return of_each.get(dataset, usual)
    except yaml.YAMLError as error:
        raise RuleError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise RuleError(f"{path}: {found}. Correct it; docs/quality.md says what each limit is") from None


@lru_cache(maxsize=4)
def _read(text: str) -> tuple[Limits, dict[str, Limits]]:
    """The usual limits and those of single datasets: every dataset asks, and the same text is read once."""
    file = _File.model_validate(yaml.safe_load(text) or {})
    usual = Limits.model_validate(file.defaults)
    return usual, {name: Limits.model_validate({**file.defaults, **own}) for name, own in file.datasets.items()}


def compare(
    dataset: str, bounds: Limits, now: Held, earlier: Sequence[Held], path: Path | None = None
) -> list[RuleResult]:
    """What is unlike in `now`, against `earlier` batches of its kind. `dataset` is the name without its sector."""
    found = [*_rows(dataset, bounds, now.rows, [held.rows for held in earlier], path)]
    large = [held.census for held in earlier if held.census.rows >= bounds.least_rows]
    if now.census.rows >= bounds.least_rows and len(large) >= bounds.least_batches:
        for column in now.census.missing:
            found += _null_share(dataset, bounds, column, now.census, large, path)
        for column in now.census.codes:
            found += _categories(dataset, bounds, column, now.census, large, path)
    return found


def quarantined(
    dataset: str, bounds: Limits, rows: int, refused: int, by_rule: Mapping[str, int], path: Path | None = None
) -> RuleResult:
    """Whether too many of a batch's `rows` would go to quarantine: `refused` of them, `by_rule` of each rule (they may overlap)."""
    finding = (
        f"{refused} of {rows} rows would go to quarantine, by {_worst(by_rule)}; where that is as it should be, give the dataset a higher "
        "max_quarantined_share"
    )
    return _result(
        _Rule("quarantined_share", Dimension.ACCURACY, OnFail.HALT, Severity.CRITICAL, {"max_value": bounds.max_quarantined_share}),
        dataset, finding if refused > bounds.max_quarantined_share * rows else None, path,
    )  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """How many of so many rows went to quarantine, by the batches that were accepted before."""

    rows: int
    refused: int


def allowed_refusals(bounds: Limits, rows: int, usual: Refused) -> int | None:
    """How many of a batch's `rows` may go to quarantine, by what is usual and by chance; None where that is not asked or not known."""
    if bounds.quarantined_points is None or usual.rows < bounds.least_rows:
        return None
    share = min(1.0, usual.refused / usual.rows + bounds.quarantined_points / 100)
    return max(bounds.quarantined_rows - 1, tolerated(rows, share))


def jumped(
    dataset: str,
    bounds: Limits,
    allowed: int | None,
    now: Refused,
    usual: Refused,
    by_rule: Mapping[str, int],
    path: Path | None = None,
) -> RuleResult:
    """Whether many more of a batch's rows would go to quarantine than of those before it, and more than `allowed` (`allowed_refusals`)."""
    finding = (
        f"{now.refused:,} of {now.rows:,} rows ({now.refused / max(1, now.rows):.0%}) would go to quarantine, by {_worst(by_rule)}; usual "
        f"are {usual.refused / max(1, usual.rows):.1%}"
    )
    kwargs = {"points": bounds.quarantined_points}
    return _result(
        _Rule("quarantined_jump", Dimension.ACCURACY, OnFail.HALT, Severity.CRITICAL, kwargs),
        dataset, finding if allowed is not None and now.refused > allowed else None, path,
    )  # fmt: skip


DELETIONS: Final = "pdic_history_deletions"
"""The type of the rule that a batch deletes no more than its contract allows."""


def deletions(dataset: str, share: float, finding: str | None, path: Path | None = None) -> RuleResult:
    """Whether a batch would delete more than this share of the living rows; `finding` says how many, where it would."""
    rule = _Rule("deletions", Dimension.COMPLETENESS, OnFail.HALT, Severity.CRITICAL, {"max_share": share})
    return _result(rule, dataset, finding, path)


def _worst(by_rule: Mapping[str, int]) -> str:
    """The rules that refuse most rows."""
    return ", ".join(
        f"{rule_id} ({count})" for rule_id, count in sorted(by_rule.items(), key=lambda item: -item[1])[:5]
    )


def stability_index(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """The population stability index of two counts by code: the sum of (q - p)·ln(q / p) over their shares p before and q now."""
    totals = sum(before.values()), sum(now.values())
    index = 0.0
    for code in before.keys() | now.keys():
        p, q = (max(counts.get(code, 0) / total, _FLOOR) for counts, total in zip((before, now), totals, strict=True))
        index += (q - p) * math.log(q / p)
    return index


@dataclass(frozen=True)
class _Rule:
    what: str
    dimension: Dimension
    on_fail: OnFail
    severity: Severity
    kwargs: Mapping[str, Any]


_REASONS: Final = {
    "rows": Reason(vi="Số dòng khác hẳn các lần trước", en="The number of rows is far from that of earlier batches"),
    "null_share": Reason(vi="Tỷ lệ thiếu giá trị tăng vọt", en="Many more rows have no value than in earlier batches"),
    "categories": Reason(vi="Phân bố mã khác hẳn các lần trước", en="The codes are spread unlike in earlier batches"),
    "quarantined_share": Reason(vi="Quá nhiều dòng bị từ chối", en="Too many rows would be refused"),
    "quarantined_jump": Reason(
        vi="Số dòng bị từ chối tăng vọt so với các lần trước",
        en="Many more rows would be refused than in earlier batches",
    ),
    "deletions": Reason(
        vi="Nguồn xóa, hoặc đánh dấu xóa, quá nhiều dòng",
        en="The source deletes too many rows, or marks them so",
    ),
    "freshness": Reason(
        vi="Nguồn đã lâu không ghi thêm gì, hoặc đồng hồ của nguồn sai",
        en="The source has written nothing for too long, or its clock is wrong",
    ),
}

REASONS: Final[Mapping[str, Reason]] = {f"pdic_history_{what}": reason for what, reason in _REASONS.items()}
"""Why a rule of each type of this room is there: no rule file says so."""


def _rows(dataset: str, bounds: Limits, rows: int, earlier: Sequence[int], path: Path | None) -> Iterator[RuleResult]:
    if len(earlier) < bounds.least_batches or max(rows, statistics.median(earlier)) < bounds.least_rows:
        return
    usual = statistics.median(earlier)
    unlike = rows * bounds.rows_factor < usual or rows > usual * bounds.rows_factor
    kwargs = {"factor": bounds.rows_factor}
    rule = _Rule("rows", Dimension.CONSISTENCY, OnFail(bounds.rows_on_fail), Severity.WARNING, kwargs)
    yield _result(rule, dataset, f"{rows} rows, {usual:.0f} are usual" if unlike else None, path)


def _null_share(
    dataset: str, bounds: Limits, column: str, now: Census, earlier: Iterable[Census], path: Path | None
) -> Iterator[RuleResult]:
    shares = [census.missing[column] / census.rows for census in earlier if column in census.missing]
    if len(shares) < bounds.least_batches:
        return
    share, usual = now.missing[column] / now.rows, statistics.median(shares)
    risen = (share - usual) * 100 > bounds.null_share_points
    kwargs = {"column": column, "points": bounds.null_share_points}
    rule = _Rule("null_share", Dimension.COMPLETENESS, OnFail.WARN, Severity.WARNING, kwargs)
    yield _result(rule, dataset, f"{share:.1%} without a value, {usual:.1%} are usual" if risen else None, path)


def _categories(
    dataset: str, bounds: Limits, column: str, now: Census, earlier: Iterable[Census], path: Path | None
) -> Iterator[RuleResult]:
    counts = [found for census in earlier if (found := census.codes.get(column)) and sum(found.values()) > 0]
    if len(counts) < bounds.least_batches or sum(now.codes[column].values()) < bounds.least_rows:
        return
    codes = {code for found in (*counts, now.codes[column]) for code in found} | {OTHER}
    before = {code: sum(found.get(code, 0) for found in counts) for code in codes}
    index = stability_index(before, now.codes[column])
    kwargs = {"column": column, "psi": bounds.psi}
    rule = _Rule("categories", Dimension.CONSISTENCY, OnFail.WARN, Severity.WARNING, kwargs)
    yield _result(rule, dataset, f"index {index:.2f} over {bounds.psi}" if index > bounds.psi else None, path)


def _result(kind: _Rule, dataset: str, finding: str | None, path: Path | None) -> RuleResult:
    column = kind.kwargs.get("column")
    rule = Rule(
        id=".".join((dataset, "history", *([column.replace(" ", "_")] if column else []), kind.what)),
        type=f"pdic_history_{kind.what}",
        kwargs=kind.kwargs,
        severity=kind.severity,
        dimension=kind.dimension,
        on_fail=kind.on_fail,
        reason=_REASONS[kind.what],
        origin=Origin.TEXT,
        source="assumption: expectations/history.yaml",
        path=path,
    )
    return RuleResult(rule, finding is None, checked=1, failed=0 if finding is None else 1, finding=finding)
