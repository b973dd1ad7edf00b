"""What the operators make of what the functions behind them do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from pdic import catch_up, contracts, errors, load, reconcile, release, warehouse
from pdic.operators import (
    LOAD_DEFAULTS,
    LOAD_RETRIES,
    RELEASE_RETRIES,
    STEP_RETRIES,
    AcceptOperator,
    AnnounceOperator,
    ApproveDeletionsOperator,
    AuditOperator,
    CatchUpOperator,
    CheckOperator,
    ExtractOperator,
    HealApprovedOperator,
    OpenOperator,
    PublishOperator,
    ReconcileOperator,
    ReportOperator,
    base,
    changed_tables,
)
from pdic.quality import tally
from pdic.release import announced
from pdic.sources.cdc import watch
from pdic.sources.rest.endpoint import read_endpoint


class Task:
    """The part of a task instance that operators use."""

    dag_id = "dag"
    run_id = "run"

    def __init__(self, try_number: int = 1, max_tries: int = 2, **xcoms: Any) -> None:
        self.try_number = try_number
        self.max_tries = max_tries
        self.xcoms = xcoms
        self.pushed: dict[str, Any] = {}

    def xcom_pull(self, task_ids: str | list[str], key: str = "return_value") -> Any:
        found = self.xcoms if key == "return_value" else self.xcoms.get(key, {})
        return found.get(task_ids) if isinstance(task_ids, str) else [found.get(task) for task in task_ids]

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context(task: Task, **params: Any) -> Any:
    return {"ti": task, "params": params, "outlet_events": OutletEventAccessors()}


@contextmanager
def no_warehouse(*_: Any) -> Iterator[None]:
    yield None


@pytest.fixture(autouse=True)
def tallies(monkeypatch: pytest.MonkeyPatch) -> dict[int, tally.Tally]:
    """What checks recorded, by batch; no warehouse is asked."""
    recorded: dict[int, tally.Tally] = {}
    monkeypatch.setattr(warehouse, "transaction", no_warehouse)
    monkeypatch.setattr(tally, "of_batches", lambda _, batches: {batch: recorded[batch] for batch in recorded})
    monkeypatch.setattr(
        announced, "take", lambda run, _: announced.News(9, {"fct_birth": {"rows": 10, "checksum": "5"}})
    )
    for module in ("check", "release"):
        monkeypatch.setattr(f"pdic.operators.{module}.connect_to", lambda conn_id: conn_id)
    return recorded


def accepting(monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, Any]) -> list[str]:
    """Makes load.accept answer by dataset (an error is raised); returns the list of datasets it was asked for."""
    asked: list[str] = []

    def accept(sector: str, dataset: str, batch_id: int, connect_to: Any, *, final: bool) -> dict[str, Any]:
        asked.append(dataset)
        if isinstance(outcomes[dataset], Exception):
            raise outcomes[dataset]
        return {"batch_id": batch_id, "status": "accepted", **outcomes[dataset]}

    monkeypatch.setattr(load, "accept", accept)
    return asked


PLANTED = "079301000001"

CHECKED = {"a": {"batch_id": 1, "status": "checked"}, "b": {"batch_id": 2, "status": "checked"}}


def test_extract_hands_on_ids_and_counts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"batch_id": 7, "rows_extracted": 3, "status": "extracted", "message": "…", "digest": "…"}
    monkeypatch.setattr(load, "extract", lambda sector, dataset, connect_to, *, full: report)
    operator = ExtractOperator(task_id="extract", sector="health", dataset="xml1")
    assert operator.execute(context(Task())) == {"dataset": "xml1", "batch_id": 7, "rows": 3}


@pytest.mark.parametrize(("named", "full"), [([], False), (["xml1"], True), (["health"], True), (["xml2"], False)])
def test_a_run_says_what_is_read_anew(monkeypatch: pytest.MonkeyPatch, named: list[str], full: bool) -> None:
    asked: list[bool] = []

    def extract(sector: str, dataset: str, connect_to: Any, *, full: bool) -> dict[str, Any]:
        asked.append(full)
        return {"batch_id": 7}

    monkeypatch.setattr(load, "extract", extract)
    ExtractOperator(task_id="extract", sector="health", dataset="xml1").execute(context(Task(), full=named))
    assert asked == [full]


def test_check_judges_what_was_extracted_and_skips_where_nothing_was(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, int] = {}

    def check(sector: str, batches: dict[str, int], connect_to: Any, *, final: bool) -> dict[str, Any]:
        asked.update(batches)
        return {name: {"batch_id": batch, "status": "rejected", "message": "…"} for name, batch in batches.items()}

    monkeypatch.setattr(load, "check", check)
    operator = CheckOperator(task_id="check", sector="health", extracts=["x.a", "x.b"])
    found = operator.execute(context(Task(**{"x.a": {"dataset": "a", "batch_id": 5, "rows": 1}})))
    assert asked == {"a": 5}
    assert found == {"a": {"batch_id": 5, "status": "rejected", "message": "…"}}
    with pytest.raises(AirflowSkipException):
        operator.execute(context(Task()))


def test_one_dataset_that_cannot_be_accepted_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = accepting(monkeypatch, {"a": errors.LoadError("no"), "b": {"rows_accepted": 4}})
    found = AcceptOperator(task_id="accept", sector="s", check="check").execute(context(Task(check=CHECKED)))
    assert asked == ["a", "b"]
    assert found["a"]["batch_id"] is None
    assert found["b"] == {
        "batch_id": 2,
        "rows_accepted": 4,
        "rows_deleted": None,
        "rows_quarantined": None,
        "rows_unchanged": None,
    }


def test_a_rejected_batch_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = accepting(monkeypatch, {"b": {"rows_accepted": 1}})
    checked = {**CHECKED, "a": {"batch_id": 1, "status": "rejected"}}
    AcceptOperator(task_id="accept", sector="s", check="check").execute(context(Task(check=checked)))
    assert asked == ["b"]


def test_passing_trouble_is_tried_again_and_at_the_last_try_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    accepting(monkeypatch, {"a": errors.Busy("wait"), "b": {"rows_accepted": 1}})
    operator = AcceptOperator(task_id="accept", sector="s", check="check")
    with pytest.raises(errors.Busy):
        operator.execute(context(Task(try_number=2, check=CHECKED)))
    found = operator.execute(context(Task(try_number=3, check=CHECKED)))
    assert found["a"]["batch_id"] is None
    assert found["b"]["batch_id"] == 2


@pytest.mark.parametrize("counts", [{}, {"rows_accepted": 0, "rows_unchanged": 9}])
def test_a_load_without_news_announces_nothing(monkeypatch: pytest.MonkeyPatch, counts: dict[str, int]) -> None:
    accepting(monkeypatch, {"a": counts, "b": counts})
    task = Task(check=CHECKED)
    with pytest.raises(AirflowSkipException):  # a skipped task's outlets make no event
        AcceptOperator(task_id="accept", sector="s", check="check").execute(context(task))
    assert set(task.pushed["return_value"]) == {"a", "b"}


@pytest.mark.parametrize("name", ["rows_accepted", "rows_deleted", "rows_quarantined"])
def test_rows_accepted_deleted_or_quarantined_are_news(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    accepting(monkeypatch, {"a": {}, "b": {name: 1}})
    AcceptOperator(task_id="accept", sector="s", check="check").execute(context(Task(check=CHECKED)))


def slots_warn(monkeypatch: pytest.MonkeyPatch, *warnings: str) -> None:
    monkeypatch.setattr(watch, "warnings", lambda connect_to, sector: list(warnings) if sector == "s" else [])


def stands(monkeypatch: pytest.MonkeyPatch, **found: load.Standing) -> dict[str, int | None]:
    """Makes load.standing answer by dataset; returns the batches that it was asked about."""
    asked: dict[str, int | None] = {}

    def standing(sector: str, batches: dict[str, int | None], since: Any, connect_to: Any) -> dict[str, load.Standing]:
        asked.update(batches)
        return {name: found[name] for name in batches}

    monkeypatch.setattr(load, "standing", standing)
    return asked


def reporting(extracts: str, task: Task) -> dict[str, Any]:
    operator = ReportOperator(task_id="report", sector="s", extracts={name: f"x.{name}" for name in extracts})
    return operator.execute(context(task) | {"dag_run": SimpleNamespace(start_date=None)})


def test_the_report_fails_the_run_for_every_dataset_left_behind_and_counts_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots_warn(monkeypatch, "d: its slot grows")
    loaded = load.Standing(None, "")
    asked = stands(
        monkeypatch,
        a=loaded,
        b=load.Standing("was rejected (batch 1): b._rows.between: too few rows.", None),
        c=load.Standing("was not checked (batch 2)", None),
        d=load.Standing("was not extracted: its task ended without a word, see its log", None),
    )
    task = Task(
        **{f"x.{name}": {"dataset": name, "batch_id": at, "rows": 10} for at, name in enumerate("abc")},
        refusal={"x.d": "s.d: the source is away; try later"},
    )
    with pytest.raises(errors.LoadError) as raised:
        reporting("abcd", task)
    assert asked == {"a": 0, "b": 1, "c": 2, "d": None}
    message = str(raised.value)
    assert message.startswith("s: 3 of 4 datasets did not arrive, 1 did: ")
    assert "b was rejected (batch 1): b._rows.between: too few rows;" in message
    assert "c was not checked (batch 2)" in message
    assert "d was not extracted: the source is away; try later" in message
    assert "its slot grows" in message
    assert " a was" not in message


def test_the_report_of_a_whole_load(monkeypatch: pytest.MonkeyPatch) -> None:
    slots_warn(monkeypatch)
    stands(monkeypatch, a=load.Standing(None, ""), b=load.Standing(None, "was loaded by batch 9 of another load"))
    task = Task(**{f"x.{name}": {"dataset": name, "batch_id": 3, "rows": 10} for name in "ab"})
    assert reporting("ab", task) == {"datasets": 2, "rows": 20, "warnings": []}


def test_what_another_load_took_over_fails_nobody_and_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = accepting(monkeypatch, {"a": errors.BatchFenced("overtaken", 9)})
    checked = {"a": CHECKED["a"], "b": {"batch_id": 2, "status": "superseded"}}
    found = AcceptOperator(task_id="accept", sector="s", check="check").execute(context(Task(check=checked)))
    assert asked == ["a"]
    assert found == dict.fromkeys("ab", {"batch_id": None, "superseded": True})


def test_an_error_that_nobody_foresaw_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    accepting(monkeypatch, {"a": UnicodeDecodeError("utf-8", b"x", 0, 1, PLANTED), "b": {"rows_accepted": 4}})
    found = AcceptOperator(task_id="accept", sector="s", check="check").execute(context(Task(check=CHECKED)))
    assert found["a"]["batch_id"] is None
    assert found["a"]["message"].startswith("s.a: accept ended with UnicodeDecodeError")
    assert PLANTED not in str(found)
    assert found["b"]["rows_accepted"] == 4


def test_a_warehouse_that_breaks_off_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    accepting(monkeypatch, {"a": psycopg.OperationalError(PLANTED), "b": {"rows_accepted": 4}})
    operator = AcceptOperator(task_id="accept", sector="s", check="check")
    with pytest.raises(errors.WarehouseUnavailable, match="went away .*OperationalError"):
        operator.execute(context(Task(check=CHECKED)))


@pytest.mark.parametrize(("retryable", "try_number", "raises"), [(True, 2, True), (True, 3, False), (False, 1, False)])
def test_a_dataset_that_cannot_be_judged_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, retryable: bool, try_number: int, raises: bool
) -> None:
    asked = []

    def check(sector: str, batches: dict[str, int], connect_to: Any, *, final: bool) -> dict[str, Any]:
        asked.append(final)
        trouble = {"batch_id": 5, "status": "failed", "message": "no", "retryable": retryable}
        return {"a": trouble, "b": {"batch_id": 6, "status": "checked"}}

    monkeypatch.setattr(load, "check", check)
    operator = CheckOperator(task_id="check", sector="s", extracts=["x.a", "x.b"])
    extracts = {f"x.{name}": {"dataset": name, "batch_id": at, "rows": 1} for at, name in enumerate("ab", start=5)}
    run = context(Task(try_number=try_number, **extracts))
    if raises:
        with pytest.raises(base.StepFailed):
            operator.execute(run)
    else:
        found = operator.execute(run)
        assert {name: report["status"] for name, report in found.items()} == {"a": "failed", "b": "checked"}
    assert asked == [try_number == 3]


def test_a_release_with_nothing_to_bring_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def open_release(full_refresh: bool, connect_to: Any, wait: float) -> dict[str, Any]:
        asked.append(full_refresh)
        return {"release_id": 4, "status": "building" if full_refresh else "unchanged"}

    monkeypatch.setattr(release, "settle", lambda seconds, connect_to: 0.0)
    monkeypatch.setattr(release, "open_release", open_release)
    operator = OpenOperator(task_id="open")
    with pytest.raises(AirflowSkipException):
        operator.execute(context(Task(), full_refresh=False))
    assert operator.execute(context(Task(), full_refresh=True)) == {"release_id": 4}
    assert asked == [False, True]


def test_a_run_is_skipped_that_would_build_again_what_a_rollback_keeps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"release_id": 4, "status": "ready", "message": "release 4 is built and audited, and is not published"}
    monkeypatch.setattr(release, "settle", lambda seconds, connect_to: 0.0)
    monkeypatch.setattr(release, "open_release", lambda **_: report)
    with pytest.raises(AirflowSkipException, match="release 4 is built and audited"):
        OpenOperator(task_id="open").execute(context(Task(), full_refresh=False))


def test_a_release_that_a_rollback_keeps_back_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"status": "ready", "message": "release 9 is not published: release 8 was taken back"}
    monkeypatch.setattr(release, "publish", lambda *_: report)
    run = context(Task(open={"release_id": 9}))
    with pytest.raises(AirflowSkipException, match="release 8 was taken back"):
        PublishOperator(task_id="publish", opened="open", outlets=[changed_tables()]).execute(run)
    assert run["outlet_events"][changed_tables()].asset_alias_events == []


def test_what_a_command_changed_for_readers_is_announced_and_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    found = [announced.News(9, {"fct_birth": {"rows": 10, "checksum": "5"}}), announced.News()]
    monkeypatch.setattr(announced, "take", lambda run, _: asked.append(run) or found[len(asked) - 1])
    operator = AnnounceOperator(task_id="announce", outlets=[changed_tables()])
    run = context(Task())
    assert operator.execute(run) == {"release_id": 9, "tables": ["fct_birth"]}
    (event,) = run["outlet_events"][changed_tables()].asset_alias_events
    assert (event.dest_asset_key.name, event.extra) == (
        "shared.fct_birth",
        {"release_id": 9, "rows": 10, "checksum": "5"},
    )
    with pytest.raises(AirflowSkipException, match="was announced"):
        operator.execute(context(Task()))
    assert asked == ["dag run", "dag run"]


def test_a_later_step_goes_by_the_id_that_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "publish", lambda release_id, connect_to: {"status": f"published {release_id}"})
    operator = PublishOperator(task_id="publish", opened="open")
    found = operator.execute(context(Task(open={"release_id": 9})))
    assert found == {"release_id": 9, "status": "published 9"}


@pytest.mark.parametrize("newer", [10, None])
def test_a_step_of_a_release_that_a_newer_one_overtook(monkeypatch: pytest.MonkeyPatch, newer: int | None) -> None:
    """Skipped where the newer one brings the same news; else the run fails, for nobody brings them."""

    def publish(release_id: int, connect_to: Any) -> None:
        raise errors.ReleaseFenced(f"release {release_id} was overtaken")

    monkeypatch.setattr(release, "publish", publish)
    monkeypatch.setattr(release, "overtaken_by", lambda release_id, connect_to: newer)
    operator = PublishOperator(task_id="publish", opened="open")
    with pytest.raises(AirflowSkipException if newer else errors.ReleaseFenced) as raised:
        operator.execute(context(Task(open={"release_id": 9})))
    assert str(raised.value).startswith("release 10 overtook release 9" if newer else "release 9 was overtaken")


HELD = {"release_id": 9, "status": "held", "message": "release 9 is held, and readers keep release 8: …"}


@pytest.mark.parametrize(
    ("step", "kind"), [("open_release", OpenOperator), ("audit", AuditOperator), ("publish", PublishOperator)]
)
def test_a_run_whose_release_is_held_fails_and_says_why(
    monkeypatch: pytest.MonkeyPatch, step: str, kind: type[Any]
) -> None:
    """So that a person sees it: whether the audit holds it, or all that is new is in a release that is held already."""
    monkeypatch.setattr(release, "settle", lambda seconds, connect_to: 0.0)
    monkeypatch.setattr(release, step, lambda *_, **__: HELD)
    operator = kind(task_id=step, **({} if step == "open_release" else {"opened": "open"}))
    with pytest.raises(errors.ReleaseHeld, match="release 9 is held, and readers keep release 8"):
        operator.execute(context(Task(open={"release_id": 9}), full_refresh=False))


class TestErrors:
    """No value of a row reaches a task's log through an error."""

    def raising(self, monkeypatch: pytest.MonkeyPatch, error: BaseException, cause: BaseException | None = None) -> Any:
        def extract(*_: Any, **__: Any) -> None:
            raise error from cause

        monkeypatch.setattr(load, "extract", extract)
        return ExtractOperator(task_id="extract", sector="s", dataset="d")

    def test_a_refusal_comes_without_its_causes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        operator = self.raising(monkeypatch, errors.LoadError("batch 3"), ValueError(PLANTED))
        with pytest.raises(errors.LoadError) as raised:
            operator.execute(context(Task()))
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__

    def test_a_database_error_says_what_kind_and_where_but_not_what(self, monkeypatch: pytest.MonkeyPatch) -> None:
        operator = self.raising(monkeypatch, psycopg.errors.UniqueViolation(f"Key (so)=({PLANTED}) already exists"))
        with pytest.raises(base.StepFailed) as raised:
            operator.execute(context(Task()))
        assert str(raised.value).startswith("UniqueViolation (SQLSTATE 23505) in extract.py:")
        assert raised.value.__suppress_context__

    def test_so_does_one_wrapped_in_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        operator = self.raising(monkeypatch, RuntimeError(PLANTED), psycopg.errors.UniqueViolation(PLANTED))
        with pytest.raises(base.StepFailed, match="^UniqueViolation"):
            operator.execute(context(Task()))

    def test_other_errors_keep_their_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        operator = self.raising(monkeypatch, KeyError("batch_id"))
        with pytest.raises(KeyError, match="batch_id"):
            operator.execute(context(Task()))


