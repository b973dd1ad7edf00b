"""Ask a sector again that broke off, and did so for longer than its load's retries lasted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowSkipException

from pdic.operators.base import connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context

UNDER_WAY: Final = ["queued", "running"]


class CatchUpOperator(TriggerDagRunOperator):
    """Starts the load of `sector` where the newest try of one of its datasets broke off; skips where none did.

    A load that is queued or running, its retries among them, is left to itself.
    """

    def __init__(self, *, sector: str, **kwargs: Any) -> None:
        super().__init__(trigger_dag_id=f"load_{sector}", **kwargs)
        self.sector = sector

    def execute(self, context: Context) -> None:
        """Raises AirflowSkipException where there is nothing to do."""
        from pdic import catch_up

        if context["ti"].get_dr_count(dag_id=self.trigger_dag_id, states=UNDER_WAY):
            raise AirflowSkipException(f"{self.sector}: a load is under way")
        waiting = catch_up.broken_off(self.sector, connect_to)
        if not waiting:
            raise AirflowSkipException(f"{self.sector}: no dataset is to be asked again now")
        self.log.info("%s: %s broke off and will be asked again", self.sector, ", ".join(waiting))
        super().execute(context)
