"""A feed in memory, its contract, and loads over it, for the tests of the REST capture."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from demo.service import Service
from pdic import connections, ledger, load, reconcile
from pdic.contracts.compile import compile_all
from pdic.errors import PdicError
from pdic.warehouse import transaction

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "a key nobody knows"

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: cong.{dataset}
name: {dataset}
version: 1.0.0
status: active
domain: cong
team: {{name: Sở Thử nghiệm}}
description: {{purpose: Nguồn thử.}}
slaProperties:
  - {{property: frequency, value: 1, unit: d, scheduler: cron, schedule: '0 1 * * *'}}
  - {{property: latency, value: 26, unit: h}}
customProperties:
  - {{property: descriptionEn, value: A feed for tests.}}
  - {{property: capture, value: feed}}
  - {{property: deletes, value: soft}}
{overlap}
  - property: feed
    value:
      records: duLieu
      total: tongSo
      pageSize: {page_size}
      pageSizeParameter: limit
      cursor: {{sauThoiGian: ThoiGianCapNhat, sauMa: IdBanGhi}}
      event: SuKien
      cancel: CANCEL
      version: PhienBan
      time: ThoiGianCapNhat
schema:
  - name: thing
    physicalName: /v1/{dataset}
    businessName: Bản ghi thử
    properties:
"""
COLUMNS = (
    ("IdBanGhi", "text", "string", "internal", True, "primaryKey: true"),
    ("SuKien", "text", "string", "internal", True, "enum: [{value: NEW}, {value: UPDATE}, {value: CANCEL}]"),
    ("PhienBan", "integer", "integer", "internal", True, ""),
    ("ThoiGianCapNhat", "timestamp with time zone", "timestamp", "internal", True, ""),
    ("HoTen", "text", "string", "personal", False, ""),
    ("SoTien", "integer", "integer", "public", False, ""),
    ("Ngày", "date", "date", "public", False, ""),
    ("Giấy tờ", "jsonb", "object", "personal", False, ""),
)
FIELDS = ", ".join(f'"{name}"' for name, *_ in COLUMNS)


def contract_text(dataset: str, *, page_size: int = 20, overlap: str = "") -> str:
    columns = "".join(
        f"      - name: column_{number}\n        physicalName: {name}\n        physicalType: {type_}\n"
        f"        logicalType: {logical}\n        description: Cột {number}\n        classification: {classification}\n"
        f"        required: {str(required).lower()}\n        customProperties: [{{property: descriptionEn, value: Column}}]\n"
        + (f"        {more}\n" if more else "")
        for number, (name, type_, logical, classification, required, more) in enumerate(COLUMNS)
    )
    line = f"  - {{property: overlap, value: {overlap}}}" if overlap else ""
    return CONTRACT.format(dataset=dataset, page_size=page_size, overlap=line) + columns


