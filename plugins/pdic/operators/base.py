"""What all operators of PDIC share: where connections come from, and what an error may say."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, cast

from airflow.sdk import BaseOperator, Connection

from pdic import failures, stopping
from pdic.errors import PdicError

if TYPE_CHECKING:
    from airflow.sdk import Context

_log = logging.getLogger(__name__)

REFUSAL: Final = "refusal"
"""The XCom under which a step that was refused leaves its sentence for the load's report."""


def connect_to(conn_id: str) -> str:
    """The URI of an Airflow connection (libpq's, or http), so that environment variables and any secrets backend work."""
    from pdic import connections

    found = Connection.get(conn_id)
    fields = ("conn_type", "host", "port", "login", "password", "schema")
    return connections.to_uri({name: getattr(found, name) for name in fields} | {"extra": found.extra_dejson})


def refused(error: PdicError) -> PdicError:
    """The same error, of its own kind and of the kind SystemExit too.

    Airflow's task runner logs a traceback for every exception but SystemExit, of which it says `Task exited` and no more. The
    retry policy is asked all the same, and finds the kind of PdicError that it knows.
    """
    kind = type(type(error).__name__, (type(error), SystemExit), {"__module__": type(error).__module__})
    same: Any = kind.__new__(kind, *error.args)
    same.args = error.args
    same.__dict__.update(vars(error))
    same.code = error.exit_code
    return cast("PdicError", same)


NOTICE_S: Final = 0.5
"""How soon after a signal the thread that listens for it has noted it."""


class StepFailed(Exception):
    """A step failed in a way PDIC did not foresee. Says what kind of error and where, not what it said: that can quote rows."""


class PdicOperator(BaseOperator):
    """One step. Subclasses say what to do in `run`; errors reach the task's log without the rows they were about."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Runs the step and returns ids and counts.

        A PdicError (a warehouse that went away is one) is one line of the task's log, is left for the report under the XCom key
        REFUSAL, and is raised as `refused` makes it, without its causes, which can quote rows. Other errors of a database are
        raised as StepFailed.
        """
        with stopping.heeded():
            return self._run(context)

    def on_kill(self) -> None:
        """Airflow ends the task: what is under way is given up at once. (It calls this after a time-out too, when all has ended.)"""
        if stopping.asked(within=NOTICE_S):
            raise stopping.Stopped

    def _run(self, context: Context) -> dict[str, Any]:
        try:
            with failures.driver_silent(_log):
                return self.run(context)
        except KeyboardInterrupt:
            if not stopping.asked(within=NOTICE_S) or (stopped := stopping.refusal()) is None:
                raise
            self.log.error("%s", stopped)  # noqa: TRY400
            raise refused(stopped) from None
        except Exception as error:
            if refusal := failures.in_words(error):
                self.log.error("%s", refusal)  # noqa: TRY400 (a refusal is expected: the sentence says it all)
                context["ti"].xcom_push(key=REFUSAL, value=str(refusal))
                raise refused(refusal) from None
            if described := failures.of_database(error):
                raise StepFailed(described) from None
            raise

    @abstractmethod
    def run(self, context: Context) -> dict[str, Any]:
        """The step itself."""
