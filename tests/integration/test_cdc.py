"""Capture from the source's log: whatever is done to a table, and wherever a load dies, raw ends equal to the source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import connections, load, warehouse
from pdic.contracts.compile import compile_all
from pdic.contracts.pg_types import logical_type
from pdic.sources.cdc import watch
from tests.conftest import Postgres

SECTOR = "nhatky"
KEY_AND_TEXT = {"id": "bigint", "Nhãn X": "text"}


class Source:
    """A sector whose database grants its log, a project folder with its contracts, and the loads over it."""

    def __init__(self, root: Path, owner: str, reader: str) -> None:
        self.root, self.owner, self.reader = root, owner, reader

    def connect_to(self, conn_id: str) -> str:
        return self.reader if conn_id == f"pdic_source_{SECTOR}" else connections.uri(conn_id)

    def contract(self, dataset: str, columns: dict[str, str], key: tuple[str, ...] = ("id",), more: str = "") -> None:
        described = ""
        for number, (name, kind) in enumerate(columns.items()):
            described += (
                f"      - name: c{number}\n        physicalName: {name}\n        physicalType: {kind}\n"
                f"        logicalType: {logical_type(kind)}\n        description: Cột\n        classification: internal\n"
                + (
                    f"        primaryKey: true\n        required: true\n        primaryKeyPosition: {key.index(name) + 1}\n"
                    if name in key
                    else ""
                )
                + "        customProperties: [{property: descriptionEn, value: Column}]\n"
            )
        path = self.root / "contracts" / SECTOR / f"{dataset}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"apiVersion: v3.2.0\nkind: DataContract\nid: {SECTOR}.{dataset}\nname: {dataset}\nversion: 1.0.0\nstatus: active\n"
            f"domain: {SECTOR}\nteam: {{name: Sở Thử nghiệm}}\ndescription: {{purpose: Bảng thử.}}\nslaProperties:\n"
            "  - {property: frequency, value: 1, unit: d, scheduler: cron, schedule: '0 1 * * *'}\n"
            "  - {property: latency, value: 26, unit: h}\ncustomProperties:\n"
            "  - {property: descriptionEn, value: A table for tests.}\n  - {property: capture, value: cdc}\n"
            f"  - {{property: deletes, value: none}}\n{more}schema:\n  - name: {dataset}\n    physicalName: public.{dataset}\n"
            f"    physicalType: table\n    businessName: Bảng thử\n    properties:\n{described}",
            encoding="utf-8",
        )
        compile_all(self.root, check=False)

    def table(self, dataset: str, columns: dict[str, str] | None = None, key: tuple[str, ...] = ("id",)) -> str:
        """A table, its contract and its publication."""
        columns = columns or KEY_AND_TEXT
        self.contract(dataset, columns, key)
        described = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        self.run(
            f"create table {dataset} ({described}, primary key ({', '.join(key)}));"
            f"create publication pdic_{SECTOR}__{dataset} for table {dataset}"
        )
        return dataset

    def run(self, statement: str) -> None:
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def load(self, dataset: str) -> dict[str, Any]:
        (report,) = load.load([f"{SECTOR}.{dataset}"], self.connect_to)
        return report

    def accepted(self, dataset: str) -> dict[str, Any]:
        report = self.load(dataset)
        assert report["status"] == "accepted", report
        return report

    def extract(self, dataset: str) -> int:
        return int(load.extract(SECTOR, dataset, self.connect_to)["batch_id"])

    def slot(self, dataset: str) -> dict[str, Any]:
        return next(report for report in watch.slots(self.connect_to, SECTOR) if report["dataset"] == dataset)

    def at_source(self, dataset: str, columns: dict[str, str], key: str = "id") -> list[tuple[Any, ...]]:
        texts = ", ".join(f'"{name}"::text' for name in columns)
        with psycopg.connect(self.owner) as connection:
            return connection.execute(f"select {texts} from {dataset} order by {key}").fetchall()  # type: ignore[call-overload,no-any-return]

    def in_raw(self, dataset: str, columns: dict[str, str], key: str = "id") -> list[tuple[Any, ...]]:
        """What `raw` says of the source: each key's newest version, but for those that are gone."""
        texts = ", ".join(f'"{name}"::text' for name in columns)
        return warehouse_rows(
            f"select {texts} from (select distinct on ({key}) * from raw.{SECTOR}__{dataset} order by {key}, _batch_id desc) as newest"
            f" where _op = 'U' order by {key}"
        )

    def assert_equal(self, dataset: str, columns: dict[str, str] | None = None, key: str = "id") -> None:
        columns = columns or KEY_AND_TEXT
        assert self.in_raw(dataset, columns, key) == self.at_source(dataset, columns, key)
        doubled = warehouse_rows(f"select 1 from raw.{SECTOR}__{dataset} group by _batch_id, {key} having count(*) > 1")
        assert doubled == []


def warehouse_rows(statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(connections.warehouse("loader"), options="-c timezone=UTC") as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def source(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    owner = postgres.create_database(SECTOR)
    with psycopg.connect(postgres.uri(SECTOR), autocommit=True) as admin:
        admin.execute("create role nhatky_reader login replication password 'r'")
        admin.execute("alter role nhatky_reader set default_transaction_read_only = on")
        admin.execute("grant connect on database nhatky to nhatky_reader")
        admin.execute("alter database nhatky set timezone = 'UTC'")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("grant usage on schema public to nhatky_reader")
        connection.execute("alter default privileges in schema public grant select on tables to nhatky_reader")
    reader = f"postgresql://nhatky_reader:r@127.0.0.1:{postgres.port}/{SECTOR}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield Source(root, owner, reader)
    with psycopg.connect(postgres.uri(SECTOR), autocommit=True) as admin:
        admin.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = 'nhatky'")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).removeprefix("test_")[:30].rstrip("_")


def test_first_load_copies_then_changes_follow(source: Source, name: str) -> None:
    source.table(name)
    source.run(f"insert into {name} select i, 'nhãn ' || i from generate_series(1, 1000) as i")
    first = source.accepted(name)
    assert (first["rows_extracted"], first["rows_accepted"], first["rows_deleted"]) == (1000, 1000, 0)
    source.run(
        f"""insert into {name} values (1001, ''), (1002, null); update {name} set "Nhãn X" = 'b' where id = 7;"""
        f"delete from {name} where id in (8, 9); update {name} set id = 2000 where id = 10"
    )
    second = source.accepted(name)
    assert (second["rows_extracted"], second["rows_accepted"], second["rows_deleted"]) == (4, 4, 3)
    source.assert_equal(name)
    idle = source.accepted(name)
    assert (idle["rows_extracted"], idle["rows_deleted"]) == (0, 0)
    source.assert_equal(name)
