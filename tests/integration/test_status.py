"""`pdic status`: every row accounted for, at the cost of what changed since the last time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pdic import balance, raw, status
from pdic.sources import postgres as source_reading
from tests.conftest import Postgres
from tests.integration.sectors import CURSOR, SNAPSHOT, Sector, own_sector

NAME = "bang_can_doi"


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector(NAME, postgres, tmp_path_factory.mktemp("project")) as sector:
        for dataset, capture in (("lan_luot", CURSOR), ("ca_bang", SNAPSHOT), ("chua_nap", SNAPSHOT)):
            sector.add(dataset, capture=capture)
            sector.source(
                f"insert into {dataset} (id, \"Nhãn X\") select n, case when n > 2 then 'a' end from generate_series(1, 10) n"
            )
        yield sector


def shown(sector: Sector, **options: Any) -> dict[str, dict[str, Any]]:
    return {report["dataset"]: report for report in status.datasets(sector.connect_to, **options)}


def counts(reports: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {
        name: tuple(report[part] for part in ("source_rows", "accepted", "quarantined", "deleted", "balanced"))
        for name, report in reports.items()
    }


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The datasets whose keys were counted."""
    datasets: list[str] = []
    count_keys = raw.count_keys

    def count(connection: Any, contract: Any) -> raw.KeyCounts:
        datasets.append(contract.dataset)
        return count_keys(connection, contract)

    monkeypatch.setattr(raw, "count_keys", count)
    return datasets


def test_what_has_no_news_is_not_counted_again_and_every_change_is(sector: Sector, counted: list[str]) -> None:
    assert counts(shown(sector))["chua_nap"] == (10, 0, 0, 0, False)
    assert counted == []
    for dataset in ("lan_luot", "ca_bang"):
        assert sector.load(dataset)["rows_quarantined"] == 2
    assert counts(shown(sector)) == {
        "lan_luot": (10, 8, 2, 0, True),
        "ca_bang": (10, 8, 2, 0, True),
        "chua_nap": (10, 0, 0, 0, False),
    }
    assert sorted(counted) == ["ca_bang", "lan_luot"]
    counted.clear()
    before = shown(sector)
    assert counted == []

    # A row is corrected, one is added, one is deleted, one goes bad: of one dataset only.
    sector.source(
        'update ca_bang set "Nhãn X" = \'b\' where id = 1; update ca_bang set "Nhãn X" = null where id = 9;'
        "insert into ca_bang values (11, 'c'); delete from ca_bang where id = 5"
    )
    assert counts(shown(sector))["ca_bang"] == (10, 8, 2, 0, True)  # not loaded yet: the numbers happen to agree
    sector.load("ca_bang")
    after = shown(sector)
    assert counted == ["ca_bang"]
    assert counts(after)["ca_bang"] == (10, 8, 2, 1, True)
    assert after["ca_bang"]["last_batch"]["batch_id"] > before["ca_bang"]["last_batch"]["batch_id"]
    assert counts(after)["lan_luot"] == counts(before)["lan_luot"]
    assert counts(shown(sector, recount=True)) == counts(after)
    assert sorted(counted[1:]) == ["ca_bang", "lan_luot"]


def test_a_batch_that_is_not_accepted_counts_nothing(sector: Sector, counted: list[str]) -> None:
    sector.load("lan_luot")
    before = counts(shown(sector))
    counted.clear()
    sector.source("insert into lan_luot values (12, 'x')")
    sector.extract("lan_luot")
    assert counts(shown(sector))["lan_luot"] == (11, *before["lan_luot"][1:4], False)
    assert counted == []
    sector.load("lan_luot")
    assert counts(shown(sector)) == counts(shown(sector, recount=True))


def test_two_who_ask_at_once_both_get_their_answer(sector: Sector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one counts, and keeps what it counted, while the first has counted and not yet kept it."""
    sector.source("insert into ca_bang values (31, 'a')")
    sector.load("ca_bang")
    count_keys = raw.count_keys
    second: list[Any] = []

    def count(connection: Any, contract: Any) -> raw.KeyCounts:
        found = count_keys(connection, contract)
        if not second:
            second.append(None)
            second[0] = counts(shown(sector))
        return found

    monkeypatch.setattr(raw, "count_keys", count)
    assert counts(shown(sector)) == second[0]


def test_counts_by_another_key_are_not_taken(sector: Sector, counted: list[str]) -> None:
    sector.load("ca_bang")
    before = counts(shown(sector))
    sector_warehouse = (
        f"update control.key_count set key = '{{other}}', accepted = 999 where sector = '{NAME}' returning 1"
    )
    assert len(sector.warehouse(sector_warehouse)) >= 1
    counted.clear()
    assert counts(shown(sector)) == before
    assert "ca_bang" in counted


def test_a_source_is_asked_in_one_session_and_its_trouble_stays_its_own(
    sector: Sector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[Any] = []
    visit = source_reading.visit
    monkeypatch.setattr(source_reading, "visit", lambda *args: sessions.append(visit(*args)) or sessions[-1])
    with psycopg.connect(sector.source_uri, autocommit=True) as owner:
        owner.execute("alter table lan_luot rename to elsewhere")
        try:
            found = shown(sector)
        finally:
            owner.execute("alter table elsewhere rename to lan_luot")
    assert len(sessions) == 1
    assert (found["lan_luot"]["source_rows"], found["lan_luot"]["balanced"]) == (None, None)
    assert found["lan_luot"]["source_problem"] == "LoadError"
    assert found["ca_bang"]["source_problem"] is None
    with psycopg.connect(sector.source_uri) as source:
        assert (found["ca_bang"]["source_rows"],) == source.execute("select count(*) from ca_bang").fetchone()


def test_a_source_that_is_away_leaves_what_the_warehouse_knows(sector: Sector) -> None:
    def connect_to(conn_id: str) -> str:
        return (
            "postgresql://x@127.0.0.1:1/x?connect_timeout=1"
            if conn_id == f"pdic_source_{NAME}"
            else sector.connect_to(conn_id)
        )

    away = {report["dataset"]: report for report in status.datasets(connect_to)}
    asked = shown(sector)
    for name, report in away.items():
        assert (report["source_rows"], report["balanced"]) == (None, None)
        assert report["source_problem"] == "SourceUnreachable"
        assert report["accepted"] == asked[name]["accepted"]


def test_sources_need_not_be_asked(sector: Sector, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a source was asked")

    monkeypatch.setattr(balance.postgres, "count_rows_of", refuse)
    found = shown(sector, sources=False)
    assert {report["source_rows"] for report in found.values()} == {None}
    assert found["ca_bang"]["accepted"] > 0
