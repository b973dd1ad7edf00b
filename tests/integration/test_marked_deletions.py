"""A batch that marks too many rows as deleted is held like a sweep that finds too many gone, and goes on once a person consents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pdic import approval, held, history
from pdic.quality import deletions
from tests.conftest import Postgres
from tests.integration.sectors import CURSOR, SOFT, Sector, own_sector

NAME = "xoa_mem"
CONSENT = approval.Approval("lan", "Nguyễn Thị Lan", "these contracts were entered twice")


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector(NAME, postgres, tmp_path_factory.mktemp("xoa_mem")) as made:
        yield made


@pytest.fixture
def table(sector: Sector, request: pytest.FixtureRequest) -> Callable[..., str]:
    def make(rows: int = 133, age: str = "1 day") -> str:
        name = f"t{abs(hash(request.node.name)) % 10**9}"
        sector.add(name, capture=SOFT)
        sector.source(
            f"insert into {name} select id, 'a', clock_timestamp() - interval '{age}' from generate_series(1, {rows}) as id"
        )
        assert sector.load(name)["status"] == "accepted"
        return name

    return make


def mark(sector: Sector, name: str, last: int, first: int = 1, deleted: bool = True) -> None:
    """The source marks rows as deleted, or takes that back."""
    sector.source(
        f"""update {name} set da_xoa = {deleted}, "sửa" = clock_timestamp() where id between {first} and {last}"""
    )


def deleted_rows(sector: Sector, name: str) -> int:
    ((count,),) = sector.warehouse(f"select count(*) from raw.{NAME}__{name} where da_xoa")
    return int(count)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each time that all rows of a dataset were read to count the living ones."""
    found: list[int] = []
    count = deletions._counted

    def noted(*of: Any, **how: Any) -> tuple[int, int]:
        result = count(*of, **how)
        found.append(result[0])
        return result

    monkeypatch.setattr(deletions, "_counted", noted)
    return found


def test_half_of_the_rows_marked_as_deleted_are_held_and_told_in_one_sentence(
    sector: Sector, table: Callable[..., str]
) -> None:
    name = table()
    mark(sector, name, 66)
    report = sector.load(name)
    assert report["status"] == "rejected"
    assert report["message"] == (
        f"{NAME}.{name}: batch {report['batch_id']} is held: 66 of 133 living rows (49.6%) would be deleted by what the source "
        "sent; the contract allows 5.0%, and chance makes that 16 at most. Accepted data is untouched: have Sở Thử nghiệm put the "
        f"source right, then load it again; where the batch is right as it is, run `pdic quality approve {NAME}.{name} --reason WHY`; "
        f"the limits are in contracts/{NAME}/{name}.odcs.yaml (maxDeletedShare)"
    )
    assert report["rows_marked_deleted"] == 66
    assert deleted_rows(sector, name) == 0
    assert report["message"] in [batch["message"] for batch in held.waiting(sector.connect_to)]
    assert history.of_dataset(NAME, name, sector.connect_to)[0]["reason"] == report["message"]


def test_approved_with_a_reason_they_are_deleted_once_and_what_is_read_again_is_not_asked_anew(
    sector: Sector, table: Callable[..., str]
) -> None:
    name = table()
    mark(sector, name, 66)
    batch = sector.load(name)["batch_id"]
    done = held.approve(NAME, name, CONSENT, sector.connect_to)
    assert (done["batch_id"], done["status"], done["rows_accepted"]) == (batch, "accepted", 66)
    assert sector.warehouse(f"select said_by, reason from control.approval where batch_id = {batch}") == [
        (CONSENT.said_by, CONSENT.reason)
    ]
    again = sector.load(name)
    assert again["status"] == "accepted"
    assert again["rows_marked_deleted"] == 66, "they lie within the overlap"
    mark(sector, name, 100, first=67)
    report = sector.load(name)
    assert report["status"] == "rejected", "one consent does not make it usual"
    assert "34 of 67 living rows (50.7%)" in report["message"]


def test_what_the_source_takes_back_is_no_longer_held(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    mark(sector, name, 66)
    assert sector.load(name)["status"] == "rejected"
    mark(sector, name, 66, deleted=False)
    assert sector.load(name)["status"] == "accepted"
    assert held.waiting(sector.connect_to) == [] or name not in [
        each["dataset"] for each in held.waiting(sector.connect_to)
    ]


def test_ordinary_deletions_pass_and_count_the_living_rows_once(
    sector: Sector, table: Callable[..., str], counted: list[int]
) -> None:
    name = table(2000)
    for turn in range(5):
        mark(sector, name, turn * 10 + 10, first=turn * 10 + 1)
        report = sector.load(name)
        assert (report["status"], report["message"]) == ("accepted", None)
        sector.source(f"""update {name} set "sửa" = "sửa" - interval '1 day'""")
    assert counted == [2000], "later loads know that enough are left"
    assert deleted_rows(sector, name) == 50
    mark(sector, name, 200, first=51)
    report = sector.load(name)
    assert report["status"] == "rejected"
    assert "150 of 1,950 living rows (7.7%)" in report["message"]
    assert counted == [2000, 1950]


def test_a_single_row_may_always_be_deleted_and_a_first_load_may_hold_deleted_rows(
    sector: Sector, table: Callable[..., str], counted: list[int]
) -> None:
    name = table(20)
    for last in (1, 3):
        mark(sector, name, last)
        assert sector.load(name)["status"] == "accepted", "an ordinary day of a small table"
    other = f"{name}a"
    sector.add(other, capture=SOFT)
    sector.source(f"insert into {other} select id, 'a', clock_timestamp(), true from generate_series(1, 50) as id")
    assert sector.load(other)["status"] == "accepted"
    assert counted == [19]


def test_rows_that_are_new_and_deleted_already_delete_nothing(sector: Sector, table: Callable[..., str]) -> None:
    name = table(100)
    sector.source(f"insert into {name} select id, 'a', clock_timestamp(), true from generate_series(201, 260) as id")
    report = sector.load(name)
    assert (report["status"], report["rows_marked_deleted"]) == ("accepted", 60)


def test_a_reconcile_holds_what_it_finds_marked(sector: Sector, table: Callable[..., str]) -> None:
    """Rows whose stamp the source left as it was."""
    name = table(100)
    sector.source(f"update {name} set da_xoa = true where id <= 40")
    assert sector.load(name)["status"] == "accepted"
    from pdic import reconcile

    (report,) = reconcile.reconcile([f"{NAME}.{name}"], connect_to=sector.connect_to)
    assert report["status"] == "rejected"
    assert "40 of 100 living rows (40.0%)" in report["message"]
    assert held.approve(NAME, name, CONSENT, sector.connect_to)["status"] == "accepted"
    assert deleted_rows(sector, name) == 40


def test_a_dataset_that_marks_nothing_is_not_read_for_it(
    sector: Sector, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    sector.add("tron", capture=CURSOR)
    sector.source("insert into tron select id, 'a' from generate_series(1, 10) as id")
    assert sector.load("tron")["rows_marked_deleted"] == 0
    assert counted == []
