"""One dataset of each of ten broken kinds among forty: each fails alone, with its reason, and the other thirty are accepted."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors

from pdic import connections, errors, failures, load, reconcile, release, retry, status
from pdic.operators import AcceptOperator, CheckOperator, ExtractOperator, ReportOperator
from pdic.problems import problems
from tests.conftest import Postgres
from tests.integration.sectors import Sector, own_sector
from tests.integration.ten_broken import BROKEN, GOOD, PLANTED, SECTOR, breaking, draft_forty


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector(SECTOR, postgres, tmp_path_factory.mktemp("project")) as made:
        draft_forty(made)
        yield made


@pytest.fixture
def broken(sector: Sector) -> Iterator[Sector]:
    with breaking(sector) as found:
        yield found


def assert_nothing_is_left_open() -> None:
    with psycopg.connect(connections.warehouse("loader")) as loader:
        left = loader.execute(
            "select dataset, status from control.batch"
            f" where sector = '{SECTOR}' and status in ('extracting', 'extracted', 'checked')"
        ).fetchall()
        said = loader.execute(
            f"select coalesce(string_agg(message, ' '), '') from control.batch where sector = '{SECTOR}'"
        ).fetchone()
    assert left == []
    assert said is not None
    assert PLANTED not in said[0]


def test_a_load_of_forty_gives_forty_reports_and_thirty_accepted(
    broken: Sector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reports = {report["dataset"]: report for report in load.load([], broken.connect_to)}
    assert len(reports) == 40
    assert [name for name, report in reports.items() if report["status"] == "accepted"] == sorted(GOOD)
    for dataset, (ends, named) in BROKEN.items():
        report = reports[dataset]
        assert (dataset, report["status"]) == (dataset, ends), report["message"]
        assert named in report["message"]
        assert "Traceback" not in report["message"]
    json.dumps(list(reports.values()))
    assert PLANTED not in str(reports)
    assert_nothing_is_left_open()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("pdic"))
    assert "extract of forty.undecodable_bytes failed: UnicodeDecodeError in " in ours, (
        "the log keeps where it came from"
    )
    assert "raw.py:" in ours
    assert PLANTED not in ours


class Task:
    """A task instance that is at its last try."""

    try_number = 3
    max_tries = 2

    def __init__(self, xcoms: dict[tuple[str, str], Any], task_id: str) -> None:
        self.xcoms = xcoms
        self.task_id = task_id

    def xcom_pull(self, task_ids: str | list[str], key: str = "return_value") -> Any:
        if isinstance(task_ids, str):
            return self.xcoms.get((task_ids, key))
        return [self.xcoms.get((task, key)) for task in task_ids]

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[self.task_id, key] = value


def test_so_does_airflow(broken: Sector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks of the sector's DAG in their order, over what the tasks before them left."""
    for module in ("extract", "check", "accept", "report"):
        monkeypatch.setattr(f"pdic.operators.{module}.connect_to", broken.connect_to)
    broken.source("; ".join(f"insert into {dataset} values (9, 'mới')" for dataset in GOOD))
    xcoms: dict[tuple[str, str], Any] = {}
    run = SimpleNamespace(start_date=None)

    def ran(operator: Any) -> Any:
        task = Task(xcoms, operator.task_id)
        xcoms[operator.task_id, "return_value"] = found = operator.execute(
            {"ti": task, "params": {}, "dag_run": run, "outlet_events": OutletEventAccessors()}
        )
        return found

    extracts = {dataset: f"extract.{dataset}" for dataset in (*GOOD, *BROKEN)}
    for dataset, task_id in extracts.items():
        operator = ExtractOperator(task_id=task_id, sector=SECTOR, dataset=dataset)
        if dataset in GOOD:
            ran(operator)
            continue
        try:
            ran(operator)
        except (Exception, SystemExit) as error:
            assert PLANTED not in str(error)
    checked = ran(CheckOperator(task_id="check", sector=SECTOR, extracts=list(extracts.values())))
    assert {name for name, found in checked.items() if found["status"] == "checked"} == {
        *GOOD,
        "quarantine_that_refuses",
    }
    accepted = ran(AcceptOperator(task_id="accept", sector=SECTOR, check="check"))
    assert {name for name, found in accepted.items() if found["batch_id"]} == set(GOOD)
    with pytest.raises(errors.LoadError) as raised:
        ran(ReportOperator(task_id="report", sector=SECTOR, extracts=extracts))
    message = str(raised.value)
    assert message.startswith(f"{SECTOR}: 10 of 40 datasets did not arrive, 30 did: ")
    for dataset in BROKEN:
        assert f"{dataset} was " in message
    assert PLANTED not in message + str(xcoms)
    assert_nothing_is_left_open()


