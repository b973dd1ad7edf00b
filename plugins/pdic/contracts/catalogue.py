"""Contracts → constants for DAG files (``plugins/pdic/generated/catalogue.py``): importing them reads nothing else."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pdic.contracts import cron
from pdic.contracts.output import GENERATED, Output, header

PATH: Final[Path] = GENERATED / "catalogue.py"

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


@dataclass(frozen=True, slots=True)
class Sector:
    """What the catalogue says of a sector. ``schedule`` is a cron line in the province's time zone."""

    schedule: str
    owner_agency: str
    datasets: tuple[str, ...]


def catalogue(sectors: Mapping[str, Sector], shared: Iterable[str]) -> Output:
    """The constants of all sectors, and the names of the published tables."""
    text = _TEMPLATE.format(
        header=header("contracts/"),
        sectors="".join(_sector(name, facts) for name, facts in sectors.items()),
        shared_tables=_names(shared, indent=0),
    )
    return Output(PATH, text)


def schedule(cadences: Iterable[str]) -> str:
    """A sector's schedule: the one of its datasets' cron lines that fires most often; of several, the first in the alphabet."""
    return max(sorted(set(cadences)), key=cron.firings_per_month)


def _sector(name: str, facts: Sector) -> str:
    return (
        f"    {_text(name)}: {{\n"
        f'        "schedule": {_text(facts.schedule)},\n'
        f'        "tags": ("load", {_text(name)}),\n'
        f'        "owner_agency": {_text(facts.owner_agency)},\n'
        f'        "datasets": {_names(facts.datasets, indent=8)},\n'
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
