"""Contracts of published tables → the manifest of reader views (``plugins/pdic/generated/shared_views.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pdic.contracts.model import SharedContract
from pdic.contracts.output import GENERATED, Output, both, header

PATH: Final[Path] = GENERATED / "shared_views.json"


def view(contract: SharedContract) -> dict[str, Any]:
    """The view of a published table and the columns that it shows. Closed columns are not in it, whatever a contract says.

    ``closed`` are those columns: the published table has them, for other models to read.
    """
    return {
        "name": contract.table,
        "version": contract.version,
        "comment": both(contract.description, contract.description_en),
        "grain": contract.grain,
        "key": [column.name for column in contract.open_columns if column.primary_key],
        "columns": [
            {
                "name": column.name,
                "type": column.physical_type,
                "classification": column.classification,
                "comment": both(column.description_vi, column.description_en),
            }
            for column in contract.open_columns
        ],
        "closed": {column.name: column.physical_type for column in contract.columns if not column.is_open},
    }


def shared_views(views: Iterable[Mapping[str, Any]]) -> Output:
    """Which views publishing creates, each as `view` says."""
    manifest = {"_": header("contracts/shared/"), "views": list(views)}
    return Output(PATH, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")
