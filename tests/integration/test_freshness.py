"""A source that stops writing gives empty increments for ever: the gate says so, and passes nothing that it did not judge.

Time passes by moving what was read before into the past, at the source and in what the gate keeps of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from pdic import connections, load, retry
from pdic.sources import standing
from tests.conftest import Postgres
from tests.integration.sectors import SNAPSHOT, Sector, own_sector


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("tuoi", postgres, tmp_path_factory.mktemp("project")) as made:
        yield made


@pytest.fixture
def name(sector: Sector, request: pytest.FixtureRequest) -> str:
    found = str(request.node.name).removeprefix("test_")[:30].rstrip("_")
    sector.add(found)
    return found


@pytest.fixture
def settings(sector: Sector) -> Iterator[Callable[[str], None]]:
    path = sector.root / "expectations" / "history.yaml"

    def write(text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    yield write
    path.unlink(missing_ok=True)


def days_pass(sector: Sector, name: str, days: float, *, at_source: bool = True) -> None:
    """Let so many days have passed since all that has happened so far."""
    if at_source:
        sector.source(f"""update {name} set "sửa" = "sửa" - interval '{days} days'""")
    with psycopg.connect(connections.warehouse("admin")) as admin:
        admin.execute(
            f"""
            update control.batch_freshness set
                read_at = read_at - interval '{days} days',
                newest_at = newest_at - interval '{days} days',
                quiet_since = quiet_since - interval '{days} days'
            where batch_id in (select batch_id from control.batch where dataset = '{name}')
            """  # type: ignore[arg-type]
        )


def results(sector: Sector, name: str) -> list[tuple[Any, ...]]:
    """By batch, in order: did freshness hold; and how it is recorded."""
    return sector.warehouse(
        f"""
        select batch_id, success, on_fail, dimension, column_name, checked, failed from control.expectation_result
        where dataset = '{name}' and expectation_type = 'pdic_history_freshness' order by id
        """
    )


def test_a_fresh_source_passes(sector: Sector, name: str) -> None:
    sector.source(f"insert into {name} values (1, 'a')")
    first = sector.load(name)
    assert results(sector, name) == [], "a first reading is not judged"
    sector.source(f"insert into {name} values (2, 'b')")
    second = sector.load(name)
    assert (first["warning"], second["warning"]) == (None, None)
    assert results(sector, name) == [(second["batch_id"], True, "warn", "freshness", "sửa", 1, 0)]


def test_an_archive_of_old_rows_is_no_silence_of_ours(sector: Sector, name: str) -> None:
    """The demo's rows end weeks before its first load, and so may any agency's; the days before that count for nothing."""
    sector.source(f"insert into {name} select i, 'a', now() - interval '25 days' from generate_series(1, 50) as i")
    reports = [sector.load(name) for _ in range(3)]
    assert [report["warning"] for report in reports] == [None] * 3
    sector.source(f"insert into {name} values (99, 'a')")
    assert sector.load(name)["warning"] is None
    assert [success for _, success, *_ in results(sector, name)] == [True] * 3
    (longest,) = sector.warehouse(
        "select max(read_at - quiet_since) < interval '1 minute' from control.batch_freshness"
        f" inner join control.batch using (batch_id) where dataset = '{name}'"
    )
    assert longest == (True,)


def test_empty_increments_become_stale_and_are_well_again_with_news(sector: Sector, name: str) -> None:
    sector.source(f"insert into {name} values (1, 'a')")
    sector.load(name)
    days_pass(sector, name, 3)
    assert sector.load(name)["warning"] is None
    days_pass(sector, name, 1.5)
    stale = sector.load(name)
    assert (stale["status"], stale["rows_extracted"]) == ("accepted", 0)
    assert f"tuoi.{name} batch {stale['batch_id']}, column sửa: no record was newer than 4 d 12 h" in stale["warning"]
    assert "the limit is 4 d 2 h (1 d 2 h by the contract and 3 d of rest)" in stale["warning"]
    assert (
        f"tuoi.{name} lô {stale['batch_id']}, cột sửa: không có bản ghi nào mới hơn 4 ngày 12 giờ" in stale["warning"]
    )
    sector.source(f"insert into {name} values (2, 'b')")
    assert sector.load(name)["warning"] is None
    assert [success for _, success, *_ in results(sector, name)] == [True, False, True]
    rules = (
        f"select batch_id from control.expectation_result where dataset = '{name}' and batch_id = {stale['batch_id']}"
    )
    assert sector.warehouse(rules) == [(stale["batch_id"],)], "nothing but freshness was judged of no rows"


def test_late_news_of_long_ago_do_not_make_a_source_fresh(sector: Sector, name: str) -> None:
    sector.source(f"insert into {name} values (1, 'a')")
    sector.load(name)
    days_pass(sector, name, 6)
    with psycopg.connect(
        connections.warehouse("admin")
    ) as admin:  # read again from there, as after a transaction open for days
        admin.execute(
            "update control.dataset set watermark = watermark - interval '7 days' where dataset = %s", (name,)
        )
    sector.source(f"insert into {name} values (2, 'b', now() - interval '5 days')")
    report = sector.load(name)
    assert report["rows_extracted"] > 0
    assert "no record was newer than 5 d when it was read" in report["warning"]


def test_a_dataset_may_be_held_and_goes_on_when_its_source_writes(
    sector: Sector, name: str, settings: Callable[[str], None]
) -> None:
    sector.source(f"insert into {name} values (1, 'a')")
    sector.load(name)
    settings(f"datasets: {{tuoi.{name}: {{freshness_on_fail: halt, quiet_days: 1}}}}")
    days_pass(sector, name, 3)
    held = [sector.load(name) for _ in range(2)]
    for report in held:
        assert report["status"] == "rejected"
        assert f"batch {report['batch_id']} is held by 1 of 1 rules: {name}.history.sửa.freshness" in report["message"]
        assert "no record was newer than 3 d when it was read, the limit is 2 d 2 h" in report["message"]
        assert "Accepted data is untouched" in report["message"]
        assert "history.yaml" in report["message"]
        assert report["warning"] is None, "once is enough"
    assert [each[1:3] for each in results(sector, name)] == [(False, "halt")] * 2
    sector.source(f"insert into {name} values (2, 'b')")
    assert sector.load(name)["status"] == "accepted"
    assert sector.raw(name) == [(1, "a"), (2, "b")]


def test_a_moment_that_lies_ahead_is_said_and_hides_no_silence(sector: Sector, name: str) -> None:
    sector.source(
        f"""insert into {name} values (1, 'a', now() + interval '400 days'), (2, 'b', now()), (3, 'c', 'infinity')"""
    )
    first = sector.load(name)
    assert first["status"] == "accepted"
    assert (
        f"tuoi.{name} batch {first['batch_id']}, column sửa: 1 records bear moments that lie ahead" in first["warning"]
    )
    assert "the latest 400 d after the reading" in first["warning"]
    assert [each[1:3] for each in results(sector, name)] == [(False, "warn")]
    sector.source(f"delete from {name} where id in (1, 3)")
    days_pass(sector, name, 5)
    assert "no record was newer than 5 d" in sector.load(name)["warning"]


def test_what_was_held_is_not_known(sector: Sector, name: str, settings: Callable[[str], None]) -> None:
    """A batch that another rule rejected is read again: it tells nothing, and nothing is told of it twice."""
    sector.source(f"insert into {name} values (1, 'a')")
    sector.load(name)
    settings("defaults: {guarded_rows: 1, max_quarantined_share: 0.1}")
    sector.source(f"insert into {name} values (2, null)")
    assert sector.load(name)["status"] == "rejected"
    assert results(sector, name) == []


def test_a_check_that_runs_again_tells_once(sector: Sector, name: str) -> None:
    sector.source(f"insert into {name} values (1, 'a')")
    sector.load(name)
    days_pass(sector, name, 9)
    batch = sector.extract(name)
    first, second = (load.check("tuoi", {name: batch}, sector.connect_to)[name]["warning"] for _ in range(2))
    assert first == second
    assert first.count("no record was newer") == 1
    kept = sector.warehouse(f"select stale, limit_seconds / 3600 from control.batch_freshness where batch_id = {batch}")
    assert kept == [(True, 98)]


def test_a_retry_says_nothing_of_the_source(sector: Sector, name: str) -> None:
    sector.source(f"insert into {name} values (1, 'a'), (2, null)")
    sector.load(name)
    days_pass(sector, name, 9)
    (report,) = retry.retry([f"tuoi.{name}"], connect_to=sector.connect_to)
    assert (report["status"], report["warning"]) == ("accepted", None)
    assert results(sector, name) == []


def test_a_list_is_judged_by_what_differs_where_its_dataset_says_how_long_it_may_stand(
    sector: Sector, settings: Callable[[str], None]
) -> None:
    name = "danh_muc"
    sector.add(name, capture=SNAPSHOT)
    sector.source(f"insert into {name} values (1, 'a')")
    sector.load(name)
    days_pass(sector, name, 60, at_source=False)
    assert sector.load(name)["warning"] is None
    assert results(sector, name) == [], "nothing says how long it may stand still: nothing was judged, nothing passed"
    settings(f"datasets: {{tuoi.{name}: {{unchanged_days: 30}}}}")
    stale = sector.load(name)
    assert f"tuoi.{name} batch {stale['batch_id']}: nothing had changed for 60 d when it was read" in stale["warning"]
    sector.source(f"update {name} set \"Nhãn X\" = 'b'")
    assert sector.load(name)["warning"] is None
    assert [(success, column) for _, success, _, _, column, *_ in results(sector, name)] == [
        (False, None),
        (True, None),
    ]


@pytest.mark.parametrize(
    ("kind", "now", "older"),
    [
        ("date", "current_date", "current_date - 6"),
        (
            "timestamp without time zone",
            "now() at time zone 'Asia/Ho_Chi_Minh'",
            "(now() at time zone 'Asia/Ho_Chi_Minh') - interval '6 days'",
        ),
    ],
)
def test_a_list_with_a_column_of_its_own_is_judged_by_that(
    sector: Sector, settings: Callable[[str], None], kind: str, now: str, older: str
) -> None:
    name = f"danh_muc_{kind[:4]}_{len(kind)}"
    sector.add(name, capture=SNAPSHOT, type_=kind)
    settings(f"datasets: {{tuoi.{name}: {{moment_column: Nhãn X}}}}")
    sector.source(f"set timezone = 'Asia/Ho_Chi_Minh'; insert into {name} values (1, {older}), (2, {now})")
    assert sector.load(name)["warning"] is None
    days_pass(sector, name, 5, at_source=False)
    assert "no record was newer than 5 d" in sector.load(name)["warning"]
    sector.source(f"set timezone = 'Asia/Ho_Chi_Minh'; insert into {name} values (3, {now})")
    assert sector.load(name)["warning"] is None
    assert [column for *_, column, _, _ in results(sector, name)] == ["Nhãn X"] * 2


def test_a_clock_unlike_ours_is_said(sector: Sector, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = standing.here
    monkeypatch.setattr(standing, "here", lambda: replace(real(), wall=real().wall + 7200))
    sector.source(f"insert into {name} values (1, 'a')")
    assert "the source's clock is 2 h behind this centre's" in sector.load(name)["warning"]
