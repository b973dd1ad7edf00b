"""Contracts → constants for DAG files (``plugins/pdic/generated/catalogue.py``): importing them reads nothing else."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from pdic.contracts import cron
from pdic.contracts.model import Contract, SharedContract
from pdic.contracts.output import GENERATED, Output, header

_TEMPLATE = '''# {header}
"""The datasets of each sector and when they are loaded, and the shared tables."""

from __future__ import annotations

from typing import Final, TypedDict


class Sector(TypedDict):
    """What a DAG file needs to know of a sector. ``schedule`` is a cron line in the province's time zone."""

    schedule: str
    tags: tuple[str, ...]
    owner_agency: str
    datasets: tuple[str, ...]


SECTORS: Final[dict[str, Sector]] = {{
{sectors}}}

SHARED_TABLES: Final[tuple[str, ...]] = {shared_tables}
'''


def catalogue(sectors: Mapping[str, Sequence[Contract]], shared: Iterable[SharedContract]) -> Output:
    """The constants of all sectors. A sector is loaded as often as the most frequent of its datasets asks for."""
    text = _TEMPLATE.format(
        header=header("contracts/"),
        sectors="".join(_sector(sector, contracts) for sector, contracts in sectors.items()),
        shared_tables=_names((contract.table for contract in shared), indent=0),
    )
    return Output(GENERATED / "catalogue.py", text)


def schedule(contracts: Iterable[Contract]) -> str:
    """The cron line that fires most often; of several that do, the first in the order of the alphabet."""
    lines = sorted({contract.cadence for contract in contracts})
    return max(lines, key=cron.firings_per_month)


def _sector(sector: str, contracts: Sequence[Contract]) -> str:
    return (
        f"    {_text(sector)}: {{\n"
        f'        "schedule": {_text(schedule(contracts))},\n'
        f'        "tags": ("load", {_text(sector)}),\n'
        f'        "owner_agency": {_text(contracts[0].owner_agency)},\n'
        f'        "datasets": {_names((contract.dataset for contract in contracts), indent=8)},\n'
        "    },\n"
    )


def _names(names: Iterable[str], indent: int) -> str:
    margin = " " * indent
    items = "".join(f"{margin}    {_text(name)},\n" for name in names)
    return f"(\n{items}{margin})" if items else "()"


def _text(value: str) -> str:
    """``value`` as a Python constant in double quotes."""
    return "".join(
        f"\\u{ord(letter):04x}" if unicodedata.category(letter) == "Cf" and ord(letter) < 0x10000 else letter
        for letter in json.dumps(value, ensure_ascii=False)
    )
