"""Judge a sector's extracted batches, all in one process: importing Great Expectations costs seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from pdic.operators.base import PdicOperator, StepFailed, connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckOperator(PdicOperator):
    """Checks what the tasks `extracts` brought; returns dataset → batch_id and status. Skips where nothing came."""

    def __init__(self, *, sector: str, extracts: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sector = sector
        self.extracts = list(extracts)

    def run(self, context: Context) -> dict[str, Any]:
        """Raises where a dataset could not be judged and a retry is left; a rejected batch is a result, not an error."""
        from pdic import load

        task = context["ti"]
        final = task.try_number > task.max_tries
        brought = [found for found in task.xcom_pull(task_ids=self.extracts) if found]
        if not brought:
            raise AirflowSkipException(f"{self.sector}: no dataset was extracted, so there is nothing to check")
        batches = {found["dataset"]: found["batch_id"] for found in brought}
        reports = load.check(self.sector, batches, connect_to, final=final)
        self._tell(reports)
        for dataset, report in reports.items():
            if report["status"] == "superseded":
                self.log.info("%s", report["message"])
            elif report["status"] != "checked":
                self.log.error("%s.%s: %s: %s", self.sector, dataset, report["status"], report.get("message"))
            elif warning := report.get("warning"):
                self.log.warning("%s.%s: %s", self.sector, dataset, warning)
        passing = [report["message"] for report in reports.values() if report.get("retryable")]
        if passing and not final:
            raise StepFailed(f"{self.sector}: {'; '.join(passing)}")
        return {
            dataset: {name: report.get(name) for name in ("batch_id", "status", "message")}
            for dataset, report in reports.items()
        }

    def _tell(self, reports: Mapping[str, Mapping[str, Any]]) -> None:
        """Log what each batch's rules came to: how many, rows judged, and each broken rule's count."""
        from pdic.quality import tally
        from pdic.warehouse import transaction

        batches = [report["batch_id"] for report in reports.values() if report.get("batch_id") is not None]
        with transaction(connect_to("pdic_warehouse_auditor"), f"tally {self.sector}") as auditor:
            tallies = tally.of_batches(auditor, batches)
        for dataset, report in sorted(reports.items()):
            if report.get("batch_id") in tallies:
                said = tallies[report["batch_id"]]
                self.log.info("%s.%s: batch %s: %s", self.sector, dataset, report["batch_id"], said)
