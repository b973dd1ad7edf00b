"""What became of loads and releases, as `pdic history`, `pdic releases` and `pdic status` tell it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pdic import connections, history, status, warehouse
from pdic.contracts import ContractError
from pdic.problems import of_dataset, problems
from pdic.quality import tally
from pdic.warehouse import transaction
from tests.conftest import Postgres
from tests.integration.sectors import SNAPSHOT, Sector, own_sector


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("quakhu", postgres, tmp_path_factory.mktemp("project")) as made:
        yield made


def standing(sector: Sector, name: str) -> dict[str, Any]:
    return next(found for found in status.datasets(sector.connect_to, sector.name) if found["dataset"] == name)


def loaded(sector: Sector, name: str, rows: int = 3) -> dict[str, Any]:
    sector.add(name, capture=SNAPSHOT)
    sector.source(f"insert into {name} select i, 'n' || i from generate_series(1, {rows}) as i")
    return sector.load(name)


def test_a_good_load_is_told_with_its_age_and_its_promise(sector: Sector) -> None:
    report = loaded(sector, "tot")
    found = standing(sector, "tot")
    assert found["last_good_batch"] == report["batch_id"]
    assert 0 <= found["age_seconds"] < 600
    assert found["promised_seconds"] == 26 * 3600  # the contract's latency
    assert (found["late"], found["last_error"], found["in_live_release"]) == (False, None, "no")
    assert list(of_dataset(found)) == []
    (batch,) = history.of_dataset(sector.name, "tot", sector.connect_to)
    assert (batch["status"], batch["rows_accepted"], batch["error_kind"]) == ("accepted", 3, None)
    assert batch["seconds"] > 0


def test_a_load_that_is_older_than_its_promise_is_late(sector: Sector) -> None:
    report = loaded(sector, "muon")
    sector.warehouse(
        f"update control.batch set started_at = started_at - interval '27 hours' where batch_id = {report['batch_id']} returning 1"
    )
    found = standing(sector, "muon")
    assert found["late"] is True
    (said,) = of_dataset(found)
    assert "1 d 3 h old" in said
    assert "promises 1 d 2 h" in said
    assert f"`pdic load {sector.name}.muon`" in said


def test_an_error_is_told_with_kind_and_reason_until_a_load_is_good(sector: Sector) -> None:
    loaded(sector, "loi")
    sector.source('alter table loi rename column "Nhãn X" to khac')
    sector.load("loi")
    error = standing(sector, "loi")["last_error"]
    assert error["kind"] == "DriftError"
    assert "Nhãn X" in error["reason"]
    (said,) = of_dataset(standing(sector, "loi"))
    assert "came to nothing just now: public.loi differs from its contract" in said
    newest, former = history.of_dataset(sector.name, "loi", sector.connect_to)
    assert (newest["error_kind"], former["status"]) == ("DriftError", "accepted")
    sector.source('alter table loi rename column khac to "Nhãn X"')
    sector.load("loi")
    assert standing(sector, "loi")["last_error"] is None


def test_a_batch_that_its_rules_hold_is_told_too(sector: Sector) -> None:
    sector.add("giu", capture=SNAPSHOT)  # an empty source at the first load is held
    report = sector.load("giu")
    assert report["status"] == "rejected"
    error = standing(sector, "giu")["last_error"]
    assert (error["kind"], error["reason"]) == ("BatchRejected", report["message"])


def test_a_check_is_told_in_counts(sector: Sector) -> None:
    sector.add("dem", capture=SNAPSHOT)
    sector.source("insert into dem values (1, 'a'), (2, null), (3, null)")
    batch_id = sector.load("dem")["batch_id"]
    with transaction(connections.warehouse("auditor"), "test") as auditor:
        found = tally.of_batches(auditor, [batch_id, -1])
    assert found[-1] == tally.Tally(0, 0)
    assert (found[batch_id].rows, found[batch_id].broken) == (3, {"dem.Nhãn_X.required": (2, "quarantine")})
    assert str(found[batch_id]).endswith(
        " rules judged 3 rows; 1 is broken: dem.Nhãn_X.required by 2 rows (quarantine)"
    )


def test_a_dataset_that_was_never_loaded_says_so(sector: Sector) -> None:
    sector.add("chua", capture=SNAPSHOT)
    assert history.of_dataset(sector.name, "chua", sector.connect_to) == []
    assert list(of_dataset(standing(sector, "chua"))) == [f"it was never loaded: run `pdic load {sector.name}.chua`"]
    assert list(of_dataset(standing(sector, "chua"), province_is_loaded=False)) == []
    with pytest.raises(ContractError, match="khong_co"):
        history.of_dataset(sector.name, "khong_co", sector.connect_to)


def test_one_trouble_of_a_dataset_is_said_once(sector: Sector) -> None:
    sector.add("mot_loi", capture=SNAPSHOT)
    away = dict(standing(sector, "mot_loi")) | {"source_problem": "SourceUnreachable"}
    name = f"{sector.name}.mot_loi"
    no_count = "its source gives no count of its rows (SourceUnreachable): see that it answers, then run"
    assert list(of_dataset(away)) == [f"it was never loaded, and {no_count} `pdic load {name}`"]
    assert list(of_dataset(away, province_is_loaded=False)) == [f"{no_count} `pdic load {name}`"]
    broken = {"batch_id": 7, "seconds_ago": 60, "kind": "SourceUnavailable", "reason": "it broke off"}
    assert list(of_dataset(away | {"last_error": broken})) == ["batch 7 came to nothing 1 min ago: it broke off"]
    rejected = broken | {"kind": "BatchRejected", "reason": "a rule is broken"}
    found = list(of_dataset(away | {"last_error": rejected}))
    assert found == [
        "batch 7 came to nothing 1 min ago: a rule is broken",
        f"{no_count} `pdic load {name}`",
    ]


@pytest.fixture(scope="module")
def ledger(postgres: Postgres) -> str:
    """A warehouse of its own with three releases: the second was rolled back, the third failed."""
    uri = postgres.create_database("releases_of_its_own")
    admin = postgres.uri("releases_of_its_own")
    warehouse.migrate(admin)
    assert uri
    with psycopg.connect(admin) as connection:
        connection.execute("""
            insert into control.batch (batch_id, sector, dataset, capture, status, rows_extracted, rows_accepted,
                rows_quarantined, rows_unchanged, rows_deleted)
            select b, 's', d, 'cursor', 'accepted', 10, 10, 0, 0, 1
            from (values (1, 'a'), (2, 'b'), (3, 'a'), (4, 'a')) as v (b, d);
            insert into control.release (release_id, status, code_digest, seconds, published_at, message) values
                (1, 'published', '', '{"staging": 1.5, "publish": 0.25}', now(), null),
                (2, 'published', '', '{}', now(), null),
                (3, 'failed', '', '{}', null, 'fct_birth: 3 rows break a rule');
            insert into control.release_batch (release_id, sector, dataset, batch_id) values
                (1, 's', 'a', 1), (1, 's', 'b', 2), (2, 's', 'a', 4), (2, 's', 'b', 2), (3, 's', 'a', 4), (3, 's', 'b', 2);
            insert into control.publication (release_id, kind, former_release_id) values
                (1, 'publish', null), (2, 'publish', 1), (1, 'rollback', 2);
            update control.slot set live = 'b', building = 'a', live_release_id = 1;
        """)
    return admin


def test_releases_say_what_they_brought_and_what_became_of_them(ledger: str) -> None:
    failed, taken_back, live = history.releases(lambda _: ledger)
    assert (live["datasets"], live["rows"], live["live"], live["seconds"]) == (2, 22, True, 1.8)
    assert (taken_back["datasets"], taken_back["rows"], taken_back["live"]) == (1, 22, False)
    assert taken_back["rolled_back_at"] is not None
    assert live["rolled_back_at"] is None
    assert (failed["status"], failed["datasets"], failed["reason"]) == ("failed", 0, "fct_birth: 3 rows break a rule")


def test_the_live_release_holds_a_dataset_or_an_older_batch_of_it(ledger: str) -> None:
    with psycopg.connect(ledger) as connection:
        connection.execute(
            "insert into control.dataset (sector, dataset, accepted_batch_id) values ('s', 'a', 4), ('s', 'b', 2), ('s', 'c', 9)"
        )
    found = history.standings(lambda _: ledger)
    assert {name: row["in_live_release"] for (_, name), row in found.items()} == {"a": "older", "b": "yes", "c": "no"}


WELL = {"datasets": [], "slots": [], "unreadable": [], "release": {"live": 1, "newest": []}}


@pytest.mark.parametrize(
    ("report", "where", "said"),
    [
        ({"slots": [{"sector": "s", "dataset": "d", "warning": "its slot grows"}]}, "s.d", "its slot grows"),
        (
            {"release": {"live": 4, "newest": [{"release_id": 5, "status": "failed", "message": "because"}]}},
            "release",
            "release 5 failed, and readers see release 4: because",
        ),
        (
            {"airflow": {"wanted": True, "components": {"scheduler": "down", "api-server": "healthy"}}},
            "airflow",
            "it is not whole (scheduler: down): run `pdic up`, which mends it",
        ),
        (
            {"disk": {"of": "/a/home", "free_bytes": 9_500_000}},
            "disk",
            "the disk of /a/home has 9 MB left: make room before loads and releases need it",
        ),
    ],
)
def test_what_is_wrong_beside_datasets(report: dict[str, Any], where: str, said: str) -> None:
    assert problems(WELL) == []
    assert problems(WELL | report) == [{"where": where, "what": said}]


def test_airflow_that_nobody_started_is_no_problem() -> None:
    assert (
        problems(WELL | {"airflow": {"wanted": False, "components": {"scheduler": "down", "api-server": "down"}}}) == []
    )
