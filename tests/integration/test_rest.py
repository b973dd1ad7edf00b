"""The REST capture against a service that goes wrong in every way it can: nothing lost, nothing doubled, or a clear stop."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demo import service
from demo.service import Service
from pdic import connections, load, status, warehouse
from pdic.errors import LoadError, SourceUnavailable
from pdic.sources.rest import session as session_module
from pdic.sources.rest.paging import Walk
from tests.conftest import Postgres
from tests.integration.feeds import KEY, FeedSector, contract_text


@pytest.fixture(scope="module")
def module_sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeedSector]:
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        found = FeedSector(root)
        yield found
        found.service.stop()


@pytest.fixture
def sector(module_sector: FeedSector, monkeypatch: pytest.MonkeyPatch) -> FeedSector:
    """The sector with a feed of its own; waits between tries are written down and not slept."""
    module_sector.reset()
    original = session_module.Session.__init__
    waited = module_sector.waited

    def quick(self: Any, endpoint: Any, what: str, sleep: Any = None) -> None:
        original(self, endpoint, what, waited.append)

    monkeypatch.setattr(session_module.Session, "__init__", quick)
    return module_sector


@pytest.fixture
def name(sector: FeedSector, request: pytest.FixtureRequest) -> Iterator[str]:
    found = "".join(c if c.isalnum() else "_" for c in request.node.name.removeprefix("test_"))[:40].strip("_").lower()
    found = "_".join(part for part in found.split("_") if part)
    sector.add(found)
    yield found
    sector.forget(found)


def fill(sector: FeedSector, count: int = 95) -> None:
    for number in range(count):
        sector.feed.put(f"{number:05}")


def test_every_record_arrives_once(sector: FeedSector, name: str) -> None:
    fill(sector)
    report = sector.load_whole(name)
    assert (report["status"], report["rows_extracted"], report["rows_accepted"]) == ("accepted", 95, 95), report
    assert sector.held(name) == sector.sent()
    (standing,) = status.datasets(sector.connect_to)
    assert (standing["source_rows"], standing["accepted"], standing["balanced"]) == (95, 95, True)


def test_the_next_load_asks_only_for_news(sector: FeedSector, name: str) -> None:
    fill(sector)
    sector.load(name)
    sector.service.requests.clear()
    sector.feed.put("00003", HoTen="Khác")
    sector.feed.put("new")
    report = sector.load(name)
    assert (report["rows_extracted"], report["rows_accepted"]) == (2, 2)
    assert sector.held(name) == sector.sent()
    assert sector.service.requests[f"/v1/{name}"] == 4  # the news, the end, and two counts


def test_an_unchanged_feed_costs_two_requests(sector: FeedSector, name: str) -> None:
    fill(sector)
    sector.load(name)
    sector.service.requests.clear()
    report = sector.load_whole(name)
    assert (report["status"], report["rows_extracted"]) == ("accepted", 0)
    assert sector.service.requests == {f"/v1/{name}": 2, "unchanged": 1}  # any news? and how many are you?
    sector.feed.put("later")
    assert sector.load(name)["rows_accepted"] == 1
    assert sector.held(name) == sector.sent()


def test_a_feed_without_news_becomes_stale(sector: FeedSector, name: str) -> None:
    fill(sector)
    assert sector.load_whole(name)["warning"] is None
    assert sector.load_whole(name)["warning"] is None
    with psycopg.connect(connections.warehouse("admin")) as admin:
        admin.execute(
            "update control.batch_freshness set read_at = read_at - interval '5 days', quiet_since = quiet_since - interval '5 days'"
        )
    quiet = sector.load_whole(name)
    assert (
        f"cong.{name} batch {quiet['batch_id']}, column ThoiGianCapNhat: no record was newer than 5 d"
        in quiet["warning"]
    )
    sector.feed.put("news", ThoiGianCapNhat=datetime.now(UTC).isoformat())
    assert sector.load_whole(name)["warning"] is None


def test_an_empty_feed_is_loaded(sector: FeedSector, name: str) -> None:
    assert sector.load(name)["rows_extracted"] == 0
    fill(sector, 1)
    assert sector.load(name)["rows_accepted"] == 1


PASSING = {
    "too_many": 3,
    "unavailable": 3,
    "html": 2,
    "truncated": 2,
    "cut": 2,
    "repeated": 2,
    "shuffled": 2,
    "skipped": 1,
    "miscounted": 1,
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_nothing(sector: FeedSector, name: str, fault: str) -> None:
    """Fault: in the middle of the feed. Invariant: the warehouse holds the feed, exactly."""
    fill(sector)
    page = Walk.page
    asked: list[Any] = []

    def at_the_third_page(self: Walk, *arguments: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 3:
            sector.service.faults[fault] = PASSING[fault]
        return page(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Walk, "page", at_the_third_page)
        report = sector.load(name)
    assert report["status"] == "accepted", report
    assert sector.service.faults[fault] == 0
    assert sector.held(name) == sector.sent()
    assert sector.warehouse(f"select count(*) from raw.cong__{name}") == [(95,)]


@pytest.mark.parametrize("fault", ["skipped", "repeated"])
def test_a_skipped_update_is_noticed_too(sector: FeedSector, name: str, fault: str) -> None:
    """Fault: in a load that brings nothing but newer versions of known records, which no total of the whole feed would miss."""
    fill(sector)
    sector.load(name)
    for number in range(50):
        sector.feed.put(f"{number:05}", SoTien=number)
    sector.service.faults[fault] = 1
    assert sector.load(name)["rows_accepted"] == 50
    assert sector.held(name) == sector.sent()


STAYING = {
    "too_many": "answered 429",
    "unavailable": "answered 503",
    "html": "sent a web page instead of data",
    "truncated": "cut off or broken",
    "cut": "broke off",
    "repeated": "repeats records or has them out of order",
    "shuffled": "out of order",
    "skipped": "to make them agree",
    "miscounted": "to make them agree",
    "redirect": "redirects to another host",
    "bomb": "more than",
    "unauthorized": "refused the credentials",
}


@pytest.mark.parametrize("fault", STAYING)
def test_a_fault_that_stays_is_a_clear_stop(sector: FeedSector, name: str, fault: str) -> None:
    fill(sector)
    sector.load(name)
    accepted = sector.held(name)
    sector.feed.put("00001", HoTen="NGUYỄN THỊ BÍ MẬT")
    fill_more = [sector.feed.put(f"more {number}") for number in range(60)]
    sector.service.faults[fault] = 10_000
    report = sector.load(name)
    assert report["status"] == "failed"
    assert STAYING[fault] in report["message"]
    assert f"cong.{name}" in report["message"]
    for secret in (KEY, "BÍ MẬT", "sauMa"):
        assert secret not in report["message"]
    assert sector.held(name) == accepted
    sector.service.faults.clear()
    assert sector.load(name)["rows_accepted"] == 1 + len(fill_more)
    assert sector.held(name) == sector.sent()


def test_waits_follow_the_service_up_to_a_cap(sector: FeedSector, name: str) -> None:
    fill(sector, 5)
    sector.extra["retry_after_seconds"] = 0.25
    sector.service.faults["too_many"] = 2
    sector.load(name)
    assert len(sector.waited) == 2
    assert all(0.25 <= seconds <= 1.25 for seconds in sector.waited)


def test_a_slow_drip_meets_the_limit_of_a_reply(sector: FeedSector, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a byte every 50 ms, so that no time-out of the socket ever ends. Invariant: the load stops, and says why."""
    fill(sector, 30)
    sector.service.drip_seconds = 0.05
    sector.service.faults["drip"] = 2
    dripped: list[float] = []

    def drip(seconds: float) -> None:
        dripped.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(service, "time", SimpleNamespace(sleep=drip))
    quick = {"reply_seconds": 0.4, "tries": 2}
    sector.extra |= quick
    assert "took longer than" in sector.load(name)["message"]
    whole = len(json.dumps(sector.feed.page(name, {}, 20)[1]))
    assert 0 < len(dripped) < whole / 2, "two replies were left long before their end"
    for limit in quick:  # an ordinary reply may take its time on a busy machine
        del sector.extra[limit]
    assert sector.load(name)["rows_accepted"] == 30


