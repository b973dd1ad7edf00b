"""What a check found: counts and rule ids, never a value of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pdic.quality.census import Census
from pdic.quality.rule_types import Engine
from pdic.quality.rules import OnFail, Rule, Stage
from pdic.warehouse.statements import execute_values

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_NAMED_IN_MESSAGE = 12


@dataclass(frozen=True)
class RuleResult:
    """How one rule went.

    A row, uniqueness or query rule counts rows; any other rule checks one thing (`checked` 1, `failed` 0 or 1).
    `checked` and `failed` are None where the rule raised, and only there. `seconds` is the rule's share of the time spent.
    """

    rule: Rule
    success: bool
    checked: int | None
    failed: int | None
    raised: str | None = None
    observed: int | None = None
    """The table's row count, for rules about it."""
    seconds: float | None = None
    note: str | None = None
    """Why nothing was judged, where a rule had nothing to look things up in."""
    finding: str | None = None
    """What is unlike in the batch, in words, where a comparison with earlier batches failed."""
    by_agency: Mapping[str, int] = field(default_factory=dict)
    """The failing rows of each agency that has any; a row rule's, where the contract names an agency's column."""
    census: Census | None = None
    """What the scan that all row rules of a table share counted besides."""

    @property
    def halts(self) -> bool:
        """Whether this result holds the batch or release: a halting rule failed, or any rule could not be evaluated."""
        return self.raised is not None or (not self.success and self.rule.on_fail is OnFail.HALT)

    def __str__(self) -> str:
        if self.raised is not None:
            return f"{self.rule.id} (could not be evaluated: {self.raised})"
        if self.finding is not None:
            return f"{self.rule.id} ({self.finding})"
        if self.observed is not None:
            return f"{self.rule.id} ({self.observed} rows)"
        if self.rule.rule_type.engine is Engine.GX:
            return self.rule.id
        return f"{self.rule.id} ({self.failed} of {self.checked} rows)"


@dataclass(frozen=True)
class BatchVerdict:
    """What the rules say of one batch. `halted`: it must not be accepted."""

    sector: str
    dataset: str
    batch_id: int
    results: tuple[RuleResult, ...]
    halted: bool
    message: str
    rows: int | None = None
    """The rows checked (tombstones are not); None where no row rule counted them."""
    seconds: float = 0.0
    """What this batch took, without the start of Great Expectations, which all batches of a process share."""
    known_up_to: Mapping[str, int] = field(default_factory=dict)
    """Up to which batch each dataset (`sector.dataset`) counted that lookup rules looked things up in."""
    census: Census | None = None
    """What the batch holds; None where no row rule was counted."""
    warning: str | None = None
    """What an operator should see to at the source, though the batch goes on."""
    marked_deleted: int = 0
    """How many of its rows the source marks as deleted, also those that it marked before."""
    living_before: int | None = None
    """How many rows of the dataset were living before it; None where that was not counted."""


@dataclass(frozen=True)
class ReleaseVerdict:
    """What the rules say of a candidate release. `passed`: it may be published."""

    release_id: int
    results: tuple[RuleResult, ...]
    """The results of all tables, in the order of `tables`."""
    tables: dict[str, tuple[RuleResult, ...]]
    passed: bool
    message: str


def listed(results: Iterable[RuleResult]) -> str:
    """The results as one line, cut after a dozen."""
    texts = [str(result) for result in results]
    more = f" and {len(texts) - _NAMED_IN_MESSAGE} more" if len(texts) > _NAMED_IN_MESSAGE else ""
    return "; ".join(texts[:_NAMED_IN_MESSAGE]) + more


def record(
    connection: Connection,
    results: Sequence[RuleResult],
    run_kind: Stage | str,
    run_id: int,
    sector: str,
    dataset: str,
) -> int:
    """Writes one row per result to `control.expectation_result`; `run_id` is the batch's or the release's id.

    The caller commits. For a release, `sector` is 'shared' and `dataset` the table. Returns how many rows were written.
    """
    kind = Stage(run_kind)
    batch_id, release_id = (run_id, None) if kind is Stage.BATCH else (None, run_id)
    rows = [
        (
            kind.value,
            batch_id,
            release_id,
            sector,
            dataset,
            result.rule.id,
            result.rule.type,
            result.rule.column_name,
            result.rule.severity.value,
            result.rule.on_fail.value,
            result.rule.dimension.value,
            result.success,
            result.checked,
            result.failed,
            result.raised,
            result.seconds,
            result.rule.rule_type.engine is Engine.ROW,
        )
        for result in results
    ]
    with connection.cursor() as cursor:
        execute_values(
            cursor,
            """
            insert into control.expectation_result (
                run_kind, batch_id, release_id, sector, dataset, rule_id, expectation_type, column_name,
                severity, on_fail, dimension, success, checked, failed, raised, seconds, by_agency
            ) values %s
            """,
            rows,
        )
    return len(rows)
