"""Keep readers within their limits.

PostgreSQL lets a session lift its own time limits, and lets a login change its own password and defaults. So every ten minutes this
compares each login of a reader with what is on record, puts back what was changed, and ends sessions that go on beyond a limit. The
task's log says what it did, and so does `pdic status` for a day. Loads and releases that are started by hand do the same: docs/readers.md.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from pdic.airflow_names import TIME_ZONE
from pdic.operators import LOAD_DEFAULTS, ReadersOperator

with DAG(
    dag_id="readers",
    description="Keep readers within their limits",
    schedule=CronTriggerTimetable("*/10 * * * *", timezone=TIME_ZONE),
    catchup=False,
    max_active_runs=1,
    tags=["readers"],
    doc_md=__doc__,
    default_args=dict(LOAD_DEFAULTS),
):
    ReadersOperator(task_id="watch", execution_timeout=timedelta(minutes=5))