def test_a_load_has_a_deadline(sector: FeedSector, name: str) -> None:
    fill(sector, 60)
    sector.extra["deadline_seconds"] = 0.001
    assert "deadline_seconds" in sector.load(name)["message"]


def test_older_and_repeated_versions_change_nothing(sector: FeedSector, name: str) -> None:
    """Fault: records sent again later under a new time, one with its version, one with an older. Held against what was accepted."""
    fill(sector, 5)
    sector.feed.put("00001", HoTen="mới", PhienBan=7)
    sector.load(name)
    before = sector.held(name)
    sector.feed.put("00001", HoTen="cũ", PhienBan=6)
    sector.feed.put("00002", HoTen="sửa mà không tăng phiên bản", PhienBan=1)
    report = sector.load(name)
    assert (report["rows_extracted"], report["rows_accepted"], report["rows_unchanged"]) == (2, 0, 2)
    assert sector.held(name) == before
    sector.feed.put("00001", HoTen="mới nữa", PhienBan=8)
    assert sector.load(name)["rows_accepted"] == 1
    assert ("00001", 8, "mới nữa") in [(row[0], row[2], row[4]) for row in sector.held(name)]


def test_a_cancelled_record_is_kept(sector: FeedSector, name: str) -> None:
    fill(sector, 3)
    sector.load(name)
    sector.feed.put("00001", SuKien="CANCEL")
    assert sector.load(name)["rows_accepted"] == 1
    assert sector.held(name) == sector.sent()
    assert [row[1] for row in sector.held(name)] == ["NEW", "CANCEL", "NEW"]


