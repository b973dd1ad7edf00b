"""Contracts of a sector → dbt's sources (``dbt_project/models/staging/<sector>/_<sector>__sources.yml``)."""

from __future__ import annotations

from collections.abc import Sequence
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
    return Output(Path("dbt_project", "models", "staging", sector, f"_{sector}__sources.yml"), text)


def source_entry(contract: Contract) -> str:
    """A dataset's table as an item of a source's ``tables``."""
    return yaml_text.indented(yaml_text.dump([_table(contract)]), 6)


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
