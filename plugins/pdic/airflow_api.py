"""A few words with a running Airflow over its REST API (v2)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pdic.errors import PdicError

TIMEOUT = 30  # seconds for one call
AGAIN: Final = {
    "total": 5,
    "backoff_factor": 0.5,
    "status_forcelist": (502, 503, 504),
    "allowed_methods": ("GET",),
    "raise_on_status": False,
}
"""How a call is made again where nothing came of it: one that never reached the server, and any reading one. 15 s in all."""
ONCE: Final = {"total": 0}
FINISHED = frozenset({"success", "failed"})


class NotThere(PdicError):
    """The server answers, and does not know what it was asked for."""


@dataclass(frozen=True)
class Api:
    """An API server and a token that opens it."""

    base_url: str
    token: str

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """GET `/api/v2/<path>`. Raises PdicError, as every method here, where the server says no or nothing."""
        return self._call("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST `body` to `/api/v2/<path>`."""
        return self._call("POST", path, json=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PATCH `/api/v2/<path>` with `body`."""
        return self._call("PATCH", path, json=body)

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Makes the pool, or leaves the one there as its owner has set it."""
        if name not in {pool["name"] for pool in self.get("pools", limit=1000)["pools"]}:
            self.post("pools", {"name": name, "slots": slots, "description": description})

    def wait_for_dag(self, dag_id: str, timeout: float) -> None:
        """Waits until the DAG has been parsed and can run. Raises PdicError with its import errors where it cannot."""
        deadline = time.monotonic() + timeout
        while not self._can_run(dag_id):
            errors = self.get("importErrors")["import_errors"]
            if errors:
                raise PdicError(f"Airflow cannot import {errors[0]['filename']}: {errors[0]['stack_trace'][-1000:]}")
            if time.monotonic() > deadline:
                raise PdicError(
                    f"Airflow does not know the DAG {dag_id} after {timeout:.0f} s: see log/dag-processor.log"
                )
            time.sleep(0.5)

    def _can_run(self, dag_id: str) -> bool:
        """Is the DAG listed, and written down whole? Airflow lists the DAGs of a file some moments before that."""
        if not any(dag["dag_id"] == dag_id for dag in self.get("dags", dag_id_pattern=dag_id)["dags"]):
            return False
        try:
            self.get(f"dags/{dag_id}/details")
        except NotThere:
            return False
        return True

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Asks the scheduler for a run of the DAG; returns the run's id."""
        run = self.post(f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf or {})})
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The DAG's runs, newest first."""
        found: list[dict[str, Any]] = self.get(f"dags/{dag_id}/dagRuns", order_by="-run_after", limit=100)["dag_runs"]
        return found

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Task id → state of one run."""
        found = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)["task_instances"]
        return {task["task_id"]: str(task["state"]) for task in found}

    def wait(self, dag_id: str, run_id: str, timeout: float) -> str:
        """Waits until the run has ended; returns 'success' or 'failed'. Raises PdicError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            state = str(self.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"])
            if state in FINISHED:
                return state
            if time.monotonic() > deadline:
                raise PdicError(f"{dag_id} is still {state} after {timeout:.0f} s: see {self.base_url}/dags/{dag_id}")
            time.sleep(0.5)

    def _call(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        return request(method, f"{self.base_url}/api/v2/{path}", headers=headers, again=AGAIN, **what)


def log_in(base_url: str, username: str, password: str) -> Api:
    """Exchanges a name and password for a token. Raises PdicError where they are refused."""
    answer = request("POST", f"{base_url}/auth/token", json={"username": username, "password": password})
    return Api(base_url, str(answer["access_token"]))


def request(method: str, url: str, again: Mapping[str, Any] = ONCE, **what: Any) -> dict[str, Any]:
    """One call; its JSON answer. Proxies of the environment are not used: the server is on this machine.

    Raises NotThere where the server does not know it, PdicError where it refuses or does not answer.
    """
    import requests  # here, not above: every command imports this module, and few find an Airflow to ask
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(max_retries=Retry(**again)))
        try:
            answer = session.request(method, url, timeout=TIMEOUT, **what)
        except requests.RequestException as error:
            raise PdicError(f"Airflow does not answer at {url} ({type(error).__name__}): is it up? `pdic up`") from None
    if not answer.ok:
        refusal = NotThere if answer.status_code == requests.codes.not_found else PdicError
        raise refusal(f"Airflow refused {method} {url}: {answer.status_code} {answer.text[:500]}")
    found = answer.json() if answer.content else {}
    return found if isinstance(found, dict) else {"items": found}
