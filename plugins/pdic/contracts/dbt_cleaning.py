"""Contracts of a sector → how dbt reads their columns cleaned (``dbt_project/macros/cleaned/<sector>.sql``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pdic import agency, cleaning
from pdic.contracts import key_identity, templates
from pdic.contracts.model import Contract
from pdic.contracts.output import Output, header, joined

FOLDER: Final = Path("dbt_project", "macros", "cleaned")
KINDS: Final = ("key", "cleaned", "agency")
"""The macros of a dataset, in their order: each is called by its kind, two underscores and the raw table."""


def dbt_cleaning(sector: str, macros: Sequence[str]) -> Output:
    """The macros of a sector's datasets in one file."""
    return Output(cleaning_path(sector), f"{{#- {header(f'contracts/{sector}/')} -#}}\n" + "".join(macros))


def cleaning_path(sector: str) -> Path:
    """Where a sector's macros are kept."""
    return FOLDER / f"{sector}.sql"


def cleaning_macros(contract: Contract) -> str:
    """Three macros for each dataset: a row's key as it was sent; by source name, the cleaned value of each cleaned column; and,
    over these, the row's agency.

    The text stands in the template as it is, not in a string of Jinja's, which would eat the backslashes.
    """
    return joined(_macro(contract))


def _macro(contract: Contract) -> Iterator[str]:
    yield ""
    yield f"{{% macro key__{contract.raw_table}() -%}}"
    yield templates.raw(key_identity.text(contract))
    yield "{%- endmacro %}"
    yield ""
    yield f"{{% macro cleaned__{contract.raw_table}() -%}}"
    yield "    {%- set found = {} -%}"
    for column in contract.columns:
        if column.cleaning is not None:
            yield f"    {{%- set value -%}}{templates.raw(cleaning.text(column))}{{%- endset -%}}"
            yield f"    {{%- do found.update({{{templates.constant(column.source_name)}: value}}) -%}}"
    yield "    {{ return(found) }}"
    yield "{%- endmacro %}"
    yield ""
    yield f"{{% macro agency__{contract.raw_table}() -%}}"
    yield templates.raw(agency.text(contract, cleaned=True) or "null::text")
    yield "{%- endmacro %}"
