"""Reconcile one sector: find what its loads could not see, and heal it.

A load by cursor misses rows that were deleted for good, changed without their stamp, or committed later than any overlap reaches
back. Once a week each dataset whose contract says `deletes: reconcile` is compared with its source by checksums, in the first
week of a month every other dataset that is loaded by cursor. What differs goes through an ordinary batch: checked, quarantined,
accepted.

Where more keys are gone than the contract allows, or the source is empty, nothing is changed and the task `approve.…` waits for
an operator (Required Actions in Airflow's pages). Approving heals exactly what was seen; rejecting, or no answer within six days,
leaves everything as it is until next week.

Run it by hand at any time to compare every dataset.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from pdic.airflow_names import POOL, TIME_ZONE
from pdic.generated.catalogue import SECTORS
from pdic.operators import (
    LOAD_DEFAULTS,
    ApproveDeletionsOperator,
    HealApprovedOperator,
    ReconcileOperator,
    dataset_asset,
    sector_asset,
)

for sector, about in sorted(SECTORS.items()):
    with DAG(
        dag_id=f"reconcile_{sector}",
        description=f"Compare with {about['owner_agency']} and heal what differs",
        schedule=CronTriggerTimetable("30 2 * * 0", timezone=TIME_ZONE, run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        tags=["reconcile", sector],
        doc_md=__doc__,
        default_args=dict(LOAD_DEFAULTS),
    ):
        reading = {
            "sector": sector,
            "pool": POOL.format(sector=sector),
            "execution_timeout": timedelta(hours=4),
        }
        for dataset in sorted(about["datasets"]):
            outlets = [sector_asset(sector), dataset_asset(sector, dataset)]
            reconcile = ReconcileOperator(task_id=f"reconcile.{dataset}", dataset=dataset, outlets=outlets, **reading)
            approve = ApproveDeletionsOperator(
                task_id=f"approve.{dataset}",
                reconcile=reconcile.task_id,
                subject=f"{sector}.{dataset}: are these deletions at the source right?",
                defaults="Reject",
                response_timeout=timedelta(days=6),
                trigger_rule="none_failed",
            )
            heal = HealApprovedOperator(
                task_id=f"heal.{dataset}",
                dataset=dataset,
                reconcile=reconcile.task_id,
                approve=approve.task_id,
                outlets=outlets,
                **reading,
            )
            reconcile >> approve >> heal