def test_the_release_of_the_thirty_can_begin(broken: Sector) -> None:
    """What cannot be read keeps what it promised last; what can be read is promised anew."""
    load.load([f"{SECTOR}.good_00"], broken.connect_to)
    try:
        opened = release.open_release(force=True, held=True)
        assert opened["status"] == "building"
        with psycopg.connect(connections.warehouse("publisher")) as publisher:
            promised = publisher.execute(
                "select dataset from control.release_dataset where release_id = %s and sector = %s order by 1",
                (opened["release_id"], SECTOR),
            ).fetchall()
        unread = {"unreadable_contract", "unreadable_rules"}
        assert [dataset for (dataset,) in promised] == sorted({*GOOD, *BROKEN} - unread)
    finally:
        with psycopg.connect(connections.warehouse("publisher")) as publisher:
            publisher.execute("update control.release set status = 'failed' where status = 'building'")


def test_the_status_tells_of_a_contract_that_cannot_be_read_and_of_all_others(broken: Sector) -> None:
    found = status.status(broken.connect_to)
    assert {dataset["dataset"] for dataset in found["datasets"]} == {*GOOD, *BROKEN} - {"unreadable_contract"}
    what = {problem["where"]: problem["what"] for problem in problems(found | {"airflow": None})}
    assert "contracts/forty/unreadable_contract.odcs.yaml" in what[f"{SECTOR}.unreadable_contract"]


def test_a_reconcile_of_many_loses_none(broken: Sector) -> None:
    wanted = ["good_00", "good_01", "undecodable_bytes", "unreadable_contract", "view_that_raises"]
    load.load([f"{SECTOR}.good_00", f"{SECTOR}.good_01"], broken.connect_to)
    reports = {
        report["dataset"]: report
        for report in reconcile.reconcile([f"{SECTOR}.{dataset}" for dataset in wanted], connect_to=broken.connect_to)
    }
    assert list(reports) == wanted
    assert {name for name, report in reports.items() if report["status"] == "accepted"} == {"good_00", "good_01"}
    assert all(reports[name]["message"] for name in wanted[2:])


def test_a_retry_of_held_rows_loses_none(sector: Sector) -> None:
    for dataset in ("good_02", "good_03"):
        sector.source(f"insert into {dataset} values (50, null)")
        assert sector.load(dataset)["rows_quarantined"] == 1
    rules = sector.root / "expectations" / "batch" / SECTOR / "good_02.yaml"
    rules.parent.mkdir(parents=True, exist_ok=True)
    rules.write_text("rules: [", encoding="utf-8")
    try:
        reports = {report["dataset"]: report for report in retry.retry([SECTOR], connect_to=sector.connect_to)}
    finally:
        rules.unlink()
    assert {name: report["status"] for name, report in reports.items()} == {"good_02": "failed", "good_03": "accepted"}
    assert "good_02.yaml" in reports["good_02"]["message"]


def test_one_verdict_that_cannot_be_found_leaves_the_others(sector: Sector, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error inside the gate, for one of three batches: two are checked, the third is given up with its kind."""
    names = ("good_04", "good_05", "good_06")
    batches = {dataset: sector.extract(dataset) for dataset in names}
    judge = load.quality.judge_freshness

    def raising(auditor: Any, contract: Any, *others: Any) -> Any:
        if contract.dataset == "good_05":
            raise ZeroDivisionError(PLANTED)
        return judge(auditor, contract, *others)

    monkeypatch.setattr(load.quality, "judge_freshness", raising)
    reports = load.check(SECTOR, batches, sector.connect_to)
    assert {name: reports[name]["status"] for name in names} == {
        "good_04": "checked",
        "good_05": "failed",
        "good_06": "checked",
    }
    assert "check ended with ZeroDivisionError" in reports["good_05"]["message"]
    kept = sector.warehouse(
        f"select status, error_kind, message from control.batch where batch_id = {batches['good_05']}"
    )
    assert kept[0][:2] == ("abandoned", "ZeroDivisionError")
    assert PLANTED not in kept[0][2]
    for dataset in ("good_04", "good_06"):
        assert load.accept(SECTOR, dataset, batches[dataset], sector.connect_to)["status"] == "accepted"


def test_a_trace_names_places_and_kinds_and_no_value() -> None:
    try:
        try:
            raise ValueError(PLANTED)
        except ValueError as error:
            raise psycopg.errors.UniqueViolation(f"Key (so)=({PLANTED})") from error
    except psycopg.Error as error:
        said = failures.trace(error) + failures.words(error)
    assert "UniqueViolation" in said
    assert "ValueError" in said
    assert "test_broken_datasets.py:" in said
    assert PLANTED not in said
