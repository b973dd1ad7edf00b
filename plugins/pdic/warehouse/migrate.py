"""Bring the warehouse to the newest migration (alembic) and to the functions of this version."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Final

from psycopg2 import sql

from pdic.warehouse.connect import one, transaction

MIGRATIONS = Path(__file__).parent / "migrations"
FUNCTIONS = Path(__file__).parent / "functions"
UNITS = Path(__file__).resolve().parents[3] / "dbt_project" / "seeds" / "administrative_unit.csv"
"""The list of units that comes with these functions, whichever project's contracts are loaded."""
SCHEMAS: Final = ("clean", "valid")
"""Schemas that hold nothing but the functions of `functions/*.sql`."""
_USERS: Final = ("pdic_loader", "pdic_auditor", "pdic_transformer", "pdic_publisher")
_LOCK: Final = 4402


def migrate(admin_uri: str) -> None:
    """Apply the migrations that the warehouse lacks, and its functions. Safe to repeat; runs as the owner of the database."""
    # Here, not above: every load imports this package, and alembic with SQLAlchemy is half of what a load would import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["uri"] = admin_uri
    command.upgrade(config, "head")
    replace_functions(admin_uri)


def replace_functions(admin_uri: str) -> bool:
    """Create or replace the functions in the schemas `clean` and `valid` where their files changed. Returns whether.

    All in one transaction, one migrator at a time. The comment on schema `clean` keeps the digest of the files that are in.
    A function that a file no longer has stays until somebody drops it: a running statement may still call it.
    """
    files = sorted(FUNCTIONS.glob("*.sql"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    with UNITS.open(encoding="utf-8", newline="") as lines:
        codes = sorted({row["unit_code"] for row in csv.DictReader(lines)})
    digest = hashlib.sha256("\0".join([*texts, *codes]).encode()).hexdigest()
    comment = f"Functions that clean values and judge them; files {digest}."
    with transaction(admin_uri, "migrate") as connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute("select obj_description(to_regnamespace('clean'), 'pg_namespace')")
        if one(cursor)[0] == comment:
            return False
        users = sql.SQL(", ").join(map(sql.Identifier, _USERS))
        for schema in SCHEMAS:
            name = sql.Identifier(schema)
            cursor.execute("select to_regnamespace(%s) is null", (schema,))
            if one(cursor)[0]:
                cursor.execute(sql.SQL("create schema {}").format(name))
            cursor.execute(sql.SQL("grant usage on schema {} to {}").format(name, users))
        # PostgreSQL has C.UTF-8 of its own since version 17; before, the system's.
        provider = "builtin" if connection.server_version >= 170000 else "libc"
        cursor.execute("select to_regcollation('clean.letters') is null")
        if one(cursor)[0]:
            cursor.execute(f"create collation clean.letters (provider = {provider}, locale = 'C.UTF-8')")
        for text in texts:
            cursor.execute(text)
        # Every code that a unit has or had on the lists, for rules to look up; the conformed list is dbt's.
        cursor.execute("create table if not exists valid.unit (code text primary key)")
        cursor.execute(sql.SQL("grant select on valid.unit to {}").format(users))
        cursor.execute("truncate valid.unit")
        cursor.execute("insert into valid.unit select unnest(%s)", (codes,))
        cursor.execute("analyze valid.unit")
        cursor.execute(sql.SQL("comment on schema clean is {}").format(sql.Literal(comment)))
    return True
