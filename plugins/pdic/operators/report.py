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
    """Compares what the tasks `extracts` (dataset → task id), `check` and `accept` say; fails for datasets left behind."""

    def __init__(self, *, sector: str, extracts: Mapping[str, str], check: str, accept: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sector = sector
        self.extracts = dict(extracts)
        self.check = check
        self.accept = accept

    def run(self, context: Context) -> dict[str, Any]:
        """Raises LoadError that says of each dataset that was not extracted, was rejected or not accepted: why."""
        from pdic.sources.cdc import watch

        task = context["ti"]
        for warning in (warnings := watch.warnings(connect_to, self.sector)):
            self.log.warning(warning)
        extracted = {
            found["dataset"]: found for found in task.xcom_pull(task_ids=list(self.extracts.values())) if found
        }
        checked = task.xcom_pull(task_ids=self.check) or {}
        accepted = task.xcom_pull(task_ids=self.accept) or {}
        troubles = {}
        for dataset, extract in self.extracts.items():
            said = None if dataset in extracted else task.xcom_pull(task_ids=extract, key=REFUSAL)
            if trouble := verdict(extracted.get(dataset), checked.get(dataset), accepted.get(dataset), said):
                troubles[dataset] = trouble
        if troubles:
            listed = "; ".join(f"{dataset} {trouble.rstrip('.')}" for dataset, trouble in sorted(troubles.items()))
            many = len(self.extracts)
            raise LoadError(
                f"{self.sector}: {len(troubles)} of {many} datasets did not arrive, {many - len(troubles)} did: {listed}"
                + "".join(f". {warning}" for warning in warnings)
            )
        rows = sum(found["rows"] or 0 for found in extracted.values())
        return {"datasets": len(self.extracts), "rows": rows, "warnings": warnings}


def verdict(
    extracted: Mapping[str, Any] | None,
    checked: Mapping[str, Any] | None,
    accepted: Mapping[str, Any] | None,
    refusal: str | None = None,
) -> str | None:
    """What went wrong with one dataset and why, in words; None where it was accepted. `refusal`: what its extract said."""
    if extracted is None:
        return f"was not extracted: {refusal or 'its task ended without a word, see its log'}"
    if checked is None:
        return f"was not checked (batch {extracted['batch_id']})"
    if checked["status"] == "rejected":
        return f"was rejected (batch {checked['batch_id']}): {checked.get('message') or 'see the log of the check'}"
    if accepted is None or accepted.get("batch_id") is None:
        why = (accepted or {}).get("message") or "see the log of the task that accepts"
        return f"was not accepted (batch {checked['batch_id']}): {why}"
    return None
