"""Which columns of a dataset no rule looks at: from contracts and rule files alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pdic import contracts
from pdic.quality.freshness import judged_by
from pdic.quality.history import limits, path_of
from pdic.quality.rules import Rule, rules_for_batch

ABOUT_NO_VALUE: Final = frozenset(
    {
        "expect_column_to_exist",
        "expect_table_columns_to_match_set",
        "expect_table_columns_to_match_ordered_list",
    }
)
"""Rules that say a column is there, and nothing of what stands in it."""


@dataclass(frozen=True)
class Coverage:
    """A dataset's columns (source names, in the contract's order) and those that no rule reads."""

    sector: str
    dataset: str
    rules: int
    columns: int
    without_rule: tuple[str, ...]
    freshness: str = ""
    """What its freshness is judged by, in words; empty where nothing says when its source last wrote."""

    @property
    def percent(self) -> float:
        """Share of the columns that some rule reads, in percent."""
        return round(100 * (self.columns - len(self.without_rule)) / self.columns, 1) if self.columns else 0.0


def coverage(root: Path) -> tuple[Coverage, ...]:
    """Every dataset of the project at `root` whose contract can be read, by sector and dataset. Raises RuleError."""
    return tuple(coverage_of(root, contract) for _, contract in sorted(contracts.readable(root).items()))


def coverage_of(root: Path, contract: contracts.Contract) -> Coverage:
    """One dataset of the project at `root`, its freshness included. Raises RuleError."""
    rules = rules_for_batch(root, contract.sector, contract.dataset)
    return replace(
        of_dataset(contract.sector, contract.dataset, [column.source_name for column in contract.columns], rules),
        freshness=judged_by(contract, limits(root, contract.id), path_of(root)),
    )


def of_dataset(sector: str, dataset: str, columns: Iterable[str], rules: Iterable[Rule]) -> Coverage:
    """Coverage of one dataset's `columns` by its `rules`."""
    rules = list(rules)
    read = {name for rule in rules if rule.type not in ABOUT_NO_VALUE for name in _columns(rule)}
    names = tuple(columns)
    return Coverage(sector, dataset, len(rules), len(names), tuple(name for name in names if name not in read))


def _columns(rule: Rule) -> tuple[str, ...]:
    named = rule.kwargs.get("column")
    return rule.needed_columns or ((named,) if isinstance(named, str) else ())
