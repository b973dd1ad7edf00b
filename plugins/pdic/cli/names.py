"""What people may write for SECTOR and SECTOR.DATASET, offered by the shell where completion is installed."""

from __future__ import annotations

from typing import Annotated

import typer

from pdic.errors import PdicError, instead_of


def complete_sector(incomplete: str) -> list[str]:
    """Sectors: reads the DAGs' catalogue, no contract and no database."""
    from pdic.generated.catalogue import SECTORS

    return [sector for sector in sorted(SECTORS) if sector.startswith(incomplete)]


def complete_targets(incomplete: str) -> list[str]:
    """Sectors, and datasets once a sector is written."""
    return complete_dataset(incomplete) if "." in incomplete else complete_sector(incomplete)


def complete_dataset(incomplete: str) -> list[str]:
    """Datasets by their sector."""
    from pdic.generated.catalogue import SECTORS

    datasets = [f"{sector}.{dataset}" for sector, about in SECTORS.items() for dataset in about["datasets"]]
    return [name for name in datasets if name.startswith(incomplete)]


def require_sector(sector: str | None) -> None:
    """Refuse a sector that no contract has (PdicError, with those that there are); None is every sector."""
    from pdic import contracts

    if sector is not None and sector not in (known := {of for of, _ in contracts.names()}):
        raise PdicError(f"no sector is called {sector} ({instead_of(sector, known)}): say one that there is")


def split(words: str) -> tuple[str, str]:
    """Sector and dataset of SECTOR.DATASET. Raises PdicError for anything else."""
    sector, _, dataset = words.partition(".")
    if not sector or not dataset:
        raise PdicError(f"{words!r} is not SECTOR.DATASET: write it like education.lop")
    return sector, dataset


Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SECTOR[.DATASET]", help="Sectors and datasets; nothing means all.", autocompletion=complete_targets
    ),
]
Dataset = Annotated[str, typer.Argument(metavar="SECTOR.DATASET", autocompletion=complete_dataset, help="The dataset.")]
Sector = Annotated[str | None, typer.Option("--sector", help="Only this sector.", autocompletion=complete_sector)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
