"""Is a release too unlike the one that readers see? By rows, keys, amounts and missing values, in counts and sums only.

`pdic.release.broken_rules` asks the same of the rows that break a rule.

Two kinds of limits (`pdic.release.limits`): coarse ones, which hold a release from the second one on, and learned ones, which follow
from how much a table changed from one published release to the next, and only warn until enough were published.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pdic.release import profile
from pdic.release.limits import Limits, limits
from pdic.release.profile import Profile, TableProfile
from pdic.release.views import View
from pdic.warehouse.statements import execute_values

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

What = Literal["rows", "keys", "sum", "amount", "nulls", "rule"]
LEAST_LEARNED: Final = 4
"""With fewer changes to learn from, learned limits say nothing."""
NAMED: Final = 3
"""So many findings are named in the sentence that says that a release is held."""


@dataclass(frozen=True)
class Finding:
    """One way in which a table differs by more than a limit. `holds`: until a person approves it; else it is a warning.

    The messages are one sentence without its full stop, in English and in Vietnamese: names, counts and shares, never a sum.
    """

    table: str
    what: What
    holds: bool
    message: str
    message_vi: str
    column: str = ""
    grouped_by: str = ""
    group_key: str = ""
    rule: str = ""


@dataclass(frozen=True)
class Change:
    """What is compared: a table, or a part of it, in the live release and in the candidate."""

    table: str
    was: Profile
    now: Profile
    group: tuple[str, str] = ("", "")

    @property
    def where(self) -> str:
        """How the part of the table is called in a sentence."""
        column, value = self.group
        return f"{self.table}, {column} {value}," if column else self.table


@dataclass(frozen=True)
class Measure:
    """What a release is measured by: the live release and the limits of each table.

    `past`: the published releases that teach how much they change, the live one last, and whether a person had to approve each.
    `grown`: a dataset is released for the first time, so that more rows are no wonder.
    """

    live: int
    bounds: Mapping[str, Limits]
    past: Mapping[int, bool]
    grown: bool

    @classmethod
    def read(cls, connection: Connection, release_id: int, live: int, views: Iterable[View], root: Path) -> Measure:
        """`connection` is the auditor's, `root` the project root. Raises ReleaseError where the limits cannot be read."""
        bounds = {view.name: limits(root, view.name, view.limits) for view in views}
        window = max((each.learned_window for each in bounds.values()), default=1)
        return cls(
            live, bounds, _past_releases(connection, live, window), _has_first_dataset(connection, release_id, live)
        )


def against_live(connection: Connection, release_id: int, measure: Measure) -> list[Finding]:
    """How the tables of a profiled release differ from those of the live one by more than the limits. `connection` is the auditor's."""
    bounds = measure.bounds
    was, now = profile.of_release(connection, measure.live), profile.of_release(connection, release_id)
    past = _Past.of(connection, measure.past)
    found: list[Finding] = []
    for table in sorted(bounds.keys() & was.keys() & now.keys()):
        if bounds[table].compared and was[table].content != now[table].content:
            found += compared(table, bounds[table], was[table], now[table], past.profiles(table), grown=measure.grown)
    return found


