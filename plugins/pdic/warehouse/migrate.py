"""Bring the warehouse to the newest migration (alembic) and to the functions of this version."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg2 import errors, sql

from pdic import encodings
from pdic.errors import Busy, PdicError
from pdic.warehouse import locks, rights
from pdic.warehouse.connect import connect, connect_psycopg, one, transaction

MIGRATIONS = Path(__file__).parent / "migrations"
FUNCTIONS = Path(__file__).parent / "functions"
UNITS = Path(__file__).resolve().parents[3] / "dbt_project" / "seeds" / "administrative_unit.csv"
"""The list of units that comes with these functions, whichever project's contracts are loaded."""
SCHEMAS: Final = ("clean", "valid")
"""Schemas that hold nothing but the functions of `functions/*.sql`."""
_USERS: Final = ("pdic_loader", "pdic_auditor", "pdic_transformer", "pdic_publisher")
_WAIT_S: Final = 300.0
"""How long a migration of another process is waited for."""
_LOCK_S: Final = 20
"""How long a migration waits for a table that somebody reads or writes."""


def migrate(admin_uri: str) -> None:
    """Apply the migrations that the warehouse lacks, and its functions. Safe to repeat; runs as the owner of the database.

    A warehouse that lacks nothing is looked at and left: no lock is taken, whoever holds one. Raises PdicError where the
    warehouse is newer than this code, `Busy` where another process migrates it, or uses a table that changes, for longer than
    anybody waits.
    """
    if not _is_newest(admin_uri):
        with _alone(admin_uri):
            if not _is_newest(admin_uri):
                _upgrade(admin_uri)
                _seal(admin_uri)
    replace_functions(admin_uri)


@contextmanager
def _alone(admin_uri: str) -> Iterator[None]:
    """One migrator at a time. Raises `Busy`."""
    connection = connect(admin_uri, "migrate")
    try:
        with locks.hold(connection, locks.MIGRATION, _WAIT_S):
            yield
    finally:
        connection.close()


def newest() -> str:
    """The newest migration of this code: the files in `migrations/versions` are called `<revision>_<name>.py`."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _is_newest(admin_uri: str) -> bool:
    with transaction(admin_uri, "migrate") as connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass('control.alembic_version') is not null")
        if not one(cursor)[0]:
            return False
        cursor.execute("select version_num from control.alembic_version")
        row = cursor.fetchone()
    found = row[0] if row else ""
    if found > newest():
        raise PdicError(
            f"the warehouse is at migration {found}, and this version of PDIC knows them up to {newest()} only: use the version "
            "that migrated it, or a newer one"
        )
    return bool(found == newest())


def _upgrade(admin_uri: str, revision: str = "head") -> None:
    # Here, not above: every load imports this package, and alembic with SQLAlchemy is half of what a load would import.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy.exc import DBAPIError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes.update(uri=admin_uri, lock_seconds=_LOCK_S)
    try:
        command.upgrade(config, revision)
    except DBAPIError as error:
        if not isinstance(error.orig, errors.LockNotAvailable):
            raise
        raise Busy(
            f"the warehouse cannot be migrated to {newest()} while its tables are in use: they were waited for {_LOCK_S} s. Wait until "
            "the load or the release that runs has ended, then run the command again"
        ) from None


def _seal(admin_uri: str) -> None:
    """Have registers that were just made taken from everybody, and the declared grants made (`rights`).

    Where the superuser did not put the rules in yet, that is done when he does.
    """
    with connect_psycopg(admin_uri, "migrate") as database:
        if database.execute("select to_regprocedure('rights.seal()') is not null").fetchone() == (True,):
            rights.bring_up(database)  # first: of what is sealed, the owner of the database can change no right
            database.execute("select rights.seal()")
            rights.bring_up(database)


@dataclass(frozen=True)
class _Functions:
    """What belongs into the schemas `clean` and `valid`: statements, and the codes of all units."""

    texts: tuple[str, ...]
    codes: tuple[str, ...]

    @classmethod
    def read(cls) -> _Functions:
        files = (file.read_text(encoding="utf-8") for file in sorted(FUNCTIONS.glob("*.sql")))
        texts = (encodings.sql_functions(), *files)
        with UNITS.open(encoding="utf-8", newline="") as lines:
            return cls(texts, tuple(sorted({row["unit_code"] for row in csv.DictReader(lines)})))

    @property
    def comment(self) -> str:
        """What the comment on schema `clean` says once they are in."""
        digest = hashlib.sha256("\0".join([*self.texts, *self.codes]).encode()).hexdigest()
        return f"Functions that clean values and judge them; files {digest}."


def _has_functions(admin_uri: str, files: _Functions) -> bool:
    with transaction(admin_uri, "migrate") as connection, connection.cursor() as cursor:
        cursor.execute("select obj_description(to_regnamespace('clean'), 'pg_namespace')")
        return bool(one(cursor)[0] == files.comment)


def replace_functions(admin_uri: str) -> bool:
    """Create or replace the functions in the schemas `clean` and `valid` where their files changed. Returns whether.

    All in one transaction that waits for no reader, one migrator at a time. The comment on schema `clean` keeps the digest of
    the files that are in.
    A function that a file no longer has stays until somebody drops it: a running statement may still call it.
    """
    files = _Functions.read()
    if _has_functions(admin_uri, files):
        return False
    with _alone(admin_uri):
        if _has_functions(admin_uri, files):
            return False
        _put_in(admin_uri, files)
    return True


def _put_in(admin_uri: str, files: _Functions) -> None:
    with transaction(admin_uri, "migrate") as connection, connection.cursor() as cursor:
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
        for text in files.texts:
            cursor.execute(text)
        # Every code that a unit has or had on the lists, for rules to look up; the conformed list is dbt's.
        cursor.execute("create table if not exists valid.unit (code text primary key)")
        cursor.execute(sql.SQL("grant select on valid.unit to {}").format(users))
        # Not by truncate: that would wait for every rule that looks something up, and hold up all that come after.
        codes = list(files.codes)
        cursor.execute("delete from valid.unit where code <> all(%s)", (codes,))
        cursor.execute("insert into valid.unit select unnest(%s) on conflict do nothing", (codes,))
        cursor.execute("analyze valid.unit")
        cursor.execute(sql.SQL("comment on schema clean is {}").format(sql.Literal(files.comment)))
