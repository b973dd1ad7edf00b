"""Ask the sources again that were away for longer than their loads waited.

A load rides out an outage of an hour and a half by its own retries. Where the source was away for longer, the run has failed and the
next one may be a day off. So every hour this looks into the ledger: where the newest try of a dataset broke off for trouble that
passes (the source was away, the table was locked), the sector's load is started again, unless one is under way. A refused password,
a missing right or a table of another shape is left alone: only a person can mend those, and then starts the load by hand.

A dataset's own trouble (its table is locked, its read takes too long) is not asked about every hour for ever, because the whole sector is
read again with it: the pauses grow as long as the trouble has lasted (1, 3, 7, 15 hours), to a day.

It also announces the shared tables that a command changed for readers (`pdic release`, `pdic release resume`, `pdic rollback`): the
release's own runs announce theirs at once.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from pdic.airflow_names import TIME_ZONE
from pdic.generated.catalogue import SECTORS
from pdic.operators import LOAD_DEFAULTS, AnnounceOperator, CatchUpOperator, changed_tables

with DAG(
    dag_id="catch_up",
    description="Start the loads again whose sources were away",
    schedule=CronTriggerTimetable("20 * * * *", timezone=TIME_ZONE),
    catchup=False,
    max_active_runs=1,
    tags=["catch_up"],
    doc_md=__doc__,
    default_args=dict(LOAD_DEFAULTS),
):
    AnnounceOperator(task_id="announce", outlets=[changed_tables()], execution_timeout=timedelta(minutes=5))
    for sector in sorted(SECTORS):
        CatchUpOperator(task_id=f"again.{sector}", sector=sector, execution_timeout=timedelta(minutes=5))