def test_a_record_that_appears_late_behind_the_cursor_arrives(sector: FeedSector, name: str) -> None:
    """Fault: a record shows up with a time before what was read already. Invariant: the count finds it, a new walk brings it."""
    fill(sector, 40)
    sector.load(name)
    late = sector.feed.put("late")
    late["ThoiGianCapNhat"] = "2026-01-01T00:00:05.500000+00:00"
    assert sector.load(name)["status"] == "accepted"
    assert sector.held(name) == sector.sent()


def test_overlap_reaches_back_for_late_updates(sector: FeedSector) -> None:
    """Fault: an update shows up under a time before the cursor; no count tells. Invariant: the contract's overlap finds it."""
    sector.add("overlap", overlap="1m")
    fill(sector, 40)
    sector.load("overlap")
    late = sector.feed.put("00030", HoTen="muộn")
    late["ThoiGianCapNhat"] = "2026-01-01T00:00:31.500000+00:00"
    assert sector.load("overlap")["rows_accepted"] == 1
    assert sector.held("overlap") == sector.sent()
    sector.forget("overlap")


def test_a_contract_that_pages_in_another_way_reads_all_again(sector: FeedSector) -> None:
    sector.add("repaged")
    fill(sector, 30)
    sector.load("repaged")
    sector.add(
        "repaged",
        old="cursor: {sauThoiGian: ThoiGianCapNhat, sauMa: IdBanGhi}",
        new="cursor: {sauThoiGian: ThoiGianCapNhat}",
    )
    sector.feed.put("00003", HoTen="mới")
    report = sector.load("repaged")
    assert (report["rows_extracted"], report["rows_accepted"]) == (30, 1)
    assert sector.held("repaged") == sector.sent()
    sector.forget("repaged")


def test_a_feed_that_grows_while_it_is_read(sector: FeedSector, name: str) -> None:
    """Fault: with each page, a read record changes and a new one comes. Invariant: what was there at the end is there."""
    fill(sector)
    page = sector.feed.page
    pages: list[int] = []

    def growing(feed: str, after: Any, limit: int) -> Any:
        found = page(feed, after, limit)
        if len(pages) < 12:
            pages.append(limit)
            sector.feed.put("00000", SoTien=len(pages))
            sector.feed.put(f"new {len(pages)}")
        return found

    sector.feed.page = growing  # type: ignore[method-assign]
    assert sector.load(name)["status"] == "accepted"
    sector.load(name)
    assert sector.held(name) == sector.sent()


