"""A project of many datasets in a home of its own: what `onboard`, `share`, `status` and lint cost once all of it is loaded.

    python -m benchmarks.many_datasets --datasets 1000 --home /tmp/many        makes it, or goes on from where it stands, and measures

The home and the project lie below ``--home``; the sources are databases of its embedded PostgreSQL, one a sector, whose tables
look like those of real systems. Lint runs in a clone of this repository, as it is committed, that has the project's contracts and
drafts beside its own, with nothing kept from a former run. Stop the server with `PDIC_HOME=/tmp/many/home .venv/bin/pdic down`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from pdic import accounts, connections, embedded

OURS = Path(__file__).resolve().parents[1]
SECTORS = 5
ACTION_S = 5.0
"""What a small action may take at 1,000 datasets."""
LINT_S = 120.0
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


def timed(what: str, *command: str, env: Mapping[str, str] | None = None, limit: float | None = None) -> bool:
    """Run a command and print what it took. Returns whether it went well, and within ``limit`` seconds where there is one."""
    began, used = time.monotonic(), _cpu_seconds()
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})
    seconds = round(time.monotonic() - began, 2)
    line = {"step": what, "seconds": seconds, "cpu": round(_cpu_seconds() - used, 2), "exit": ended.returncode}
    print(json.dumps(line | ({"limit": limit} if limit is not None else {})), flush=True)
    if ended.returncode:
        print(ended.stderr[-2000:], ended.stdout[-2000:], file=sys.stderr)
    return not ended.returncode and (limit is None or seconds <= limit)


def _cpu_seconds() -> float:
    """What the commands have used so far; the server's processes are not among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lint_folder(root: Path, folder: Path) -> Path:
    """This repository as it is committed, with the project's contracts and drafts beside its own; made anew each time."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(OURS), str(folder)], check=True)
    for part in ("contracts", "dbt_project/models"):
        shutil.copytree(root / part, folder / part, dirs_exist_ok=True)
    (folder / ".venv").symlink_to(OURS / ".venv")
    for name in ("requirements.lock", "requirements-uv.lock", "pyproject.toml", "scripts/setup"):
        os.utime(folder / name, (0, 0))  # else make would take our .venv for out of date, and set it up for the clone
    return folder


def main() -> None:
    """Make what is missing, load it, then measure. Exit code 1 where a limit is passed."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--datasets", type=int, default=1000)
    arguments.add_argument("--home", type=Path, required=True)
    arguments.add_argument("--release", action="store_true", help="release too: dbt builds every staging model once")
    asked = arguments.parse_args()
    home, root = asked.home / "home", asked.home / "project"
    os.environ |= {"PDIC_HOME": str(home), "PDIC_ROOT": str(root)}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it each command would compile its libraries anew
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
    if not _loaded():
        timed("load", pdic, "load", "--json")
    if asked.release:
        timed("release", pdic, "release", "--json")
    timed("contracts compile", pdic, "contracts", "compile")  # what follows from contracts is kept from here on
    first, name = sectors[0], f"one_more_{int(time.time())}"
    with psycopg.connect(connections.uri(f"pdic_source_{first}")) as database:
        database.execute(sql.SQL("create table {} (id bigint primary key, name text)").format(sql.Identifier(name)))
    clone = lint_folder(root, asked.home / "lint")
    as_clone = {"PDIC_ROOT": str(clone), "PDIC_HOME": str(asked.home / "lint_home")}
    timed("contracts compile beside our own", pdic, "contracts", "compile", env=as_clone)
    well = [
        timed("onboard one table", pdic, *_onboard(first), "--table", f"public.{name}", limit=ACTION_S),
        timed("share", pdic, "share", f"{first}.{name}", "--json", limit=ACTION_S),
        timed("load one table", pdic, "load", f"{first}.{name}", "--json"),
        timed("status --json", pdic, "status", "--json", limit=ACTION_S),
        timed("status", pdic, "status", limit=ACTION_S),
        timed("contracts compile --check", pdic, "contracts", "compile", "--check", limit=ACTION_S),
        timed("make lint", "make", "-C", str(clone), "lint", env=as_clone, limit=LINT_S),
    ]
    sys.exit(0 if all(well) else 1)


def _loaded() -> bool:
    with psycopg.connect(connections.warehouse("loader")) as loader:
        found = loader.execute("select exists (select from control.batch where status = 'accepted')").fetchone()
    return bool(found and found[0])


def _onboard(sector: str) -> tuple[str, ...]:
    return ("onboard", "--connection", f"pdic_source_{sector}", "--yes", "--json")


if __name__ == "__main__":
    main()
