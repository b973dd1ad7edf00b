"""Compile contracts into the files that follow from them, or check that the committed files still do.

The outputs depend on the contracts alone: the same contracts give the same bytes on every machine.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from pdic import settings, whole_files
from pdic.contracts import kept, standing
from pdic.contracts.catalogue import Sector, catalogue, schedule
from pdic.contracts.dbt_cleaning import cleaning_macros, cleaning_path, dbt_cleaning
from pdic.contracts.dbt_sources import dbt_sources, source_entry, sources_path
from pdic.contracts.errors import ContractError, Problem
from pdic.contracts.model import Contract, SharedContract
from pdic.contracts.output import HEADER_END, HEADER_START, Output
from pdic.contracts.raw_tables import raw_tables, script_path
from pdic.contracts.read import SHARED, dataset_of, find, is_place
from pdic.contracts.shape_rules import dataset_rules, shape_path, shared_rules
from pdic.contracts.shared_views import shared_views, view

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


@dataclass(frozen=True, slots=True)
class Compiled:
    """What follows from the contracts that can be used, by path, and what is wrong with the others.

    ``standing``: files that follow from others only. What was compiled of those before stays.
    """

    outputs: tuple[Output, ...]
    problems: tuple[Problem, ...] = ()
    standing: frozenset[Path] = frozenset()


def outputs(root: Path, drafts: Mapping[Path, str] | None = None) -> list[Output]:
    """Everything that follows from the contracts under ``root``, by path; ``drafts`` stand for contracts of their paths.

    Raises ContractError where any contract is invalid.
    """
    return list(compiled(root, drafts).outputs)


def compiled(root: Path, drafts: Mapping[Path, str] | None = None, of: Collection[Path] | None = None) -> Compiled:
    """Everything that follows from the contracts under ``root``; ``drafts`` stand for contracts of their paths.

    Raises ContractError where any contract is invalid, or, with ``of``, where one of these is. What was compiled before of an
    invalid one stays then, also in the files that several contracts make together.
    """
    found = find(root, drafts)
    former = {} if of is None else standing.sectors(root)
    problems = (*found.problems, *_strangers(found.datasets.values(), former))
    if wrong := [problem for problem in problems if of is None or problem.path in of]:
        raise ContractError(wrong)
    unused = {problem.path for problem in problems if is_place(problem.path)}
    known = [contract for contract in found.datasets.values() if contract.path not in unused]
    sectors = {sector: list(group) for sector, group in groupby(known, lambda contract: contract.sector)}
    with kept.opened() as results:
        parts = {contract.path: _parts(contract, found.files[contract.path], results) for contract in known}
        files = [_shared_shape(contract, found.files[contract.path], results) for contract in found.shared.values()]
    facts = {sector: of_it for sector, of_it in former.items() if sector in _sectors(unused)}
    for sector, contracts in sectors.items():
        of_sector = parts | _standing_parts(root, sector, unused)
        facts[sector] = _facts(contracts, of_sector, former.get(sector))
        files += _together(sector, facts[sector].owner_agency, of_sector)
    files += [output for part in parts.values() for output in part.files]
    views = {contract.table: view(contract) for contract in found.shared.values()} | standing.views(root, unused)
    files.append(shared_views(views[table] for table in sorted(views)))
    files.append(catalogue({sector: facts[sector] for sector in sorted(facts)}, sorted(views)))
    return Compiled(
        tuple(sorted(files, key=lambda output: output.path)), problems, frozenset(_own_files(unused, sectors))
    )


def _facts(contracts: Sequence[Contract], parts: Mapping[Path, _Parts], former: Sector | None) -> Sector:
    """What DAGs need to know of a sector. It is loaded as often as the most frequent of its datasets asks for."""
    sector = contracts[0].sector
    datasets = tuple(sorted(dataset_of(path) for path in parts if path.parent.name == sector))
    cadences = [contract.cadence for contract in contracts]
    if former is not None and len(datasets) > len(
        contracts
    ):  # one of those that cannot be read may be the most frequent
        cadences.append(former.schedule)
    return Sector(schedule(cadences), contracts[0].owner_agency, datasets)


def _together(sector: str, owner: str, parts: Mapping[Path, _Parts]) -> Iterator[Output]:
    """The files that the datasets of a sector make together."""
    mine = [parts[path] for path in sorted(parts) if path.parent.name == sector]
    yield dbt_sources(sector, owner, [part.source for part in mine])
    yield dbt_cleaning(sector, [part.cleaned for part in mine])


def _standing_parts(root: Path, sector: str, unused: Collection[Path]) -> dict[Path, _Parts]:
    """What was compiled before of a sector's contracts that cannot be used now, of those that were."""
    tables = {f"{sector}__{dataset_of(path)}": path for path in unused if path.parent.name == sector}
    if not tables:
        return {}
    entries = standing.source_entries(root, sector, tables)
    macros = standing.cleaning_macros(root, sector, tables)
    return {tables[name]: _Parts((), entries[name], macros[name]) for name in entries.keys() & macros.keys()}


