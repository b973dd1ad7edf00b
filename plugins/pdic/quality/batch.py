"""The gate of a load: what the rules say of one batch, before it is accepted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import sql

from pdic.quality import lookups
from pdic.quality.gate import (
    ROW_COUNT_TYPES,
    Gate,
    TableMissing,
    Target,
    import_great_expectations,
    open_gate,
)
from pdic.quality.results import BatchVerdict, RuleResult, listed
from pdic.quality.rules import OnFail, Rule, rules_for_batch
from pdic.quality.safe_text import safe_text
from pdic.warehouse import unusable

if TYPE_CHECKING:
    from pdic.contracts import Contract

BATCH_SCHEMA = "raw_batch"
_UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
_NOT_NULL = "expect_column_values_to_not_be_null"
SOURCE_ROWS = ("_op", "U")
"""A snapshot's tombstones have nothing but a key: rules are about the rows that the source sent."""


@dataclass(frozen=True)
class Difference:
    """A batch that holds only what differs from the accepted state: `landed` of the source's `source_rows` rows.

    Rules about the number of rows are about the source's (None: the source was not read, and they have nothing to say), and
    rules about rows have nothing to say where none landed.
    """

    source_rows: int | None
    landed: int


def check_batch(
    auditor_uri: str,
    contract: Contract,
    batch_id: int,
    batch_table: str | sql.Identifier,
    rules: Sequence[Rule],
    root: Path | None = None,
) -> BatchVerdict:
    """Runs `rules` on one batch's table (`schema.table`, or a table of `raw_batch`). `root` is the project root.

    Never raises for what it finds: a missing table or column, a rule that cannot be evaluated, a database that is gone are
    verdicts that halt. A row rule on an empty batch holds; whether a batch may be empty is a rule about its row count.
    Raises RuleError where a lookup rule names a dataset that has no contract.
    """
    for rule in rules:
        lookups.datasets(rule, root or _project_root())
    together = _together([(contract, batch_id, batch_table, rules)], root or _project_root())
    with open_gate(auditor_uri) as gate:
        return _check(gate, contract, batch_id, batch_table, rules, together)


def check_sector(
    auditor_uri: str,
    batches: Iterable[tuple[Contract, int, str | sql.Identifier]],
    root: Path | None = None,
    differences: Mapping[str, Difference] = MappingProxyType({}),
) -> dict[str, BatchVerdict | Exception]:
    """Checks the batches (contract, batch id, batch table) of a sector in one process, each by its own rule files.

    Great Expectations is imported and connected once, and only where there are rows to judge. Lookup rules see all of the
    batches that can be judged, accepted or not. `differences` says by dataset which batches hold a difference only. `root` is
    the project root. Returns by dataset the verdict, or the error that kept it from being found (RuleError for a wrong rule
    file): what is wrong with one batch keeps no other from its verdict.
    """
    root = root or _project_root()
    planned: list[_Planned] = []
    verdicts: dict[str, BatchVerdict | Exception] = {}
    for contract, batch_id, table in batches:
        try:
            planned.append((contract, batch_id, table, _rules(contract, root)))
        except Exception as error:
            verdicts[contract.dataset] = error
    if not planned:
        return verdicts
    together = _together(planned, root)
    found = [differences.get(contract.dataset) for contract, *_ in planned]
    if any(difference is None or difference.landed for difference in found):
        import_great_expectations()  # here, so that the first batch does not seem to take seconds longer than the others
    with open_gate(auditor_uri) as gate:
        for contract, batch_id, table, rules in planned:
            dataset = contract.dataset
            try:
                verdicts[dataset] = _check(gate, contract, batch_id, table, rules, together, differences.get(dataset))
            except Exception as error:
                verdicts[dataset] = error
    return verdicts


_Planned = tuple["Contract", int, str | sql.Identifier, Sequence[Rule]]
"""A batch with the rules that it must pass."""


def _rules(contract: Contract, root: Path) -> Sequence[Rule]:
    """The rules of a dataset. Raises RuleError, also where a lookup rule cannot be."""
    rules = rules_for_batch(root, contract.sector, contract.dataset)
    for rule in rules:
        lookups.datasets(rule, root)
    return rules


@dataclass(frozen=True)
class _Together:
    """The batches that are checked together, and where the contracts of other datasets are."""

    pending: lookups.Pending
    root: Path


def _together(batches: Iterable[_Planned], root: Path) -> _Together:
    return _Together(
        {
            f"{contract.sector}.{contract.dataset}": (contract, batch_id, _identifier(table))
            for contract, batch_id, table, _ in batches
        },
        root,
    )


def _check(
    gate: Gate,
    contract: Contract,
    batch_id: int,
    batch_table: str | sql.Identifier,
    rules: Sequence[Rule],
    together: _Together,
    difference: Difference | None = None,
) -> BatchVerdict:
    began = time.monotonic()
    target = Target(*_schema_and_table(batch_table), rows=SOURCE_ROWS, cleaned_by=contract)
    name = f"{contract.sector}/{contract.dataset} batch {batch_id}"
    try:
        looked = gate.prepare(contract, _identifier(batch_table), rules, together.root, together.pending)
        unknown = {rule.id: _unknown(rule, looked.unknown[rule.id]) for rule in rules if rule.id in looked.unknown}
        ready = [rule for rule in rules if rule.id not in unknown]
        checked = (
            gate.check(target, ready, looked)
            if difference is None
            else _of_difference(gate, target, ready, looked, difference)
        )
        by_id = unknown | {result.rule.id: result for result in checked}
        results = tuple(by_id[rule.id] for rule in rules if rule.id in by_id)
    except (TableMissing, psycopg2.Error) as error:
        if refusal := unusable(error):
            raise refusal from error
        text = str(error) if isinstance(error, TableMissing) else safe_text(error)
        results = tuple(RuleResult(rule, success=False, checked=None, failed=None, raised=text) for rule in rules)
        message = f"{name} could not be checked: {text}. Nothing was accepted: load the dataset again"
        return BatchVerdict(contract.sector, contract.dataset, batch_id, results, halted=True, message=message)
    halting = [result for result in results if result.halts]
    counted = (result.checked for result in results if result.rule.is_row_rule)  # (a key may be NULL)
    rows = next((count for count in counted if count is not None), None)
    return BatchVerdict(
        contract.sector,
        contract.dataset,
        batch_id,
        results,
        halted=bool(halting),
        message=message_of(name, results, halting, rows, _doubt(contract, halting)),
        warning=None if halting else _empty_key(contract, results),
        rows=rows,
        seconds=time.monotonic() - began,
        known_up_to=looked.known_up_to,
        census=next((result.census for result in results if result.census is not None), None),
    )


