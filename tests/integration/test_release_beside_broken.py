"""The whole way beside ten broken datasets: `pdic load` reports all forty, and the release is built, audited and published.

What is shared of a broken dataset shows its last good state; `pdic status` names it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import connections, contracts, embedded, load, release, status
from pdic.onboard import draft as drafts
from pdic.onboard.share import share
from pdic.problems import problems
from tests.conftest import Postgres
from tests.integration.province import PDIC
from tests.integration.sectors import Sector, own_sector
from tests.integration.ten_broken import BROKEN, GOOD, PLANTED, SECTOR, breaking, draft_forty

OURS = Path(__file__).parents[2]
SHARED = ("good_00", "good_01", *BROKEN)
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def forty(new_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    """A home and a project of their own: forty datasets, twelve of them staged and shared; nothing is loaded yet."""
    home, root = new_home(), tmp_path_factory.mktemp("project")
    for part in ("dbt_project/macros", "dbt_project/tests/generic"):
        shutil.copytree(OURS / part, root / part)
    shutil.rmtree(root / "dbt_project/macros/cleaned")
    for part in ("dbt_project/dbt_project.yml", "dbt_project/profiles.yml"):
        shutil.copy(OURS / part, root / part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_HOME", str(home))
        embedded.start(home)
        server = embedded.status(home)
        assert server is not None
        with own_sector(SECTOR, Postgres(home, server.port), root) as made:
            draft_forty(made)
            known = psycopg.conninfo.conninfo_to_dict(made.source_uri)
            source = {"conn_type": "postgres", "login": known["user"], "schema": known["dbname"]}
            connections.save(
                home, {f"pdic_source_{SECTOR}": source | {key: known[key] for key in ("host", "port", "password")}}
            )
            for contract in (contracts.get(SECTOR, dataset, root) for dataset in SHARED):
                model = root / drafts.staging_path(contract)
                model.parent.mkdir(parents=True, exist_ok=True)
                model.write_text(drafts.staging_text(contract), encoding="utf-8")
            for dataset in SHARED:
                share(SECTOR, dataset, name=f"mart_{dataset}")
            yield made


def by_status(reports: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The datasets by how their load ended."""
    assert len(reports) == 40
    assert PLANTED not in str(reports)
    return {
        status: sorted(report["dataset"] for report in reports if report["status"] == status)
        for status in {report["status"] for report in reports}
    }


def loaded_by_command() -> dict[str, list[str]]:
    """`pdic load --json`."""
    done = subprocess.run(
        [PDIC, "load", "--json"], env=os.environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert "Traceback" not in done.stderr
    assert PLANTED not in done.stderr
    assert done.returncode == 1
    return by_status(json.loads(done.stdout))


def shown(dataset: str) -> dict[int, str]:
    """What readers see of a dataset."""
    with psycopg.connect(connections.warehouse("reader")) as reader:
        return dict(reader.execute(f"select source_id, label from shared.mart_{dataset}").fetchall())  # type: ignore[call-overload]


def standing() -> tuple[int, dict[str, str], dict[str, str]]:
    """The live release, dataset → whether it holds the newest good load, and what is wrong where."""
    found = status.status(connections.uri)
    named = {problem["where"]: problem["what"] for problem in problems(found)}
    return found["release"]["live"], {each["dataset"]: each["in_live_release"] for each in found["datasets"]}, named


def test_a_first_release_goes_out_beside_datasets_that_never_came(forty: Sector) -> None:
    with breaking(forty):
        assert by_status(load.load([SECTOR]))["accepted"] == sorted(GOOD)
        released = release.release()
        live, held, named = standing()
    assert (released["status"], released["release_id"]) == ("published", live)
    assert {dataset for dataset, of in held.items() if of == "yes"} == set(GOOD)
    assert {f"{SECTOR}.{dataset}" for dataset in BROKEN} <= named.keys()
    assert "release" not in named
    assert shown("good_00") == shown("good_01") == {1: "nhãn", 2: "nhãn", 3: "nhãn"}
    assert all(shown(dataset) == {} for dataset in BROKEN)


def test_the_next_one_brings_the_news_and_keeps_the_last_good_state_of_what_broke(forty: Sector) -> None:
    mended = load.load([f"{SECTOR}.{dataset}" for dataset in BROKEN])
    assert {report["status"] for report in mended} == {"accepted"}, mended
    for dataset in (*GOOD, *BROKEN):
        forty.source(f"insert into {dataset} values (9, 'mới')")
    rules = forty.root / "expectations" / "batch" / SECTOR / "undecodable_bytes.yaml"
    with breaking(forty):
        rules.write_bytes(b"rules: [] # \xff")  # its script is not read again, now that its tables are there
        assert loaded_by_command()["accepted"] == sorted(GOOD)
        released = release.release()
        live, held, named = standing()
    assert (released["status"], released["release_id"]) == ("published", live)
    assert {dataset for dataset, of in held.items() if of == "yes"} == {*GOOD, *BROKEN} - {"unreadable_contract"}
    assert {f"{SECTOR}.{dataset}" for dataset in BROKEN} <= named.keys()
    assert "release" not in named
    good = {1: "nhãn", 2: "nhãn", 3: "nhãn"}
    assert shown("good_00") == shown("good_01") == good | {9: "mới"}
    assert {dataset: shown(dataset) for dataset in BROKEN} == dict.fromkeys(BROKEN, good)
