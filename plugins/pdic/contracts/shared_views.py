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

    ``closed`` are those columns: the published table has them, for other models to read. ``limits`` are where a release differs too
    much in this table (:mod:`pdic.release.limits`), if its contract says so.
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
                **({"required": True} if column.required or column.primary_key else {}),
                **({"unit": column.unit} if column.unit else {}),
            }
            for column in contract.open_columns
        ],
        "closed": {column.name: column.physical_type for column in contract.columns if not column.is_open},
        **({"limits": dict(contract.limits)} if contract.limits else {}),
    }


def shared_views(views: Iterable[Mapping[str, Any]]) -> Output:
    """Which views publishing creates, each as `view` says."""
    manifest = {"_": header("contracts/shared/"), "views": list(views)}
    return Output(PATH, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")
