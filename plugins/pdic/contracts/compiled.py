"""Files that follow from contracts, as those who use them see them: read, or refused in words that lead to the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pdic.contracts.errors import ContractError, Problem

SHAPES: Final = Path("expectations", "shape")
_TODO: Final = "run `pdic contracts compile` and commit what it writes"


def read(path: Path, contract: Path) -> str:
    """The text of a file that follows from ``contract``. Raises ContractError where it is not there.

    As it was written: reading it as text would make line feeds of the carriage returns in a source's names.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise not_compiled(contract) from None


def not_compiled(contract: Path, what: str = "what follows from it was never compiled") -> ContractError:
    """The error to raise where what follows from a contract is missing or cannot be used."""
    return ContractError([Problem(contract, "file", what, _TODO)])


def contract_of_shape(path: Path) -> Path | None:
    """The contract that a file of shape rules follows from; None for a rule file that a person writes."""
    if path.parent.parent.parts[-len(SHAPES.parts) :] != SHAPES.parts:
        return None
    return Path("contracts", path.parent.name, f"{path.stem}.odcs.yaml")
