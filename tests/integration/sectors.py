"""A sector of a test's own: a source database, a project folder with its contracts, and the loads over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import connections, load, warehouse
from pdic.contracts.compile import compile_all
from pdic.contracts.pg_types import logical_type
from tests.conftest import Postgres

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: {sector}.{dataset}
name: {dataset}
version: 1.0.0
status: active
domain: {sector}
team: {{name: Sở Thử nghiệm}}
description: {{purpose: Bảng thử.}}
slaProperties:
  - {{property: frequency, value: 1, unit: d, scheduler: cron, schedule: '0 1 * * *'}}
  - {{property: latency, value: 26, unit: h}}
customProperties:
  - {{property: descriptionEn, value: A table for tests.}}
{capture}
schema:
  - name: {dataset}
    physicalName: public.{dataset}
    physicalType: table
    businessName: Bảng thử
    properties:
      - name: source_id
        physicalName: id
        physicalType: bigint
        logicalType: integer
        description: Khoá
        classification: internal
        primaryKey: true
        required: true
        customProperties: [{{property: descriptionEn, value: Key}}]
      - name: label
        physicalName: Nhãn X
        physicalType: {type}
        logicalType: {logical_type}
        description: Nhãn
        classification: public
        required: {required}
        customProperties: [{{property: descriptionEn, value: Label}}]
{cursor_column}
"""
CURSOR = "  - {property: capture, value: cursor}\n  - {property: cursorColumn, value: sửa}\n  - {property: deletes, value: none}"
SOFT = CURSOR.replace("value: none", "value: soft") + "\n  - {property: softDeleteColumn, value: da_xoa}"
"""The same, of a source that marks what it deletes."""
SNAPSHOT = "  - {property: capture, value: snapshot}\n  - {property: deletes, value: none}"
CURSOR_COLUMN = """\
      - name: updated_at
        physicalName: sửa
        physicalType: timestamp with time zone
        logicalType: timestamp
        description: Lúc sửa
        classification: internal
        required: true
        customProperties: [{property: descriptionEn, value: Changed at}]
"""
SOFT_COLUMN = """\
      - name: is_deleted
        physicalName: da_xoa
        physicalType: boolean
        logicalType: boolean
        description: Đã xóa
        classification: internal
        required: true
        customProperties: [{property: descriptionEn, value: Deleted}]
"""


def write_contract(
    root: Path, sector: str, dataset: str, *, capture: str = CURSOR, type_: str = "text", required: bool = True
) -> None:
    """A dataset's contract; what follows from it is compiled by the caller."""
    text = CONTRACT.format(
        sector=sector,
        dataset=dataset,
        capture=capture,
        type=type_,
        logical_type=logical_type(type_),
        required=str(required).lower(),
        cursor_column=(CURSOR_COLUMN if "cursorColumn" in capture else "") + (SOFT_COLUMN if capture == SOFT else ""),
    )
    path = root / "contracts" / sector / f"{dataset}.odcs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Sector:
    """A sector of its own: a source database, a project folder with its contracts, and the loads over it."""

    def __init__(self, name: str, root: Path, source_uri: str, reader_uri: str) -> None:
        self.name = name
        self.root = root
        self.source_uri = source_uri
        self._uris = {f"pdic_source_{name}": reader_uri}

    def connect_to(self, conn_id: str) -> str:
        return self._uris.get(conn_id) or connections.uri(conn_id)

    def add(self, dataset: str, *, capture: str = CURSOR, type_: str = "text", required: bool = True) -> None:
        """A contract and its source table: a key, a label under an awkward name, and perhaps a cursor."""
        write_contract(self.root, self.name, dataset, capture=capture, type_=type_, required=required)
        compile_all(self.root, check=False)
        cursor = ', "sửa" timestamptz default clock_timestamp()' if "cursorColumn" in capture else ""
        cursor += ", da_xoa boolean not null default false" if capture == SOFT else ""
        self.source(f'create table {dataset} (id bigint primary key, "Nhãn X" {type_}{cursor})')

    def source(self, statement: str) -> None:
        with psycopg.connect(self.source_uri) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def slow_down(self, dataset: str, seconds: float) -> None:
        """Have a table read by a view that waits before its last row, for so many seconds (`giay` in the table `cho`)."""
        self.source(
            f"alter table {dataset} rename to {dataset}_goc; create table cho (giay float); insert into cho values ({seconds});"
            f"create view {dataset} as select * from {dataset}_goc union all select 0, pg_sleep(giay)::text from cho"
        )

    def load(self, dataset: str) -> dict[str, Any]:
        (report,) = load.load([f"{self.name}.{dataset}"], self.connect_to)
        return report

    def extract(self, dataset: str) -> int:
        return int(load.extract(self.name, dataset, self.connect_to)["batch_id"])

    def raw(self, dataset: str, columns: str = 'id, "Nhãn X"') -> list[tuple[Any, ...]]:
        return self.warehouse(f"select {columns} from raw.{self.name}__{dataset} order by _batch_id, id")

    def warehouse(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(connections.warehouse("loader")) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


@contextmanager
def own_sector(name: str, postgres: Postgres, root: Path) -> Iterator[Sector]:
    """The sector `name` with the empty project `root`, which is the project of this process meanwhile."""
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    uri = postgres.create_database(name)
    with psycopg.connect(postgres.uri(name), autocommit=True) as admin:
        admin.execute(f"grant pg_monitor to {name}_owner")  # type: ignore[call-overload]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield Sector(name, root, uri, uri)
