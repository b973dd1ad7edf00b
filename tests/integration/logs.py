"""A sector of a test's own whose database grants its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from pdic import connections, load
from pdic.contracts.compile import compile_all
from pdic.contracts.pg_types import logical_type
from pdic.sources.cdc import watch
from tests.conftest import Postgres

KEY_AND_TEXT = {"id": "bigint", "Nhãn X": "text"}


class Source:
    """A sector whose database grants its log, a project folder with its contracts, and the loads over it."""

    def __init__(self, sector: str, root: Path, owner: str, reader: str, admin: str) -> None:
        self.sector, self.root, self.owner, self.reader, self._admin = sector, root, owner, reader, admin

    def connect_to(self, conn_id: str) -> str:
        return self.reader if conn_id == f"pdic_source_{self.sector}" else connections.uri(conn_id)

    def contract(
        self,
        dataset: str,
        columns: dict[str, str],
        key: tuple[str, ...] = ("id",),
        more: str = "",
        *,
        max_deleted: float = 1,
    ) -> None:
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
        path = self.root / "contracts" / self.sector / f"{dataset}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"apiVersion: v3.2.0\nkind: DataContract\nid: {self.sector}.{dataset}\nname: {dataset}\nversion: 1.0.0\nstatus: active\n"
            f"domain: {self.sector}\nteam: {{name: Sở Thử nghiệm}}\ndescription: {{purpose: Bảng thử.}}\nslaProperties:\n"
            "  - {property: frequency, value: 1, unit: d, scheduler: cron, schedule: '0 1 * * *'}\n"
            "  - {property: latency, value: 26, unit: h}\ncustomProperties:\n"
            "  - {property: descriptionEn, value: A table for tests.}\n  - {property: capture, value: cdc}\n"
            f"  - {{property: deletes, value: none}}\n  - {{property: minRows, value: 0}}\n"
            f"  - {{property: maxDeletedShare, value: {max_deleted}}}\n"
            f"{more}schema:\n  - name: {dataset}\n    physicalName: public.{dataset}\n"
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
            f"create publication pdic_{self.sector}__{dataset} for table {dataset}"
        )
        return dataset

    def run(self, statement: str) -> None:
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def as_admin(self, statement: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def load(self, dataset: str) -> dict[str, Any]:
        (report,) = load.load([f"{self.sector}.{dataset}"], self.connect_to)
        self._rest()
        return report

    def accepted(self, dataset: str) -> dict[str, Any]:
        report = self.load(dataset)
        assert report["status"] == "accepted", report
        return report

    def extract(self, dataset: str) -> int:
        batch = int(load.extract(self.sector, dataset, self.connect_to)["batch_id"])
        self._rest()
        return batch

    def _rest(self) -> None:
        """Waits until nobody reads a slot: the server takes it from a reader some moments after the reader has gone."""
        reading = "select from pg_replication_slots where active and database = %s"
        with psycopg.connect(self._admin, autocommit=True) as admin:
            while admin.execute(reading, (self.sector,)).fetchone() is not None:
                admin.execute("select pg_sleep(0.01)")

    def slot(self, dataset: str) -> dict[str, Any]:
        return next(report for report in watch.slots(self.connect_to, self.sector) if report["dataset"] == dataset)

    def at_source(self, dataset: str, columns: dict[str, str], key: str = "id") -> list[tuple[Any, ...]]:
        texts = ", ".join(f'"{name}"::text' for name in columns)
        with psycopg.connect(self.owner) as connection:
            return connection.execute(f"select {texts} from {dataset} order by {key}").fetchall()  # type: ignore[call-overload,no-any-return]

    def in_raw(self, dataset: str, columns: dict[str, str], key: str = "id") -> list[tuple[Any, ...]]:
        """What `raw` says of the source: each key's newest version, but for those that are gone."""
        texts = ", ".join(f'"{name}"::text' for name in columns)
        return warehouse_rows(
            f"select {texts} from (select distinct on ({key}) * from raw.{self.sector}__{dataset} order by {key}, _batch_id desc) as newest"
            f" where _op = 'U' order by {key}"
        )

    def assert_equal(self, dataset: str, columns: dict[str, str] | None = None, key: str = "id") -> None:
        columns = columns or KEY_AND_TEXT
        assert self.in_raw(dataset, columns, key) == self.at_source(dataset, columns, key)
        doubled = warehouse_rows(
            f"select 1 from raw.{self.sector}__{dataset} group by _batch_id, {key} having count(*) > 1"
        )
        assert doubled == []

    def drop_slots(self) -> None:
        """A server has ten slots: they are given back."""
        slots = f"from pg_replication_slots where database = '{self.sector}'"
        self.as_admin(f"select pg_terminate_backend(active_pid, 60000) {slots} and active_pid is not null")
        self.as_admin(f"select pg_drop_replication_slot(slot_name) {slots}")


def log_sector(sector: str, root: Path, postgres: Postgres) -> Source:
    """Makes the database of a sector, with a login that reads its log. A module must have a sector of its own."""
    owner = postgres.create_database(sector)
    reader = f"{sector}_reader"
    with psycopg.connect(postgres.uri(sector), autocommit=True) as admin:
        for statement in (
            f"create role {reader} login replication password 'r'",
            f"alter role {reader} set default_transaction_read_only = on",
            f"grant connect on database {sector} to {reader}",
            f"alter database {sector} set timezone = 'UTC'",
        ):
            admin.execute(statement)  # type: ignore[call-overload]
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"grant usage on schema public to {reader}")  # type: ignore[call-overload]
        connection.execute(f"alter default privileges in schema public grant select on tables to {reader}")  # type: ignore[call-overload]
    uri = f"postgresql://{reader}:r@127.0.0.1:{postgres.port}/{sector}"
    return Source(sector, root, owner, uri, postgres.uri(sector))


def warehouse_rows(statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(connections.warehouse("loader"), options="-c timezone=UTC") as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]
