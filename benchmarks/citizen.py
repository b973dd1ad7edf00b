"""The table that is loaded, `public.citizen`: its contract is citizen.odcs.yaml, its rows come from citizen.sql."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from pdic import contracts

SECTOR, DATASET = "civil_registry", "citizen"
HERE = Path(__file__).parent

FORGET_BATCHES = "update control.batch set status = 'abandoned' where status = 'accepted'"
"""So that a dataset whose raw table a turn drops is one that was never loaded: of any other, a load refuses to make it anew."""


def write_project(root: Path, sessions: int = 1) -> None:
    """Makes `root` a project folder with this one contract, for so many sessions, and all that is compiled from it."""
    folder = root / "contracts" / SECTOR
    folder.mkdir(parents=True)
    text = (HERE / "citizen.odcs.yaml").read_text(encoding="utf-8")
    allowed = f"customProperties:\n  - {{property: sourceConnections, value: {sessions}}}\n"
    (folder / "citizen.odcs.yaml").write_text(text.replace("customProperties:\n", allowed, 1), encoding="utf-8")
    (root / "pyproject.toml").touch()
    contracts.compile_all(root)


def columns(*, types: bool = False) -> str:
    """The columns as a list for SQL."""
    found = contracts.get(SECTOR, DATASET).columns
    return ", ".join(f"{column.source_name} {column.physical_type if types else ''}".strip() for column in found)


def create(source_uri: str, rows: int) -> float:
    """Makes the table with `rows` rows at the source, anew; returns the bytes of table a row takes, indexes apart."""
    with psycopg.connect(source_uri, autocommit=True) as source:
        source.execute("drop table if exists citizen cascade")
        source.execute(sql.SQL("create table citizen ({})").format(sql.SQL(columns(types=True))))
        source.execute(sql.SQL((HERE / "citizen.sql").read_text(encoding="utf-8")))
        source.execute("insert into citizen select * from made(1, %s)", (rows,))
        source.execute("alter table citizen alter updated_at set not null, add primary key (id)")
        source.execute("create index on citizen (updated_at)")
        source.execute("vacuum (analyze) citizen")
        (size,) = source.execute("select pg_table_size('citizen')").fetchone() or (0,)
    return float(size) / rows


def change(source_uri: str, rows: int, turn: int) -> None:
    """Updates every hundredth row, others each `turn`, and adds 0.5 %, stamped with the clock as a trigger would."""
    new = rows // 200
    first = rows + turn * new + 1
    with psycopg.connect(source_uri) as source:
        source.execute(
            """
            update citizen set income = coalesce(income, 0) + 1, updated_at = clock_timestamp()
            where id <= %s and id %% 100 = %s
            """,
            (rows, turn % 100),
        )
        source.execute("insert into citizen select * from made(%s, %s, clock_timestamp())", (first, first + new - 1))
