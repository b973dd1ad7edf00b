"""Waivers and retries where rows come as versions of a feed or as changes of a log: nothing is lost, nothing comes twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdic import connections, quarantine, retry, warehouse
from pdic.quarantine import desk
from pdic.warehouse import Connect
from tests.conftest import Postgres
from tests.integration.feeds import FeedSector
from tests.integration.logs import Source, log_sector, warehouse_rows

SECTOR = "nhatky_loi"
LATER = quarantine.today() + dt.timedelta(days=30)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, pdic_home: Path) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(folder))
        yield folder


@pytest.fixture(scope="module")
def feeds(root: Path) -> Iterator[FeedSector]:
    found = FeedSector(root)
    yield found
    found.service.stop()


@pytest.fixture(scope="module")
def log(root: Path, postgres: Postgres) -> Iterator[Source]:
    found = log_sector(SECTOR, root, postgres)
    yield found
    found.drop_slots()


def rule(root: Path, sector: str, dataset: str, column: str, condition: str) -> None:
    """The dataset's only rule of its own, in place of any it had."""
    path = root / "expectations" / "batch" / sector / f"{dataset}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "id": f"{dataset}.own", "type": "pdic_expect_row_condition", "kwargs": {"columns": [column], "condition": condition},
        "severity": "critical", "dimension": "accuracy", "on_fail": "quarantine", "reason": {"vi": "Sai", "en": "Wrong"},
        "origin": "text", "source": "assumption: asked for by this test",
    }  # fmt: skip
    path.write_text(yaml.safe_dump({"rules": [entry]}, allow_unicode=True), encoding="utf-8")


def records(name: str, connect_to: Connect) -> dict[str, dict[str, Any]]:
    """By source key: its newest record. (The register keeps keys; `listed` hides personal ones.)"""
    keys = dict(warehouse_rows("select record_id, key from quarantine.record order by record_id"))
    found = desk.listed(desk.Wanted([name], standings=desk.STANDINGS), None, connect_to)
    return {keys[record["record_id"]]: record for record in sorted(found, key=lambda record: record["record_id"])}


def standings(name: str, connect_to: Connect) -> dict[str, str]:
    return {key: record["standing"] for key, record in records(name, connect_to).items()}


def balanced(report: dict[str, Any]) -> bool:
    parts = (report["rows_accepted"], report["rows_quarantined"], report["rows_unchanged"])
    return bool(report["status"] == "accepted" and report["rows_extracted"] == sum(part or 0 for part in parts))


def test_rows_of_a_feed_are_waived_judged_again_and_come_once(feeds: FeedSector) -> None:
    name, full = "giu", "cong.giu"
    feeds.add(name, overlap="1 h")
    rule(feeds.root, "cong", name, "HoTen", "\"HoTen\" !~ 'bad'")
    for key in ("a", "b", "c"):
        feeds.feed.put(key, HoTen="good" if key == "c" else "bad")
    first = feeds.load_whole(name)
    assert balanced(first), first
    assert (first["rows_accepted"], first["rows_quarantined"]) == (1, 2)

    held = records(full, feeds.connect_to)
    desk.waive([held["a"]["record_id"]], who="Lê A", why="x", until=LATER, connect_to=feeds.connect_to)
    (report,) = retry.retry([full], record_ids=[held["a"]["record_id"]], connect_to=feeds.connect_to)
    assert balanced(report), report
    assert (report["capture"], report["rows_extracted"], report["rows_accepted"]) == ("retry", 1, 1)
    assert standings(full, feeds.connect_to) == {"a": "waived", "b": "open"}

    again = feeds.load_whole(name)  # the overlap sends all three once more
    assert balanced(again), again
    assert (again["rows_accepted"], again["rows_quarantined"]) == (0, 0), again
    assert [(row[0], row[4]) for row in feeds.held(name)] == [("a", "bad"), ("c", "good")]

    feeds.feed.put("a", HoTen="bad still")
    newer = feeds.load_whole(name)
    assert (newer["rows_accepted"], newer["rows_quarantined"]) == (1, 0)
    assert standings(full, feeds.connect_to)["a"] == "waived"

    rule(feeds.root, "cong", name, "HoTen", "\"HoTen\" !~ 'worse'")
    (report,) = retry.retry([full], connect_to=feeds.connect_to)
    assert balanced(report), report
    assert report["rows_accepted"] == 1
    assert standings(full, feeds.connect_to)["b"] == "corrected"
    assert feeds.held(name) == feeds.sent()
    feeds.feed.put("b", HoTen="fine")
    assert balanced(feeds.load_whole(name))
    assert feeds.held(name) == feeds.sent()
    feeds.forget(name)


