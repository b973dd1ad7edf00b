"""What a contract that cannot be accepted says about itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pdic.errors import PdicError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one contract file: where, what, and what to do about it."""

    path: Path
    field: str
    what: str
    todo: str

    def __str__(self) -> str:
        return f"{self.path}: {self.field}: {self.what}; {self.todo}"


class ContractError(PdicError):
    """One or more contracts cannot be used. ``problems`` holds every one that was found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
