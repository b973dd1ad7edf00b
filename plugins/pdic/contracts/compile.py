"""Compile contracts into the files that follow from them, or check that the committed files still do.

The outputs depend on the contracts alone: the same contracts give the same bytes on every machine.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from pdic import settings
from pdic.contracts import kept
from pdic.contracts.catalogue import catalogue
from pdic.contracts.dbt_cleaning import cleaning_macros, dbt_cleaning
from pdic.contracts.dbt_sources import dbt_sources, source_entry
from pdic.contracts.errors import ContractError, Problem
from pdic.contracts.model import Contract, SharedContract
from pdic.contracts.output import HEADER_END, HEADER_START, Output
from pdic.contracts.raw_tables import raw_tables
from pdic.contracts.read import contents, datasets_of, shared_of
from pdic.contracts.shape_rules import dataset_rules, shared_rules
from pdic.contracts.shared_views import shared_views

OUTPUT_GLOBS: Final = {
    "plugins/pdic/generated/raw/*.sql": "raw table",
    "plugins/pdic/generated/shared_views.json": "readers' views",
    "plugins/pdic/generated/catalogue.py": "DAGs' catalogue",
    "expectations/shape/**/*.yaml": "shape rules",
    "dbt_project/models/staging/*/_*__sources.yml": "dbt sources",
    "dbt_project/macros/cleaned/*.sql": "cleaning",
}
"""Where generated files live, and what people call each. A file there that no contract asks for is stale."""

Kind = Literal["missing", "changed", "stale", "foreign"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One file that is not what the contracts say.

    ``missing`` and ``changed`` files were (or have to be) written, ``stale`` ones removed. A ``foreign`` file lies where
    only generated ones belong but has not their header: it is never touched. ``detail`` is a short unified diff, of a check.
    ``source`` is the contract or the folder of contracts that the file follows from.
    """

    path: Path
    kind: Kind
    detail: str = ""
    source: str = "contracts/"

    def __str__(self) -> str:
        """A sentence that leads to what a person may change: the contract, not the file that follows from it."""
        if self.kind == "foreign":
            return (
                f"{self.path.as_posix()} lies where only generated files belong: move it away; rules of your own belong in "
                "expectations/batch/ and expectations/release/"
            )
        found = {
            "missing": "is not there yet",
            "changed": "is not what it says: the contract was changed since, or what follows from it was edited by hand",
            "stale": "is left over, and nothing asks for it any more",
        }[self.kind]
        return f"{self.source}: what follows from it ({self._called()}) {found}"

    def _called(self) -> str:
        return next((name for pattern, name in OUTPUT_GLOBS.items() if _lies_in(self.path, pattern)), "files")


def outputs(root: Path, drafts: Mapping[Path, str] | None = None) -> list[Output]:
    """Everything that follows from the contracts under ``root``, by path; ``drafts`` stand for contracts of their paths.

    Raises ContractError.
    """
    found = contents(root, drafts)
    known = datasets_of(found)
    sectors = {sector: list(group) for sector, group in groupby(known.values(), lambda contract: contract.sector)}
    shared = shared_of(found)
    _check_owners(sectors)
    with kept.opened() as results:
        parts = {contract.path: _parts(contract, found[contract.path], results) for contract in known.values()}
        shapes = [_shared_shape(contract, found[contract.path], results) for contract in shared.values()]
    files = [*shapes, shared_views(shared.values()), catalogue(sectors, shared.values())]
    for sector, of_sector in sectors.items():
        mine = [parts[contract.path] for contract in of_sector]
        files.append(dbt_sources(sector, of_sector[0].owner_agency, [part.source for part in mine]))
        files.append(dbt_cleaning(sector, [part.cleaned for part in mine]))
        files += [output for part in mine for output in part.files]
    return sorted(files, key=lambda output: output.path)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What follows from one dataset's contract alone: its files, and its share of the files of its sector."""

    files: tuple[Output, ...]
    source: str
    cleaned: str


def _parts(contract: Contract, content: bytes, results: kept.Kept) -> _Parts:
    def work() -> list[tuple[str, str]]:
        files = (raw_tables(contract), dataset_rules(contract))
        return [("", source_entry(contract)), ("", cleaning_macros(contract)), *map(_pair, files)]

    (_, source), (_, cleaned), *files = _once("parts", contract.path, content, results, work)
    return _Parts(tuple(Output(Path(path), text) for path, text in files), source, cleaned)


def _shared_shape(contract: SharedContract, content: bytes, results: kept.Kept) -> Output:
    ((path, text),) = _once("parts", contract.path, content, results, lambda: [_pair(shared_rules(contract))])
    return Output(Path(path), text)


def _once(
    kind: str, path: Path, content: bytes, results: kept.Kept, work: Callable[[], list[tuple[str, str]]]
) -> list[tuple[str, str]]:
    """What ``work`` makes of a contract's text: worked out once."""
    digest = kept.digest(kind, path, content)
    text = results.get(digest)
    if text is None:
        text = json.dumps(work(), ensure_ascii=False)
        results.put(digest, text)
    return [(path, text) for path, text in json.loads(text)]


def _pair(output: Output) -> tuple[str, str]:
    return output.path.as_posix(), output.text


def compile_all(root: Path | None = None, check: bool = False) -> list[Difference]:
    """Bring the generated files under ``root`` (default: the project root) in line with the contracts.

    Returns what differed, by path; with ``check`` nothing is written or removed. ``foreign`` files are left to a person
    either way. Raises ContractError where a contract is invalid; then no file has been touched.
    """
    root = root or settings.project_root()
    wanted = {output.path: output.text for output in outputs(root)}
    differences = sorted(
        [*_unequal(root, wanted, check), *_surplus(root, wanted)], key=lambda difference: difference.path
    )
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


def _unequal(root: Path, wanted: dict[Path, str], show: bool) -> Iterator[Difference]:
    for path, text in wanted.items():
        target = root / path
        if not target.is_file():
            yield Difference(path, "missing", source=_source(text))
            continue
        found = target.read_bytes()
        if found != text.encode():
            detail = _first_lines_of_diff(found.decode(errors="replace"), text) if show else ""
            yield Difference(path, "changed", detail, _source(text))


def _surplus(root: Path, wanted: dict[Path, str]) -> Iterator[Difference]:
    found = {path.relative_to(root) for pattern in OUTPUT_GLOBS for path in root.glob(pattern)}
    for path in found - wanted.keys():
        first_lines = (root / path).read_text(encoding="utf-8", errors="replace")[:200]
        if HEADER_START in first_lines:
            yield Difference(path, "stale", source=_source(first_lines))
        else:
            yield Difference(path, "foreign")


def _source(text: str) -> str:
    """What a generated file says it follows from, in its header."""
    return text.partition(HEADER_START)[2].partition(HEADER_END)[0]


def _lies_in(path: Path, pattern: str) -> bool:
    """Whether a pattern of OUTPUT_GLOBS names a path (``**`` stands for one folder here, as it does in the project)."""
    return path.match(pattern.replace("**", "*"))


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