class TestReconcile:
    """The weekly reconcile of one dataset, the question to an operator, and the heal after it."""

    def asked(self, monkeypatch: pytest.MonkeyPatch, deletes: str = "reconcile", **report: Any) -> list[dict[str, Any]]:
        """Makes reconcile.one_dataset answer `report`; returns what it was asked."""
        calls: list[dict[str, Any]] = []
        counts = {"late": 0, "changed": 0, "news": 0, "deleted": 6, "known_rows": 100, "rows_quarantined": 0}
        answer = {"batch_id": 7, "status": "accepted", "held": False, "message": None, **counts, **report}

        def one_dataset(sector: str, dataset: str, connect_to: Any, **options: Any) -> dict[str, Any]:
            calls.append(options)
            return answer

        contract = SimpleNamespace(id="s.d", capture="cursor", deletes=deletes)
        monkeypatch.setattr(contracts, "get", lambda *_: contract)
        monkeypatch.setattr(reconcile, "one_dataset", one_dataset)
        return calls

    def run(self, operator: Any, task: Task, day: int = 20, run_type: str = "scheduled") -> Any:
        run = SimpleNamespace(run_type=run_type, logical_date=datetime(2026, 11, day, tzinfo=UTC))
        return operator.execute(context(task) | {"dag_run": run})

    def operator(self) -> ReconcileOperator:
        return ReconcileOperator(task_id="reconcile.d", sector="s", dataset="d")

    def test_what_was_healed_is_announced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked(monkeypatch, rows_deleted=6)
        assert self.run(self.operator(), Task())["batch_id"] == 7

    def test_nothing_to_heal_announces_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked(monkeypatch)
        with pytest.raises(AirflowSkipException, match="nothing differs"):
            self.run(self.operator(), Task())

    def test_what_is_held_announces_nothing_and_is_left_for_the_question(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked(monkeypatch, status="rejected", held=True, message="6 of 100")
        task = Task()
        with pytest.raises(AirflowSkipException, match="6 of 100"):
            self.run(self.operator(), task)
        assert task.pushed["return_value"]["held"] is True

    def test_a_batch_that_a_rule_halts_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked(monkeypatch, status="rejected", message="held by rules")
        with pytest.raises(errors.BatchRejected):
            self.run(self.operator(), Task())

    @pytest.mark.parametrize(
        ("deletes", "day", "run_type", "due"),
        [
            ("reconcile", 20, "scheduled", True),
            ("none", 20, "scheduled", False),
            ("none", 7, "scheduled", True),
            ("none", 20, "manual", True),
        ],
    )
    def test_whose_turn_it_is(
        self, monkeypatch: pytest.MonkeyPatch, deletes: str, day: int, run_type: str, due: bool
    ) -> None:
        calls = self.asked(monkeypatch, deletes=deletes, rows_deleted=6)
        if due:
            self.run(self.operator(), Task(), day, run_type)
        else:
            with pytest.raises(AirflowSkipException, match="not due"):
                self.run(self.operator(), Task(), day, run_type)
        assert len(calls) == due

    def test_the_question_is_asked_only_of_what_is_held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shown = []
        monkeypatch.setattr(ApprovalOperator, "execute", lambda self, context: shown.append(self.body))
        ask = ApproveDeletionsOperator(task_id="approve.d", reconcile="r", subject="?")
        for found in (None, {"held": False}):
            with pytest.raises(AirflowSkipException):
                ask.execute(context(Task(r=found)))
        ask.execute(context(Task(r={"held": True, "message": "6 of 100"})))
        assert shown == ["6 of 100"]

    def test_the_approval_is_of_the_batch_that_was_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = self.asked(monkeypatch, rows_deleted=6)
        heal = HealApprovedOperator(task_id="heal.d", sector="s", dataset="d", reconcile="r", approve="a")
        self.run(heal, Task(r={"held": True, "batch_id": 5}, a={"responded_by_user": {"id": "7", "name": "lan"}}))
        (call,) = calls
        assert (call["approve"], call["approved_batch"], call["consent"].said_by) == (True, 5, "lan")

    def test_more_than_was_approved_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked(monkeypatch, status="rejected", held=True, message="7 of 100")
        heal = HealApprovedOperator(task_id="heal.d", sector="s", dataset="d", reconcile="r", approve="a")
        with pytest.raises(errors.BatchRejected, match="7 of 100"):
            self.run(heal, Task(r={"held": True, "batch_id": 5}))


class TestRetries:
    """What is tried again."""

    @pytest.mark.parametrize(
        ("error", "in_load", "in_release"),
        [
            (errors.Busy("x"), "retry", "retry"),
            (errors.SourceUnavailable("x"), "retry", "retry"),
            (errors.DriftError("x"), "fail", "fail"),
            (errors.BatchRejected("x"), "fail", "fail"),
            (errors.ReleaseFenced("x"), "fail", "fail"),
            (errors.ReleaseHeld("x"), "fail", "fail"),
            (errors.SourceUnreachable("x"), "retry", "retry"),
            (errors.WarehouseUnavailable("x"), "retry", "retry"),
            (errors.SourceRefused("x"), "fail", "fail"),
            (errors.WarehouseRefused("x"), "fail", "fail"),
            (base.StepFailed("x"), "default", "fail"),
            (OSError("x"), "default", "fail"),
        ],
    )
    def test_by_kind(self, error: Exception, in_load: str, in_release: str) -> None:
        assert LOAD_RETRIES.evaluate(error, 1, 2).action.value == in_load
        assert RELEASE_RETRIES.evaluate(error, 1, 2).action.value == in_release

    @pytest.mark.parametrize(
        ("error", "tries"),
        [
            (errors.SourceUnreachable("away"), 13),
            (errors.WarehouseUnavailable("away"), 13),
            (errors.SourceUnavailable("the table is locked"), 4),
            (TypeError("a fault of PDIC's"), 4),
            (errors.SourceRefused("wrong password"), 1),
            (errors.DriftError("another shape"), 1),
        ],
    )
    def test_a_read_is_tried_as_often_as_that_can_help(self, error: Exception, tries: int) -> None:
        most = LOAD_DEFAULTS["retries"] + 1
        ended = (
            number
            for number in range(1, most + 1)
            if number == most or LOAD_RETRIES.evaluate(error, number, most - 1).action.value == "fail"
        )
        assert next(ended) == tries

    def test_nothing_waits_for_a_check_so_it_is_tried_to_the_end(self) -> None:
        for error, expected in ((base.StepFailed("x"), "default"), (errors.Busy("x"), "retry")):
            assert STEP_RETRIES.evaluate(error, 11, 12).action.value == expected

    def test_every_error_that_passes_by_itself_is_known(self) -> None:
        for found in vars(errors).values():
            if isinstance(found, type) and issubclass(found, errors.PdicError):
                expected = "retry" if found.retryable else "fail"
                assert LOAD_RETRIES.evaluate(found("x"), 1, 2).action.value == expected, found


class TestCatchUp:
    """A sector that broke off is asked again, once."""

    def started(self, monkeypatch: pytest.MonkeyPatch, waiting: list[str], under_way: int) -> str | None:
        """The DAG that the operator starts."""
        monkeypatch.setattr(catch_up, "broken_off", lambda sector, connect_to: waiting)
        found: list[str] = []
        monkeypatch.setattr(TriggerDagRunOperator, "execute", lambda self, context: found.append(self.trigger_dag_id))
        task = SimpleNamespace(get_dr_count=lambda dag_id, states: under_way if dag_id == "load_health" else 0)
        with suppress(AirflowSkipException):
            CatchUpOperator(task_id="again", sector="health").execute(context(task))  # type: ignore[arg-type]
        return found[0] if found else None

    def test_a_source_that_was_away_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.started(monkeypatch, ["xml1"], 0) == "load_health"

    def test_a_load_that_still_tries_is_left_to_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.started(monkeypatch, ["xml1"], 1) is None

    def test_without_trouble_nothing_starts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.started(monkeypatch, [], 0) is None


def test_the_connection_is_airflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PDIC_SOURCE_HEALTH", "postgres://ann:p%40ss@db:5433/health?sslmode=require")
    assert base.connect_to("pdic_source_health") == "postgresql://ann:p%40ss@db:5433/health?sslmode=require"


def test_a_connection_to_a_service_is_airflows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {
        "conn_type": "http",
        "host": "dvc.example",
        "schema": "https",
        "login": "pdic",
        "password": "k/y",
        "port": 8443,
    }
    given = json.dumps({**entry, "extra": {"auth": "api_key", "allowed_hosts": ["dvc.example"]}})
    monkeypatch.setenv("AIRFLOW_CONN_PDIC_SOURCE_ONE_STOP", given)
    endpoint = read_endpoint("pdic_source_one_stop", base.connect_to("pdic_source_one_stop"))
    assert (endpoint.base, endpoint.auth, endpoint.password) == ("https://dvc.example:8443", "api_key", "k/y")