def test_values_that_are_not_of_their_type_go_to_quarantine(sector: FeedSector, name: str) -> None:
    """Fault: an amount that is no number, a date that is none, a NUL in a name. Invariant: these records alone are set aside."""
    sector.service.ascii = True
    fill(sector, 50)
    sector.feed.put("00007", SoTien="BẢY TRĂM")
    sector.feed.put("00008", **{"Ngày": "2026-02-30", "SoTien": 2**40})
    sector.feed.put("00009", HoTen="Ng\x00uyễn \ud800")
    sector.feed.put("00010", HoTen=r"C:\u0000 và \\u0000", SoTien=None)
    report = sector.load_whole(name)
    assert (report["rows_extracted"], report["rows_accepted"], report["rows_quarantined"]) == (50, 47, 3), report
    reasons = sector.warehouse(f'select "IdBanGhi", "HoTen", _reasons from quarantine.cong__{name} order by 1')
    assert reasons == [
        ("00007", "Người 00007", [f"{name}.SoTien.type"]),
        ("00008", "Người 00008", [f"{name}.Ngày.type", f"{name}.SoTien.type"]),
        ("00009", None, [f"{name}.HoTen.type"]),
    ]
    assert "SoTien: 2 values are not of its type" in report["drift"]
    assert "BẢY" not in str(report)
    assert sector.warehouse(
        f"select record ->> 'SoTien' from landing.unreadable where batch_id = {report['batch_id']} and '00007' = any(key)"
    ) == [("BẢY TRĂM",)]
    assert [row[4] for row in sector.held(name) if row[0] == "00010"] == [r"C:\u0000 và \\u0000"]
    for key in ("00007", "00008", "00009"):
        sector.feed.put(key, HoTen="đúng", SoTien=7, **{"Ngày": "2026-02-28"})
    assert sector.load(name)["rows_accepted"] == 3
    assert sector.held(name) == sector.sent()
    assert sector.warehouse(f"select count(*) from landing.unreadable where batch_id = {report['batch_id']}") == [(0,)]


def test_a_record_without_a_version_stops_the_load(sector: FeedSector, name: str) -> None:
    fill(sector, 5)
    sector.feed.put("00003", HoTen="ẨN DANH", PhienBan="ba")
    report = sector.load(name)
    assert report["status"] == "failed"
    assert "record 5 of page 1 has no usable PhienBan" in report["message"]
    assert "ẨN DANH" not in report["message"]


def test_a_required_field_that_is_gone_stops_before_anything_is_accepted(sector: FeedSector, name: str) -> None:
    fill(sector, 40)
    for record in sector.feed.records.values():
        record["Phien"] = record.pop("PhienBan")
    report = sector.load(name)
    assert report["status"] == "failed"
    assert "PhienBan" in report["message"]


def test_a_new_field_is_remarked(sector: FeedSector, name: str) -> None:
    fill(sector, 2)
    sector.feed.put("x", GhiChu="thêm")
    assert sector.load(name)["drift"] == "fields not in the contract: GhiChu"


@pytest.mark.parametrize("after", [1, 3, 5])
def test_killed_in_the_middle_and_begun_again(sector: FeedSector, name: str, after: int) -> None:
    """Fault: the process is gone after some pages (nothing is undone, the batch stays open). Invariant: as if never killed."""
    fill(sector)
    page = Walk.page
    asked: list[Any] = []

    class Killed(BaseException):
        pass

    def dying(self: Walk, *arguments: Any) -> Any:
        asked.append(arguments)
        if len(asked) > after:
            raise Killed
        return page(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Walk, "page", dying)
        patch.setattr("pdic.ledger.update", lambda *_, **__: None)  # a dead process writes no last words
        with pytest.raises(Killed):
            load.extract("cong", name, sector.connect_to)
    assert sector.load(name)["rows_accepted"] == 95
    assert sector.held(name) == sector.sent()
    landed = sector.warehouse(
        f"select count(*) from pg_tables where schemaname = 'landing' and tablename ~ '^cong__{name}__'"
    )
    assert landed == [(1,)]


def test_killed_between_extract_and_accept(sector: FeedSector, name: str) -> None:
    fill(sector)
    load.extract("cong", name, sector.connect_to)
    sector.feed.put("00001", HoTen="mới")
    assert sector.load(name)["rows_accepted"] == 95
    assert sector.held(name) == sector.sent()


def asked(sector: FeedSector, name: str) -> int:
    return sector.service.requests[f"/v1/{name}"]


BEHIND = {
    "one": ["2026-01-01T00:03:20.500000+00:00"],
    "the very first": ["2025-12-31T00:00:00+00:00"],
    "several, far apart": [f"2026-01-01T00:0{minute}:20.500000+00:00" for minute in (1, 3, 5)],
    "several, side by side": [f"2026-01-01T00:03:20.50000{digit}+00:00" for digit in range(5)],
}


@pytest.mark.parametrize("which", BEHIND)
def test_behind_the_cursor(sector: FeedSector, name: str, which: str) -> None:
    """Fault: records with a time before the cursor. Invariant: they arrive, and few pages are read again (found by counting)."""
    sector.add(name, page_size=5)
    fill(sector, 400)
    sector.load(name)
    sector.service.requests.clear()
    for number, moment in enumerate(BEHIND[which]):
        sector.feed.put(f"late {number}", ThoiGianCapNhat=moment)
    sector.feed.put("00003", HoTen="Khác")
    sector.feed.put("new")
    report = sector.load(name)
    assert report["rows_accepted"] == len(BEHIND[which]) + 2, report
    assert sector.held(name) == sector.sent()
    assert asked(sector, name) < 42  # the whole feed has 81 pages
    sector.service.requests.clear()
    assert sector.load(name)["rows_accepted"] == 0
    assert asked(sector, name) <= 4