def test_an_older_held_version_never_comes_over_a_newer_good_one(feeds: FeedSector) -> None:
    name, full = "moi", "cong.moi"
    feeds.add(name)
    rule(feeds.root, "cong", name, "HoTen", "\"HoTen\" !~ 'bad'")
    feeds.feed.put("a", HoTen="bad")
    assert feeds.load_whole(name)["rows_quarantined"] >= 1
    feeds.feed.put("a", HoTen="good")
    assert balanced(feeds.load_whole(name))
    assert standings(full, feeds.connect_to)["a"] == "corrected"
    rule(feeds.root, "cong", name, "HoTen", "true")
    retry.retry([full], connect_to=feeds.connect_to)
    assert {row[0]: row[4] for row in feeds.held(name)}["a"] == "good"
    feeds.forget(name)


def test_a_value_that_could_not_be_read_is_neither_waived_nor_judged_again(feeds: FeedSector) -> None:
    name, full = "doc", "cong.doc"
    feeds.add(name)
    feeds.feed.put("x", SoTien="nhiều")
    assert balanced(feeds.load_whole(name))
    (record,) = (record for key, record in records(full, feeds.connect_to).items() if key == "x")
    with pytest.raises(desk.QuarantineError, match="could not be read"):
        desk.waive([record["record_id"]], who="A", why="x", until=LATER, connect_to=feeds.connect_to)
    assert retry.retry([full], record_ids=[record["record_id"]], connect_to=feeds.connect_to) == []
    feeds.feed.put("x", SoTien=7)
    assert balanced(feeds.load_whole(name))
    assert standings(full, feeds.connect_to)["x"] == "corrected"
    feeds.forget(name)


def test_rows_of_a_log_are_waived_and_judged_again_and_the_log_goes_on(log: Source) -> None:
    name, full = log.table("giu"), f"{SECTOR}.giu"
    rule(log.root, SECTOR, name, "Nhãn X", "\"Nhãn X\" !~ 'bad'")
    log.run(f"insert into {name} values (1, 'bad'), (2, 'bad'), (3, 'good'), (4, 'bad')")
    first = log.accepted(name)
    assert (first["rows_accepted"], first["rows_quarantined"]) == (1, 3)

    held = records(full, log.connect_to)
    desk.waive([held["1"]["record_id"]], who="Lê A", why="x", until=LATER, connect_to=log.connect_to)
    (report,) = retry.retry([full], record_ids=[held["1"]["record_id"]], connect_to=log.connect_to)
    assert balanced(report), report
    assert (report["capture"], report["rows_accepted"]) == ("retry", 1)
    assert log.in_raw(name, {"id": "", "Nhãn X": ""}) == [("1", "bad"), ("3", "good")]

    log.run(
        f"""update {name} set "Nhãn X" = 'bad still' where id = 1; update {name} set "Nhãn X" = 'good' where id = 2"""
    )
    second = log.accepted(name)
    assert balanced(second), second
    assert (second["rows_extracted"], second["rows_accepted"]) == (2, 2)
    assert standings(full, log.connect_to) == {"1": "waived", "2": "corrected", "4": "open"}

    log.run(f"delete from {name} where id = 4; insert into {name} values (5, 'bad')")
    log.accepted(name)
    assert standings(full, log.connect_to)["4"] == "corrected"
    rule(log.root, SECTOR, name, "Nhãn X", "true")
    (report,) = retry.retry([full], connect_to=log.connect_to)
    assert balanced(report), report
    assert report["rows_extracted"] == 1  # the deleted one is not judged again
    log.assert_equal(name)
    assert standings(full, log.connect_to)["5"] == "corrected"
    log.run(f"delete from {name} where id = 1")
    log.accepted(name)
    log.assert_equal(name)
    assert standings(full, log.connect_to)["1"] == "corrected"