class MemoryFeed:
    """Records by key, in the order of their time and key; only the newest version of each is there, as on a platform."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._order: list[tuple[str, str]] | None = None
        self._clock = BEGIN

    def put(self, key: str, **fields: Any) -> dict[str, Any]:
        """A new record, or a newer version of one that is there."""
        self._clock += timedelta(seconds=1)
        known = self.records.get(key)
        record = {
            **(
                known or {"IdBanGhi": key, "HoTen": f"Người {key}", "SoTien": 5, "Ngày": "2026-02-28", "Giấy tờ": [key]}
            ),
            "SuKien": "UPDATE" if known else "NEW",
            "PhienBan": known["PhienBan"] + 1 if known else 1,
            "ThoiGianCapNhat": self._clock.isoformat(),
            **fields,
        }
        self.records[key] = record
        self._order = None
        return record

    def page(self, feed: str, after: Mapping[str, str], limit: int) -> tuple[int, list[dict[str, Any]]]:
        if self._order is None or len(self._order) != len(self.records):
            self._order = sorted((r["ThoiGianCapNhat"], r["IdBanGhi"]) for r in self.records.values())
        bound = (after.get("sauThoiGian", ""), after.get("sauMa", "\U0010ffff"))  # a time alone: all after it
        begin = bisect.bisect_right(self._order, bound)
        keys = [key for _, key in self._order[begin : begin + limit]]
        return len(self._order) - begin, [self.records[key] for key in keys]


class FeedSector:
    """A sector whose source is a service; `extra` is the extra of its connection."""

    name = "cong"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.waited: list[float] = []
        self.extra: dict[str, Any] = {}
        self.feed = MemoryFeed()
        self.service = Service(self.feed, KEY).start()
        self.port = self.service.port
        self.scheme = "http"
        self.password = KEY

    def reset(self) -> None:
        """A new service with an empty feed."""
        self.service.stop()
        self.__init__(self.root)  # type: ignore[misc]

    def connect_to(self, conn_id: str) -> str:
        if conn_id != "pdic_source_cong":
            return connections.uri(conn_id)
        entry = {"conn_type": "http", "host": "127.0.0.1", "port": self.port, "schema": self.scheme}
        login = {"login": "pdic", "password": self.password}
        return connections.to_uri({**entry, **login, "extra": {"auth": "api_key", **self.extra}})

    def add(self, dataset: str, old: str = "", new: str = "", **options: Any) -> None:
        """The contract of a dataset, with one text in place of another."""
        path = self._path(dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contract_text(dataset, **options).replace(old, new, 1), encoding="utf-8")
        compile_all(self.root, check=False)

    def forget(self, dataset: str) -> None:
        """Take a contract away: each one more makes compiling slower."""
        self._path(dataset).unlink()

    def _path(self, dataset: str) -> Path:
        return self.root / "contracts" / self.name / f"{dataset}.odcs.yaml"

    def load(self, dataset: str, *, full: bool = False) -> dict[str, Any]:
        """Extract and accept. The check between them is not this test's matter, and costs a second."""
        try:
            batch_id = load.extract(self.name, dataset, self.connect_to, full=full)["batch_id"]
        except PdicError as error:
            return {"status": "failed", "message": str(error)}
        with transaction(connections.warehouse("loader"), "test") as loader:
            ledger.update(loader, batch_id, status="checked")
        return load.accept(self.name, dataset, batch_id, self.connect_to)

    def load_whole(self, dataset: str) -> dict[str, Any]:
        """Extract, check and accept, as `pdic load` does."""
        (report,) = load.load([f"{self.name}.{dataset}"], self.connect_to)
        return report

    def held(self, dataset: str) -> list[tuple[Any, ...]]:
        """The newest accepted version of each record, as staging would see it."""
        return self.warehouse(
            f'select distinct on ("IdBanGhi") {FIELDS} from raw.cong__{dataset} order by "IdBanGhi", _batch_id desc'
        )

    def living(self, dataset: str) -> list[str]:
        """The keys whose newest version says that the record is there."""
        return [
            key
            for key, state in self.warehouse(
                f'select distinct on ("IdBanGhi") "IdBanGhi", _op from raw.cong__{dataset} order by "IdBanGhi", _batch_id desc'
            )
            if state != "D"
        ]

    def reconcile(self, dataset: str, **options: Any) -> dict[str, Any]:
        """What `pdic reconcile` says of the dataset."""
        (report,) = reconcile.reconcile([f"{self.name}.{dataset}"], connect_to=self.connect_to, **options)
        return report

    def sent(self) -> list[tuple[Any, ...]]:
        """The feed's records, as the warehouse should hold them."""
        records = sorted(self.feed.records.values(), key=lambda record: record["IdBanGhi"])
        return [
            (
                *(record[name] for name in ("IdBanGhi", "SuKien", "PhienBan")),
                datetime.fromisoformat(record["ThoiGianCapNhat"]),
                *(record[name] for name in ("HoTen", "SoTien")),
                datetime.fromisoformat(record["Ngày"]).date(),
                record["Giấy tờ"],
            )
            for record in records
        ]

    def warehouse(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(connections.warehouse("loader")) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]