def test_much_behind_the_cursor(sector: FeedSector, name: str) -> None:
    """Many records behind the cursor cost little more than the whole feed does."""
    sector.add(name, page_size=5)
    fill(sector, 200)
    sector.load(name)
    sector.service.requests.clear()
    for number in range(0, 200, 4):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number + 0.5)
        sector.feed.put(f"late {number}", ThoiGianCapNhat=moment.isoformat())
    assert sector.load(name)["rows_accepted"] == 50
    assert sector.held(name) == sector.sent()
    assert asked(sector, name) < 90  # the whole feed has 51 pages; half of them may go to counting in vain


def test_moving_while_ranges_are_counted(sector: FeedSector, name: str) -> None:
    """Fault: between any two questions a record moves to the end and another one comes. Invariant: equal once it is quiet."""
    sector.add(name, page_size=5)
    fill(sector, 400)
    sector.load(name)
    sector.feed.put("late", ThoiGianCapNhat="2026-01-01T00:03:20.500000+00:00")
    page = sector.feed.page
    questions: list[int] = []

    def moving(*arguments: Any) -> Any:
        questions.append(1)
        if len(questions) < 12:
            sector.feed.put(f"{190 + len(questions):05}", SoTien=len(questions))
            sector.feed.put(f"new {len(questions)}")
        return page(*arguments)

    sector.feed.page = moving  # type: ignore[method-assign]
    assert sector.load(name)["status"] == "accepted"
    sector.load(name)
    assert sector.held(name) == sector.sent()


@pytest.mark.parametrize("pages", ["few", "many"])
def test_removed_records(sector: FeedSector, name: str, pages: str) -> None:
    """Fault: the service removes records instead of cancelling them, and a late one hides the first in the count.

    Invariant: the load says so, and a reconcile marks them.
    """
    if pages == "many":
        sector.add(name, page_size=5)
    fill(sector, 100)
    sector.load(name)
    for key in ("00010", "00070"):
        del sector.feed.records[key]
    sector.feed.put("late", ThoiGianCapNhat="2026-01-01T00:00:30.500000+00:00")
    report = sector.load(name)
    assert "2 known records are no longer at the service" in report["warning"]
    assert f"pdic reconcile cong.{name}" in report["warning"]
    assert sector.load(name)["warning"] is None
    healed = sector.reconcile(name)
    assert (healed["status"], healed["deleted"], healed["late"], healed["changed"]) == ("accepted", 2, 0, 0), healed
    assert sector.living(name) == sorted(sector.feed.records)
    (standing,) = status.datasets(sector.connect_to)
    assert (standing["source_rows"], standing["accepted"], standing["balanced"]) == (99, 99, True)
    sector.service.requests.clear()
    assert sector.load(name)["rows_extracted"] == 0
    assert asked(sector, name) == 2
    # What was removed by mistake comes back in its former version.
    record = sector.feed.put("00010", PhienBan=1, SuKien="NEW")
    assert record["PhienBan"] == 1
    assert sector.load(name)["rows_accepted"] == 1
    assert sector.living(name) == sorted(sector.feed.records)
    assert sector.reconcile(name)["rows_accepted"] == 0


def test_a_reconcile_finds_what_changed_without_a_new_time(sector: FeedSector, name: str) -> None:
    fill(sector, 30)
    sector.load(name)
    sector.feed.records["00003"]["HoTen"] = "đổi lặng lẽ"
    assert sector.load(name)["rows_extracted"] == 0
    healed = sector.reconcile(name)
    assert (healed["changed"], healed["deleted"], healed["rows_accepted"]) == (1, 0, 1)
    assert sector.held(name) == sector.sent()


