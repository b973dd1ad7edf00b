"""A project of many datasets in a home of its own: what `onboard`, `share`, `status`, `release` and lint cost as it grows.

    python -m benchmarks.many_datasets --datasets 1000 --home /tmp/many        makes it, or goes on from where it stands, and measures

The home and the project lie below ``--home``; the sources are databases of its embedded PostgreSQL, one a sector, whose tables
look like those of real systems. Stop the server with `PDIC_HOME=/tmp/many/home .venv/bin/pdic down`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql

from pdic import accounts, connections, embedded

OURS = Path(__file__).resolve().parents[1]
SECTORS = 5
ROWS = 20
NOUNS = (
    "don",
    "ho_so",
    "giay_phep",
    "cong_trinh",
    "can_bo",
    "invoice",
    "permit",
    "ward_office",
    "vehicle",
    "inspection",
)
COLUMNS = (
    "ma_don text not null default 'x'",
    "ten_cong_trinh text",
    "dia_chi text",
    '"position" text',
    '"timestamp" timestamp with time zone not null default now()',
    '"Comment" text',
    '"order" integer',
    "updated_at timestamp without time zone",
    "so_tien numeric(18, 2)",
    "ngay_cap date",
    "trang_thai text check (trang_thai in ('moi', 'xong'))",
    "ghi_chu text",
)


def project(root: Path) -> None:
    """A project that has this one's logic and none of its sectors."""
    for part in ("dbt_project/macros", "dbt_project/tests/generic"):
        shutil.copytree(OURS / part, root / part, ignore=shutil.ignore_patterns("cleaned"))
    for part in ("dbt_project/dbt_project.yml", "dbt_project/profiles.yml", "pyproject.toml", ".sqlfluff"):
        shutil.copy(OURS / part, root / part)
    (root / "dbt_project" / "models").mkdir()


def source(home: Path, sector: str, tables: int) -> None:
    """A sector's database with ``tables`` tables of some rows, and the connection that reads it."""
    password = accounts.new_password()
    owner = f"{sector}_owner"
    with psycopg.connect(embedded.superuser_uri(home), autocommit=True) as server:
        accounts.create_login(server, owner, password)
        accounts.create_database(server, sector, owner)
    chosen = random.Random(sector)  # noqa: S311  # shapes of tables, no secret
    entry = {
        "conn_type": "postgres",
        "host": embedded.HOST,
        "port": connections.load(home)["pdic_warehouse_admin"]["port"],
        "login": owner,
        "password": password,
        "schema": sector,
    }
    with psycopg.connect(connections.to_uri(entry)) as database:
        for number in range(tables):
            columns = ["id bigint primary key", *chosen.sample(COLUMNS, chosen.randint(4, len(COLUMNS)))]
            name = sql.Identifier(f"{chosen.choice(NOUNS)}_{number}")
            database.execute(
                sql.SQL("create table {} ({})").format(name, sql.SQL(", ").join(map(sql.SQL, columns)))  # type: ignore[arg-type]
            )
            database.execute(sql.SQL("insert into {} select generate_series(1, {})").format(name, sql.Literal(ROWS)))
            if number % 100 == 99:
                database.commit()
    connections.save(home, {f"pdic_source_{sector}": entry})


def timed(what: str, *command: str) -> None:
    """Run a command and print what it took."""
    began = time.monotonic()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    print(
        json.dumps({"step": what, "seconds": round(time.monotonic() - began, 2), "exit": ended.returncode}), flush=True
    )
    if ended.returncode:
        print(ended.stderr[-2000:], ended.stdout[-500:], file=sys.stderr)


def main() -> None:
    """Make what is missing, then measure."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--datasets", type=int, default=1000)
    arguments.add_argument("--home", type=Path, required=True)
    asked = arguments.parse_args()
    home, root = asked.home / "home", asked.home / "project"
    os.environ |= {"PDIC_HOME": str(home), "PDIC_ROOT": str(root)}
    if not root.exists():
        project(root)
    pdic = str(OURS / ".venv" / "bin" / "pdic")
    timed("up", pdic, "up", "--no-airflow")
    sectors = [f"sector_{letter}" for letter in "abcdefghij"[:SECTORS]]
    for sector in sectors:
        if f"pdic_source_{sector}" not in connections.load(home):
            source(home, sector, asked.datasets // SECTORS)
    for sector in sectors:
        if not (root / "contracts" / sector).exists():
            timed(f"onboard {sector}", pdic, *_onboard(sector), "--schema", "public")
    first = sectors[0]
    with psycopg.connect(connections.uri(f"pdic_source_{first}")) as database:
        database.execute("create table if not exists one_more (id bigint primary key, name text)")
    timed("onboard one table", pdic, *_onboard(first), "--table", "public.one_more")
    timed("share", pdic, "share", f"{first}.one_more", "--json")
    timed("status", pdic, "status", "--json")
    timed("compile --check", pdic, "contracts", "compile", "--check")


def _onboard(sector: str) -> tuple[str, ...]:
    return ("onboard", "--connection", f"pdic_source_{sector}", "--yes", "--json")


if __name__ == "__main__":
    main()
