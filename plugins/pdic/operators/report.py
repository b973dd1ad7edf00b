"""The last word on a sector's load: every dataset arrived, or the run fails and says which did not.

It also looks at the sector's replication slots: a dataset that is left behind is one whose slot makes the source keep its log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pdic.errors import LoadError
from pdic.operators.base import REFUSAL, PdicOperator, connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReportOperator(PdicOperator):
    """Counts by the ledger what became of each dataset of the tasks `extracts` (dataset → task id); fails for those left behind."""

    def __init__(self, *, sector: str, extracts: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sector = sector
        self.extracts = dict(extracts)

    def run(self, context: Context) -> dict[str, Any]:
        """Raises LoadError that says of each dataset that was not loaded: why."""
        from pdic import load
        from pdic.sources.cdc import watch

        task = context["ti"]
        extracted = {
            found["dataset"]: found for found in task.xcom_pull(task_ids=list(self.extracts.values())) if found
        }
        batches = {name: extracted[name]["batch_id"] if name in extracted else None for name in self.extracts}
        standing = load.standing(self.sector, batches, context["dag_run"].start_date, connect_to)
        troubles = {}
        for dataset, found in standing.items():
            if found.note:
                self.log.info("%s.%s %s", self.sector, dataset, found.note)
            if found.trouble:
                refusal = (
                    task.xcom_pull(task_ids=self.extracts[dataset], key=REFUSAL) if dataset not in extracted else None
                )
                said = refusal and refusal.removeprefix(f"{self.sector}.{dataset}: ")
                troubles[dataset] = f"was not extracted: {said}" if said else found.trouble
        for warning in (warnings := watch.warnings(connect_to, self.sector)):
            self.log.warning(warning)
        if troubles:
            listed = "; ".join(f"{dataset} {trouble.rstrip('.')}" for dataset, trouble in sorted(troubles.items()))
            many = len(standing)
            raise LoadError(
                f"{self.sector}: {len(troubles)} of {many} datasets did not arrive, {many - len(troubles)} did: {listed}"
                + "".join(f". {warning}" for warning in warnings)
            )
        rows = sum(found["rows"] or 0 for found in extracted.values())
        return {"datasets": len(self.extracts), "rows": rows, "warnings": warnings}
