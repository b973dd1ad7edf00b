"""Contracts of published tables → the manifest of reader views (``plugins/pdic/generated/shared_views.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pdic.contracts.model import SharedContract
from pdic.contracts.output import GENERATED, Output, both, header


def shared_views(contracts: Iterable[SharedContract]) -> Output:
    """Which views publishing creates, and the columns each shows. Closed columns are not in it, whatever a contract says.

    ``removable`` asks the view for ``where not _removed``.
    """
    views = [
        {
            "name": contract.table,
            "version": contract.version,
            "comment": both(contract.description, contract.description_en),
            "grain": contract.grain,
            "key": [column.name for column in contract.open_columns if column.primary_key],
            "removable": contract.removable,
            "columns": [
                {
                    "name": column.name,
                    "type": column.physical_type,
                    "classification": column.classification,
                    "comment": both(column.description_vi, column.description_en),
                }
                for column in contract.open_columns
            ],
        }
        for contract in contracts
    ]
    manifest = {"_": header("contracts/shared/"), "views": views}
    return Output(GENERATED / "shared_views.json", json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")