def _own_files(unused: Collection[Path], used: Collection[str]) -> Iterator[Path]:
    """The files that follow from contracts that cannot be used, and from no other; ``used`` are the sectors that have others."""
    for path in unused:
        sector, name = path.parent.name, dataset_of(path)
        yield shape_path(sector, name)
        if sector != SHARED:
            yield script_path(f"{sector}__{name}")
    for sector in _sectors(unused) - set(used):
        yield sources_path(sector)
        yield cleaning_path(sector)


def _sectors(paths: Iterable[Path]) -> set[str]:
    return {path.parent.name for path in paths} - {SHARED}


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


def compile_all(
    root: Path | None = None,
    check: bool = False,
    of: Collection[Path] | None = None,
    files: Mapping[Path, str] | None = None,
) -> list[Difference]:
    """Bring the generated files under ``root`` (default: the project root) in line with the contracts.

    ``files``, contracts among them, are written with what follows from them, all in one step: a kill leaves all or none.

    Returns what differed, by path; with ``check`` nothing is written or removed. ``foreign`` files are left to a person
    either way. Raises ContractError where a contract is invalid (with ``of``: one of these); then no file has been touched.
    """
    root = root or settings.project_root()
    if not check:
        whole_files.finish(root)
    files = files or {}
    found = compiled(root, {path: text for path, text in files.items() if is_place(path)}, of)
    wanted = {output.path: output.text for output in found.outputs}
    differences = sorted(
        [*_unequal(root, wanted, check), *_surplus(root, wanted.keys() | found.standing)],
        key=lambda difference: difference.path,
    )
    if not check:
        made = {each.path: wanted[each.path] for each in differences if each.kind in ("missing", "changed")}
        whole_files.write_together(root, {**files, **made})
        for difference in differences:
            if difference.kind == "stale":
                _remove(root / difference.path)
    return differences


def _strangers(contracts: Iterable[Contract], former: Mapping[str, Sector]) -> Iterator[Problem]:
    """A sector is the field of one agency: contracts that name another than the catalogue does, or else than the first one."""
    for sector, group in groupby(contracts, lambda contract: contract.sector):
        of_sector = list(group)
        named = [contract.owner_agency for contract in of_sector]
        owner = former[sector].owner_agency if sector in former and former[sector].owner_agency in named else named[0]
        for contract in of_sector:
            if contract.owner_agency != owner:
                yield Problem(
                    contract.path,
                    "team.name",
                    f"{contract.owner_agency} is not {owner}, which owns the rest of the sector",
                    "name the same agency, or make the dataset's sector its own",
                )


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


def _surplus(root: Path, wanted: Collection[Path]) -> Iterator[Difference]:
    found = {path.relative_to(root) for pattern in OUTPUT_GLOBS for path in root.glob(pattern)}
    for path in found.difference(wanted):
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


def _remove(target: Path) -> None:
    target.unlink(missing_ok=True)
    if not any(target.parent.iterdir()):
        target.parent.rmdir()


def _first_lines_of_diff(found: str, expected: str, limit: int = 12) -> str:
    diff = difflib.unified_diff(found.splitlines(), expected.splitlines(), "committed", "compiled", n=0, lineterm="")
    lines = list(diff)
    return "\n".join(lines[:limit] + ([f"… {len(lines) - limit} more lines"] if len(lines) > limit else []))
