"""Bring one dataset's news into a batch table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdic.operators.base import PdicOperator, connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context


class ExtractOperator(PdicOperator):
    """Extracts `dataset` of `sector` into a batch of its own; returns dataset, batch_id and rows.

    Where the run's parameter `full` names the dataset, or its sector, everything at the source is read anew.
    """

    def __init__(self, *, sector: str, dataset: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sector = sector
        self.dataset = dataset

    def run(self, context: Context) -> dict[str, Any]:
        """Raises what `pdic.load.extract` raises."""
        from pdic import load

        full = not {self.sector, self.dataset}.isdisjoint(context["params"].get("full") or ())
        report = load.extract(self.sector, self.dataset, connect_to, full=full)
        self.log.info(
            "%s.%s: batch %s holds %s rows",
            self.sector,
            self.dataset,
            report["batch_id"],
            report.get("rows_extracted"),
        )
        if warning := report.get("warning"):
            self.log.warning("%s.%s: %s", self.sector, self.dataset, warning)
        return {"dataset": self.dataset, "batch_id": report["batch_id"], "rows": report.get("rows_extracted")}
