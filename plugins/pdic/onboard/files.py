"""Drafted files on their way into the project: tried out beside it first, then written so that a second run mends a first."""

from __future__ import annotations

import os
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
            write(aside, path, text)
            contract = read_contract(aside, path)
            rules = Path(contract.sector, f"{contract.dataset}.yaml")
            shape, written = shape_path(contract.sector, contract.dataset), Path("expectations", "batch") / rules
            write(aside, shape, made[shape])
            if (root / written).is_file():
                write(aside, written, (root / written).read_text(encoding="utf-8"))
            rules_for_batch(aside, contract.sector, contract.dataset)
            drafted.append(contract)
        return drafted, warnings(found.problems)


def write_all(root: Path, files: Mapping[Path, str]) -> list[Path]:
    """Write ``files`` in their order, each in one step, then compile. Returns every path that changed, sorted.

    ``files`` were tried out: of other contracts that cannot be used, what was compiled before stays.
    Contracts come first: a run that was cut off leaves contracts whose models are missing, and the next one makes them.
    """
    changed = [path for path, text in files.items() if write(root, path, text)]
    made = [difference.path for difference in compile_all(root, of=files.keys()) if difference.kind != "foreign"]
    return sorted({*changed, *made})


def write(root: Path, path: Path, text: str) -> bool:
    """Make the file ``path`` under ``root`` hold ``text``, in one step. Returns whether it did not before."""
    target = root / path
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".pdic-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True
