"""Reconcile and snapshot loads: whatever a source and the warehouse differ in is found, healed exactly, and healed once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from pdic import connections, contracts, ledger, load, raw, reconcile, status, sweep, warehouse
from pdic.contracts.compile import compile_all
from pdic.contracts.pg_types import logical_type
from pdic.errors import BatchRejected, LoadError
from pdic.sweep import compare, hashing
from tests.conftest import Postgres
from tests.faults.killing import wait_for_the_end_of_others, warehouse_sessions

SECTOR = "doi_chieu"
PLAIN = {"id": "bigint", "label": "text", "updated_at": "timestamp with time zone"}


class Sector:
    """A sector of its own: a source database, a project folder with its contracts, and what is done with them."""

    def __init__(self, root: Path, source_uri: str) -> None:
        self.root = root
        self.source_uri = source_uri

    def connect_to(self, conn_id: str) -> str:
        return self.source_uri if conn_id == f"pdic_source_{SECTOR}" else connections.uri(conn_id)

    def add(
        self,
        dataset: str,
        columns: dict[str, str] = PLAIN,
        *,
        key: tuple[str, ...] = ("id",),
        capture: str = "cursor",
        required: tuple[str, ...] = (),
        more: dict[str, Any] | None = None,
    ) -> None:
        """A contract and its source table."""
        properties = {"descriptionEn": "A table for tests.", "capture": capture, "deletes": "none"} | (more or {})
        if capture == "cursor":
            properties["cursorColumn"] = "updated_at"
        described = [
            {
                "name": f"column_{number}",
                "physicalName": name,
                "physicalType": kind,
                "logicalType": logical_type(kind),
                "description": "Cột",
                "classification": "internal",
                "required": name in (*key, *required, "updated_at"),
                "customProperties": [{"property": "descriptionEn", "value": "Column"}],
            }
            | ({"primaryKey": True, "primaryKeyPosition": key.index(name) + 1} if name in key else {})
            for number, (name, kind) in enumerate(columns.items())
        ]
        document = {
            "apiVersion": "v3.2.0",
            "kind": "DataContract",
            "id": f"{SECTOR}.{dataset}",
            "name": dataset,
            "version": "1.0.0",
            "status": "active",
            "domain": SECTOR,
            "team": {"name": "Sở Thử nghiệm"},
            "description": {"purpose": "Bảng thử."},
            "slaProperties": [
                {"property": "frequency", "value": 1, "unit": "d", "scheduler": "cron", "schedule": "0 1 * * *"},
                {"property": "latency", "value": 26, "unit": "h"},
            ],
            "customProperties": [{"property": name, "value": value} for name, value in properties.items()],
            "schema": [
                {
                    "name": dataset,
                    "physicalName": f"public.{dataset}",
                    "physicalType": "table",
                    "businessName": "Bảng thử",
                    "properties": described,
                }
            ],
        }
        path = self.root / "contracts" / SECTOR / f"{dataset}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
        compile_all(self.root, check=False)
        body = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        primary = ", ".join(f'"{name}"' for name in key)
        self.source(f"create table {dataset} ({body}, primary key ({primary}))")

    def filled(self, dataset: str, rows: int = 100, **options: Any) -> str:
        """A dataset of `rows` plain rows, a day old and loaded."""
        columns = PLAIN if options.get("capture", "cursor") == "cursor" else {"id": "bigint", "label": "text"}
        self.add(dataset, columns, **options)
        stamp = ", now() - interval '1 day'" if "updated_at" in columns else ""
        self.source(f"insert into {dataset} select i, 'a' || i{stamp} from generate_series(1, {rows}) as i")
        self.first_load(dataset)
        return dataset

    def first_load(self, dataset: str) -> None:
        """A load whose rules are not asked: they cost most of it, and are not what is tested."""
        batch = load.extract(SECTOR, dataset, self.connect_to)["batch_id"]
        with warehouse.transaction(connections.warehouse("loader"), "test") as loader:
            ledger.update(loader, batch, status="checked")
        load.accept(SECTOR, dataset, batch, self.connect_to)

    def source(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.source_uri) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def warehouse(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(connections.warehouse("loader")) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]

    def load(self, dataset: str) -> dict[str, Any]:
        (report,) = load.load([f"{SECTOR}.{dataset}"], self.connect_to)
        return report

    def reconcile(self, dataset: str, **options: Any) -> dict[str, Any]:
        (report,) = reconcile.reconcile([f"{SECTOR}.{dataset}"], connect_to=self.connect_to, **options)
        return report

    def known(self, dataset: str) -> list[str]:
        """The newest known version of every living key, accepted or quarantined, as text."""
        contract = contracts.get(SECTOR, dataset)
        names = ", ".join(f'"{column.source_name}"' for column in contract.columns)
        key = ", ".join(f'"{name}"' for name in contract.key)
        table = contract.raw_table
        return sorted(
            text
            for (text,) in self.warehouse(
                f"""
                select row({names})::text from (
                    select distinct on ({key}) * from (
                        select {names}, _batch_id, _op from raw.{table}
                        union all select {names}, _batch_id, 'U' from quarantine.{table}
                    ) as version order by {key}, _batch_id desc
                ) as newest where _op = 'U'
                """
            )
        )

    def standing(self, dataset: str) -> list[str]:
        """Every row at the source, as text."""
        names = ", ".join(f'"{column.source_name}"' for column in contracts.get(SECTOR, dataset).columns)
        return sorted(text for (text,) in self.source(f"select row({names})::text from {dataset}"))

    def batch_tables(self, dataset: str) -> int:
        """Tables of batches that are not accepted."""
        like = f"{SECTOR}__{dataset}__%".replace("_", r"\_")
        ((count,),) = self.warehouse(
            f"select count(*) from pg_tables where schemaname = 'raw_batch' and tablename like '{like}'"
        )
        return int(count)


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    uri = postgres.create_database("doi_chieu")
    with psycopg.connect(postgres.uri("doi_chieu"), autocommit=True) as admin:
        admin.execute("grant pg_monitor to doi_chieu_owner")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield Sector(root, uri)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A dataset's name after the test."""
    kept = "".join(letter if letter.isalnum() else "_" for letter in request.node.name.removeprefix("test_"))
    return f"{kept[:24].rstrip('_')}_{kept[-10:].strip('_')}".lower()