def _unknown(rule: Rule, dataset: str) -> RuleResult:
    return RuleResult(rule, success=True, checked=0, failed=0, note=f"{dataset} was never loaded")


def _of_difference(
    gate: Gate, target: Target, rules: Sequence[Rule], looked: lookups.Lookups, difference: Difference
) -> tuple[RuleResult, ...]:
    others = [rule for rule in rules if rule.type not in ROW_COUNT_TYPES]
    counting = {}
    if difference.source_rows is not None:
        counting = {rule.id: _row_count(rule, difference.source_rows) for rule in rules if rule not in others}
    judged = (
        gate.check(target, others, looked)
        if difference.landed and others
        else [RuleResult(rule, success=True, checked=0, failed=0) for rule in others]
    )
    found = counting | {result.rule.id: result for result in judged}
    return tuple(found[rule.id] for rule in rules if rule.id in found)


def _row_count(rule: Rule, rows: int) -> RuleResult:
    """A rule about the number of rows, asked of the source's."""
    least, most = (rule.kwargs.get(name, rule.kwargs.get("value")) for name in ("min_value", "max_value"))
    low = least is None or (rows > least if rule.kwargs.get("strict_min") else rows >= least)
    high = most is None or (rows < most if rule.kwargs.get("strict_max") else rows <= most)
    success = bool(low and high)
    return RuleResult(rule, success, checked=1, failed=0 if success else 1, observed=rows)


def message_of(
    name: str, results: Sequence[RuleResult], halting: Sequence[RuleResult], rows: int | None, doubt: str = ""
) -> str:
    """What became of the batch called `name`, by which rules, and what to do. `doubt` is why a rule may be wrong, and what mends it."""
    if halting:
        return (
            f"{name} is held by {len(halting)} of {len(results)} rules: {listed(halting)}. Accepted data is untouched: have the agency "
            f"correct the source, or correct the rule ({_files(halting)}), then load the dataset again{doubt and f'; {doubt}'}"
        )
    parts = [f"{name}: {len(results)} rules" + (f" on {rows} rows" if rows is not None else "")]
    for on_fail, verb in ((OnFail.QUARANTINE, "send rows to quarantine"), (OnFail.WARN, "warn")):
        if failing := [result for result in results if not result.success and result.rule.on_fail is on_fail]:
            parts.append(f"{len(failing)} {verb}: {listed(failing)}")
    silent = [result for result in results if result.note]
    if len(parts) == 1:
        parts[0] += ", all others hold" if silent else ", all hold"
    if silent:
        notes = ", ".join(sorted({result.note for result in silent if result.note}))
        parts.append(f"{len(silent)} had nothing to look things up in ({notes})")
    return "; ".join(parts)


def _doubt(contract: Contract, halting: Iterable[RuleResult]) -> str:
    """Why the rule that keys are unique may be wrong, and what mends it; '' where it holds, or nobody guessed the key."""
    return _guessed(contract) if any(_is_of_key(contract, result.rule) for result in halting) else ""


def _empty_key(contract: Contract, results: Iterable[RuleResult]) -> str | None:
    """What to say of rows that go to quarantine because the key that onboarding guessed is empty in them; None where none does."""
    empty = [
        result
        for result in results
        if result.failed and result.rule.type == _NOT_NULL and result.rule.kwargs.get("column") in contract.key
    ]
    if not empty or not (doubt := _guessed(contract)):
        return None
    return f"rows without a key go to quarantine ({listed(empty)}); {doubt}"


def _guessed(contract: Contract) -> str:
    """That a key is a guess, and how another one is named; '' where nobody guessed it."""
    if not contract.key_guessed:
        return ""
    return (
        f"its key ({', '.join(contract.key_at_source)}) was guessed at onboarding, and nobody has confirmed it: if these rows are right, "
        f"name the columns that are the key: `pdic onboard --update {contract.id} --key COLUMN,COLUMN`"
    )


def _is_of_key(contract: Contract, rule: Rule) -> bool:
    named = tuple(rule.kwargs.get("column_list") or (rule.kwargs.get("column"),))
    return rule.type in _UNIQUE and named == contract.key


def _files(results: Iterable[RuleResult]) -> str:
    return ", ".join(sorted({result.rule.stands_in for result in results})) or "expectations/"


def _schema_and_table(batch_table: str | sql.Identifier) -> tuple[str, str]:
    parts = batch_table.strings if isinstance(batch_table, sql.Identifier) else tuple(batch_table.split(".", 1))
    if len(parts) == 1:
        return BATCH_SCHEMA, parts[0]
    schema, table = parts
    return schema, table


def _identifier(batch_table: str | sql.Identifier) -> sql.Identifier:
    return sql.Identifier(*_schema_and_table(batch_table))


def _project_root() -> Path:
    from pdic import settings

    return settings.project_root()
