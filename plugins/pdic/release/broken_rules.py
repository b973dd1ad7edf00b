"""The rules that rows of a release break: which only warn, and where many more rows do than in the release that readers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pdic.quality.chance import tolerated
from pdic.quality.rules import rules_for_release
from pdic.release.compare import Finding, Measure, as_learned, is_unusual, steps, vi
from pdic.release.limits import Limits
from pdic.warehouse import records

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

NAMED: Final = 3
"""So many rules that warn are named where a release is told."""


@dataclass(frozen=True)
class Broken:
    """Of the rows that a rule judged in a release, how many broke it."""

    failed: int
    checked: int

    @property
    def share(self) -> float:
        return self.failed / self.checked if self.checked else 0.0


@dataclass(frozen=True)
class Jump:
    """Many more rows break a rule. `holds`: until a person approves it. `learned`: that many are unusual follows from past releases."""

    holds: bool
    learned: bool = False


Rule = tuple[str, str]
"""A shared table, and the id of its rule."""


def against_live(connection: Connection, release_id: int, measure: Measure, root: Path) -> list[Finding]:
    """The rules that many more rows of a release break than of the live one, by the results of both audits; the worst first.

    `connection` is the auditor's, `root` the project root.
    """
    found = _of_releases(connection, [release_id, measure.live, *measure.past])
    now, was = found[release_id], found[measure.live]
    risen = []
    for rule in now.keys() & was.keys():
        limit = measure.bounds.get(rule[0])
        if limit is None or not limit.compared:
            continue
        history: list[Broken | None] = []
        for number, approved in measure.past.items():
            history += [None, found[number].get(rule)] if approved else [found[number].get(rule)]
        risen_by = jump(limit, was[rule], now[rule], history)
        if risen_by is not None:
            risen.append(
                _finding(
                    root, rule, was[rule], now[rule], replace(risen_by, holds=risen_by.holds and not measure.grown)
                )
            )
    return sorted(risen, key=lambda each: (not each.holds, -now[each.table, each.rule].failed, each.rule))


def warned(cursor: Cursor, release_id: int | None) -> list[dict[str, Any]]:
    """The rules that only warn and that a release breaks, those that most rows break first: `table`, `rule`, `failed`, `checked`."""
    cursor.execute(
        """
        select dataset as "table", rule_id as rule, failed, checked
        from (
            select distinct on (dataset, rule_id) dataset, rule_id, success, failed, checked
            from control.expectation_result
            where release_id = %s and on_fail = 'warn'
            order by dataset, rule_id, id desc
        ) as newest
        where not success
        order by failed desc nulls first, dataset, rule_id
        """,
        (release_id,),
    )
    return records(cursor)


def sentence(found: Sequence[Mapping[str, Any]]) -> str:
    """Which rules that only warn are broken, by how many rows; nothing where none is."""
    if not found:
        return ""
    named = "; ".join(
        f"{each['rule']} ({each['failed']:,} of {each['checked']:,})" if (each["checked"] or 0) > 1 else each["rule"]
        for each in found[:NAMED]
    )
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    counted = "1 rule that only warns is" if len(found) == 1 else f"{len(found)} rules that only warn are"
    return f"{counted} broken: {named}{more}"


def jump(bounds: Limits, was: Broken, now: Broken, past: Sequence[Broken | None]) -> Jump | None:
    """How many more rows break a rule by more than the limits; None where they don't. `past` as in `compare.compared`."""
    if bounds.rule_points is None:
        return None
    least = bounds.rule_points_least
    points_for_factor = 100 * was.share * (bounds.rule_factor - 1)  # so many points more are rule_factor times as many
    if now.failed > _allowed(bounds, was, now, min(max(points_for_factor, least), bounds.rule_points)):
        return Jump(holds=True)
    known = [None if each is None or not each.checked else each.share for each in past]
    if now.failed > _allowed(bounds, was, now, least) and is_unusual(
        bounds, now.share - was.share, least / 100, steps(known)
    ):
        return Jump(holds=sum(each is not None for each in known) >= bounds.learned_releases, learned=True)
    return None


def _finding(root: Path, rule: Rule, was: Broken, now: Broken, jump: Jump) -> Finding:
    table, rule_id = rule
    reason = next(each.reason for each in rules_for_release(root, table) if each.id == rule_id)
    found = Finding(
        table,
        "rule",
        jump.holds,
        f"{now.failed:,} of {now.checked:,} rows of {table} break rule {rule_id} ({reason.en}), and {was.failed:,} of {was.checked:,} in "
        "the live release",
        f"{vi(now.failed)} trong {vi(now.checked)} dòng của {table} không đạt quy tắc {rule_id} ({reason.vi}), bản đang dùng có "
        f"{vi(was.failed)} trong {vi(was.checked)}",
        rule=rule_id,
    )
    return as_learned(found) if jump.learned else found


def _allowed(bounds: Limits, was: Broken, now: Broken, points: float) -> int:
    """How many of the rows may break a rule: as many as before and so many points more, by chance some more, and always a few."""
    return max(was.failed + bounds.rule_rows, tolerated(now.checked, min(1.0, was.share + points / 100)))


def _of_releases(connection: Connection, releases: Sequence[int]) -> dict[int, dict[Rule, Broken]]:
    """By release and rule; of rules that judge rows, and not the table as a whole."""
    found: dict[int, dict[Rule, Broken]] = {release_id: {} for release_id in releases}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct on (release_id, dataset, rule_id) release_id, dataset, rule_id, failed, checked
            from control.expectation_result
            where release_id = any(%s) and run_kind = 'release'
            order by release_id, dataset, rule_id, id desc
            """,
            (list(found),),
        )
        for release_id, table, rule_id, failed, checked in cursor:
            if checked is not None:
                found[release_id][table, rule_id] = Broken(failed, checked)
    return found
