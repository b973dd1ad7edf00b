"""The SQL that says which rows break a rule.

One predicate a rule, TRUE for a row that fails and FALSE otherwise, never NULL. Great Expectations counts with it and the
quarantine moves with it, so the two cannot disagree. A NULL fails no rule but the one that forbids it: whether a value
must be there is a rule of its own.

Columns are unqualified: the predicates hold wherever the rows of one table are in scope. They are meant for the rows that
carry a source row (`_op = 'U'`); a tombstone has nothing but its key. Literals are inlined, so run a statement built from
them without parameters (psycopg2 reads `%` only when there are any).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic import cleaning, patterns
from pdic.contracts.output import quoted
from pdic.quality.rules import OnFail, Rule
from pdic.warehouse.statements import Rendered

if TYPE_CHECKING:
    from pdic.contracts import Contract

Predicate = Callable[[Mapping[str, Any]], sql.Composable]

_BYTES = 4
"""A character has at most so many bytes in UTF-8."""


def predicate(rule: Rule) -> sql.Composable:
    """The condition that is TRUE for a row breaking `rule`. Raises ValueError where it is not a row rule."""
    return predicate_of(rule.type, rule.kwargs)


def predicate_of(rule_type: str, kwargs: Mapping[str, Any], shortcut: Sequence[str] | None = None) -> sql.Composable:
    """The condition that is TRUE for a row breaking a rule of this type. Raises ValueError where it is not a row rule.

    With a `shortcut()` it says the same, and holds where the relation of the rows tells which values were sound.
    """
    if rule_type not in _PREDICATES:
        raise ValueError(f"{rule_type} does not judge single rows")
    if shortcut is None:
        return _PREDICATES[rule_type](kwargs)
    told_by, matches = shortcut
    return _PATTERNS[rule_type](f"case when {told_by} then {matches} else {_matches(kwargs)} end")


def shortcut(rule: Rule, contract: Contract) -> tuple[str, str] | None:
    """Where a pattern need not be asked of sound values: the column that tells them, and the condition that stands for the pattern."""
    if rule.type not in _PATTERNS:
        return None
    name = rule.kwargs["column"]
    cleaned = next((column.cleaning for column in contract.columns if column.source_name == name), None)
    known = None if cleaned is None else cleaning.KINDS[cleaned].known(f"{quoted(name)}::text", rule.kwargs["regex"])
    return None if known is None else (cleaning.told_by(contract, name), known)


def quarantine_predicates(
    rules: Iterable[Rule], lookups: Mapping[str, sql.Composable] = MappingProxyType({})
) -> list[tuple[str, sql.Composable]]:
    """(rule id, predicate) of the rules whose failing rows go to quarantine, in the order of the rules.

    `lookups` has the queries of lookup rules by id (`Lookups.queries`); their predicates are about the column `_row`.
    """
    return [
        (rule.id, _found(lookups[rule.id]) if rule.id in lookups else predicate(rule))
        for rule in rules
        if rule.on_fail is OnFail.QUARANTINE
    ]


def quarantine_sql(
    rules: Iterable[Rule], lookups: Mapping[str, sql.Composable] = MappingProxyType({})
) -> sql.Composable:
    """An expression of type text[]: the ids of the quarantine rules that a row breaks; empty for a good row."""
    cases = [
        sql.SQL("case when {} then {} end").format(failing, sql.Literal(rule_id))
        for rule_id, failing in quarantine_predicates(rules, lookups)
    ]
    return sql.SQL("array_remove(array[{}]::text[], null)").format(sql.SQL(", ").join(cases))


def _found(query: sql.Composable) -> sql.Composable:
    return sql.SQL("(_row in (select failing._row from ({}) as failing))").format(query)


def _column(kwargs: Mapping[str, Any], name: str = "column") -> sql.Identifier:
    return sql.Identifier(kwargs[name])


def _not_be_null(kwargs: Mapping[str, Any]) -> sql.Composable:
    return sql.SQL("({} is null)").format(_column(kwargs))


def _be_null(kwargs: Mapping[str, Any]) -> sql.Composable:
    return sql.SQL("({} is not null)").format(_column(kwargs))


def _match_regex(kwargs: Mapping[str, Any]) -> sql.Composable:
    return _unless(_matches(kwargs))


def _not_match_regex(kwargs: Mapping[str, Any]) -> sql.Composable:
    return _where(_matches(kwargs))


def _unless(matches: str) -> sql.Composable:
    return Rendered(f"coalesce(not ({matches}), false)")


def _where(matches: str) -> sql.Composable:
    return Rendered(f"coalesce({matches}, false)")


def _matches(kwargs: Mapping[str, Any]) -> str:
    return patterns.matches(f"{quoted(kwargs['column'])}::text", kwargs["regex"])


def _be_in_set(kwargs: Mapping[str, Any]) -> sql.Composable:
    return sql.SQL("coalesce({} not in ({}), false)").format(_column(kwargs), _literals(kwargs["value_set"]))


def _not_be_in_set(kwargs: Mapping[str, Any]) -> sql.Composable:
    return sql.SQL("coalesce({} in ({}), false)").format(_column(kwargs), _literals(kwargs["value_set"]))


def _be_between(kwargs: Mapping[str, Any]) -> sql.Composable:
    return _any_true(_bounds(_column(kwargs), kwargs))


def _lengths_be_between(kwargs: Mapping[str, Any]) -> sql.Composable:
    """Bytes are known, characters have to be counted: that is done only where the bytes do not tell already."""
    value = sql.SQL("{}::text").format(_column(kwargs))
    bytes_, characters = (sql.SQL(f"{name}({{}})").format(value) for name in ("octet_length", "char_length"))
    most_bytes = {name: bound * _BYTES for name in ("min_value",) if (bound := kwargs.get(name)) is not None}
    outside = zip(_bounds(bytes_, {**kwargs, **most_bytes}), _bounds(characters, kwargs), strict=True)
    return _any_true(sql.SQL("({} and {})").format(*both) for both in outside)


def _a_greater_than_b(kwargs: Mapping[str, Any]) -> sql.Composable:
    operator = sql.SQL("<" if kwargs.get("or_equal") else "<=")
    return sql.SQL("coalesce({} {} {}, false)").format(
        _column(kwargs, "column_A"), operator, _column(kwargs, "column_B")
    )


def _row_condition(kwargs: Mapping[str, Any]) -> sql.Composable:
    # The line end closes a comment that the condition may end with.
    return sql.SQL("coalesce(not (") + Rendered(kwargs["condition"]) + sql.SQL("\n), false)")


def _bounds(value: sql.Composable, kwargs: Mapping[str, Any]) -> list[sql.Composable]:
    """A condition for each bound that is given: true where the value is beyond it."""
    bounds = (
        ("min_value", "<=" if kwargs.get("strict_min") else "<"),
        ("max_value", ">=" if kwargs.get("strict_max") else ">"),
    )
    return [
        sql.SQL("{} {} {}").format(value, sql.SQL(operator), sql.Literal(kwargs[name]))
        for name, operator in bounds
        if kwargs.get(name) is not None
    ]


def _any_true(conditions: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL("coalesce({}, false)").format(sql.SQL(" or ").join(conditions))


def _literals(values: Iterable[Any]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Literal(value) for value in values)


_PATTERNS: Mapping[str, Callable[[str], sql.Composable]] = MappingProxyType(
    {"expect_column_values_to_match_regex": _unless, "expect_column_values_to_not_match_regex": _where}
)

_PREDICATES: Mapping[str, Predicate] = MappingProxyType(
    {
        "expect_column_values_to_not_be_null": _not_be_null,
        "expect_column_values_to_be_null": _be_null,
        "expect_column_values_to_match_regex": _match_regex,
        "expect_column_values_to_not_match_regex": _not_match_regex,
        "expect_column_values_to_be_in_set": _be_in_set,
        "expect_column_values_to_not_be_in_set": _not_be_in_set,
        "expect_column_values_to_be_between": _be_between,
        "expect_column_value_lengths_to_be_between": _lengths_be_between,
        "expect_column_pair_values_a_to_be_greater_than_b": _a_greater_than_b,
        "pdic_expect_row_condition": _row_condition,
    }
)
