"""Airflow's face of PDIC: one small operator per step, each calling the function the command line calls.

    ExtractOperator, CheckOperator, AcceptOperator, ReportOperator     the steps of a sector's load
    ReconcileOperator, ApproveDeletionsOperator, HealApprovedOperator  a dataset's reconcile
    ReadersOperator                                                     keeps readers within their limits
    CatchUpOperator                                                     asks a sector again whose source was away
    OpenOperator, ConformOperator, AuditOperator, PublishOperator      the steps of a release
    AnnounceOperator                                                    tells what commands published or took back
    sector_asset, dataset_asset, shared_asset                          what they announce to other DAGs: docs/airflow.md
    datasets_with_news, changed_tables                                  stand for those that a task learns of when it runs

The functions are imported when a task runs, never when a DAG file is parsed. XComs carry ids, names and counts, no data.
"""

from pdic.operators.accept import AcceptOperator
from pdic.operators.assets import changed_tables, dataset_asset, datasets_with_news, sector_asset, shared_asset
from pdic.operators.catch_up import CatchUpOperator
from pdic.operators.check import CheckOperator
from pdic.operators.extract import ExtractOperator
from pdic.operators.readers import ReadersOperator
from pdic.operators.reconcile import ApproveDeletionsOperator, HealApprovedOperator, ReconcileOperator
from pdic.operators.release import AnnounceOperator, AuditOperator, ConformOperator, OpenOperator, PublishOperator
from pdic.operators.report import ReportOperator
from pdic.operators.retries import LOAD_DEFAULTS, LOAD_RETRIES, RELEASE_DEFAULTS, RELEASE_RETRIES, STEP_RETRIES

__all__ = [
    "LOAD_DEFAULTS",
    "LOAD_RETRIES",
    "RELEASE_DEFAULTS",
    "RELEASE_RETRIES",
    "STEP_RETRIES",
    "AcceptOperator",
    "AnnounceOperator",
    "ApproveDeletionsOperator",
    "AuditOperator",
    "CatchUpOperator",
    "CheckOperator",
    "ConformOperator",
    "ExtractOperator",
    "HealApprovedOperator",
    "OpenOperator",
    "PublishOperator",
    "ReadersOperator",
    "ReconcileOperator",
    "ReportOperator",
    "changed_tables",
    "dataset_asset",
    "datasets_with_news",
    "sector_asset",
    "shared_asset",
]
