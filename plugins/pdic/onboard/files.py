"""Drafted files on their way into the project: tried out beside it first, then written so that a second run mends a first."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from pdic.contracts import Contract, compile_all
from pdic.contracts.compile import compiled
from pdic.contracts.read import SHARED, read_contract
from pdic.contracts.shape_rules import shape_path
from pdic.onboard.beside import warnings
from pdic.quality import rules_for_batch


def try_out(root: Path, texts: Mapping[Path, str]) -> tuple[list[Contract], list[str]]:
    """Compile the project's contracts together with the drafted ones, and read the rules that follow, in a folder aside.

    Returns the drafted datasets' contracts, and a warning for each other contract that cannot be used. Raises ContractError or
    RuleError as the compiler and the gate would for the drafted ones; nothing of the project has been touched then.
    """
    found = compiled(root, texts, of=texts.keys())
    made = {output.path: output.text for output in found.outputs}
    with tempfile.TemporaryDirectory(prefix="pdic-onboard-") as folder:
        aside = Path(folder)
        drafted = []
        for path, text in texts.items():
            if path.parent.name == SHARED:
                continue
            _write(aside, path, text)
            contract = read_contract(aside, path)
            rules = Path(contract.sector, f"{contract.dataset}.yaml")
            shape, written = shape_path(contract.sector, contract.dataset), Path("expectations", "batch") / rules
            _write(aside, shape, made[shape])
            if (root / written).is_file():
                _write(aside, written, (root / written).read_text(encoding="utf-8"))
            rules_for_batch(aside, contract.sector, contract.dataset)
            drafted.append(contract)
        return drafted, warnings(found.problems)


def write_all(root: Path, files: Mapping[Path, str]) -> list[Path]:
    """Write ``files`` and what follows from the contracts among them, all or none. Returns every path that changed, sorted.

    ``files`` were tried out: of other contracts that cannot be used, what was compiled before stays.
    """
    changed = [path for path, text in files.items() if not _holds(root / path, text)]
    made = [
        difference.path
        for difference in compile_all(root, of=files.keys(), files=files)
        if difference.kind != "foreign"
    ]
    return sorted({*changed, *made})


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _write(root: Path, path: Path, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