@pytest.fixture
def large_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables are compared row by row; here, they are compared by buckets like large ones."""
    monkeypatch.setattr(compare, "SMALL_TABLE", 0)
    monkeypatch.setattr(compare, "ROWS_A_BUCKET", 1)


@pytest.fixture(params=["buckets", "rows"])
def by(request: pytest.FixtureRequest) -> str:
    """Both ways of comparing."""
    if request.param == "buckets":
        request.getfixturevalue("large_tables")
    return str(request.param)


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    return tuple(report[field] for field in ("late", "changed", "news", "deleted"))


def test_everything_that_loads_cannot_see_is_healed_once(sector: Sector, name: str, by: str) -> None:
    """Ghosts, rows committed long after their stamp, rows changed without one; and news, which a load would bring."""
    sector.filled(name, 200)
    sector.source(
        f"""
        delete from {name} where id in (3, 150);
        update {name} set label = 'quietly' where id in (7, 8, 9);
        insert into {name} values (201, 'late', now() - interval '1 month');
        insert into {name} values (202, 'new', clock_timestamp());
        update {name} set label = 'news', updated_at = clock_timestamp() where id = 20
        """
    )
    report = sector.reconcile(name)
    assert report["status"] == "accepted", report["message"]
    assert counts(report) == (1, 3, 2, 2)
    assert (report["source_rows"], report["known_rows"]) == (200, 200)
    assert (report["rows_extracted"], report["rows_accepted"], report["rows_unchanged"]) == (200, 6, 194)
    assert sector.known(name) == sector.standing(name)
    if by == "buckets":
        assert report["buckets"] > 0
        assert report["rows_fetched"] < 100, "only rows of buckets that differ cross the wire"

    again = sector.reconcile(name)
    assert counts(again) == (0, 0, 0, 0)
    assert (again["status"], again["rows_unchanged"]) == ("accepted", 200)
    assert again["rows_fetched"] == (0 if by == "buckets" else 200)
    assert sector.batch_tables(name) == 0
    assert sector.warehouse(f"select count(*) from raw.{SECTOR}__{name} where _batch_id = {again['batch_id']}") == [
        (0,)
    ]


def test_everything_has_changed(sector: Sector, name: str, large_tables: None) -> None:
    sector.filled(name)
    sector.source(f"update {name} set label = 'b' || id")
    report = sector.reconcile(name)
    assert (counts(report), report["rows_fetched"]) == ((0, 100, 0, 0), 100)
    assert sector.known(name) == sector.standing(name)


def test_what_changes_meanwhile_is_not_misread(
    sector: Sector, name: str, large_tables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: the source goes on working between the checksums and the rows. Invariant: one moment of it is compared."""
    sector.filled(name)
    sector.source(f"delete from {name} where id = 1")
    at_that_moment = sector.standing(name)
    fetch = compare.Comparison._fetch

    def meanwhile(self: compare.Comparison, only: Any) -> int:
        sector.source(f"delete from {name} where id < 50; insert into {name} values (101, 'x', now())")
        return fetch(self, only)

    with monkeypatch.context() as patch:
        patch.setattr(compare.Comparison, "_fetch", meanwhile)
        assert counts(sector.reconcile(name)) == (0, 0, 0, 1)
    assert sector.known(name) == at_that_moment


