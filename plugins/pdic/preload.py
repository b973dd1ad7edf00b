"""What most tasks import, imported once: the scheduler's workers are forked from a process that has imported this module.

Great Expectations and dbt take seconds to import, more than many a task takes to run. (`[scheduler] mp_forkserver_preload`.)
"""

import contextlib
import importlib

for _module in (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.task_runner",
    "dbt.cli.main",
    "great_expectations",
    "pdic.load",
    "pdic.operators",
    "pdic.quality.expectations",
    "pdic.release",
):
    with contextlib.suppress(ImportError):  # a task that needs it will say what is wrong
        importlib.import_module(_module)
