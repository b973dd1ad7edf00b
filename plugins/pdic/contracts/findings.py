"""Gathering what is wrong with one contract file, and the checks of single values that every part of it shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pdic.contracts.errors import ContractError, Problem

if TYPE_CHECKING:
    from open_data_contract_standard.model import CustomProperty

SNAKE_CASE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_DURATION: Final = re.compile(r"(\d+)\s*(s|m|h|d)")
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Findings:
    """The problems of one file, gathered so that its author hears of all of them at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []

    def add(self, field: str, what: str, todo: str) -> None:
        """Note that ``field`` is wrong in the way ``what`` says; ``todo`` tells the author what to do."""
        self.problems.append(Problem(self.path, field, what, todo))

    def stop(self, field: str, what: str, todo: str) -> ContractError:
        """The error to raise where reading cannot go on: this problem and those noted before."""
        self.add(field, what, todo)
        return ContractError(self.problems)


def listed(names: Iterable[str]) -> str:
    """``names`` sorted, for a message."""
    return ", ".join(sorted(names))


def text(value: object, place: str, meaning: str, findings: Findings) -> str:
    """``value`` in one line, '' with a problem noted where it is missing.

    Texts end up in comments of generated files, so they may not break out of a line.
    """
    if not isinstance(value, str) or not value.strip():
        findings.add(place, "it is missing", f"say {meaning}")
        return ""
    return " ".join(value.split())


def custom_properties(
    entries: Sequence[CustomProperty] | None, known: frozenset[str], place: str, findings: Findings
) -> dict[str, Any]:
    """The custom properties by name; unknown, repeated and empty ones are noted."""
    values: dict[str, Any] = {}
    for entry in entries or ():
        name = entry.property or ""
        if name not in known:
            findings.add(f"{place}.{name}", "there is no such custom property", f"use one of {listed(known)}")
        elif name in values:
            findings.add(f"{place}.{name}", "it is given twice", "keep one")
        elif entry.value is None:
            findings.add(f"{place}.{name}", "it has no value", "give it one or take it out")
        else:
            values[name] = entry.value
    return values


def choice(properties: Mapping[str, Any], name: str, known: tuple[str, ...], findings: Findings) -> str:
    """The custom property ``name``, which must be one of ``known``."""
    value = properties.get(name)
    if value not in known:
        what = "it is missing" if value is None else f"{value!r} is unknown"
        findings.add(f"customProperties.{name}", what, f"say one of {', '.join(known)}")
    return str(value)


def flag(properties: Mapping[str, Any], name: str, findings: Findings) -> bool:
    """The custom property ``name``, true or false; false where it is not given."""
    value = properties.get(name, False)
    if not isinstance(value, bool):
        findings.add(f"customProperties.{name}", f"{value!r} is not true or false", "say true or false, unquoted")
        return False
    return value


def row_count(properties: Mapping[str, Any], name: str, findings: Findings) -> int | None:
    """The custom property ``name``, a number of rows; None where it is not given."""
    value = properties.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        findings.add(f"customProperties.{name}", f"{value!r} is not a number of rows", "write a whole number")
        return None
    return value


def count(properties: Mapping[str, Any], name: str, findings: Findings) -> int | None:
    """The custom property ``name``, a whole number of at least 1; None where it is not given."""
    value = properties.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    findings.add(f"customProperties.{name}", f"{value!r} is not a count", "write a whole number of at least 1")
    return None


def share(properties: Mapping[str, Any], name: str, default: float, findings: Findings) -> float:
    """The custom property ``name``, a share between 0 and 1; ``default`` where it is not given."""
    value = properties.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        findings.add(f"customProperties.{name}", f"{value!r} is not a share", "write a number from 0 to 1, like 0.05")
        return default
    return float(value)


def duration(words: str) -> timedelta | None:
    """A length of time written like 15m, 26h or 2d; None where it is not one."""
    match = _DURATION.fullmatch(words)
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]]) if match else None
