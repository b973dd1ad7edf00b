"""Make one consistent version of all shared tables from everything accepted, audit it, and show it to readers.

Runs when a sector's load announces news. News that arrives while a release is under way is taken by the next one, whoever it
came from. Readers see the former release until the last step, and keep it where any step fails.

After `pdic rollback` the last step is skipped, and says why: `pdic release resume` publishes what was built.

Run it by hand with `full_refresh` to build every table anew.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, AssetAny, Param

from pdic.generated.catalogue import SECTORS, SHARED_TABLES
from pdic.operators import (
    RELEASE_DEFAULTS,
    AuditOperator,
    ConformOperator,
    OpenOperator,
    PublishOperator,
    changed_tables,
    sector_asset,
    shared_asset,
)

news = [sector_asset(sector) for sector in sorted(SECTORS)]

with DAG(
    dag_id="release",
    description="Conform, audit and publish the shared tables",
    schedule=AssetAny(*news),
    catchup=False,
    max_active_runs=1,
    tags=["release"],
    doc_md=__doc__,
    params={"full_refresh": Param(False, type="boolean", description="Build every table anew")},
    default_args=dict(RELEASE_DEFAULTS),
):
    open_release = OpenOperator(task_id="open", execution_timeout=timedelta(minutes=30))
    conform = ConformOperator(task_id="conform", opened="open", execution_timeout=timedelta(hours=4))
    audit = AuditOperator(task_id="audit", opened="open", execution_timeout=timedelta(hours=1))
    publish = PublishOperator(
        task_id="publish",
        opened="open",
        inlets=[
            shared_asset(table) for table in sorted(SHARED_TABLES)
        ],  # so that Airflow knows them before one changed
        outlets=[changed_tables()],
        execution_timeout=timedelta(minutes=15),
    )
    open_release >> conform >> audit >> publish