def record(connection: Connection, release_id: int, findings: Sequence[Finding]) -> None:
    """Keep what was found of a release, instead of what was found before. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("delete from control.release_finding where release_id = %s", (release_id,))
        execute_values(
            cursor,
            """
            insert into control.release_finding
                (release_id, place, table_name, grouped_by, group_key, what, column_name, rule_id, holds, message, message_vi)
            values %s
            """,
            [
                (
                    release_id,
                    place,
                    each.table,
                    each.grouped_by,
                    each.group_key,
                    each.what,
                    each.column,
                    each.rule,
                    each.holds,
                    each.message,
                    each.message_vi,
                )
                for place, each in enumerate(findings, 1)
            ],
        )


def held_message(release_id: int, live: int, findings: Sequence[Finding]) -> str:
    """The sentence that says why a release is held, and what to do."""
    holding = [finding.message for finding in findings if finding.holds]
    more = f"; and {len(holding) - NAMED} more" if len(holding) > NAMED else ""
    return (
        f"release {release_id} is held, and readers keep release {live}: {'; '.join(holding[:NAMED])}{more}. Look at `pdic release diff "
        f"{release_id}`; where it is right, run `pdic release approve {release_id} --reason WHY`; else have the source put right, load "
        "it and release again"
    )


def compared(
    table: str,
    bounds: Limits,
    was: TableProfile,
    now: TableProfile,
    past: Sequence[Profile | None] = (),
    *,
    grown: bool = False,
) -> list[Finding]:
    """What is unlike in a table. `past` are its profiles in the published releases, the oldest first; None where a change teaches nothing.

    `grown`: a dataset is released for the first time, so that more rows are no wonder.
    """
    whole = Change(table, was.whole, now.whole)
    found = list(_rows(bounds, whole, grown))
    if not any(finding.holds for finding in found):  # else that keys are gone is said already
        found += _keys(bounds, whole, now.keys_gone)
    found += [*_amounts(bounds, whole), *_nulls(bounds, whole)]
    said = {(finding.what, finding.column) for finding in found}
    found += [each for each in _learned(bounds, whole, past) if (each.what, each.column) not in said]
    for group, before in was.groups.items():
        found += _of_group(bounds, Change(table, before, now.groups.get(group, Profile(0)), group))
    return found


def _rows(bounds: Limits, change: Change, grown: bool) -> Iterator[Finding]:
    was, now = change.was.rows, change.now.rows
    if max(was, now) < bounds.least_rows or was == 0 or not _is_more_than_chance(bounds, was, now):
        return
    if bounds.rows_fall is not None and now < was * (1 - bounds.rows_fall):
        yield _rows_finding(change, holds=True)
    if bounds.rows_rise is not None and now > was * (1 + bounds.rows_rise):
        yield _rows_finding(change, holds=not grown)


def _rows_finding(change: Change, *, holds: bool) -> Finding:
    was, now = change.was.rows, change.now.rows
    return Finding(
        change.table,
        "rows",
        holds,
        f"{change.where} has {now:,} rows, and {was:,} in the live release ({_percent(was, now)})",
        f"{change.where} có {vi(now)} dòng, bản đang dùng có {vi(was)} ({_percent(was, now)})",
        grouped_by=change.group[0],
        group_key=change.group[1],
    )


def _keys(bounds: Limits, change: Change, gone: int | None) -> Iterator[Finding]:
    was = change.was.rows
    if bounds.keys_gone is None or not gone or was < bounds.least_rows:
        return
    if gone <= bounds.keys_gone * was:
        return
    about, about_vi = ("about ", "khoảng ") if was > profile.MANY else ("", "")  # then it is estimated
    yield Finding(
        change.table,
        "keys",
        True,
        f"{change.table}: {about}{gone:,} of the {was:,} keys of the live release are gone ({gone / was:.0%})",
        f"{change.table}: {about_vi}{vi(gone)} trong {vi(was)} khóa của bản đang dùng không còn ({gone / was:.0%})",
    )


def _amounts(bounds: Limits, change: Change) -> Iterator[Finding]:
    rows = min(change.was.rows, change.now.rows)
    for column, before in change.was.sums.items():
        factor = _factor(float(before), float(change.now.sums.get(column, 0))) if rows >= bounds.least_rows else None
        if bounds.sum_factor is not None and factor is not None and _is_outside(factor, bounds.sum_factor):
            yield _sum_finding(change, column, factor, holds=True)
        digits, before_digits = change.now.digits.get(column), change.was.digits.get(column)
        if bounds.amount_digits is None or digits is None or before_digits is None or rows < bounds.amount_least_rows:
            continue
        if digits - before_digits >= bounds.amount_digits:
            yield Finding(
                change.table,
                "amount",
                True,
                f"{change.table}: the largest {column} has {digits} digits, and {before_digits} in the live release",
                f"{change.table}: {column} lớn nhất có {digits} chữ số, bản đang dùng có {before_digits}",
                column,
            )


def _sum_finding(change: Change, column: str, factor: float, *, holds: bool) -> Finding:
    times = round(factor) if abs(factor) >= 10 else round(factor, 2)
    much, much_vi = f"{times:,} times", f"{vi(times)} lần"
    if 0 < abs(factor) < 0.1:
        part = round(1 / factor)
        much, much_vi = f"1/{part:,} of", f"1/{vi(part)}"
    return Finding(
        change.table,
        "sum",
        holds,
        f"{change.where.rstrip(',')}: {column} adds up to {much} what it does in the live release",
        f"{change.where.rstrip(',')}: tổng {column} bằng {much_vi} bản đang dùng",
        column,
        *change.group,
    )


def _nulls(bounds: Limits, change: Change) -> Iterator[Finding]:
    was, now = change.was, change.now
    if bounds.null_points is None or min(was.rows, now.rows) < bounds.least_rows:
        return
    for column, before in was.nulls.items():
        share, usual = now.nulls.get(column, 0) / now.rows, before / was.rows
        if (share - usual) * 100 > bounds.null_points and _is_larger_share(
            bounds, (before, was.rows), (now.nulls[column], now.rows)
        ):
            yield _null_finding(change, column, share, usual, holds=True)


def _null_finding(change: Change, column: str, share: float, usual: float, *, holds: bool) -> Finding:
    return Finding(
        change.table,
        "nulls",
        holds,
        f"{change.table}: {column} is empty in {share:.0%} of the rows, and in {usual:.0%} in the live release",
        f"{change.table}: {column} trống ở {share:.0%} số dòng, bản đang dùng là {usual:.0%}",
        column,
    )


def _of_group(bounds: Limits, change: Change) -> Iterator[Finding]:
    was, now = change.was.rows, change.now.rows
    if was < bounds.least_rows:
        return
    fell = bounds.group_rows_fall is not None and now < was * (1 - bounds.group_rows_fall)
    if fell and _is_more_than_chance(bounds, was, now):
        yield _rows_finding(change, holds=True)
    if bounds.group_sum_factor is None or now < bounds.least_rows:
        return
    for column, before in change.was.sums.items():
        factor = _factor(float(before), float(change.now.sums.get(column, 0)))
        if factor is not None and _is_outside(factor, bounds.group_sum_factor):
            yield _sum_finding(change, column, factor, holds=True)


def _learned(bounds: Limits, change: Change, past: Sequence[Profile | None]) -> Iterator[Finding]:
    """What is unlike the changes from one published release to the next."""
    was, now = change.was, change.now
    holds = sum(each is not None for each in past) >= bounds.learned_releases
    if min(was.rows, now.rows) < bounds.least_rows:
        return
    least = math.log1p(bounds.learned_least)
    if is_unusual(
        bounds, math.log(now.rows / was.rows), least, steps(_measured(past, _log_rows))
    ) and _is_more_than_chance(bounds, was.rows, now.rows):
        yield as_learned(_rows_finding(change, holds=holds))
    for column in was.sums:
        factor = _factor(float(was.sums[column]), float(now.sums.get(column, 0)))
        if factor is None or factor <= 0:
            continue
        known = _measured(past, partial(_log_sum, column=column))
        if is_unusual(bounds, math.log(factor), least, steps(known)):
            yield as_learned(_sum_finding(change, column, factor, holds=holds))
    for column, before in was.nulls.items():
        share, usual = now.nulls.get(column, 0) / now.rows, before / was.rows
        known = _measured(past, partial(_null_share, column=column))
        if (
            share > usual
            and is_unusual(bounds, share - usual, bounds.learned_least / 3, steps(known))
            and _is_larger_share(bounds, (before, was.rows), (now.nulls[column], now.rows))
        ):
            yield as_learned(_null_finding(change, column, share, usual, holds=holds))


def as_learned(finding: Finding) -> Finding:
    """The finding, said to be unlike what was learned."""
    return replace(
        finding,
        message=f"{finding.message}, which is far from how much it usually changes",
        message_vi=f"{finding.message_vi}, khác xa mức thay đổi thông thường",
    )


def is_unusual(bounds: Limits, step: float, least: float, known: Sequence[float]) -> bool:
    """Whether a step is far from the steps before, and by more than `least`; never where those are too few."""
    if len(known) < LEAST_LEARNED:
        return False
    spread = max(bounds.learned_deviations * statistics.stdev(known), least)
    return abs(step - statistics.fmean(known)) > spread


def steps(measured: Sequence[float | None]) -> list[float]:
    """How a measure changed from each published release to the next, where both have it."""
    return [
        after - before
        for before, after in zip(measured, measured[1:], strict=False)
        if before is not None and after is not None
    ]


def _measured(past: Sequence[Profile | None], measure: Callable[[Profile], float | None]) -> list[float | None]:
    return [None if each is None else measure(each) for each in past]


def _log_rows(found: Profile) -> float | None:
    return math.log(found.rows) if found.rows else None


def _log_sum(found: Profile, column: str) -> float | None:
    total = float(found.sums.get(column, 0))
    return math.log(total) if total > 0 else None


def _null_share(found: Profile, column: str) -> float | None:
    return found.nulls[column] / found.rows if found.rows and column in found.nulls else None


def _factor(was: float, now: float) -> float | None:
    """How many times what it was; None where it was nothing."""
    return now / was if was else None


def _is_outside(factor: float, limit: float) -> bool:
    """Whether a factor is over the limit, or under its inverse; where the sign changed, whether it is as large as that."""
    if factor < 0:
        return -factor > 1 / limit
    return factor > limit or factor < 1 / limit


def _is_more_than_chance(bounds: Limits, was: int, now: int) -> bool:
    """Whether two counts differ by more than counts of single events do."""
    return abs(now - was) > bounds.noise * math.sqrt(was + now)


def _is_larger_share(bounds: Limits, before: tuple[int, int], now: tuple[int, int]) -> bool:
    """Whether the share `now` (count, of so many) is larger than `before` by more than chance."""
    (was_count, was_rows), (now_count, now_rows) = before, now
    common = (was_count + now_count) / (was_rows + now_rows)
    deviation = math.sqrt(common * (1 - common) * (1 / was_rows + 1 / now_rows))
    return now_count / now_rows - was_count / was_rows > bounds.noise * deviation


def vi(number: Any) -> str:
    """A number as Vietnamese writes it: 1.234,5."""
    return f"{number:,}".translate(str.maketrans(",.", ".,"))


def _percent(was: int, now: int) -> str:
    return f"{(now - was) / was:+.0%}"


def _past_releases(connection: Connection, live: int, window: int) -> dict[int, bool]:
    """The published releases that teach how much they change, the live one last, and whether a person had to approve each."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select release_id, exists (select from control.approval where approval.release_id = release.release_id)
            from control.release as release
            where published_at is not null and release_id <= %s
                and not exists (
                    select from control.publication
                    where kind = 'rollback' and former_release_id = release.release_id
                )
            order by release_id desc limit %s
            """,
            (live, window + 1),
        )
        return dict(sorted(cursor.fetchall()))


@dataclass(frozen=True)
class _Past:
    """The tables of the published releases that teach how much they change, the oldest first; the live one is the last.

    One that was taken back is left out. None stands before one that a person had to approve: its change is not a usual one.
    """

    releases: Sequence[Mapping[str, Profile] | None]

    @classmethod
    def of(cls, connection: Connection, approved: Mapping[int, bool]) -> _Past:
        found = profile.wholes_of(connection, list(approved))
        releases: list[Mapping[str, Profile] | None] = []
        for release_id, is_approved in approved.items():
            releases += [None, found[release_id]] if is_approved else [found[release_id]]
        return cls(releases)

    def profiles(self, table: str) -> list[Profile | None]:
        """A table's profiles, of the releases that had it."""
        return [
            None if tables is None else tables[table] for tables in self.releases if tables is None or table in tables
        ]


def _has_first_dataset(connection: Connection, release_id: int, live: int) -> bool:
    """Whether a dataset is in a release and not in the live one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select exists (
                select sector, dataset from control.release_batch where release_id = %s
                except
                select sector, dataset from control.release_batch where release_id = %s
            )
            """,
            (release_id, live),
        )
        ((grown,),) = cursor.fetchall()
        return bool(grown)
