"""Sectors whose database is not as PDIC would have it: contracts of any columns, and the loads over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import connections, contracts, load, reconcile, warehouse
from pdic.contracts import yaml_text
from pdic.contracts.compile import compile_all
from pdic.contracts.pg_types import logical_type
from pdic.contracts.read import dataset_path
from pdic.quality.results import BatchVerdict
from tests.conftest import Postgres


class StrangeSector:
    """A sector with a login `reader` that PDIC uses, and one `owner` by which a test arranges things."""

    def __init__(self, name: str, root: Path, owner: str, reader: str) -> None:
        self.name, self.root, self.owner, self.reader = name, root, owner, reader

    def connect_to(self, conn_id: str) -> str:
        return self.reader if conn_id == f"pdic_source_{self.name}" else connections.uri(conn_id)

    def run(self, statement: str | bytes) -> None:
        """Statements of the owner; as bytes they reach the server as they are."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def contract(
        self,
        dataset: str,
        columns: Mapping[str, str],
        table: str | None = None,
        key: tuple[str, ...] = ("id",),
        sources: Mapping[str, str] | None = None,
        **custom: Any,
    ) -> contracts.Contract:
        """The contract of a table with these columns (name → type); `sources` are types that are read by a cast."""
        properties = []
        for number, (name, kind) in enumerate(columns.items()):
            more = [{"property": "descriptionEn", "value": "Column"}]
            if sources and name in sources:
                more.append({"property": "sourceType", "value": sources[name]})
            entry: dict[str, Any] = {
                "name": f"c{number}",
                "physicalName": name,
                "physicalType": kind,
                "logicalType": logical_type(kind),
                "description": "Cột",
                "classification": "internal",
                "customProperties": more,
            }
            if name in key:
                entry |= {"primaryKey": True, "required": True, "primaryKeyPosition": key.index(name) + 1}
            if name == custom.get("cursorColumn"):
                entry |= {"required": True}
            properties.append(entry)
        said = {"descriptionEn": "A table for tests", "capture": "snapshot", "deletes": "none", "minRows": 0} | custom
        document = {
            "apiVersion": "v3.2.0",
            "kind": "DataContract",
            "id": f"{self.name}.{dataset}",
            "name": dataset,
            "version": "1.0.0",
            "status": "active",
            "domain": self.name,
            "team": {"name": "Sở Thử nghiệm"},
            "description": {"purpose": "Bảng thử."},
            "slaProperties": [
                {"property": "frequency", "value": 1, "unit": "d", "scheduler": "cron", "schedule": "0 1 * * *"},
                {"property": "latency", "value": 26, "unit": "h"},
            ],
            "customProperties": [{"property": name, "value": value} for name, value in said.items()],
            "schema": [
                {
                    "name": dataset,
                    "physicalName": table or f"public.{dataset}",
                    "physicalType": "table",
                    "businessName": "Bảng thử",
                    "properties": properties,
                }
            ],
        }
        path = self.root / dataset_path(self.name, dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml_text.dump(document), encoding="utf-8")
        compile_all(self.root, check=False)
        return contracts.get(self.name, dataset)

    def load(self, dataset: str) -> dict[str, Any]:
        (report,) = load.load([f"{self.name}.{dataset}"], self.connect_to)
        return report

    def accepted(self, dataset: str) -> dict[str, Any]:
        report = self.load(dataset)
        assert report["status"] == "accepted", report
        extracted = report["rows_extracted"]
        assert extracted == report["rows_accepted"] + report["rows_quarantined"] + report["rows_unchanged"], report
        return report

    def assert_quiet(self, dataset: str) -> None:
        """Nothing has changed at the source: a second load brings nothing, a reconcile finds nothing."""
        again = self.accepted(dataset)
        assert (again["rows_accepted"], again["rows_quarantined"], again["rows_deleted"]) == (0, 0, 0), again
        found = reconcile.one_dataset(self.name, dataset, self.connect_to)
        assert (found["late"], found["changed"], found["news"], found["deleted"]) == (0, 0, 0, 0), found

    def newest(self, dataset: str, columns: str, schema: str = "raw") -> list[tuple[Any, ...]]:
        """The newest version of each key, tombstones left out. `columns` is SQL."""
        return warehouse_rows(
            f"select {columns} from (select distinct on (id) * from {schema}.{self.name}__{dataset} order by id, _batch_id desc)"
            " as newest where _op = 'U' order by id"
        )


def warehouse_rows(statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(connections.warehouse("loader"), options="-c timezone=UTC") as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


@contextmanager
def sector_with_a_reader(postgres: Postgres, root: Path, name: str) -> Iterator[StrangeSector]:
    """A project of one sector, its database, and a login `NAME_reader` that reads each table of `public` made from here on."""
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    owner, reader = postgres.create_database(name), f"{name}_reader"
    with psycopg.connect(postgres.uri(name), autocommit=True) as admin:
        for statement in (
            f"create role {reader} login replication password 'r'",
            f"grant connect on database {name} to {reader}",
            f"grant pg_monitor to {reader}",
        ):
            admin.execute(statement)  # type: ignore[call-overload]
    made = StrangeSector(name, root, owner, f"postgresql://{reader}:r@127.0.0.1:{postgres.port}/{name}")
    made.run(f"grant usage on schema public to {reader}")
    made.run(f"alter default privileges in schema public grant select on tables to {reader}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        pass_every_batch(patch)
        yield made


def pass_every_batch(patch: pytest.MonkeyPatch) -> None:
    """Great Expectations takes most of a small load's time; what these tests are about does not ask it."""

    def passed(_uri: str, batches: list[tuple[Any, int, str]], **_: object) -> dict[str, BatchVerdict]:
        return {
            contract.dataset: BatchVerdict(contract.sector, contract.dataset, batch_id, (), halted=False, message="")
            for contract, batch_id, _ in batches
        }

    patch.setattr(load.quality, "check_sector", passed)
