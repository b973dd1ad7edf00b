"""Reconcile one dataset; where the guard holds it, ask an operator, and heal what was approved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowSkipException

from pdic.errors import BatchRejected
from pdic.operators.assets import announce_batch, has_news
from pdic.operators.base import PdicOperator, connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context

    from pdic.approval import Approval

COUNTS = ("late", "changed", "news", "deleted", "known_rows", "rows_quarantined")
FIRST_WEEK = 7


class ReconcileOperator(PdicOperator):
    """Compares `dataset` of `sector` with its source and heals the difference; returns batch_id, held and counts.

    Ends as skipped, so that its outlets announce nothing, where nothing was healed: nothing differed, the guard holds it
    (`held` is pushed all the same), or it is not this dataset's turn. Contracts with `deletes: reconcile` are due every
    week, others by cursor, and feeds, in the first week of a month; snapshots compare themselves with every load. A run by
    hand takes them all.
    """

    def __init__(self, *, sector: str, dataset: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sector = sector
        self.dataset = dataset

    def run(self, context: Context) -> dict[str, Any]:
        """Raises what `pdic.reconcile.one_dataset` raises, and BatchRejected where a rule halted the batch."""
        from pdic import contracts

        contract = contracts.get(self.sector, self.dataset)
        if not is_due(contract.capture, contract.deletes, context):
            raise AirflowSkipException(f"{contract.id}: not due this week")
        return self.heal(context)

    def heal(
        self, context: Context, approved_batch: int | None = None, consent: Approval | None = None
    ) -> dict[str, Any]:
        """Reconciles; `approved_batch` is the held comparison that an operator approved, `consent` who it was."""
        from pdic import reconcile

        report = reconcile.one_dataset(
            self.sector,
            self.dataset,
            connect_to,
            approve=approved_batch is not None,
            approved_batch=approved_batch,
            consent=consent,
        )
        if report["status"] == "rejected" and (approved_batch is not None or not report["held"]):
            raise BatchRejected(report["message"])
        result = {name: report[name] for name in ("batch_id", "held", "message", *COUNTS)}
        self.log.info("%s.%s: %s: %s", self.sector, self.dataset, report["status"], result)
        if report["held"] or not has_news(report):
            context["ti"].xcom_push(key="return_value", value=result)
            raise AirflowSkipException(report["message"] or f"{self.sector}.{self.dataset}: nothing differs")
        announce_batch(context, self.sector, self.dataset, report)
        return result


class ApproveDeletionsOperator(ApprovalOperator):
    """Asks an operator whether the deletions that the task `reconcile` held are right; skips where it held nothing."""

    def __init__(self, *, reconcile: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reconcile = reconcile

    def execute(self, context: Context) -> Any:
        """Waits for the answer. Raises AirflowSkipException where there is nothing to ask."""
        found = context["ti"].xcom_pull(task_ids=self.reconcile)
        if not found or not found["held"]:
            raise AirflowSkipException("nothing is held")
        self.body = found["message"]
        return super().execute(context)


class HealApprovedOperator(ReconcileOperator):
    """Reconciles again with the approval of what the task `reconcile` held. More deletions than it saw are held anew."""

    def __init__(self, *, reconcile: str, approve: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reconcile = reconcile
        self.approve = approve

    def run(self, context: Context) -> dict[str, Any]:
        """Raises what `ReconcileOperator` raises."""
        from pdic import approval

        task = context["ti"]
        answer = task.xcom_pull(task_ids=self.approve) or {}
        who = (answer.get("responded_by_user") or {}).get("name")
        consent = approval.given("approved among Airflow's required actions", who)
        return self.heal(context, task.xcom_pull(task_ids=self.reconcile)["batch_id"], consent)


def is_due(capture: str, deletes: str, context: Context) -> bool:
    """Whether this run sweeps a dataset: see ReconcileOperator."""
    run = context["dag_run"]
    if run.run_type == "manual" or deletes == "reconcile":
        return True
    moment = run.logical_date or run.run_after
    return capture in ("cursor", "feed") and moment.day <= FIRST_WEEK
