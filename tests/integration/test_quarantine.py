"""Rows that were held back: each has a record from its refusal until a good row comes, a waiver stands for it, or it is deleted."""

from __future__ import annotations

import csv
import datetime as dt
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import openpyxl
import psycopg
import pytest
import yaml

from pdic import connections, load, quarantine, retry
from pdic.contracts.compile import compile_all
from pdic.quarantine import correction, desk
from tests.conftest import Postgres
from tests.integration.sectors import SNAPSHOT, Sector, own_sector

LATER = quarantine.today() + dt.timedelta(days=30)


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("giu", postgres, tmp_path_factory.mktemp("project")) as made:
        yield made


@pytest.fixture
def table(sector: Sector, request: pytest.FixtureRequest) -> Callable[..., str]:
    def make(**options: Any) -> str:
        name = request.node.name.removeprefix("test_")[:30].rstrip("_")
        sector.add(name, **options)
        return name

    return make


def records(sector: Sector, name: str, *standings: str) -> list[dict[str, Any]]:
    wanted = desk.Wanted([f"giu.{name}"], standings=standings or desk.STANDINGS)
    return sorted(desk.listed(wanted, None, sector.connect_to), key=lambda record: record["record_id"])


def events(sector: Sector, record: dict[str, Any]) -> list[str]:
    return [event["what"] for event in desk.shown(record["record_id"], sector.connect_to)["events"]]


def balanced(report: dict[str, Any]) -> bool:
    parts = (report["rows_accepted"], report["rows_quarantined"], report["rows_unchanged"])
    return bool(report["status"] == "accepted" and report["rows_extracted"] == sum(parts))


def edit(sector: Sector, name: str, *changes: tuple[str, str]) -> None:
    """Changes a contract's text and compiles the project."""
    path = sector.root / "contracts" / "giu" / f"{name}.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    compile_all(sector.root, check=False)


def rule(sector: Sector, name: str, condition: str, severity: str = "critical", **more: str) -> None:
    """A rule of the dataset's own, in place of any it had."""
    path = sector.root / "expectations" / "batch" / "giu" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "id": f"{name}.own",
        "type": "pdic_expect_row_condition",
        "kwargs": {"columns": ["Nhãn X"], "condition": condition},
        "severity": severity,
        "dimension": "accuracy",
        "on_fail": "quarantine",
        "reason": {"vi": "Nhãn sai", "en": "Wrong label"},
        "origin": "text",
        "source": "assumption: asked for by this test",
        **more,
    }
    path.write_text(yaml.safe_dump({"rules": [entry]}, allow_unicode=True), encoding="utf-8")


def test_a_corrected_row_closes_its_record_at_the_next_load(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"insert into {name} values (1, 'good'), (2, null), (3, null)")
    first = sector.load(name)
    assert balanced(first)
    assert first["rows_quarantined"] == 2
    opened = records(sector, name)
    assert [(record["key"], record["standing"], record["times"]) for record in opened] == [
        ("2", "open", 1),
        ("3", "open", 1),
    ]
    assert {record["first_batch_id"] for record in opened} == {first["batch_id"]}

    sector.source(f"""update {name} set "Nhãn X" = 'put right', "sửa" = clock_timestamp() where id = 2""")
    sector.source(f"""update {name} set "sửa" = clock_timestamp() where id = 3""")
    second = sector.load(name)
    assert balanced(second)
    closed, standing = records(sector, name)
    assert (closed["standing"], closed["closed_batch_id"]) == ("corrected", second["batch_id"])
    assert events(sector, closed) == ["refused", "corrected"]
    assert (standing["standing"], standing["times"], standing["last_batch_id"]) == ("open", 2, second["batch_id"])
    assert [row for row in sector.raw(name) if row[0] == 2] == [(2, "put right")]

    sector.source(f"""update {name} set "Nhãn X" = null, "sửa" = clock_timestamp() where id = 2""")
    sector.load(name)
    assert [(record["key"], record["standing"]) for record in records(sector, name)] == [
        ("2", "corrected"),
        ("3", "open"),
        ("2", "open"),
    ]  # a row that goes bad again is a new matter


def test_a_row_deleted_at_the_source_closes_its_record(sector: Sector, table: Callable[..., str]) -> None:
    name = table(capture=SNAPSHOT)
    sector.source(f"insert into {name} values (1, 'good'), (2, null)")
    assert balanced(sector.load(name))
    sector.source(f"delete from {name} where id = 2; insert into {name} values (3, 'x'), (4, 'y')")
    sector.load(name)
    (record,) = records(sector, name)
    assert record["standing"] == "corrected"
    assert events(sector, record) == ["refused", "deleted at source"]


