"""Contracts of a sector → dbt's sources (``dbt_project/models/staging/<sector>/_<sector>__sources.yml``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pdic.contracts import templates, yaml_text
from pdic.contracts.model import Contract
from pdic.contracts.output import Output, both, header

_SCHEMAS = (
    ("raw", "Bản ghi đã nhận", "Accepted rows"),
    ("quarantine", "Bản ghi bị giữ lại", "Rows set aside"),
)


def dbt_sources(sector: str, owner_agency: str, entries: Sequence[str]) -> Output:
    """Two sources per sector: the accepted rows of its datasets, and those in quarantine. Both hold each of ``entries``."""
    sources = [
        {
            "name": f"{schema}_{sector}",
            "schema": schema,
            "description": templates.description(both(f"{vi}: {owner_agency}", f"{en} of sector {sector}")),
        }
        for schema, vi, en in _SCHEMAS
    ]
    text = f"# {header(f'contracts/{sector}/')}\nversion: 2\nsources:\n"
    for source in sources:
        text += yaml_text.indented(yaml_text.dump([source]), 2) + "    tables:\n" + "".join(entries)
    return Output(sources_path(sector), text)


def sources_path(sector: str) -> Path:
    """Where a sector's sources are kept."""
    return Path("dbt_project", "models", "staging", sector, f"_{sector}__sources.yml")


def source_entry(contract: Contract) -> str:
    """A dataset's table as an item of a source's ``tables``."""
    return written_entry(_table(contract))


def written_entry(table: Mapping[str, object]) -> str:
    """An item of a source's ``tables`` as it stands in the file."""
    return yaml_text.indented(yaml_text.dump([table]), 6)


def _table(contract: Contract) -> dict[str, object]:
    return {
        "name": contract.raw_table,
        "description": templates.description(both(contract.description, contract.description_en)),
        "config": {"meta": {"contract": contract.id, "contract_version": contract.version}},
        "columns": [
            {
                "name": templates.name(column.source_name),
                "quote": True,
                "data_type": column.physical_type,
                "description": templates.description(both(column.description_vi, column.description_en)),
                "config": {"meta": {"classification": column.classification, "business_name": column.name}},
            }
            for column in contract.columns
        ],
    }