def test_loads_go_on_where_they_were(sector: Sector, name: str) -> None:
    sector.filled(name)
    before = sector.warehouse(f"select watermark from control.dataset where dataset = '{name}'")
    sector.source(f"delete from {name} where id = 1")
    sector.reconcile(name)
    assert sector.warehouse(f"select watermark from control.dataset where dataset = '{name}'") == before
    sector.source(f"insert into {name} values (101, 'new', clock_timestamp())")
    assert sector.load(name)["rows_accepted"] == 1
    assert sector.known(name) == sector.standing(name)


SUBTLE = {
    "numeric": ("1.5", "1.50"),
    "jsonb": ("""'{"a": 1.5}'""", """'{"a": 1.50}'"""),
    "json": ("""'{"a":1}'""", """'{"a": 1}'"""),
    "interval": ("'1 mon'", "'30 days'"),
    "double precision": ("'-0'", "'0'"),
    "real": ("'-0'", "'0'"),
    "numeric[]": ("'{1.5}'", "'{1.50}'"),
    "text[]": ("'{a}'", "'[2:2]={a}'"),
    "character(5)": ("'ab'", "' ab'"),
    "character varying(5)": ("'ab'", "'ab '"),
    "text": ("normalize('Nguyễn', nfc)", "normalize('Nguyễn', nfd)"),
    "time with time zone": ("'12:00+00'", "'13:00+01'"),
    "numeric(8,2)": ("'NaN'", "null"),
    "bytea": ("''", "null"),
    "tsrange": ("'empty'", "null"),
    "timestamp with time zone": ("'infinity'", "'-infinity'"),
    "inet": ("'10.0.0.1'", "'10.0.0.1/31'"),
    "point": ("'(0,0)'", "'(-0,0)'"),
}
"""Two values each that are equal by their type, or nearly so, and are not identical."""


