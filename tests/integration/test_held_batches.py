"""A batch that is unlike those before it is held at the gate, told in one sentence, and goes on once a person consents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from pdic import approval, held, history, load, reconcile, status
from pdic.cli import app as cli
from pdic.cli import quality_reports
from pdic.errors import LoadError
from pdic.problems import problems
from tests.conftest import Postgres, put
from tests.integration.sectors import CURSOR, SNAPSHOT, Sector, own_sector

NAME = "cho_duyet"
CONSENT = approval.Approval("lan", "Nguyễn Thị Lan", "the agency took them back itself")


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector(NAME, postgres, tmp_path_factory.mktemp("cho_duyet")) as made:
        yield made


@pytest.fixture
def table(sector: Sector, request: pytest.FixtureRequest) -> Callable[..., str]:
    def make(rows: int = 1810, capture: str = CURSOR, age: str = "1 day") -> str:
        name = f"t{abs(hash(request.node.name)) % 10**9}"
        sector.add(name, capture=capture)
        stamp = f", clock_timestamp() - interval '{age}'" if capture == CURSOR else ""
        sector.source(f"insert into {name} select id, 'a'{stamp} from generate_series(1, {rows}) as id")
        assert sector.load(name)["status"] == "accepted"
        return name

    return make


def spoil(sector: Sector, name: str, rows: int) -> None:
    """Take the label, which must be there, from so many rows at the source."""
    sector.source(f"""update {name} set "Nhãn X" = null, "sửa" = clock_timestamp() where id <= {rows}""")


def kept(sector: Sector, batch_id: int) -> list[tuple[Any, ...]]:
    return sector.warehouse(
        f"select os_user, said_by, db_role, reason from control.approval where batch_id = {batch_id}"
    )


def test_two_fifths_bad_rows_are_held_and_told_in_one_sentence(sector: Sector, table: Callable[..., str]) -> None:
    name = table(age="0 seconds")  # so young that the next load reads all of them again
    spoil(sector, name, 725)
    report = sector.load(name)
    assert report["status"] == "rejected"
    said = report["message"]
    assert said.startswith(
        f"{NAME}.{name}: batch {report['batch_id']} is held: 725 of 1,810 rows (40%) would go to quarantine, by "
        f"{name}.Nhãn_X.required (725); usual are 0.0%. Accepted data is untouched: have Sở Thử nghiệm put the source right"
    )
    assert f"`pdic quality approve {NAME}.{name} --reason WHY`" in said
    assert len(sector.raw(name)) == 1810, "nothing was accepted"
    assert said in [batch["message"] for batch in held.waiting(sector.connect_to)]
    assert history.of_dataset(NAME, name, sector.connect_to)[0]["reason"] == said
    (dataset,) = [each for each in status.datasets(sector.connect_to, NAME) if each["dataset"] == name]
    found = problems({"datasets": [dataset], "unreadable": [], "slots": [], "release": {"newest": [], "live": None}})
    assert any("725 of 1,810 rows" in problem["what"] for problem in found)


def test_the_next_load_is_neither_stuck_nor_silent(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    spoil(sector, name, 400)
    first, second = sector.load(name), sector.load(name)
    assert (first["status"], second["status"]) == ("rejected", "rejected")
    assert second["batch_id"] > first["batch_id"]
    assert [batch["batch_id"] for batch in held.waiting(sector.connect_to) if batch["dataset"] == name] == [
        second["batch_id"]
    ]
    sector.source(f"""update {name} set "Nhãn X" = 'b', "sửa" = clock_timestamp() where id <= 400""")
    third = sector.load(name)
    assert (third["status"], third["rows_accepted"], third["rows_quarantined"]) == ("accepted", 400, 0)
    assert name not in [batch["dataset"] for batch in held.waiting(sector.connect_to)]


def test_other_datasets_go_on(sector: Sector, table: Callable[..., str]) -> None:
    name, other = table(), "khac"
    sector.add(other)
    sector.source(f"insert into {other} values (1, 'a')")
    spoil(sector, name, 300)
    reports = {
        each["dataset"]: each["status"] for each in load.load([f"{NAME}.{name}", f"{NAME}.{other}"], sector.connect_to)
    }
    assert reports == {name: "rejected", other: "accepted"}


def test_approved_with_a_reason_it_goes_on_once_and_that_is_kept(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    spoil(sector, name, 600)
    sector.source(f"""insert into {name} select id, 'new' from generate_series(5001, 5010) as id""")
    batch = sector.load(name)["batch_id"]
    done = held.approve(NAME, name, CONSENT, sector.connect_to)
    assert (done["batch_id"], done["status"], done["rows_accepted"], done["rows_quarantined"]) == (
        batch,
        "accepted",
        10,
        600,
    )
    assert kept(sector, batch) == [("lan", "Nguyễn Thị Lan", "pdic_loader", CONSENT.reason)]
    again = held.approve(NAME, name, CONSENT, sector.connect_to)
    assert (again["batch_id"], again["rows_quarantined"]) == (batch, 600)
    assert len(kept(sector, batch)) == 1
    for _ in range(2):  # what lies within the overlap is read again, and the consent covers it
        assert sector.load(name)["status"] == "accepted"
    spoil(sector, name, 700)
    assert sector.load(name)["status"] == "rejected", "one consent does not make it usual"


def test_a_consent_that_dies_is_whole_or_not_there(
    sector: Sector, table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = table()
    spoil(sector, name, 300)
    batch = sector.load(name)["batch_id"]
    monkeypatch.setattr(load, "accept_here", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        held.approve(NAME, name, CONSENT, sector.connect_to)
    monkeypatch.undo()
    assert kept(sector, batch) == []
    assert sector.warehouse(f"select status from control.batch where batch_id = {batch}") == [("rejected",)]
    assert held.approve(NAME, name, CONSENT, sector.connect_to)["status"] == "accepted"


@pytest.mark.parametrize(
    "change", ["delete from {} where id % 3 = 0 returning 1", "insert into {} select * from {} limit 3 returning 1"]
)
def test_a_held_batch_of_which_rows_are_lost_is_not_approved(
    sector: Sector, table: Callable[..., str], change: str
) -> None:
    name = table()
    spoil(sector, name, 600)
    batch = sector.load(name)["batch_id"]
    rows = f"raw_batch.{NAME}__{name}__{batch}"
    before = sector.raw(name)
    sector.warehouse(change.replace("{}", rows))
    with pytest.raises(
        LoadError, match=rf"batch {batch} held 600 rows after extract and \d+ when it was to be approved"
    ):
        held.approve(NAME, name, CONSENT, sector.connect_to)
    assert (kept(sector, batch), sector.raw(name)) == ([], before)


def test_a_load_that_fails_after_one_was_held_does_not_hide_it(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    spoil(sector, name, 600)
    batch = sector.load(name)["batch_id"]
    sector.source(f"alter table {name} rename to {name}_away")
    assert sector.load(name)["status"] == "failed"
    assert [each["batch_id"] for each in held.waiting(sector.connect_to) if each["dataset"] == name] == [batch]
    sector.source(f"alter table {name}_away rename to {name}")
    with pytest.raises(LoadError, match=f"the rows of batch {batch} are gone. Load it again"):
        held.approve(NAME, name, CONSENT, sector.connect_to)


def test_what_breaks_a_rule_of_its_own_is_not_approved(sector: Sector, table: Callable[..., str]) -> None:
    name = table(rows=10)
    with pytest.raises(LoadError, match="was accepted: nothing is held"):
        held.approve(NAME, name, CONSENT, sector.connect_to)
    rule = (
        f"rules: [{{id: {name}.none_new, type: expect_table_row_count_to_be_between, kwargs: {{max_value: 0}}, severity: critical,"
        " dimension: consistency, on_fail: halt, reason: {vi: Không, en: None}, origin: text, source: 'assumption: a test'}]\n"
    )
    put(sector.root / "expectations" / "batch" / NAME / f"{name}.yaml", rule)
    sector.source(f"insert into {name} values (11, 'a')")
    report = sector.load(name)
    assert report["status"] == "rejected"
    with pytest.raises(
        LoadError, match=f"batch {report['batch_id']} was refused, and an approval does not help: it breaks"
    ):
        held.approve(NAME, name, CONSENT, sector.connect_to)
    assert kept(sector, report["batch_id"]) == []


def test_few_bad_rows_go_to_quarantine_as_ever(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    spoil(sector, name, 49)
    report = sector.load(name)
    assert (report["status"], report["rows_quarantined"]) == ("accepted", 49)


@pytest.mark.parametrize("full", [False, True])
def test_a_source_that_lost_half_its_rows_is_held_until_a_person_says_that_it_is_right(
    sector: Sector, table: Callable[..., str], full: bool
) -> None:
    name = table(**({} if full else {"capture": SNAPSHOT}))
    sector.source(f"delete from {name} where id % 2 = 0")
    (report,) = load.load([f"{NAME}.{name}"], sector.connect_to, full=full)
    assert report["status"] == "rejected"
    assert "905 of 1810 known rows (50.0%) are gone at the source" in report["message"]
    assert f"`pdic reconcile {NAME}.{name} --approve --reason WHY`" in report["message"]
    assert report["message"] in [batch["message"] for batch in held.waiting(sector.connect_to)]
    done = held.approve(NAME, name, CONSENT, sector.connect_to)
    assert (done["status"], done["rows_deleted"]) == ("accepted", 905)
    ((batch,),) = sector.warehouse(f"select approves from control.reconciliation where batch_id = {done['batch_id']}")
    assert kept(sector, batch) == [("lan", "Nguyễn Thị Lan", "pdic_loader", CONSENT.reason)]


def test_the_reconcile_of_the_command_line_keeps_the_reason_too(sector: Sector, table: Callable[..., str]) -> None:
    name = table(capture=SNAPSHOT)
    sector.source(f"delete from {name} where id <= 900")
    sector.load(name)
    (batch,) = [each["batch_id"] for each in held.waiting(sector.connect_to) if each["dataset"] == name]
    (done,) = reconcile.reconcile([f"{NAME}.{name}"], approve=True, consent=CONSENT, connect_to=sector.connect_to)
    assert done["rows_deleted"] == 900
    assert kept(sector, batch) == [("lan", "Nguyễn Thị Lan", "pdic_loader", CONSENT.reason)]


def test_the_command_says_what_became_of_the_batch(
    sector: Sector, table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = table()
    spoil(sector, name, 500)
    batch = sector.load(name)["batch_id"]
    monkeypatch.setattr(quality_reports, "ensure_warehouse", lambda: None)
    words = ["quality", "approve", f"{NAME}.{name}", "--reason"]
    assert CliRunner().invoke(cli.app, words[:-1]).exit_code == 2, "a reason must be given"
    done = CliRunner().invoke(cli.app, [*words, "asked the agency", "--by", "Lan", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows_quarantined"] == 500
    assert [row[1:] for row in kept(sector, batch)] == [("Lan", "pdic_loader", "asked the agency")]


def test_a_loader_cannot_say_who_it_is(sector: Sector) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        sector.warehouse(
            "insert into control.approval (batch_id, os_user, said_by, reason, findings, db_role)"
            " values (1, 'a', 'b', 'c', 'd', 'e') returning 1"
        )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        sector.warehouse(
            "insert into control.approval (release_id, os_user, said_by, reason, findings)"
            " values (1, 'a', 'b', 'c', 'd') returning 1"
        )
