"""Every DAG file: imports, touches nothing while it is parsed, comes out the same each time, keeps to the house's words."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdic import airflow_names
from pdic.airflow_names import POOL, TIME_ZONE
from pdic.generated.catalogue import SECTORS, SHARED_TABLES
from pdic.operators import changed_tables
from pdic.settings import project_root

DAGS = project_root() / "dags"
OWNERS = {"pdic"}
TAGS = {"catch_up", "load", "readers", "reconcile", "release", *SECTORS}
ASKING = "approve."
"""Tasks that wait for an operator, not for a machine, start with this."""
PASSING = {
    "pdic.errors.Busy",
    "pdic.errors.SourceUnavailable",
    "pdic.errors.SourceUnreachable",
    "pdic.errors.WarehouseUnavailable",
}


def parse(folder: Path, home: Path, hash_seed: int = 0) -> dict[str, Any]:
    """What parse.py says of `folder`. There is no metadata database, so a file that needs one cannot pass."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://nobody@127.0.0.1:1/none",
        "PYTHONHASHSEED": str(hash_seed),
    }
    script = Path(__file__).with_name("parse.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, env=environment, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(DAGS, tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="module")
def dags(parsed: dict[str, Any]) -> dict[str, Any]:
    return {dag_id: entry["dag"] for dag_id, entry in parsed["dags"].items()}


def tasks(dags: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for dag_id, dag in sorted(dags.items()):
        for task in dag["tasks"]:
            yield dag_id, task["__var"]


def test_every_file_imports_and_every_sector_has_its_load(parsed: dict[str, Any]) -> None:
    assert parsed["import_errors"] == {}
    assert set(parsed["dags"]) == {
        "catch_up",
        "readers",
        "release",
        *(f"{kind}_{sector}" for kind in ("load", "reconcile") for sector in SECTORS),
    }


def test_parsing_opens_connects_and_starts_nothing(parsed: dict[str, Any]) -> None:
    assert parsed["events"] == []


def test_a_file_that_does_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "rows.csv").write_text("1\n", encoding="utf-8")
    (tmp_path / "dags" / "bad.py").write_text(
        f"""
import socket, subprocess
from airflow.sdk import DAG
open({str(tmp_path / "rows.csv")!r}).read()
subprocess.run(["true"])
try:
    socket.create_connection(("127.0.0.1", 1))
except OSError:
    pass
DAG("bad")
""",
        encoding="utf-8",
    )
    events = parse(tmp_path / "dags", tmp_path / "airflow")["events"]
    for expected in ("rows.csv", "subprocess.Popen", "socket.connect"):
        assert any(expected in event for event in events), (expected, events)


def test_parsing_again_gives_the_same(parsed: dict[str, Any], tmp_path: Path) -> None:
    again = parse(DAGS, tmp_path, hash_seed=4402)
    for dag in (*parsed["dags"].values(), *again["dags"].values()):
        del dag["dag"]["_processor_dags_folder"]  # where this test's AIRFLOW_HOME is
    assert json.dumps(again["dags"], sort_keys=True) == json.dumps(parsed["dags"], sort_keys=True)


def test_dag_files_import_airflow_through_its_sdk_only() -> None:
    for path in sorted(DAGS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                assert not module.startswith("airflow") or module.split(".")[:2] == ["airflow", "sdk"], (path, module)


def test_tags_owners_and_documentation_come_from_closed_lists(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        assert dag["tags"], dag_id
        assert set(dag["tags"]) <= TAGS, dag_id
        assert len(dag["doc_md"]) > 200, dag_id
        assert dag["description"], dag_id
    assert {task["owner"] for _, task in tasks(dags)} == OWNERS


def test_no_run_overlaps_another_of_its_dag_or_catches_up(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        assert dag["max_active_runs"] == 1, dag_id
        assert dag["catchup"] is False, dag_id


def test_every_task_has_an_end_and_knows_what_to_try_again(dags: dict[str, Any]) -> None:
    for dag_id, task in tasks(dags):
        where = (dag_id, task["task_id"])
        assert task["task_id"].startswith(ASKING) or 0 < task["execution_timeout"] <= 4 * 3600, where
        assert task["retries"] >= 2, where
        assert task["retry_exponential_backoff"] > 1, where
        assert task["has_retry_policy"] is True, where


def test_an_outage_of_an_hour_and_a_half_is_ridden_out(dags: dict[str, Any]) -> None:
    for dag_id, task in tasks(dags):
        if dag_id.partition("_")[0] not in ("load", "reconcile", "release") or task["task_id"].startswith(ASKING):
            continue
        # Airflow waits at least the base times the multiplier to the power of the tries before, up to the longest delay.
        first, factor, longest = (task[n] for n in ("retry_delay", "retry_exponential_backoff", "max_retry_delay"))
        waits = [min(first * factor**tries, longest) for tries in range(task["retries"])]
        assert sum(waits) >= 90 * 60, (dag_id, task["task_id"])
        assert max(waits) <= 10 * 60, (dag_id, task["task_id"])


def test_a_source_is_read_through_its_pool_only(dags: dict[str, Any]) -> None:
    for sector, about in SECTORS.items():
        own = (f"load_{sector}", f"reconcile_{sector}")
        pools = {task["task_id"]: task.get("pool", "default_pool") for at, task in tasks(dags) if at in own}
        steps = ("extract", "reconcile", "heal")
        reading = {f"{step}.{dataset}" for step in steps for dataset in about["datasets"]}
        assert {task for task, pool in pools.items() if pool == POOL.format(sector=sector)} == reading


def test_loads_run_on_the_provinces_clock_and_announce_what_the_release_waits_for(dags: dict[str, Any]) -> None:
    for sector, about in SECTORS.items():
        timetable = dags[f"load_{sector}"]["timetable"]["__var"]
        assert timetable["expression"] == about["schedule"]
        assert timetable["timezone"] == TIME_ZONE
        assert timetable["run_immediately"] == 0.0, "turning the DAG on must not start a load of its own accord"
    announced = {
        (dag_id, outlet["__var"]["name"]) for dag_id, task in tasks(dags) for outlet in task.get("outlets", [])
    }
    for sector, about in SECTORS.items():
        own = airflow_names.of_sector(sector)[0]
        assert {
            (f"load_{sector}", own),
            (f"load_{sector}", f"{own}.datasets"),
            (f"reconcile_{sector}", own),
        } <= announced
        datasets = {airflow_names.of_dataset(sector, dataset)[0] for dataset in about["datasets"]}
        assert {name for dag_id, name in announced if dag_id == f"reconcile_{sector}"} == {own, *datasets}
    changed = changed_tables().name
    assert {dag_id for dag_id, name in announced if name == changed} == {"release", "catch_up"}
    known = {
        inlet["__var"]["name"]
        for dag_id, task in tasks(dags)
        for inlet in task.get("inlets", [])
        if dag_id == "release"
    }
    assert known == {f"shared.{table}" for table in SHARED_TABLES}


def test_a_load_with_news_in_many_datasets_starts_one_release(dags: dict[str, Any]) -> None:
    """The release waits for sectors, of which a load announces its own once, and for none of their datasets."""
    condition = json.dumps(dags["release"]["timetable"])
    for sector, about in SECTORS.items():
        assert f'"{airflow_names.of_sector(sector)[1]}"' in condition
        assert not any(airflow_names.of_dataset(sector, dataset)[1] in condition for dataset in about["datasets"])
