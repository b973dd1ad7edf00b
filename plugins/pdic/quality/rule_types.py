"""The kinds of rule PDIC knows: their names (Great Expectations' own where it has one) and their keyword arguments.

A **row rule** says of each row whether it is good, so its failing rows can go to quarantine. A **lookup rule** does so by
what other rows say. A **table rule** says something of the table as a whole. The list is closed on purpose: a misspelt rule
must stop the check, not slip through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Engine(StrEnum):
    """Who counts a rule's failures."""

    ROW = "row"  # one shared scan for all row rules of a table
    UNIQUE = "unique"  # one grouping query a rule
    LOOKUP = "lookup"  # one query a rule: rows judged by other rows, of the same dataset or of others
    QUERY = "query"  # the rule brings its own query
    GX = "gx"  # the expectation of that name in Great Expectations
    HISTORY = "history"  # a comparison with earlier batches, which no rule file asks for


@dataclass(frozen=True)
class RuleType:
    """One kind of rule: who evaluates it and which keyword arguments it takes."""

    name: str
    engine: Engine
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    column_kwargs: tuple[str, ...] = ()
    """The arguments that name columns which must exist: without them the rule cannot be evaluated."""
    any_of: frozenset[str] = field(default_factory=frozenset)
    """At least one of these arguments must be given."""

    @property
    def is_row_rule(self) -> bool:
        """Whether the rule judges a row by that row alone."""
        return self.engine is Engine.ROW

    @property
    def judges_rows(self) -> bool:
        """Whether the rule names the rows that fail, which may then go to quarantine."""
        return self.engine in (Engine.ROW, Engine.LOOKUP)


_BOUNDS = frozenset({"min_value", "max_value"})
_STRICT = frozenset({"strict_min", "strict_max"})


def _column_row(
    name: str, *required: str, optional: frozenset[str] = frozenset(), any_of: frozenset[str] = frozenset()
) -> RuleType:
    return RuleType(name, Engine.ROW, frozenset({"column", *required}), optional | {"mostly"}, ("column",), any_of)


def _column_statistic(name: str) -> RuleType:
    return RuleType(name, Engine.GX, frozenset({"column"}), _BOUNDS | _STRICT, ("column",), _BOUNDS)


_TYPES = (
    # Row rules.
    _column_row("expect_column_values_to_not_be_null"),
    _column_row("expect_column_values_to_be_null"),
    _column_row("expect_column_values_to_match_regex", "regex"),
    _column_row("expect_column_values_to_not_match_regex", "regex"),
    _column_row("expect_column_values_to_be_in_set", "value_set"),
    _column_row("expect_column_values_to_not_be_in_set", "value_set"),
    _column_row("expect_column_values_to_be_between", optional=_BOUNDS | _STRICT, any_of=_BOUNDS),
    _column_row("expect_column_value_lengths_to_be_between", optional=_BOUNDS | _STRICT, any_of=_BOUNDS),
    RuleType(
        "expect_column_pair_values_a_to_be_greater_than_b",
        Engine.ROW,
        frozenset({"column_A", "column_B"}),
        frozenset({"or_equal", "mostly"}),
        ("column_A", "column_B"),
    ),
    RuleType(
        "pdic_expect_row_condition",
        Engine.ROW,
        frozenset({"condition", "columns"}),
        frozenset({"mostly"}),
        ("columns",),
    ),
    # Lookup rules.
    RuleType(
        "pdic_expect_query_to_select_no_rows",
        Engine.LOOKUP,
        frozenset({"query", "columns"}),
        frozenset(),
        ("columns",),
    ),
    RuleType(
        "pdic_expect_reference_to_exist",
        Engine.LOOKUP,
        frozenset({"columns", "dataset", "references"}),
        frozenset(),
        ("columns",),
    ),
    RuleType(
        "pdic_expect_sum_to_match",
        Engine.LOOKUP,
        frozenset({"column", "dataset", "sum", "by"}),
        frozenset({"tolerance", "once_per"}),
        ("column", "by"),
    ),
    # Uniqueness.
    RuleType("expect_column_values_to_be_unique", Engine.UNIQUE, frozenset({"column"}), frozenset(), ("column",)),
    RuleType(
        "expect_compound_columns_to_be_unique",
        Engine.UNIQUE,
        frozenset({"column_list"}),
        frozenset({"ignore_row_if"}),
        ("column_list",),
    ),
    # A query of one's own.
    RuleType(
        "pdic_expect_query_to_return_no_rows", Engine.QUERY, frozenset({"query"}), frozenset({"columns"}), ("columns",)
    ),
    # Great Expectations' own.
    RuleType("expect_table_row_count_to_be_between", Engine.GX, frozenset(), _BOUNDS | _STRICT, (), _BOUNDS),
    RuleType("expect_table_row_count_to_equal", Engine.GX, frozenset({"value"})),
    RuleType("expect_column_to_exist", Engine.GX, frozenset({"column"}), frozenset({"column_index"})),
    RuleType("expect_table_columns_to_match_set", Engine.GX, frozenset({"column_set"}), frozenset({"exact_match"})),
    RuleType("expect_table_columns_to_match_ordered_list", Engine.GX, frozenset({"column_list"})),
    RuleType(
        "expect_column_distinct_values_to_contain_set",
        Engine.GX,
        frozenset({"column", "value_set"}),
        frozenset(),
        ("column",),
    ),
    _column_statistic("expect_column_max_to_be_between"),
    _column_statistic("expect_column_mean_to_be_between"),
    _column_statistic("expect_column_median_to_be_between"),
    _column_statistic("expect_column_min_to_be_between"),
    _column_statistic("expect_column_stdev_to_be_between"),
    _column_statistic("expect_column_sum_to_be_between"),
    _column_statistic("expect_column_proportion_of_non_null_values_to_be_between"),
    _column_statistic("expect_column_proportion_of_unique_values_to_be_between"),
    _column_statistic("expect_column_unique_value_count_to_be_between"),
)

RULE_TYPES: Mapping[str, RuleType] = MappingProxyType({rule_type.name: rule_type for rule_type in _TYPES})
"""Every known rule type by name."""

HISTORY_TYPES: Mapping[str, RuleType] = MappingProxyType(
    {
        name: RuleType(name, Engine.HISTORY, column_kwargs=("column",))
        for name in (
            f"pdic_history_{what}"
            for what in (
                "rows",
                "null_share",
                "categories",
                "quarantined_share",
                "quarantined_jump",
                "deletions",
                "freshness",
            )
        )
    }
)
"""The rules that follow from `expectations/history.yaml`, by name: files cannot name them."""
