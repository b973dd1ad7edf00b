"""Compile contracts into the files that follow from them, or check that the committed files still do.

The outputs depend on the contracts alone: the same contracts give the same bytes on every machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from pdic import settings
from pdic.contracts.catalogue import catalogue
from pdic.contracts.dbt_cleaning import dbt_cleaning
from pdic.contracts.dbt_sources import dbt_sources
from pdic.contracts.errors import ContractError, Problem
from pdic.contracts.model import Contract
from pdic.contracts.output import HEADER_START, Output
from pdic.contracts.raw_tables import raw_tables
from pdic.contracts.read import load_all, load_shared
from pdic.contracts.shape_rules import dataset_rules, shared_rules
from pdic.contracts.shared_views import shared_views

OUTPUT_GLOBS: Final = (
    "plugins/pdic/generated/raw/*.sql",
    "plugins/pdic/generated/shared_views.json",
    "plugins/pdic/generated/catalogue.py",
    "expectations/shape/**/*.yaml",
    "dbt_project/models/staging/*/_*__sources.yml",
    "dbt_project/macros/cleaned/*.sql",
)
"""Where generated files live. A file there that no contract asks for is stale."""

Kind = Literal["missing", "changed", "stale", "foreign"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One file that is not what the contracts say.

    ``missing`` and ``changed`` files were (or have to be) written, ``stale`` ones removed. A ``foreign`` file lies where
    only generated ones belong but has not their header: it is never touched. ``detail`` is a short unified diff.
    """

    path: Path
    kind: Kind
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.path.as_posix()}" + (f"\n{self.detail}" if self.detail else "")


def outputs(root: Path) -> list[Output]:
    """Everything that follows from the contracts under ``root``, by path. Raises ContractError."""
    sectors = {
        sector: list(group) for sector, group in groupby(load_all(root).values(), lambda contract: contract.sector)
    }
    shared = load_shared(root)
    _check_owners(sectors)
    files = [
        *(dbt_sources(sector, contracts) for sector, contracts in sectors.items()),
        *(dbt_cleaning(sector, contracts) for sector, contracts in sectors.items()),
        *(raw_tables(contract) for contracts in sectors.values() for contract in contracts),
        *(dataset_rules(contract) for contracts in sectors.values() for contract in contracts),
        *(shared_rules(contract) for contract in shared.values()),
        shared_views(shared.values()),
        catalogue(sectors, shared.values()),
    ]
    return sorted(files, key=lambda output: output.path)


def compile_all(root: Path | None = None, check: bool = False) -> list[Difference]:
    """Bring the generated files under ``root`` (default: the project root) in line with the contracts.

    Returns what differed, by path; with ``check`` nothing is written or removed. ``foreign`` files are left to a person
    either way. Raises ContractError where a contract is invalid; then no file has been touched.
    """
    root = root or settings.project_root()
    wanted = {output.path: output.text for output in outputs(root)}
    differences = sorted([*_unequal(root, wanted), *_surplus(root, wanted)], key=lambda difference: difference.path)
    if not check:
        for difference in differences:
            _heal(root, difference, wanted)
    return differences


def _check_owners(sectors: dict[str, list[Contract]]) -> None:
    """A sector is the field of one agency. Raises ContractError for contracts that name another than the first does."""
    problems = [
        Problem(
            contract.path,
            "team.name",
            f"{contract.owner_agency} is not {contracts[0].owner_agency}, which owns the rest of the sector",
            "name the same agency, or make the dataset's sector its own",
        )
        for contracts in sectors.values()
        for contract in contracts
        if contract.owner_agency != contracts[0].owner_agency
    ]
    if problems:
        raise ContractError(problems)


def _unequal(root: Path, wanted: dict[Path, str]) -> Iterator[Difference]:
    for path, text in wanted.items():
        target = root / path
        if not target.is_file():
            yield Difference(path, "missing")
            continue
        found = target.read_bytes()
        if found != text.encode():
            yield Difference(path, "changed", _first_lines_of_diff(found.decode(errors="replace"), text))


def _surplus(root: Path, wanted: dict[Path, str]) -> Iterator[Difference]:
    found = {path.relative_to(root) for pattern in OUTPUT_GLOBS for path in root.glob(pattern)}
    for path in found - wanted.keys():
        first_lines = (root / path).read_text(encoding="utf-8", errors="replace")[:200]
        yield Difference(path, "stale" if HEADER_START in first_lines else "foreign")


def _heal(root: Path, difference: Difference, wanted: dict[Path, str]) -> None:
    target = root / difference.path
    if difference.kind in ("missing", "changed"):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(wanted[difference.path].encode())
    elif difference.kind == "stale":
        target.unlink()
        if not any(target.parent.iterdir()):
            target.parent.rmdir()


def _first_lines_of_diff(found: str, expected: str, limit: int = 12) -> str:
    diff = difflib.unified_diff(found.splitlines(), expected.splitlines(), "committed", "compiled", n=0, lineterm="")
    lines = list(diff)
    return "\n".join(lines[:limit] + ([f"… {len(lines) - limit} more lines"] if len(lines) > limit else []))
