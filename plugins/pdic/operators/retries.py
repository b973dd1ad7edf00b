"""Which failures are worth another try, how often, and for how long.

An outage is ridden out: twelve tries after 20 s, 1, 3, 9 minutes and then every 10, over 93 minutes at least. The task is no process
and holds no slot of its pool meanwhile. What an outage lasts longer, the DAG `catch_up` makes good.

Of one dataset's own trouble (its table is locked, its read takes too long, a fault of PDIC's) there are four tries in about five
minutes: the other datasets of the sector wait for it to end. What only a person can mend is not tried again at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.definitions.retry_policy import RetryDecision

from pdic import errors

if TYPE_CHECKING:
    from airflow.sdk import Context

_PASSING: Final = [f"{kind.__module__}.{kind.__qualname__}" for kind in errors.passing()]
_PASSES: Final = RetryRule(exception=list(_PASSING), action=RetryAction.RETRY, reason="this may pass by itself")
_REFUSAL: Final = RetryRule(
    exception="pdic.errors.PdicError", action=RetryAction.FAIL, reason="trying again cannot heal this: see the message"
)

OWN_TRIES: Final = 4
"""How often a dataset's own trouble is tried."""


class OutageRetries(ExceptionRetryPolicy):
    """The rules, for the whole of the task's retries where the trouble is an outage, and for OWN_TRIES where it is not."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """What Airflow does after try number `try_number` ended with `exception`."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        if try_number >= OWN_TRIES and not isinstance(exception, errors.OUTAGES):
            return RetryDecision.fail(f"the others do not wait longer than {OWN_TRIES} tries for this")
        return decision


LOAD_RETRIES: Final = OutageRetries(rules=[_PASSES, _REFUSAL])
"""A read: refusals of contract or quality fail at once, anything else is tried again (a batch that died starts anew)."""

STEP_RETRIES: Final = ExceptionRetryPolicy(rules=[_PASSES, _REFUSAL])
"""A step that speaks with the warehouse only, for which nobody waits: check, accept."""

RETRIES: Final[Mapping[str, Any]] = {
    "retries": 12,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 3,
    "max_retry_delay": timedelta(minutes=10),
}

LOAD_DEFAULTS: Final[Mapping[str, Any]] = {"owner": "pdic", **RETRIES, "retry_policy": LOAD_RETRIES}
"""What the tasks of a sector's DAGs share, loads and reconciles alike."""

RELEASE_RETRIES: Final = ExceptionRetryPolicy(rules=[_PASSES], default=RetryAction.FAIL)
"""A release: a step that failed has failed the release. What kept it from beginning, or a warehouse that went away, may pass."""

RELEASE_DEFAULTS: Final[Mapping[str, Any]] = {"owner": "pdic", **RETRIES, "retry_policy": RELEASE_RETRIES}
"""What the tasks of a release share."""
