"""A source that changes stops its dataset before a row moves, says old and new, and `onboard --update` drafts what follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import connections, contracts, load, warehouse
from pdic.contracts.compile import compile_all
from pdic.errors import Busy, DriftError, OnboardError
from pdic.onboard import onboard
from pdic.onboard.cursors import Wish
from pdic.onboard.edit import ContractText
from pdic.onboard.update import update
from pdic.warehouse import locks
from tests.conftest import Postgres

SECTOR = "troi"
TABLE = """
create type {0}_state as enum ('mới', 'xong');
create table {0} (
    id integer primary key,
    label varchar(20) not null,
    amount numeric(8, 2),
    state {0}_state,
    seen integer
);
insert into {0} values (1, 'một', 1.50, 'mới', 1), (2, 'hai', null, 'xong', 2)
"""


class Source:
    """A sector whose tables change under the contracts' feet."""

    def __init__(self, root: Path, uri: str) -> None:
        self.root = root
        self.uri = uri

    def connect_to(self, conn_id: str) -> str:
        return self.uri if conn_id == f"pdic_source_{SECTOR}" else connections.uri(conn_id)

    def table(self, name: str) -> str:
        """A table that has been taken on and loaded."""
        self.run(TABLE.format(name))
        onboard(f"pdic_source_{SECTOR}", self.uri, table=("public", name), agency="Sở Thử nghiệm")
        assert self.load(name)["status"] == "accepted"
        return name

    def run(self, statement: str) -> None:
        with psycopg.connect(self.uri) as source:
            source.execute(statement)  # type: ignore[call-overload]

    def load(self, dataset: str) -> dict[str, Any]:
        (report,) = load.load([f"{SECTOR}.{dataset}"], self.connect_to)
        return report

    def refusal(self, dataset: str) -> str:
        """What the load says as it stops; nothing may have been moved."""
        before = self.batches(dataset)
        with pytest.raises(DriftError) as refusal:
            load.extract(SECTOR, dataset, self.connect_to)
        assert self.batches(dataset) == before
        return str(refusal.value)

    def batches(self, dataset: str) -> list[str]:
        """The dataset's tables of batches, accepted or not."""
        return [
            name
            for (name,) in self.warehouse(
                f"select tablename from pg_tables where tablename ~ '^{SECTOR}__{dataset}__\\d+$'"
            )
        ]

    def update(self, dataset: str) -> dict[str, Any]:
        return update(SECTOR, dataset, self.connect_to)

    def text(self, dataset: str) -> str:
        return (self.root / "contracts" / SECTOR / f"{dataset}.odcs.yaml").read_text(encoding="utf-8")

    def warehouse(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(connections.warehouse("loader"), autocommit=True) as loader:
            return loader.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def source(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    root = tmp_path_factory.mktemp("drift")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield Source(root, postgres.create_database(SECTOR))


BREAKS = {
    "gone": ("alter table {0} drop column amount", r"column amount is gone \(contract: numeric\(8,2\)\)"),
    "renamed": (
        "alter table {0} rename column amount to total",
        r"column amount is gone .* it looks renamed to total",
    ),
    "retyped": ("alter table {0} alter seen type text", r"column seen is text \(contract: integer\)"),
    "narrowed": (
        "alter table {0} alter label type varchar(9)",
        r"column label is character varying\(9\) \(contract: character varying\(20\)\), which is narrower",
    ),
    "less_precise": (
        "alter table {0} alter amount type numeric(5, 2)",
        r"column amount is numeric\(5,2\) \(contract: numeric\(8,2\)\), which is narrower",
    ),
    "label_lost": (
        "alter type {0}_state rename value 'xong' to 'đóng'",
        r"column state has lost the enum labels xong",
    ),
    "null": ("alter table {0} alter label drop not null", r"column label was not null and may now be empty"),
    "no_key": ("alter table {0} drop constraint {0}_pkey", r"the primary key was \(id\) and was dropped"),
    "other_key": (
        "alter table {0} drop constraint {0}_pkey, add primary key (id, label)",
        r"the primary key was \(id\) and is \(id, label\)",
    ),
    "view": (
        "alter table {0} rename to {0}_behind; create view {0} as select * from {0}_behind",
        r"it was a table and is a view",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_change_that_takes_something_away_stops_the_dataset(source: Source, name: str) -> None:
    statement, message = BREAKS[name]
    table = source.table(f"breaks_{name}")
    source.run(statement.format(table))
    said = source.refusal(table)
    assert re.search(message, said), said
    assert f"{SECTOR}.{table}" in said
    assert f"onboard --update {SECTOR}.{table}" in said
    assert "Sở Thử nghiệm" in said


def test_what_is_added_is_remarked_and_goes_on(source: Source) -> None:
    table = source.table("added")
    source.run(f"alter table {table} add column moi text; insert into {table} values (3, 'ba', 1, 'mới', 1, 'x')")
    source.run(f"alter type {table}_state add value 'hủy'")
    report = source.load(table)
    assert report["status"] == "accepted"
    assert report["drift"] == (
        f"columns not in the contract: moi (`pdic onboard --update {SECTOR}.{table}` drafts them); "
        f"enum labels of state not in the contract: hủy (`pdic onboard --update {SECTOR}.{table}` drafts them; then "
        f"`pdic quarantine retry {SECTOR}.{table}` accepts rows that were held for them)"
    )


def test_an_update_drafts_what_was_added_and_keeps_what_people_wrote(source: Source) -> None:
    table = source.table("updated")
    path = source.root / "contracts" / SECTOR / f"{table}.odcs.yaml"
    words = "      # Số tiền do Sở Tài chính xác nhận.\n      - name: amount\n"
    path.write_text(source.text(table).replace("      - name: amount\n", words), encoding="utf-8")
    source.run(
        f"alter table {table} add column e_mail text, add column at timestamptz; alter type {table}_state add value 'hủy';"
        f"update {table} set e_mail = 'a@b.vn'"
    )
    report = source.update(table)
    assert report["version"] == "1.1.0"
    assert len(report["changes"]) == 3
    contract = contracts.get(SECTOR, table)
    assert [column.source_name for column in contract.columns][-2:] == ["e_mail", "at"]
    assert contract.column("e_mail").classification == "personal"
    assert contract.column("state").enum == ("mới", "xong", "hủy")
    assert words in source.text(table)
    loaded = source.load(table)
    assert (loaded["status"], loaded["rows_accepted"], loaded["drift"]) == ("accepted", 2, None)
    model = source.root / "dbt_project" / "models" / "staging" / SECTOR / f"stg_{SECTOR}__{table}.sql"
    assert "        at\n" in model.read_text(encoding="utf-8")
    assert source.update(table)["changes"] == []


def test_an_update_drafts_a_breaking_change(source: Source) -> None:
    table = source.table("broken")
    source.run(
        f"alter table {table} drop column seen, alter label type varchar(50), alter label drop not null;"
        f"alter table {table} rename column amount to total; update {table} set label = null where id = 1"
    )
    report = source.update(table)
    assert report["version"] == "2.0.0"
    contract = contracts.get(SECTOR, table)
    assert [column.source_name for column in contract.columns] == ["id", "label", "total", "state"]
    assert [column.name for column in contract.columns] == ["id", "label", "amount", "state"]
    assert contract.column("label").physical_type == "character varying(50)"
    assert not [words for words in report["then"] if "alter table" in words], "nobody changes raw by hand"
    loaded = source.load(table)
    # The empty label is a row that breaks its contract, which still requires one; the other row lost a column's value.
    assert (loaded["status"], loaded["rows_quarantined"]) == ("accepted", 1)
    newest = f"select label, total, state from raw.{SECTOR}__{table} where id = 2 order by _batch_id desc limit 1"
    assert [tuple(map(str, row)) for row in source.warehouse(newest)] == [("hai", "None", "xong")]


def test_a_renamed_column_keeps_its_values_for_readers(source: Source) -> None:
    """By cursor no row is news: what readers saw of the column would be gone."""
    source.run(
        "create table renamed (ma integer primary key, gia integer, luc timestamptz not null default now());"
        "create index on renamed (luc); insert into renamed select n, n * 10, now() from generate_series(1, 50) as n"
    )
    onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", "renamed"), cursor=Wish(("luc",)))
    assert contracts.get(SECTOR, "renamed").capture == "cursor"
    assert source.load("renamed")["rows_accepted"] == 50
    source.run('alter table renamed rename column gia to "Giá"')
    report = source.update("renamed")
    assert report["changes"] == ["column gia is now called Giá (raw keeps gia for its history)"]
    assert "the next load of troi.renamed compares all rows" in report["then"][0]
    loaded = source.load("renamed")
    assert (loaded["status"], loaded["rows_accepted"]) == ("accepted", 50)
    assert (
        "names columns of public.renamed that no load has read yet (Giá): all rows were compared" in loaded["warning"]
    )
    newest = f'select distinct on (ma) ma, "Giá" from raw.{SECTOR}__renamed order by ma, _batch_id desc'
    assert source.warehouse(newest) == [(number, number * 10) for number in range(1, 51)]
    assert source.load("renamed")["rows_accepted"] == 0


def test_a_lost_promise_is_agreed_by_a_new_version(source: Source) -> None:
    table = source.table("promised")
    source.run(f"alter table {table} rename to {table}_behind; create view {table} as select * from {table}_behind")
    with pytest.raises(OnboardError, match="Rows with another key are another dataset"):
        source.update(table)
    source.run(f"drop view {table}; alter table {table}_behind rename to {table}")
    source.run(f"alter table {table} alter label drop not null")
    assert "may now be empty" in source.refusal(table)
    assert source.update(table)["version"] == "2.0.0"
    assert source.load(table)["status"] == "accepted"
    assert source.load(table)["status"] == "accepted"


def test_what_is_said_of_another_key_leads_to_another_dataset(source: Source) -> None:
    table = source.table("rekeyed")
    source.run(f"alter table {table} drop constraint {table}_pkey, add primary key (label); update {table} set id = 1")
    with pytest.raises(OnboardError, match="Rows with another key are another dataset") as refusal:
        source.update(table)
    said = str(refusal.value)
    former, model = (Path(path) for path in re.findall(r"contracts/\S+yaml|dbt_project/\S+sql", said))
    assert (source.root / former).is_file() and (source.root / model).is_file()
    assert f"`pdic onboard --connection pdic_source_{SECTOR} --table public.{table} --yes`" in said

    text = source.text(table).replace(f"id: {SECTOR}.{table}", f"id: {SECTOR}.by_label")
    text = text.replace(f"name: {table}\nversion", "name: by_label\nversion").replace("        primaryKey: true\n", "")
    (source.root / former).unlink()
    (source.root / model).unlink()
    place = text.index("name: label\n")
    text = text[:place] + text[place:].replace(
        "        required: true\n", "        primaryKey: true\n        required: true\n", 1
    )
    (source.root / former.with_name("by_label.odcs.yaml")).write_text(text, encoding="utf-8")
    report = onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", table))
    assert (model.parent / f"stg_{SECTOR}__by_label.sql").as_posix() in report["written"]
    assert source.load("by_label")["rows_accepted"] == 2
    assert contracts.get(SECTOR, "by_label").key == ("label",)


def test_a_table_taken_on_anew_after_its_contract_was_removed_gets_a_name_of_its_own(source: Source) -> None:
    """Under the former name, its rows would be mixed with those that another key told apart."""
    table = source.table("once_more")
    assert source.load(table)["status"] == "accepted"
    (source.root / f"contracts/{SECTOR}/{table}.odcs.yaml").unlink()
    (source.root / f"dbt_project/models/staging/{SECTOR}/stg_{SECTOR}__{table}.sql").unlink()
    source.run(f"alter table {table} drop constraint {table}_pkey, add primary key (label)")
    report = onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", table))
    assert report["datasets"] == [f"{SECTOR}.{table}_2"]
    (warning,) = (words for words in report["warnings"] if "two tables under one name" in words)
    assert f"the warehouse holds rows of {SECTOR}.{table} from a contract that is no more" in warning
    assert source.load(f"{table}_2")["rows_accepted"] == 2


def assert_raw_equals_source(source: Source, table: str, key: str) -> None:
    """What stands in raw of a table (ma, lan, ten), told apart by `key`, is what the source has."""
    living = source.warehouse(
        f"""select ma, lan, ten from (
            select distinct on ({key}) * from raw.{SECTOR}__{table} order by {key}, _batch_id desc
        ) as newest where _op = 'U' order by 1, 2, 3"""
    )
    with psycopg.connect(source.uri) as there:
        assert living == there.execute(f"select ma, lan, ten from {table} order by 1, 2, 3").fetchall()  # type: ignore[call-overload]


GUESSED = {
    # How the table begins, its guessed key, what then comes at the source, which key is right.
    "one": ("(1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c')", "ma", "(1, 2, 'x')", "ma,lan"),
    "pair": ("(1, 1, 'a'), (1, 2, 'a'), (2, 1, 'a'), (2, 2, 'a')", "ma, lan", "(1, 1, 'b')", "ma,lan,ten"),
    "text": ("(1, 1, 'a'), (1, 1, 'b'), (1, 2, 'c')", "ten", "(2, 1, 'a')", "ma,lan,ten"),
}


@pytest.mark.parametrize("name", GUESSED)
def test_a_rule_about_a_guessed_key_says_that_it_was_guessed_and_how_to_name_another(source: Source, name: str) -> None:
    first, guessed, later, right = GUESSED[name]
    table = f"guessed_{name}"
    source.run(f"create table {table} (ma integer, lan integer, ten text); insert into {table} values {first}")
    onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", table))
    assert source.load(table)["status"] == "accepted"
    source.run(f"insert into {table} values {later}")
    loaded = source.load(table)
    assert loaded["status"] == "rejected"
    said = loaded["message"]
    assert f"its key ({guessed}) was guessed at onboarding" in said
    assert f"`pdic onboard --update {SECTOR}.{table} --key COLUMN,COLUMN`" in said
    with pytest.raises(OnboardError, match="is no key"):
        update(SECTOR, table, source.connect_to, guessed.split(", "))

    report = update(SECTOR, table, source.connect_to, right.split(","))
    assert report["version"] == "2.0.0"
    contract = contracts.get(SECTOR, table)
    assert (contract.key, contract.key_guessed) == (tuple(right.split(",")), False)
    assert {column.source_name for column in contract.columns if column.required} == set(contract.key)
    model = source.root / "dbt_project" / "models" / "staging" / SECTOR / f"stg_{SECTOR}__{table}.sql"
    assert f"[{', '.join(repr(column) for column in contract.key)}]" in model.read_text(encoding="utf-8")
    assert report["then"] == [
        f"compare what was accepted under the guessed key: run `pdic load {SECTOR}.{table} --full`",
    ]
    (loaded,) = load.load([f"{SECTOR}.{table}"], source.connect_to, full=True)
    assert loaded["status"] == "accepted", loaded["message"]
    assert_raw_equals_source(source, table, right)


def test_a_key_that_was_guessed_well_is_confirmed_and_one_that_was_not_guessed_stays(source: Source) -> None:
    source.run("create table kept (ma integer, ten text); insert into kept values (1, 'a'), (2, 'a')")
    onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", "kept"))
    report = update(SECTOR, "kept", source.connect_to, ["ma"])
    assert (report["changes"], report["version"], report["then"]) == (["the key is ma, as it was guessed"], "1.1.0", [])
    assert not contracts.get(SECTOR, "kept").key_guessed
    with pytest.raises(
        OnboardError, match=r"its key \(ma\) was not guessed. Rows with another key are another dataset"
    ):
        update(SECTOR, "kept", source.connect_to, ["ma", "ten"])
    source.run("insert into kept values (1, 'b')")
    loaded = source.load("kept")
    assert loaded["status"] == "rejected"
    assert "guessed" not in loaded["message"]


EMPTY_IN = {
    # How the table begins, its guessed key, the row that comes with an empty key, which key is right.
    "one": ("(1, 1, 'a'), (1, 2, 'b')", "lan", "(3, null, 'a')", "ma,ten"),
    "text": ("(1, 1, 'a'), (1, 2, 'b'), (2, 1, 'c'), (2, 2, 'd')", "ten", "(3, 1, null)", "ma,lan"),
    "pair": ("(1, 1, 'a'), (1, 2, 'b'), (2, 1, 'b'), (2, 2, 'a')", "ma, lan", "(null, 3, 'b')", "lan,ten"),
}


@pytest.mark.parametrize("name", EMPTY_IN)
def test_rows_whose_guessed_key_is_empty_say_that_it_was_guessed_and_another_key_takes_them_in(
    source: Source, name: str
) -> None:
    first, guessed, later, right = EMPTY_IN[name]
    table = f"empty_{name}"
    source.run(f"create table {table} (ma integer, lan integer, ten text); insert into {table} values {first}")
    onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", table))
    assert source.load(table)["warning"] is None
    source.run(f"insert into {table} values {later}")
    loaded = source.load(table)
    assert (loaded["status"], loaded["rows_quarantined"]) == ("accepted", 1)
    assert f"its key ({guessed}) was guessed at onboarding" in loaded["warning"]
    assert f"`pdic onboard --update {SECTOR}.{table} --key COLUMN,COLUMN`" in loaded["warning"]

    report = update(SECTOR, table, source.connect_to, right.split(","))
    assert report["then"] == [
        f"compare what was accepted under the guessed key: run `pdic load {SECTOR}.{table} --full`"
    ]
    (loaded,) = load.load([f"{SECTOR}.{table}"], source.connect_to, full=True)
    assert (loaded["status"], loaded["rows_quarantined"]) == ("accepted", 0), loaded["message"]
    held = f"select count(*) from quarantine.record where dataset = '{table}' and state <> 'corrected'"
    assert source.warehouse(held) == [(0,)]
    assert_raw_equals_source(source, table, right)


def test_rows_whose_guessed_key_is_cleaned_to_nothing_are_taken_in_by_another(source: Source) -> None:
    """What is known of a row is not judged again: one that stayed in quarantine would never come in."""
    source.run("create table cleaned_away (ma text, lan integer); insert into cleaned_away values ('A1', 1), ('A2', 2)")
    onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", "cleaned_away"))
    path = source.root / contracts.get(SECTOR, "cleaned_away").path
    assert contracts.get(SECTOR, "cleaned_away").key == ("ma",)
    cleaned = ContractText(path.read_text(encoding="utf-8"))
    cleaned.set_custom("ma", "cleaning", "code")
    path.write_text(cleaned.text, encoding="utf-8")
    compile_all(source.root)
    assert source.load("cleaned_away")["rows_quarantined"] == 0
    source.run("insert into cleaned_away values (' - ', 3)")
    assert source.load("cleaned_away")["rows_quarantined"] == 1
    update(SECTOR, "cleaned_away", source.connect_to, ["lan"])
    (loaded,) = load.load([f"{SECTOR}.cleaned_away"], source.connect_to, full=True)
    assert (loaded["status"], loaded["rows_quarantined"]) == ("accepted", 0), loaded["message"]
    assert source.warehouse(f"select ma, lan from raw.{SECTOR}__cleaned_away where lan = 3") == [(" - ", 3)]


def test_a_guessed_key_is_not_replaced_while_a_load_is_at_work(source: Source) -> None:
    """It would hold rows under the former key, where nobody finds them by the new one."""
    source.run("create table at_work (ma integer, lan integer); insert into at_work values (1, 1), (2, 2)")
    onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", "at_work"))
    source.load("at_work")
    before = contracts.get(SECTOR, "at_work")
    with locks.Session(source.connect_to, "pdic_warehouse_loader", "load at_work") as session:
        session.take(locks.dataset(before.id))
        with pytest.raises(Busy, match=r"at_work: `pdic load at_work`.* is at work on it"):
            update(SECTOR, "at_work", source.connect_to, ["lan"])
        assert contracts.get(SECTOR, "at_work") == before
        assert update(SECTOR, "at_work", source.connect_to)["changes"] == []
    done = update(SECTOR, "at_work", source.connect_to, ["lan"])
    assert done["changes"] == ["the key is lan; ma was a guess"]
    again = update(SECTOR, "at_work", source.connect_to, ["lan"])  # of who was killed before the last word
    assert (again["changes"], again["then"]) == ([], done["then"])


def test_a_key_is_not_named_anew_while_rows_are_held_by_the_guessed_one(source: Source) -> None:
    source.run("create table held (ma integer, ten text); insert into held values (1, 'a'), (2, 'a')")
    onboard(f"pdic_source_{SECTOR}", source.uri, table=("public", "held"))
    source.load("held")
    source.run("insert into held values (null, 'b')")
    assert source.load("held")["rows_quarantined"] == 1
    source.run("update held set ma = 3, ten = 'c' where ma is null; insert into held values (2, 'd')")
    with pytest.raises(OnboardError, match="held: 1 of its rows are in quarantine under the guessed key"):
        update(SECTOR, "held", source.connect_to, ["ma", "ten"])
