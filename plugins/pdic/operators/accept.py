"""Make a sector's checked batches part of `raw`, and tell the release that there is news."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from pdic.operators.assets import NEWS, announce_batches, has_news
from pdic.operators.base import PdicOperator, connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context

SUPERSEDED = {"batch_id": None, "superseded": True}
"""Another load took over, perhaps one of the command line, which announces nothing: its news are announced here."""


class AcceptOperator(PdicOperator):
    """Accepts each batch the task `check` passed; returns dataset → counts.

    A dataset that cannot be accepted does not stop the others: its entry has no batch_id, and the load's report fails the run.
    Its outlets are `sector_asset` and `datasets_with_news`: only datasets with news are announced. Where no batch held any, it
    ends as skipped, so that nothing is.
    """

    def __init__(self, *, sector: str, check: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sector = sector
        self.check = check

    def run(self, context: Context) -> dict[str, Any]:
        """Raises the last trouble that may pass while a retry is left; by then the others have been accepted."""
        from pdic import load

        task = context["ti"]
        accepted: dict[str, dict[str, Any]] = {}
        passing: Exception | None = None
        final = task.try_number > task.max_tries
        for dataset, checked in sorted(task.xcom_pull(task_ids=self.check).items()):
            if checked["status"] == "superseded":
                accepted[dataset] = dict(SUPERSEDED)
            if checked["status"] != "checked":
                continue
            try:
                report = load.accept(self.sector, dataset, checked["batch_id"], connect_to, final=final)
            except Exception as error:
                trouble = load.failed(self.sector, dataset, "accept", error, checked["batch_id"])
                if trouble["status"] == "superseded":
                    self.log.info("%s", trouble["message"])
                    accepted[dataset] = dict(SUPERSEDED)
                    continue
                self.log.error("%s", trouble["message"])  # noqa: TRY400 (the trace can quote rows)
                accepted[dataset] = {
                    "batch_id": None,
                    "error": type(error).__name__,
                    "message": trouble["message"],
                }
                passing = error if trouble["retryable"] else passing
                continue
            counts = {name: report.get(name) for name in (*NEWS, "rows_unchanged")}
            self.log.info("%s.%s: accepted batch %s: %s", self.sector, dataset, checked["batch_id"], counts)
            accepted[dataset] = {"batch_id": checked["batch_id"], **counts}
        if passing is not None and not final:
            raise passing
        if not any(has_news(entry) or entry.get("superseded") for entry in accepted.values()):
            task.xcom_push(key="return_value", value=accepted)
            raise AirflowSkipException(f"{self.sector}: nothing new, so nothing is announced")
        announce_batches(context, self.sector, accepted)
        return accepted