def test_a_batch_that_is_not_accepted_leaves_the_register_alone(
    sector: Sector, table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The register is part of the accepting transaction: a death before its end is as if nothing had been tried."""
    name = table()
    sector.source(f"insert into {name} values (1, null)")
    batch = sector.extract(name)
    load.check("giu", {name: batch}, sector.connect_to)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pdic.ledger.move_watermark", die)
        with pytest.raises(KeyboardInterrupt):
            load.accept("giu", name, batch, sector.connect_to)
    assert records(sector, name) == []
    assert balanced(load.accept("giu", name, batch, sector.connect_to))
    assert balanced(load.accept("giu", name, batch, sector.connect_to))
    (record,) = records(sector, name)
    assert events(sector, record) == ["refused"]


def test_deadlines_follow_the_worst_rule_and_count_working_days(sector: Sector, table: Callable[..., str]) -> None:
    name = table(required=False)
    rule(sector, name, "\"Nhãn X\" <> 'bad'", severity="warning")
    sector.source(f"insert into {name} values (1, 'bad')")
    sector.load(name)
    (record,) = records(sector, name)
    terms = quarantine.terms()
    assert record["severity"] == "warning"
    assert record["due_on"] == terms.due(record["severity"], quarantine.today())
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute("update quarantine.record set due_on = %s where dataset = %s", (dt.date(2020, 1, 1), name))
    (late,) = records(sector, name)
    assert late["standing"] == "expired"
    sector.source(f"""update {name} set "Nhãn X" = 'good', "sửa" = clock_timestamp()""")
    sector.load(name)
    assert records(sector, name)[0]["standing"] == "corrected"


def test_working_days_leave_out_weekends_and_holidays() -> None:
    terms = quarantine.Terms.model_validate(
        {"deadlines": {"critical": 5, "warning": 10, "info": 15}, "every_year": ["01-01"], "holidays": ["2026-12-31"]}
    )
    wednesday = dt.date(2026, 12, 23)
    assert terms.due("critical", wednesday) == dt.date(2026, 12, 30)  # type: ignore[arg-type]
    assert terms.due("critical", dt.date(2026, 12, 28)) == dt.date(2027, 1, 6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deadlines: {critical: 5}", "lacks warning, info"),
        ("deadlines: {critical: 0, warning: 1, info: 1}", "critical"),
        ("every_year: ['13-45']", "every_year"),
        ("deadlins: {}", "deadlins"),
        ("[", "not valid YAML"),
    ],
)
def test_wrong_terms_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "quarantine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=said) as raised:
        quarantine.terms(tmp_path)
    assert "quarantine.yaml" in str(raised.value)


def test_a_waived_row_is_accepted_until_it_breaks_something_else(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    rule(sector, name, "\"Nhãn X\" !~ 'bad'")
    sector.source(f"insert into {name} values (1, 'bad'), (2, 'bad'), (3, 'good')")
    sector.load(name)
    first, second = records(sector, name)
    with pytest.raises(desk.QuarantineError, match="who decides"):
        desk.waive([first["record_id"]], who=" ", why="x", until=LATER, connect_to=sector.connect_to)
    with pytest.raises(desk.QuarantineError, match="name a day"):
        desk.waive([first["record_id"]], who="A", why="x", until=dt.date(2020, 1, 1), connect_to=sector.connect_to)
    desk.waive([first["record_id"]], who="Lê A", why="có công văn", until=LATER, connect_to=sector.connect_to)
    (report,) = retry.retry([f"giu.{name}"], record_ids=[first["record_id"]], connect_to=sector.connect_to)
    assert balanced(report)
    assert (report["rows_extracted"], report["rows_accepted"], report["rows_quarantined"]) == (1, 1, 0)
    assert sorted(sector.raw(name)) == [(1, "bad"), (3, "good")]
    waived, held = records(sector, name)
    assert (waived["standing"], waived["waived_until"], held["standing"]) == ("waived", LATER, "open")
    shown = desk.shown(first["record_id"], sector.connect_to)["events"][-1]
    assert (shown["what"], shown["who"]) == ("waived", "Lê A")
    assert "có công văn" in shown["note"]

    sector.source(f"""update {name} set "Nhãn X" = 'bad still', "sửa" = clock_timestamp() where id in (1, 2)""")
    again = sector.load(name)
    assert balanced(again)
    assert again["rows_quarantined"] == 1
    assert (1, "bad still") in sector.raw(name)
    assert records(sector, name)[0]["standing"] == "waived"

    sector.source(f"""update {name} set "Nhãn X" = null, "sửa" = clock_timestamp() where id = 1""")
    sector.load(name)
    assert records(sector, name)[0]["standing"] == "open"
    assert retry.retry([f"giu.{name}"], connect_to=sector.connect_to)[0]["rows_accepted"] == 0

    sector.source(f"""update {name} set "Nhãn X" = 'good', "sửa" = clock_timestamp() where id = 1""")
    sector.load(name)
    assert records(sector, name)[0]["standing"] == "corrected"
    with pytest.raises(desk.QuarantineError, match="settled"):
        desk.waive([first["record_id"]], who="A", why="x", until=LATER, connect_to=sector.connect_to)


def test_a_waiver_that_ran_out_spares_nothing(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    rule(sector, name, "\"Nhãn X\" !~ 'bad'")
    sector.source(f"insert into {name} values (1, 'bad')")
    sector.load(name)
    (record,) = records(sector, name)
    desk.waive([record["record_id"]], who="A", why="x", until=LATER, connect_to=sector.connect_to)
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute("update quarantine.record set waived_until = %s where dataset = %s", (dt.date(2020, 1, 1), name))
    (lapsed,) = records(sector, name)
    assert lapsed["standing"] == "expired"
    (report,) = retry.retry([f"giu.{name}"], connect_to=sector.connect_to)
    assert report["rows_accepted"] == 0
    assert sector.raw(name) == []


def test_rows_are_judged_again_when_a_rule_was_wrong(sector: Sector, table: Callable[..., str]) -> None:
    name = table(capture=SNAPSHOT)
    rule(sector, name, "\"Nhãn X\" !~ 'a'")
    sector.source(f"insert into {name} values (1, 'a'), (2, 'ab'), (3, 'c')")
    assert sector.load(name)["rows_quarantined"] == 2
    rule(sector, name, "\"Nhãn X\" !~ 'ab'", severity="info")
    (report,) = retry.retry([f"giu.{name}"], connect_to=sector.connect_to)
    assert balanced(report)
    assert (report["capture"], report["rows_extracted"], report["rows_accepted"]) == ("retry", 2, 1)
    closed, held = records(sector, name)
    assert (closed["standing"], held["standing"], held["severity"], held["times"]) == ("corrected", "open", "info", 1)
    assert sorted(sector.raw(name)) == [(1, "a"), (3, "c")]
    after = sector.load(name)
    assert (after["rows_accepted"], after["rows_unchanged"]) == (0, 3)
    rule(sector, name, "true")
    assert retry.retry([f"giu.{name}"], connect_to=sector.connect_to)[0]["rows_accepted"] == 1
    assert retry.retry([f"giu.{name}"], connect_to=sector.connect_to) == []


def test_rows_held_before_there_was_a_register_get_their_record(
    sector: Sector, table: Callable[..., str], postgres: Postgres
) -> None:
    name = table()
    sector.source(f"insert into {name} values (1, null), (2, null), (3, 'good')")
    sector.load(name)
    with psycopg.connect(postgres.uri("warehouse")) as superuser:
        superuser.execute(
            "delete from quarantine.event where record_id in (select record_id from quarantine.record where dataset = %s)",
            (name,),
        )
        superuser.execute("delete from quarantine.record where dataset = %s", (name,))
    sector.source(f"""update {name} set "Nhãn X" = 'good', "sửa" = clock_timestamp() where id = 1""")
    sector.load(name)
    assert [(record["key"], record["standing"]) for record in records(sector, name)] == [
        ("1", "corrected"),
        ("2", "open"),
    ]


AGENCY = """\
      - name: agency
        physicalName: co_quan
        physicalType: text
        logicalType: string
        description: Cơ quan
        classification: public
        customProperties: [{property: descriptionEn, value: Agency}]
      - name: person
        physicalName: ho_ten
        physicalType: text
        logicalType: string
        description: Họ tên
        classification: personal
        customProperties: [{property: descriptionEn, value: Name}]
"""


def test_correction_files_show_persons_to_the_owning_agency_only(
    sector: Sector, table: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = table(capture=SNAPSHOT)
    edit(
        sector,
        name,
        (
            "{property: deletes, value: none}",
            "{property: deletes, value: none}\n  - {property: agencyColumn, value: co_quan}",
        ),
        ("      - name: label\n", f"{AGENCY}      - name: label\n"),
    )
    sector.source(f"alter table {name} add column co_quan text, add column ho_ten text")
    sector.source(
        f"insert into {name} (id, \"Nhãn X\", co_quan, ho_ten) values (1, null, '44-A', 'Trần Thị Bí'), (2, null, '44-B', '=1+1'), "
        "(3, null, '044200112233', 'Lê Văn Mật'), (4, null, null, 'Hồ Thị Kín'), (5, 'good', '44-A', 'Phan Văn Ổn')"
    )  # fmt: skip
    assert sector.load(name)["rows_quarantined"] == 4
    wanted = desk.Wanted([f"giu.{name}"], unreturned_only=True)
    long_ago, at_work = (tmp_path / f".giu.{name}.44-A.2026010{day}-010203.csv.new" for day in (1, 2))
    long_ago.touch()
    os.utime(long_ago, (0, 0))
    at_work.touch()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no room"):
        patch.setattr(correction._Workbook, "add", Mock(side_effect=OSError("no room")))
        correction.hand_back(wanted, who="an", folder=tmp_path, connect_to=sector.connect_to)
    assert list(tmp_path.iterdir()) == [at_work], "nothing of persons stays where nobody looks"
    reports = correction.hand_back(wanted, who="an", folder=tmp_path, connect_to=sector.connect_to)
    assert [(report["agency"], report["records"], report["personal_columns"]) for report in reports] == [
        ("44-A", 1, True),
        ("44-B", 1, True),
        ("?", 2, False),
    ]
    files = {report["agency"]: [Path(path) for path in report["files"]] for report in reports}
    for paths in files.values():
        assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o600]

    def contents(agency: str) -> tuple[list[list[str]], list[list[Any]]]:
        workbook, text = files[agency]
        with text.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
        sheet = openpyxl.load_workbook(workbook).worksheets[0]
        return rows, [[cell.value for cell in row] for row in sheet.iter_rows()]

    for rows in contents("44-A"):
        heading, row = rows
        shown = dict(zip(heading, row, strict=True))
        assert shown["Khoá (id)"] == "1"
        assert shown["Họ tên (ho_ten)"] == "Trần Thị Bí"
        assert "Nhãn" in shown["Lý do"]
        assert shown["Hạn sửa"] == f"{quarantine.terms().due('critical', quarantine.today()):%d/%m/%Y}"  # type: ignore[arg-type]
    rows, cells = contents("44-B")
    assert rows[1][rows[0].index("Họ tên (ho_ten)")] == "'=1+1"
    formula = openpyxl.load_workbook(files["44-B"][0]).worksheets[0].cell(2, cells[0].index("Họ tên (ho_ten)") + 1)
    assert (formula.value, formula.data_type) == ("=1+1", "s")
    for path in files["?"]:
        content = path.read_bytes()
        assert b"M\xe1\xba\xadt" not in content
        assert b"044200112233" not in content
    assert "Họ tên (ho_ten)" not in contents("?")[0][0]
    assert not any("44-A" in cell for row in contents("44-B")[0] for cell in row)

    assert {record["standing"] for record in records(sector, name)} == {"returned"}
    assert correction.hand_back(wanted, who="an", folder=tmp_path, connect_to=sector.connect_to) == []
    sector.source(
        f"""update {name} set "Nhãn X" = 'right' where id = 1; update {name} set co_quan = '44-B' where id = 4"""
    )
    sector.load(name)
    assert [(record["key"], record["standing"]) for record in records(sector, name)] == [
        ("1", "corrected"), ("2", "returned"), ("3", "returned"), ("4", "open"),
    ]  # fmt: skip
    counted = {row["agency"]: row for row in desk.summary(connect_to=sector.connect_to) if row["dataset"] == name}
    assert counted["44-A"]["closed_percent"] == 100.0
    assert counted["44-B"]["returned"] == 1


def test_personal_keys_are_not_listed(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    edit(
        sector,
        name,
        ("classification: internal\n        primaryKey: true", "classification: identifier\n        primaryKey: true"),
    )
    sector.source(f"insert into {name} values (44200112233, null)")
    sector.load(name)
    (record,) = records(sector, name)
    assert record["key"] is None
    assert "44200112233" not in repr(desk.shown(record["record_id"], sector.connect_to))
