"""Contracts that cannot be used now, beside the tables that somebody takes on or shares: a warning each, and no reason to stop.

What was compiled of such a contract before stays as it is (`contracts.compile.compiled`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import yaml

from pdic.contracts import Problem, yaml_text
from pdic.contracts.model import table_parts
from pdic.errors import OnboardError

_TABLE: Final = re.compile(r"^\s*(?:-\s*)?physicalName:(.*)$", re.MULTILINE)
"""A line that names a table or a column at the source, in whatever shape the rest of the file is."""


def warnings(problems: Iterable[Problem]) -> list[str]:
    """A sentence a file: what is wrong with it, and that it stays as it was compiled before."""
    return [
        f"{_first(list(group))}. What was compiled of it before stays as it is; nothing else is held up"
        for _, group in groupby(sorted(problems, key=lambda problem: problem.path), key=lambda problem: problem.path)
    ]


def tables_named(root: Path, problems: Iterable[Problem]) -> dict[tuple[str, str], Path]:
    """The source's tables (schema, name) that contracts name which cannot be used, and the contract of each.

    Raises `OnboardError` for a contract that does not let its table be known: taken on once more, that table would stand twice.
    """
    found: dict[tuple[str, str], Path] = {}
    for path, group in groupby(sorted(problems, key=lambda problem: problem.path), key=lambda problem: problem.path):
        tables = _named(root / path)
        if not tables:
            raise OnboardError(
                f"{_first(list(group))}. Nobody can tell which table it is of, and that one would be taken on a second time: "
                "correct it, or move it out of contracts/, then run the command again"
            )
        found |= dict.fromkeys(tables, path)
    return found


def _first(problems: Sequence[Problem]) -> str:
    more = f" (and {len(problems) - 1} more; `pdic contracts compile` lists them)" if len(problems) > 1 else ""
    return " ".join(f"{problems[0]}{more}".split())


def _named(path: Path) -> set[tuple[str, str]]:
    """What a file says after `physicalName`, where that is a table with its schema. A column is called by one word."""
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return set()
    tables = set()
    for written in _TABLE.findall(text):
        try:
            tables.add(table_parts(str(yaml_text.load(written))))
        except (yaml.YAMLError, ValueError):
            continue
    return tables
