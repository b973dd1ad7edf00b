"""How a source puts a planted defect right: the value the truth knows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from demo.defects import KINDS
from demo.table import SOFT_DELETE

Connection = psycopg.Connection[Any]
REPAIRED = ("nfd_text", "wrong_id", "year_only_birth")
# Whose number or birth a record tells, where it is not the role `self`.
ROLES = {"health.giay_chung_sinh": "mother", "civil_registry.ket_hon": "husband"}
KEYS = {"education.giaovien": "magiaovien", "investment.du_an": "ma_du_an"}


@dataclass(frozen=True)
class Repair:
    """New values for one record."""

    sector: str
    dataset: str
    key_column: str
    key: Any
    kind: str
    values: dict[str, Any]


def repairs(truth: Connection, sources: dict[str, Connection], day: int, wanted: int) -> Iterator[Repair]:
    """Up to `wanted` repairs of the day, the same for the same state."""
    chosen = truth.cursor(row_factory=dict_row).execute(
        "select sector, dataset, key, kind from defect where repaired_on is null and kind = any(%s)"
        " order by md5(key || %s || dataset || kind), sector, dataset, key limit %s",
        (list(REPAIRED), f"/{day}/", wanted),
    )
    for row in chosen.fetchall():
        label = f"{row['sector']}.{row['dataset']}"
        column = KEYS.get(label) or ("ID" if row["sector"] == "health" else "id")
        key = row["key"] if label in KEYS else int(row["key"])
        values = _values(truth, sources[row["sector"]], label, column, key, row["kind"])
        if values:
            yield Repair(row["sector"], row["dataset"], column, key, row["kind"], values)


def _values(truth: Connection, source: Connection, label: str, column: str, key: Any, kind: str) -> dict[str, Any]:
    sector, dataset = label.split(".")
    target = KINDS[kind].targets[label]
    if kind == "nfd_text":
        query = sql.SQL("select {} from {} where {} = %s and not {}").format(
            sql.SQL(", ").join(sql.Identifier(name) for name in target),
            sql.Identifier("public", dataset), sql.Identifier(column), sql.Identifier(SOFT_DELETE[sector]),
        )  # fmt: skip
        found = source.cursor(row_factory=dict_row).execute(query, (key,)).fetchone() or {}
        return {name: unicodedata.normalize("NFC", value) for name, value in found.items() if value is not None}
    person = truth.execute(
        "select personal_id, born_on from person join mention using (person_id)"
        " where sector = %s and dataset = %s and key = %s and role = %s",
        (sector, dataset, str(key), ROLES.get(label, "self")),
    ).fetchone()
    if person is None:
        return {}
    if kind == "wrong_id":
        return {target: person[0]}
    if sector == "education":
        return {target: person[1].isoformat(), "namsinh": None}
    if sector == "health":
        return {target: person[1].strftime("%Y%m%d") + "0000"}
    return {target: person[1].strftime("%d.%m.%Y")}
