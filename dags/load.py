"""Load one sector: bring what is new in its datasets, check it, accept it.

Every dataset is extracted by a task of its own, so that one that fails (the source is away, its shape has drifted) leaves
the others alone. One task checks them all, one accepts what passed, and the last one fails the run where a dataset was left
behind, after the healthy ones have gone through. A load that accepted news announces it, and the DAG `release` takes it up.

Run it by hand at any time: a load brings what is new since the last accepted batch, and nothing twice. The parameter `full` names
datasets, or the sector, of which everything is read anew and compared with what is known: after a contract has gained a column, say.
Readers keep what they have until the next release.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param

from pdic.airflow_names import POOL, TIME_ZONE
from pdic.generated.catalogue import SECTORS
from pdic.operators import (
    LOAD_DEFAULTS,
    STEP_RETRIES,
    AcceptOperator,
    CheckOperator,
    ExtractOperator,
    ReportOperator,
    datasets_with_news,
    sector_asset,
)

for sector, about in sorted(SECTORS.items()):
    with DAG(
        dag_id=f"load_{sector}",
        description=f"Bring what is new from {about['owner_agency']}",
        schedule=CronTriggerTimetable(about["schedule"], timezone=TIME_ZONE, run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        tags=sorted(about["tags"]),
        doc_md=__doc__,
        default_args=dict(LOAD_DEFAULTS),
        params={
            "full": Param(
                [],
                type="array",
                items={"type": "string", "enum": [sector, *sorted(about["datasets"])]},
                examples=[sector, *sorted(about["datasets"])],
                description="Datasets to read whole, rather than what is new; the sector's name means all of them.",
            )
        },
    ):
        extracts = {
            dataset: ExtractOperator(
                task_id=f"extract.{dataset}",
                sector=sector,
                dataset=dataset,
                pool=POOL.format(sector=sector),
                execution_timeout=timedelta(hours=2),
            )
            for dataset in sorted(about["datasets"])
        }
        tasks = {dataset: task.task_id for dataset, task in extracts.items()}
        check = CheckOperator(
            task_id="check",
            sector=sector,
            extracts=list(tasks.values()),
            trigger_rule="all_done",
            execution_timeout=timedelta(hours=1),
            retry_policy=STEP_RETRIES,
        )
        accept = AcceptOperator(
            task_id="accept",
            sector=sector,
            check=check.task_id,
            outlets=[sector_asset(sector), datasets_with_news(sector)],
            execution_timeout=timedelta(hours=1),
            retry_policy=STEP_RETRIES,
        )
        report = ReportOperator(
            task_id="report",
            sector=sector,
            extracts=tasks,
            trigger_rule="all_done",
            execution_timeout=timedelta(minutes=5),
        )
        list(extracts.values()) >> check >> accept >> report
