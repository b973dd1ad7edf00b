"""Judge a sector's extracted batches, all in one process: importing Great Expectations costs seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from pdic.operators.base import PdicOperator, connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckOperator(PdicOperator):
    """Checks what the tasks `extracts` brought; returns dataset → batch_id and status. Skips where nothing came."""

    def __init__(self, *, sector: str, extracts: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sector = sector
        self.extracts = list(extracts)

    def run(self, context: Context) -> dict[str, Any]:
        """Raises what `pdic.load.check` raises; a rejected batch is a result, not an error."""
        from pdic import load

        brought = [found for found in context["ti"].xcom_pull(task_ids=self.extracts) if found]
        if not brought:
            raise AirflowSkipException(f"{self.sector}: no dataset was extracted, so there is nothing to check")
        reports = load.check(self.sector, {found["dataset"]: found["batch_id"] for found in brought}, connect_to)
        for dataset, report in reports.items():
            if report["status"] != "checked":
                self.log.error("%s.%s: %s: %s", self.sector, dataset, report["status"], report.get("message"))
            elif warning := report.get("warning"):
                self.log.warning("%s.%s: %s", self.sector, dataset, warning)
        return {
            dataset: {"batch_id": report["batch_id"], "status": report["status"]} for dataset, report in reports.items()
        }
