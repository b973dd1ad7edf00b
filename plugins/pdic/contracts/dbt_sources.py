"""Contracts of a sector → dbt's sources (``dbt_project/models/staging/<sector>/_<sector>__sources.yml``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pdic.contracts import yaml_text
from pdic.contracts.model import Contract
from pdic.contracts.output import Output, both, header

_SCHEMAS = (
    ("raw", "Bản ghi đã nhận", "Accepted rows"),
    ("quarantine", "Bản ghi bị giữ lại", "Rows set aside"),
)


def dbt_sources(sector: str, contracts: Sequence[Contract]) -> Output:
    """Two sources per sector: the accepted rows of its datasets, and those in quarantine."""
    sources = [
        {
            "name": f"{schema}_{sector}",
            "schema": schema,
            "description": both(f"{vi}: {contracts[0].owner_agency}", f"{en} of sector {sector}"),
            "tables": [_table(contract) for contract in contracts],
        }
        for schema, vi, en in _SCHEMAS
    ]
    text = f"# {header(f'contracts/{sector}/')}\n" + yaml_text.dump({"version": 2, "sources": sources})
    return Output(Path("dbt_project", "models", "staging", sector, f"_{sector}__sources.yml"), text)


def _table(contract: Contract) -> dict[str, object]:
    return {
        "name": contract.raw_table,
        "description": both(contract.description, contract.description_en),
        "config": {"meta": {"contract": contract.id, "contract_version": contract.version}},
        "columns": [
            {
                "name": column.source_name,
                "quote": True,
                "data_type": column.physical_type,
                "description": both(column.description_vi, column.description_en),
                "config": {"meta": {"classification": column.classification, "business_name": column.name}},
            }
            for column in contract.columns
        ],
    }
