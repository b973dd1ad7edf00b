"""What an operator of Airflow reads in a task's log, and what its task announces: run by Airflow's own task runner."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import structlog.testing
from airflow.sdk import DAG
from airflow.sdk._shared.logging.structlog import positional_arguments_formatter
from airflow.sdk.api.datamodels._generated import TaskInstanceState
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.sdk.log import logging_processors

from pdic import errors, load, release, warehouse
from pdic.contracts.errors import ContractError, Problem
from pdic.operators import (
    LOAD_DEFAULTS,
    AcceptOperator,
    CheckOperator,
    ExtractOperator,
    PublishOperator,
    changed_tables,
    dataset_asset,
    datasets_with_news,
    sector_asset,
    shared_asset,
)
from pdic.operators.base import REFUSAL
from pdic.quality import tally
from pdic.release import announced

DRIFT = "education.lop: the source has no column malop any more: run `pdic onboard --update education.lop`"


class Said(SimpleNamespace):
    """What Airflow's server says of a task; of what it does not say it says None."""

    def __getattr__(self, name: str) -> None:
        return None


class Run:
    """One task run by Airflow's task runner, without a supervisor: how it ended, its log, what it sent and pushed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, task: Any, **pulled: Any) -> None:
        self.sent: list[Any] = []
        self.pushed: dict[str, Any] = {}
        written = BytesIO()
        processors = [
            *logging_processors(json_output=True)[:-1],
            lambda _, __, event: json.dumps(event, default=str).encode(),
        ]
        log = structlog.wrap_logger(structlog.BytesLogger(written), processors=processors)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=self._send), raising=False)
        monkeypatch.setattr(task_runner, "_prepare", lambda *_: None)
        monkeypatch.setattr(RuntimeTaskInstance, "xcom_push", lambda _, key, value: self.pushed.update({key: value}))
        monkeypatch.setattr(RuntimeTaskInstance, "xcom_pull", lambda _, task_ids, **__: pulled.get(task_ids))
        instance = RuntimeTaskInstance.model_construct(
            id=uuid.uuid4(),
            task=task,
            task_id=task.task_id,
            dag_id="d",
            run_id="r",
            try_number=1,
            max_tries=2,
            map_index=-1,
            start_date=datetime.now(UTC),
            _ti_context_from_server=None,
        )
        server = Said(should_retry=True, max_tries=2, dag_run=Said())
        instance._ti_context_from_server = server  # type: ignore[assignment]
        self.context: Any = {"ti": instance, "task": task, "outlet_events": OutletEventAccessors(), "params": {}}
        with structlog.testing.capture_logs(processors=[positional_arguments_formatter]) as own:
            self.state, *_ = task_runner.run(instance, self.context, log)
        self.runner_log = [json.loads(line) for line in written.getvalue().splitlines()]
        self.own_log = [line["event"] for line in own]

    def _send(self, msg: Any = None, **_: Any) -> None:
        self.sent.append(msg)

    def events(self) -> dict[str, Any]:
        """Asset name → extra, of what the task announces when it ends well."""
        (done,) = [msg for msg in self.sent if getattr(msg, "outlet_events", None) is not None]
        return {event["dest_asset_key"]["name"]: event["extra"] for event in done.outlet_events}


@contextmanager
def no_warehouse(*_: Any) -> Iterator[None]:
    yield None


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse, "transaction", no_warehouse)
    for module in ("accept", "check", "extract", "release"):
        monkeypatch.setattr(f"pdic.operators.{module}.connect_to", lambda conn_id: conn_id)


def made(operator: Any, **options: Any) -> Any:
    with DAG("d", schedule=None):
        return operator(task_id="t", **dict(LOAD_DEFAULTS), **options)


def raising(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Run:
    def extract(*_: Any, **__: Any) -> None:
        raise error from ValueError("Key (so_dinh_danh)=(079301000001)")

    monkeypatch.setattr(load, "extract", extract)
    return Run(monkeypatch, made(ExtractOperator, sector="education", dataset="lop"))


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (errors.DriftError(DRIFT), TaskInstanceState.FAILED),
        (
            errors.SourceUnavailable("education.lop: the source does not answer; try later"),
            TaskInstanceState.UP_FOR_RETRY,
        ),
        (
            ContractError([Problem(Path("contracts/a.yaml"), "schema", "is empty", "write it")]),
            TaskInstanceState.FAILED,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_is_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, error: errors.PdicError, ends: TaskInstanceState
) -> None:
    run = raising(monkeypatch, error)
    assert run.state == ends
    assert run.own_log == [str(error)]
    assert run.pushed == {REFUSAL: str(error)}
    complaints = [line for line in run.runner_log if line["level"] in ("error", "critical")]
    assert [line["event"] for line in complaints] == ["Task exited"]
    assert not any({"exception", "error_detail", "exc_info"} & line.keys() for line in run.runner_log)
    assert "079301000001" not in json.dumps(run.runner_log)


def test_an_error_that_nobody_expected_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    run = raising(monkeypatch, KeyError("batch_id"))
    assert any("Task failed with exception" in line["event"] for line in run.runner_log)


def test_a_check_says_how_many_rules_judged_how_many_rows_and_which_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    tallies = {
        5: tally.Tally(12, 1234, {"lop.tenlop.required": (3, "quarantine"), "lop._rows.between": (1, "halt")}),
        6: tally.Tally(8, 77),
    }
    reports = {
        "lop": {"batch_id": 5, "status": "rejected", "message": "lop._rows.between: too few"},
        "truong": {"batch_id": 6, "status": "checked"},
    }
    monkeypatch.setattr(load, "check", lambda *_, **__: reports)
    monkeypatch.setattr(tally, "of_batches", lambda *_: tallies)
    brought = [{"dataset": name, "batch_id": report["batch_id"]} for name, report in reports.items()]
    task = made(CheckOperator, sector="education", extracts=["x"])
    monkeypatch.setattr(task, "extracts", "x")
    run = Run(monkeypatch, task, x=brought)
    assert run.own_log == [
        "education.lop: batch 5: 12 rules judged 1,234 rows; 2 are broken: lop.tenlop.required by 3 rows (quarantine), "
        "lop._rows.between by 1 row (halt)",
        "education.truong: batch 6: 8 rules judged 77 rows; all hold",
        "education.lop: rejected: lop._rows.between: too few",
    ]


CHECKED = {
    name: {"batch_id": at, "status": "checked"} for at, name in enumerate(("lop", "truong", "giaovien"), start=1)
}


def test_only_datasets_with_news_are_announced_with_batch_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = {
        "lop": {"rows_accepted": 5, "rows_deleted": 1},
        "truong": {"rows_unchanged": 9},
        "giaovien": {"rows_quarantined": 2},
    }
    monkeypatch.setattr(load, "accept", lambda _, dataset, *__, **___: brought[dataset])
    outlets = [sector_asset("education"), datasets_with_news("education")]
    run = Run(monkeypatch, made(AcceptOperator, sector="education", check="check", outlets=outlets), check=CHECKED)
    counts = {"rows_accepted": 0, "rows_deleted": 0, "rows_quarantined": 0}
    assert run.events() == {
        "raw.education.lop": counts | {"batch_id": 1, "rows_accepted": 5, "rows_deleted": 1},
        "raw.education.giaovien": counts | {"batch_id": 3, "rows_quarantined": 2},
        "raw.education": {
            "datasets": ["giaovien", "lop"],
            "rows_accepted": 5,
            "rows_deleted": 1,
            "rows_quarantined": 2,
        },
    }


def test_a_load_without_news_announces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "accept", lambda *_, **__: {"rows_unchanged": 9})
    outlets = [sector_asset("education"), datasets_with_news("education")]
    run = Run(monkeypatch, made(AcceptOperator, sector="education", check="check", outlets=outlets), check=CHECKED)
    assert run.state == TaskInstanceState.SKIPPED
    assert not any(getattr(msg, "outlet_events", None) for msg in run.sent)


def test_a_published_release_announces_each_table_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "publish", lambda *_: {"status": "published"})
    changed = {"fct_birth": {"rows": 10, "checksum": "5"}, "dim_school": {"rows": 3, "checksum": "-7"}}
    monkeypatch.setattr(announced, "take", lambda *_: announced.News(9, changed))
    run = Run(monkeypatch, made(PublishOperator, opened="open", outlets=[changed_tables()]), open={"release_id": 9})
    assert run.events() == {
        "shared.fct_birth": {"release_id": 9, "rows": 10, "checksum": "5"},
        "shared.dim_school": {"release_id": 9, "rows": 3, "checksum": "-7"},
    }


def test_a_release_that_is_kept_back_says_why_and_announces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    message = "release 9 is built and audited, and is not published: release 8 was taken back"
    monkeypatch.setattr(release, "publish", lambda *_: {"status": "ready", "message": message})
    run = Run(monkeypatch, made(PublishOperator, opened="open", outlets=[changed_tables()]), open={"release_id": 9})
    assert run.state == TaskInstanceState.SKIPPED
    assert not any(getattr(msg, "outlet_events", None) for msg in run.sent)


def test_an_assets_address_is_the_table_itself() -> None:
    assert dataset_asset("education", "lop").uri.endswith("/raw/education__lop")
    assert shared_asset("fct_birth").uri.endswith("/shared/fct_birth")
