"""Rules as the files in `expectations/` give them: read, validated, immutable.

    rules:
      - id: hocsinh.sodinhdanh.format               # unique in its dataset, stable: results are compared over time by it
        type: expect_column_values_to_match_regex   # see rule_types
        kwargs: {column: sodinhdanh, regex: '^[0-9]{12}$'}
        severity: critical
        dimension: accuracy
        on_fail: quarantine
        reason: {vi: "Số định danh phải có 12 chữ số", en: "The identity number must have 12 digits"}
        origin: text
        source: "NĐ 137/2015 Điều 13"                 # the passage, in one line; "assumption: …" where there is none
        active: false                               # a draft: written, not switched on (true where it is left out)

This module reads files and nothing else; it imports neither Great Expectations nor a database driver.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from pdic.contracts import yaml_text
from pdic.contracts.compiled import contract_of_shape
from pdic.errors import PdicError
from pdic.quality.rule_types import HISTORY_TYPES, RULE_TYPES, RuleType


class RuleError(PdicError):
    """A rule file is wrong. The message names the file, the rule and what to do."""


class Severity(StrEnum):
    """How bad a failure is (Great Expectations' own scale)."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Dimension(StrEnum):
    """Which side of quality a rule measures: đúng, đủ, sạch, sống, thống nhất."""

    ACCURACY = "accuracy"
    COMPLETENESS = "completeness"
    CLEANLINESS = "cleanliness"
    FRESHNESS = "freshness"
    CONSISTENCY = "consistency"


class OnFail(StrEnum):
    """What a failure leads to."""

    QUARANTINE = "quarantine"  # the failing rows leave the batch
    HALT = "halt"  # the whole batch or release is held
    WARN = "warn"  # it is recorded


class Origin(StrEnum):
    """Where a rule comes from: compiled from a contract's fields, or written from a text (law, circular, agreement)."""

    CONTRACT = "contract"
    TEXT = "text"


class Stage(StrEnum):
    """What rules are run on."""

    BATCH = "batch"
    RELEASE = "release"


@dataclass(frozen=True)
class Reason:
    """Why a row was refused, for the people who correct it."""

    vi: str
    en: str


@dataclass(frozen=True)
class Rule:
    """One rule. `kwargs` holds only None, bool, int, float, str, and lists of them (dates are ISO text)."""

    id: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    dimension: Dimension
    on_fail: OnFail
    reason: Reason
    origin: Origin
    source: str
    """Where the rule stands, in one line: a passage of law, a contract and its column, or "assumption: …"."""
    active: bool = True
    """False for a draft: written, but not switched on."""
    path: Path | None = None
    """The file the rule was read from."""

    @property
    def stands_in(self) -> str:
        """What a person changes to change the rule: a contract and its column, or a rule file. Never a file that follows from one."""
        if self.path is None or contract_of_shape(self.path) is not None:
            return self.source
        parts = self.path.parts
        return "/".join(parts[parts.index("expectations") :]) if "expectations" in parts else str(self.path)

    @property
    def rule_type(self) -> RuleType:
        """The kind of rule this is."""
        return RULE_TYPES.get(self.type) or HISTORY_TYPES[self.type]

    @property
    def is_row_rule(self) -> bool:
        """Whether the rule judges a row by that row alone."""
        return self.rule_type.is_row_rule

    @property
    def judges_rows(self) -> bool:
        """Whether the rule names the rows that fail."""
        return self.rule_type.judges_rows

    @property
    def needed_columns(self) -> tuple[str, ...]:
        """The columns without which the rule cannot be evaluated."""
        names: list[str] = []
        for kwarg in self.rule_type.column_kwargs:
            value = self.kwargs.get(kwarg, [])
            names += [value] if isinstance(value, str) else value
        return tuple(names)

    @property
    def column_name(self) -> str | None:
        """The columns the rule is about, as one text; None where it is about the table."""
        named = self.needed_columns or ((self.kwargs["column"],) if "column" in self.kwargs else ())
        return ", ".join(named) or None


_Choice = TypeVar("_Choice", bound=StrEnum)

_REQUIRED = frozenset({"id", "type", "kwargs", "severity", "dimension", "on_fail", "reason", "origin", "source"})
_FIELDS = _REQUIRED | {"active"}
_ID = re.compile(r"[^\s,{}]+")
_COLUMNS = frozenset({"column", "column_A", "column_B"})
"""Names of columns, which may be of blanks alone."""
_TEXTS = frozenset({"regex", "condition", "query", "dataset", "sum", "by", "once_per"})
_LISTS = frozenset({"columns", "column_list", "column_set", "value_set", "references"})
_FLAGS = frozenset({"strict_min", "strict_max", "or_equal", "exact_match"})
_BOUNDED_BY_COLUMN_TYPE = frozenset(
    {"expect_column_values_to_be_between", "expect_column_max_to_be_between", "expect_column_min_to_be_between"}
)
_IGNORE_ROW_IF = ("all_values_are_missing", "any_value_is_missing", "never")


def load_rules(paths: Iterable[Path], stage: Stage = Stage.BATCH, *, drafts: bool = False) -> tuple[Rule, ...]:
    """Reads rule files, in the order given; ids must be unique over all of them. Drafts are left out unless asked for.

    Raises RuleError, naming file and rule, for a file that is missing or not YAML, an unknown or missing field, type,
    keyword argument, severity, dimension or on_fail, and for `quarantine` where no row can be moved; of a draft, too.
    """
    rules: dict[str, Rule] = {}
    for path in paths:
        for rule in _rules_of(path, stage):
            if rule.id in rules:
                raise RuleError(
                    f"{path}: the rule id {rule.id} is used twice (also in {rules[rule.id].stands_in}): give this one another id"
                )
            rules[rule.id] = rule
    return tuple(rule for rule in rules.values() if drafts or rule.active)


def rules_for_batch(root: Path, sector: str, dataset: str, *, drafts: bool = False) -> tuple[Rule, ...]:
    """The rules a batch of `sector`/`dataset` must pass (and its drafts, if asked for); `root` is the project root.

    The shape compiled from the contract must be there; `expectations/batch/` adds what a contract cannot say.
    """
    shape = root / "expectations" / "shape" / sector / f"{dataset}.yaml"
    if not shape.is_file():
        contract = contract_of_shape(shape)
        raise RuleError(
            f"{contract}: its rules were never compiled, so no batch can be checked: run `pdic contracts compile`"
        )
    text = root / "expectations" / "batch" / sector / f"{dataset}.yaml"
    return load_rules([shape, text] if text.is_file() else [shape], Stage.BATCH, drafts=drafts)


def rules_for_release(root: Path, table: str, *, drafts: bool = False) -> tuple[Rule, ...]:
    """The rules a shared table must pass before a release is published (and its drafts, if asked for); `root` is the project root."""
    shape = root / "expectations" / "shape" / "shared" / f"{table}.yaml"
    text = root / "expectations" / "release" / f"{table}.yaml"
    found = [path for path in (shape, text) if path.is_file()]
    if not found:
        raise RuleError(
            f"no rules for the shared table {table}: write contracts/shared/{table}.odcs.yaml and run `pdic contracts compile`, or write "
            f"rules into expectations/release/{table}.yaml"
        )
    return load_rules(found, Stage.RELEASE, drafts=drafts)


def _rules_of(path: Path, stage: Stage) -> list[Rule]:
    """The rules of one file. What is wrong with a file that follows from a contract is mended by compiling, not by hand."""
    try:
        return [_rule(path, position, entry, stage) for position, entry in enumerate(_entries(path), start=1)]
    except RuleError:
        contract = contract_of_shape(path)
        if contract is None:
            raise
        raise RuleError(
            f"{contract}: the rules that were compiled from it cannot be used (edited by hand, or compiled by another version): run "
            "`pdic contracts compile`"
        ) from None


def _entries(path: Path) -> list[Any]:
    try:
        content = yaml_text.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RuleError(f"{path} is missing: create it, or leave it out of the list of rule files") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RuleError(f"{path} is not valid YAML in UTF-8: {error}") from error
    if not isinstance(content, dict) or set(content) != {"rules"} or not isinstance(content["rules"], list):
        raise RuleError(
            f"{path}: a rule file is one mapping with the single key `rules`, a list (it may be empty: `rules: []`)"
        )
    return content["rules"]


def _rule(path: Path, position: int, entry: Any, stage: Stage) -> Rule:
    where = f"{path}: rule {position}"
    if not isinstance(entry, dict):
        raise RuleError(f"{where} is not a mapping: write `- id: …` with the fields {_listed(_FIELDS)}")
    rule_id = entry.get("id")
    if not isinstance(rule_id, str) or not _ID.fullmatch(rule_id):
        raise RuleError(
            f"{where} needs an `id`: text without spaces, commas or braces, such as hocsinh.sodinhdanh.format"
        )
    where = f"{path}: rule {rule_id}"
    if unknown := set(entry) - _FIELDS:
        raise RuleError(f"{where} has the unknown field {_listed(unknown)}: known are {_listed(_FIELDS)}")
    if missing := _REQUIRED - set(entry):
        raise RuleError(f"{where} lacks {_listed(missing)}: add it")
    rule_type = _rule_type(where, entry["type"])
    on_fail = _choice(where, "on_fail", entry["on_fail"], OnFail)
    kwargs = _kwargs(where, rule_type, entry["kwargs"])
    if on_fail is OnFail.QUARANTINE and stage is Stage.RELEASE:
        raise RuleError(f"{where} says on_fail: quarantine, but a release has no quarantine: say halt or warn")
    if on_fail is OnFail.QUARANTINE and not rule_type.judges_rows:
        raise RuleError(
            f"{where} says on_fail: quarantine, but {rule_type.name} does not judge single rows: say halt or warn"
        )
    if on_fail is OnFail.QUARANTINE and "mostly" in kwargs:
        raise RuleError(
            f"{where} says on_fail: quarantine and `mostly`: every failing row is moved, so drop `mostly` or say halt or warn"
        )
    return Rule(
        id=rule_id,
        type=rule_type.name,
        kwargs=kwargs,
        severity=_choice(where, "severity", entry["severity"], Severity),
        dimension=_choice(where, "dimension", entry["dimension"], Dimension),
        on_fail=on_fail,
        reason=_reason(where, entry["reason"]),
        origin=_choice(where, "origin", entry["origin"], Origin),
        source=_source(where, entry["source"]),
        active=_active(where, entry.get("active", True)),
        path=path,
    )


def _rule_type(where: str, name: Any) -> RuleType:
    if isinstance(name, str) and name in RULE_TYPES:
        return RULE_TYPES[name]
    near = difflib.get_close_matches(str(name), RULE_TYPES, n=1)
    hint = f"did you mean {near[0]}?" if near else "docs/quality.md lists the known types"
    raise RuleError(f"{where} has the unknown type {name}: {hint}")


def _choice(where: str, name: str, value: Any, choices: type[_Choice]) -> _Choice:
    try:
        return choices(value)
    except ValueError:
        raise RuleError(f"{where} has {name}: {value}; it must be one of {', '.join(choices)}") from None


def _reason(where: str, value: Any) -> Reason:
    if (
        not isinstance(value, dict)
        or set(value) != {"vi", "en"}
        or not all(isinstance(text, str) and text.strip() for text in value.values())
    ):
        raise RuleError(f'{where} needs a reason in both languages: reason: {{vi: "…", en: "…"}}')
    return Reason(vi=value["vi"].strip(), en=value["en"].strip())


def _source(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or "\n" in value.strip():
        raise RuleError(
            f"{where} needs a source in one line: the passage it follows from, such as NĐ 137/2015 Điều 13, a contract, or assumption: …"
        )
    return value.strip()


def _active(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise RuleError(f"{where}: active must be true or false (false: a draft that no check runs)")
    return value


def _kwargs(where: str, rule_type: RuleType, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RuleError(f"{where}: kwargs must be a mapping")
    known = rule_type.required | rule_type.optional
    if unknown := set(map(str, value)) - known:
        raise RuleError(f"{where}: {rule_type.name} does not take {_listed(unknown)}: it takes {_listed(known)}")
    if missing := rule_type.required - set(value):
        raise RuleError(f"{where}: {rule_type.name} needs {_listed(missing)} in its kwargs")
    kwargs = {name: _plain(where, name, each) for name, each in value.items()}
    if rule_type.any_of and all(kwargs.get(name) is None for name in rule_type.any_of):
        raise RuleError(f"{where}: {rule_type.name} needs at least one of {_listed(rule_type.any_of)}")
    for name, each in kwargs.items():
        _check_kwarg(where, rule_type, name, each)
    return MappingProxyType(kwargs)


def _check_kwarg(where: str, rule_type: RuleType, name: str, value: Any) -> None:
    if name in _COLUMNS:
        problem = None if isinstance(value, str) and value else "must be a column's name"
    elif name in _TEXTS:
        problem = None if isinstance(value, str) and value.strip() else "must be text"
    elif name in _LISTS:
        problem = _list_problem(name, value)
    elif name in _FLAGS:
        problem = None if isinstance(value, bool) else "must be true or false"
    elif name == "mostly":
        problem = None if _is_number(value) and 0 < value <= 1 else "must be a share over 0 and up to 1"
    elif name == "ignore_row_if":
        problem = None if value in _IGNORE_ROW_IF else f"must be one of {', '.join(_IGNORE_ROW_IF)}"
    elif name in ("min_value", "max_value") and rule_type.name in _BOUNDED_BY_COLUMN_TYPE:
        problem = (
            None if value is None or _is_number(value) or isinstance(value, str) else "must be a number, a date or text"
        )
    else:  # bounds of counts, lengths and shares; value; column_index; tolerance
        problem = None if value is None or _is_number(value) else "must be a number"
    if problem:
        raise RuleError(f"{where}: {name} {problem}")


def _list_problem(name: str, value: Any) -> str | None:
    if not isinstance(value, list) or not value or any(each is None for each in value):
        return "must be a list with at least one item and no null"
    if name != "value_set" and not all(isinstance(each, str) for each in value):
        return "must be a list of column names"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(where: str, name: str, value: Any) -> Any:
    """YAML's values as JSON's: dates become ISO text, which PostgreSQL reads back as the column's type."""
    if isinstance(value, list):
        return [_plain(where, name, each) for each in value]
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RuleError(f"{where}: {name} must be text, a number, a date, true/false, or a list of them")


def _listed(names: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, names)))
