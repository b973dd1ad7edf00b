"""Which failures are worth another try, and how often the sectors' DAGs try."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from pdic import errors

_PASSING: Final = sorted(
    f"{found.__module__}.{found.__qualname__}"
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, errors.PdicError) and found.retryable
)
_PASSES: Final = RetryRule(exception=list(_PASSING), action=RetryAction.RETRY, reason="this may pass by itself")
_REFUSAL: Final = RetryRule(
    exception="pdic.errors.PdicError", action=RetryAction.FAIL, reason="trying again cannot heal this: see the message"
)

LOAD_RETRIES: Final = ExceptionRetryPolicy(rules=[_PASSES, _REFUSAL])
"""A load: refusals of contract or quality fail at once, anything else is tried again (a batch that died starts anew)."""

LOAD_DEFAULTS: Final[Mapping[str, Any]] = {
    "owner": "pdic",
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 3,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": LOAD_RETRIES,
}
"""What the tasks of a sector's DAGs share, loads and reconciles alike."""

RELEASE_RETRIES: Final = ExceptionRetryPolicy(rules=[_PASSES], default=RetryAction.FAIL)
"""A release: a step that failed has failed the release, so only what kept the step from beginning is tried again."""