@pytest.mark.parametrize("native", [True, False], ids=["native", "portable"])
def test_what_is_equal_but_not_identical_is_found(
    sector: Sector, large_tables: None, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Portable: how rows are hashed where the two servers are of different versions."""
    columns = {f"c{number}": kind for number, kind in enumerate(SUBTLE)}
    dataset = f"subtle_{'native' if native else 'portable'}"
    sector.add(dataset, {"id": "bigint", **columns, "empty": "text"}, capture="snapshot")
    names = ", ".join(columns)
    first = ", ".join(f"({pair[0]})::{kind}" for kind, pair in SUBTLE.items())
    sector.source(f"insert into {dataset} (id, {names}, empty) select i, {first}, '' from generate_series(1, 60) as i")
    sector.first_load(dataset)
    if not native:
        monkeypatch.setattr(hashing, "SAMPLE", compare.sql.SQL("select random()"))
        monkeypatch.setattr(compare, "SAMPLE", compare.sql.SQL("select random()"))
    assert counts(sector.reconcile(dataset)) == (0, 0, 0, 0)
    for number, (kind, pair) in enumerate(SUBTLE.items()):
        sector.source(f"update {dataset} set c{number} = ({pair[1]})::{kind} where id = {number + 1}")
    sector.source(f"update {dataset} set empty = null where id = 60")
    assert counts(sector.reconcile(dataset)) == (0, len(SUBTLE) + 1, 0, 0)
    assert sector.known(dataset) == sector.standing(dataset)
    assert counts(sector.reconcile(dataset)) == (0, 0, 0, 0)


KEYS: dict[str, tuple[dict[str, str], tuple[str, ...], str]] = {
    "composite": ({"a": "text", "b": "date"}, ("a", "b"), "'k' || i % 7, date '2026-01-01' + i"),
    "unique": ({"a": "uuid"}, ("a",), "md5(i::text)::uuid"),
    "number": ({"a": "numeric"}, ("a",), "i / 4.0"),
    "span": ({"a": "interval"}, ("a",), "make_interval(days => i)"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_any_kind(sector: Sector, kind: str, large_tables: None) -> None:
    columns, key, values = KEYS[kind]
    dataset = f"key_{kind}"
    sector.add(dataset, {**columns, "label": "text"}, key=key, capture="snapshot")
    sector.source(f"insert into {dataset} select {values}, 'a' from generate_series(1, 100) as i")
    sector.first_load(dataset)
    sector.source(f"delete from {dataset} where ctid in (select ctid from {dataset} limit 2)")
    sector.source(f"update {dataset} set label = null where ctid in (select ctid from {dataset} limit 3)")
    assert counts(sector.reconcile(dataset)) == (0, 3, 0, 2)
    assert sector.known(dataset) == sector.standing(dataset)


def test_a_key_written_another_way(sector: Sector, name: str, by: str) -> None:
    """NFC and NFD are two keys; 1.5 and 1.50 are one, whose row has changed."""
    sector.add(name, {"who": "text", "amount": "numeric"}, key=("who", "amount"), capture="snapshot")
    sector.source(f"insert into {name} select 'x' || i, 1 from generate_series(1, 100) as i")
    sector.source(f"insert into {name} values (normalize('Nguyễn', nfc), 1), ('y', 1.5)")
    sector.load(name)
    sector.source(f"update {name} set who = normalize(who, nfd) where who like 'Ng%'")
    sector.source(f"update {name} set amount = 1.50 where who = 'y'")
    report = sector.load(name)
    assert (report["rows_accepted"], report["rows_deleted"]) == (2, 1)
    assert sector.known(name) == sector.standing(name)
    assert sector.load(name)["rows_unchanged"] == 102


def test_a_held_key_written_another_way_closes_its_record(sector: Sector, name: str, by: str) -> None:
    """The register knows a row by its key's text, which is one for 2.5 and 2.5000."""
    sector.add(name, {"amount": "numeric", "label": "text"}, key=("amount",), capture="snapshot", required=("label",))
    sector.source(f"insert into {name} values (1, 'a'), (2.5, null)")
    assert sector.load(name)["rows_quarantined"] == 1
    sector.source(f"update {name} set amount = 2.50 where amount = 2.5")
    assert sector.load(name)["rows_quarantined"] == 1
    register = f"select key, state, times from quarantine.record where dataset = '{name}'"
    assert sector.warehouse(register) == [("2.5", "open", 2)]
    sector.source(f"update {name} set amount = 2.5000, label = 'b' where amount = 2.5")
    sector.load(name)
    assert sector.warehouse(register) == [("2.5", "corrected", 2)]
    assert sector.known(name) == sector.standing(name)


def test_many_batches_are_one_state(sector: Sector, name: str, by: str) -> None:
    """Versions before and after the largest batch: only the newest of each key counts, returned and gone ones too."""
    sector.add(name, {"id": "bigint", "label": "text"}, capture="snapshot", required=("label",))
    sector.source(f"insert into {name} select i, 'first' from generate_series(1, 30) as i")
    sector.load(name)
    sector.source(f"delete from {name} where id = 4")
    sector.load(name)
    sector.source(f"insert into {name} select i, 'second' from generate_series(31, 400) as i")
    sector.source(f"update {name} set label = 'second' where id = 2; update {name} set label = null where id = 3")
    sector.load(name)
    sector.source(f"delete from {name} where id in (5, 50); insert into {name} values (4, 'back')")
    sector.source(
        f"update {name} set label = 'third' where id in (6, 60); update {name} set label = 'good' where id = 3"
    )
    report = sector.load(name)
    assert (report["rows_accepted"], report["rows_deleted"]) == (4, 2)
    assert sector.known(name) == sector.standing(name)
    again = sector.load(name)
    assert (again["rows_accepted"], again["rows_deleted"], again["rows_unchanged"]) == (0, 0, 398)


def test_rows_in_quarantine_are_known(sector: Sector, name: str, large_tables: None) -> None:
    """A bad row that stays as it is is not healed again; healed rows that are bad go to quarantine; mended ones return."""
    sector.filled(name, required=("label",))
    sector.source(f"update {name} set label = null where id in (5, 6)")
    first = sector.reconcile(name)
    assert (first["changed"], first["rows_accepted"], first["rows_quarantined"]) == (2, 0, 2)
    assert sector.warehouse(f"select id from quarantine.{SECTOR}__{name} order by id") == [(5,), (6,)]
    assert counts(sector.reconcile(name)) == (0, 0, 0, 0)
    sector.source(f"update {name} set label = 'mended' where id = 5; delete from {name} where id = 6")
    second = sector.reconcile(name)
    assert (second["changed"], second["deleted"], second["rows_accepted"]) == (1, 1, 1)
    assert sector.known(name) == sector.standing(name)


def test_the_guard_trips_above_the_contracts_share(sector: Sector, name: str, large_tables: None) -> None:
    sector.filled(name)
    sector.source(f"delete from {name} where id <= 4")
    assert sector.reconcile(name)["deleted"] == 4, "4 % passes"
    sector.source(f"insert into {name} select i, 'a', now() from generate_series(101, 104) as i")
    sector.load(name)
    before = sector.known(name)
    sector.source(f"delete from {name} where id between 5 and 10")
    held = sector.reconcile(name)
    assert (held["status"], held["held"], held["deleted"]) == ("rejected", True, 6)
    assert "6 of 100 known rows (6.0%)" in held["message"]
    assert "--approve" in held["message"]
    assert sector.known(name) == before
    assert sector.batch_tables(name) == 0
    assert sector.reconcile(name)["held"], "looking again is no approval"

    sector.source(f"delete from {name} where id = 11")
    more = sector.reconcile(name, approve=True)
    assert more["held"], "what was approved was less"
    approved = sector.reconcile(name, approve=True)
    assert (approved["status"], approved["deleted"], approved["approves"]) == ("accepted", 7, more["batch_id"])
    assert sector.known(name) == sector.standing(name)
    assert sector.reconcile(name, approve=True)["status"] == "failed", "an approval works once"
    asked = {"approve": True, "approved_batch": more["batch_id"]}
    again = reconcile.one_dataset(SECTOR, name, sector.connect_to, **asked)
    assert again["batch_id"] == approved["batch_id"], "a task that died after its work finds it done"


def test_an_empty_source_is_held(sector: Sector, name: str, large_tables: None) -> None:
    sector.filled(name, more={"maxDeletedShare": 1})
    sector.source(f"delete from {name}")
    held = sector.reconcile(name)
    assert (held["held"], held["deleted"]) == (True, 100)
    assert "the source is empty" in held["message"]
    assert len(sector.known(name)) == 100
    assert sector.reconcile(name, approve=True)["rows_deleted"] == 100
    assert sector.known(name) == []


def test_a_snapshot_load_is_guarded_too(sector: Sector, name: str, large_tables: None) -> None:
    sector.filled(name, capture="snapshot")
    sector.source(f"delete from {name} where id <= 6")
    report = sector.load(name)
    assert report["status"] == "rejected"
    assert "6 of 100 known rows" in report["message"]
    with pytest.raises(BatchRejected):
        load.extract(SECTOR, name, sector.connect_to)
    assert len(sector.known(name)) == 100
    assert sector.reconcile(name, approve=True)["rows_deleted"] == 6
    assert sector.load(name)["rows_unchanged"] == 94


def test_least_rows_are_asked_of_the_source(sector: Sector, name: str, large_tables: None) -> None:
    """The rule is about what one read shows, however little of it has changed."""
    sector.filled(name, capture="snapshot", more={"minRows": 100})
    assert sector.load(name)["status"] == "accepted"
    sector.source(f"update {name} set label = 'b' where id = 1")
    assert sector.load(name)["rows_accepted"] == 1
    sector.source(f"delete from {name} where id = 1")
    report = sector.load(name)
    assert report["status"] == "rejected"
    assert "99 rows" in report["message"]
    assert len(sector.known(name)) == 100


def test_a_key_twice_at_the_source_holds_the_batch(sector: Sector, name: str, by: str) -> None:
    sector.filled(name, capture="snapshot")
    sector.source(f"alter table {name} drop constraint {name}_pkey; insert into {name} values (7, 'other')")
    sector.source(f"insert into {name} values (500, 'new'), (500, 'new'), (500, 'newer')")
    forget_declarations(name)
    held = sector.load(name)
    assert held["status"] == "rejected"
    assert "(5 of 5 rows)" in held["message"], "two rows of key 7, three of key 500, each counted once"
    assert len(sector.known(name)) == 100


def test_rows_without_a_key_are_quarantined_once(sector: Sector, name: str, by: str) -> None:
    sector.filled(name, capture="snapshot")
    sector.source(f"alter table {name} drop constraint {name}_pkey, alter id drop not null")
    sector.source(f"insert into {name} values (null, 'nobody'), (null, 'no one')")
    forget_declarations(name)
    assert sector.load(name)["rows_quarantined"] == 2
    again = sector.load(name)
    assert (again["rows_quarantined"], again["rows_unchanged"]) == (0, 102)
    sector.source(f"delete from {name} where id is null")
    assert sector.load(name)["rows_deleted"] == 0


def forget_declarations(dataset: str) -> None:
    """As of a table that never declared its key: one that no longer does is drift."""
    with psycopg.connect(connections.warehouse("admin")) as admin:
        admin.execute("delete from control.source_shape where dataset = %s", [dataset])


STEPS: dict[str, tuple[Any, str]] = {
    "before the rows are fetched": (compare.Comparison, "_fetch"),
    "before the difference lands": (compare.Comparison, "_land"),
    "after it landed": (ledger, "arrived"),
    "before the check": (load.quality, "check_sector"),
    "in the accepting transaction": (raw, "attach"),
    "at its end": (ledger, "move_watermark"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_dies_is_run_again(sector: Sector, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the run ends at any step. Invariant: nothing of it shows, and the next run heals as if it were the first."""
    dataset = f"dies_{list(STEPS).index(step)}"
    sector.filled(dataset)
    sector.source(f"delete from {dataset} where id = 1; update {dataset} set label = 'b' where id = 2")
    before = sector.known(dataset)
    with monkeypatch.context() as patch:

        def die(*_arguments: Any, **_options: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(*STEPS[step], die)
        with pytest.raises(KeyboardInterrupt):
            sector.reconcile(dataset)
    assert sector.known(dataset) == before
    assert counts(sector.reconcile(dataset)) == (0, 1, 0, 1)
    assert sector.known(dataset) == sector.standing(dataset)
    assert sector.batch_tables(dataset) == 0


def test_killed_between_landing_and_ledger(sector: Sector, name: str) -> None:
    """Fault: kill -9. The lock goes with the session, and the orphan with the next run."""
    sector.filled(name)
    sector.source(f"delete from {name} where id = 1")
    script = f"""
import os, signal
from pdic import ledger, reconcile, connections
ledger.arrived = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
uri = {sector.source_uri!r}
reconcile.reconcile(
    ["{SECTOR}.{name}"], connect_to=lambda name: uri if name.startswith("pdic_source") else connections.uri(name)
)
"""
    environment = {**os.environ, "PDIC_ROOT": str(sector.root)}
    there = warehouse_sessions()
    died = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    wait_for_the_end_of_others(there)
    assert sector.batch_tables(name) == 1
    assert len(sector.known(name)) == 100
    report = sector.reconcile(name)
    assert report["status"] == "accepted", report
    assert report["deleted"] == 1
    assert sector.known(name) == sector.standing(name)
    assert sector.batch_tables(name) == 0


def test_refusals_say_what_to_do(sector: Sector, name: str) -> None:
    sector.add(name)
    report = sector.reconcile(name)
    assert (report["status"], "pdic load" in report["message"]) == ("failed", True)
    with pytest.raises(LoadError, match=r"SECTOR\.DATASET --approve"):
        reconcile.reconcile([SECTOR], approve=True, connect_to=sector.connect_to)
    sector.source(f"insert into {name} values (1, 'a', now())")
    sector.load(name)
    assert "nothing waits for an approval" in sector.reconcile(name, approve=True)["message"]


def test_status_shows_the_last_reconcile(sector: Sector, name: str) -> None:
    sector.filled(name)
    sector.source(f"delete from {name} where id = 1")
    batch = sector.reconcile(name)["batch_id"]
    (shown,) = (report for report in status.datasets(sector.connect_to) if report["dataset"] == name)
    assert shown["last_reconcile"]["batch_id"] == batch
    assert shown["last_reconcile"]["deleted"] == 1
    assert shown["balanced"]


def test_the_source_is_only_read(sector: Sector, name: str, postgres: Postgres) -> None:
    """A login that may select and nothing else, in a session that is read only, as on a standby."""
    sector.filled(name, 300)
    sector.source(f"delete from {name} where id = 1")
    with psycopg.connect(postgres.uri("doi_chieu"), autocommit=True) as admin:
        admin.execute("alter role doi_chieu_owner set default_transaction_read_only = on")
        try:
            assert sector.reconcile(name)["deleted"] == 1
        finally:
            admin.execute("alter role doi_chieu_owner reset default_transaction_read_only")


def test_an_approval_is_of_what_was_seen() -> None:
    seen = sweep.Approval(batch_id=1, source_rows=10, deleted=6)
    findings = compare.Findings(10, 16, 0, 0, 0, 6, 0, 0, 16)
    assert seen.covers(findings)
    assert not seen.covers(compare.Findings(0, 6, 0, 0, 0, 6, 0, 0, 0)), "an empty source is another matter"