def test_the_guard_holds_a_feed_that_lost_too_much(sector: FeedSector, name: str) -> None:
    fill(sector, 30)
    sector.load(name)
    accepted = sector.held(name)
    for number in range(5):
        del sector.feed.records[f"{number:05}"]
    sector.feed.put("new")
    assert sector.load(name)["rows_accepted"] == 1
    held = sector.reconcile(name)
    assert (held["status"], held["held"], held["deleted"]) == ("rejected", True, 5)
    assert f"pdic reconcile cong.{name} --approve" in held["message"]
    assert len(sector.held(name)) == len(accepted) + 1
    healed = sector.reconcile(name, approve=True)
    assert (healed["status"], healed["deleted"]) == ("accepted", 5)
    assert sector.living(name) == sorted(sector.feed.records)


def test_a_full_load_fills_a_column_that_the_contract_has_gained(sector: FeedSector, name: str) -> None:
    text = contract_text(name)
    gained = text[text.index("      - name: column_5") : text.index("      - name: column_6")]
    sector.add(name, old=gained)
    fill(sector, 30)
    sector.load(name)
    sector.add(name)
    assert sector.load(name)["rows_extracted"] == 0
    del sector.feed.records["00007"]
    report = sector.load(name, full=True)
    assert (report["rows_extracted"], report["rows_accepted"], report["rows_deleted"]) == (29, 29, 1)
    assert sector.living(name) == sorted(sector.feed.records)
    assert [row for row in sector.held(name) if row[0] != "00007"] == sector.sent()
    again = sector.load(name, full=True)
    assert (again["rows_accepted"], again["rows_unchanged"], again["rows_deleted"]) == (0, 29, 0)
    assert sector.load(name)["rows_extracted"] == 0


def test_a_token_is_fetched_once_and_renewed_when_refused(sector: FeedSector, name: str) -> None:
    fill(sector)
    sector.extra |= {"auth": "oauth2", "token_url": f"http://127.0.0.1:{sector.port}/token", "scopes": "hoso.read"}
    sector.load(name)
    assert sector.service.requests["token"] == 1
    sector.feed.put("new")
    sector.service.faults["unauthorized"] = 1
    assert sector.load(name)["rows_accepted"] == 1
    assert sector.service.requests["token"] == 3
    sector.password = "wrong"
    assert "gives us no token (401)" in sector.load(name)["message"]


def certificates(folder: Path) -> dict[str, str]:
    """A certificate authority, and a certificate by it for 127.0.0.1; names of their files."""
    now = datetime.now(UTC)
    files = {}
    issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None
    for who in ("ca", "peer"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])
        signer, signing_key = issuer or (subject, key)
        certificate = (
            x509.CertificateBuilder(
                signer, subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
            )
            .add_extension(x509.BasicConstraints(who == "ca", None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(signing_key, hashes.SHA256())
        )
        issuer = issuer or (subject, key)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for name, data in ((who, certificate.public_bytes(serialization.Encoding.PEM)), (f"{who}_key", private)):
            files[name] = str(folder / f"{name}.pem")
            Path(files[name]).write_bytes(data)
    return files


def test_tls_is_verified_both_ways(sector: FeedSector, name: str, tmp_path: Path) -> None:
    """Faults: a certificate of an unknown authority; no certificate of ours. Invariant: nothing is asked in either case."""
    fill(sector, 5)
    files = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["peer"], files["peer_key"])
    context.load_verify_locations(files["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
    secure = Service(sector.feed, KEY, tls=context).start()
    try:
        sector.port, sector.scheme = secure.port, "https"
        sector.extra["tries"] = 2
        assert "verified TLS" in sector.load(name)["message"]
        sector.extra["ca_bundle"] = files["ca"]
        assert sector.load(name)["status"] == "failed"
        sector.extra |= {"client_cert": files["peer"], "client_key": files["peer_key"]}
        assert sector.load(name)["rows_accepted"] == 5
    finally:
        secure.stop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"allowed_hosts": ["dvc.example"]}, "not in allowed_hosts"),
        ({"auth": "oauth2"}, "needs token_url"),
        ({"auth": "oauth2", "token_url": "https://elsewhere.example/token"}, "not in allowed_hosts"),
        ({"ca_bundle": "/nowhere"}, "a file that is not there"),
        ({"verify": False}, "'verify', which is not known"),
        ({"tries": 0}, "must be above 0"),
    ],
)
def test_a_wrong_connection_is_named(sector: FeedSector, name: str, change: dict[str, Any], message: str) -> None:
    sector.extra |= change
    report = sector.load(name)
    assert message in report["message"]
    assert "pdic_source_cong" in report["message"]
    assert KEY not in report["message"]


def test_errors_tell_schedulers_whether_to_try_again() -> None:
    assert SourceUnavailable.retryable
    assert not LoadError.retryable
