"""Where the rows go: one transaction per database, COPY in the background."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql
from pyarrow import csv

from demo.errors import DemoError
from demo.table import SECTORS

SCHEMA = Path(__file__).with_name("schema")
DATABASES = (*SECTORS, "truth")
AFTER_LOAD = "-- after load\n"
META = "demo_meta"
ZONE = "Asia/Ho_Chi_Minh"
_CSV = csv.WriteOptions(include_header=False, batch_size=16_384)


def connect(uri: str) -> psycopg.Connection[Any]:
    """A connection whose time stamps are local time."""
    return psycopg.connect(uri, options=f"-c timezone={ZONE} -c client_min_messages=warning")


def ddl(database: str) -> tuple[str, str]:
    """(statements before the rows are in, statements after)."""
    before, after = (SCHEMA / f"{database}.sql").read_text(encoding="utf-8").split(AFTER_LOAD)
    return before, after


def tables_of(connection: psycopg.Connection[Any]) -> list[str]:
    """Tables of schema public."""
    rows = connection.execute(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1"
    )
    return [str(row[0]) for row in rows]


def has_meta(connection: psycopg.Connection[Any]) -> bool:
    """Whether the demo made this database's tables."""
    return connection.execute("select to_regnamespace(%s) is not null", (META,)).fetchone() == (True,)


def make_empty(connection: psycopg.Connection[Any], database: str) -> None:
    """Drops a former seed and creates the tables. Raises DemoError where tables are not the demo's."""
    present = tables_of(connection)
    if present and not has_meta(connection):
        raise DemoError(
            f"database {database} holds tables that the demo did not make ({', '.join(present[:3])} …): give it an empty one"
        )
    for table in present:
        connection.execute(sql.SQL("drop table {}").format(sql.Identifier("public", table)))
    connection.execute(
        f"drop schema if exists {META} cascade; create schema {META}; revoke all on schema {META} from public"
    )
    connection.execute(
        f"create table {META}.clock (one boolean primary key default true check (one), day integer not null)"
    )
    connection.execute(f"insert into {META}.clock (day) values (0)")  # noqa: S608 (a constant)
    connection.execute(ddl(database)[0].encode())  # type: ignore[arg-type]


def to_csv(columns: dict[str, Any]) -> bytes:
    """Columns as CSV: null is an empty field, text is quoted."""
    buffer = io.BytesIO()
    csv.write_csv(pa.table({name: _plain(values) for name, values in columns.items()}), buffer, _CSV)
    return buffer.getvalue()


def _plain(values: Any) -> Any:
    if pa.types.is_floating(values.type):  # whole amounts without a tail, and no exponents
        whole = pc.all(pc.fill_null(pc.equal(values, pc.floor(values)), True)).as_py()
        return values.cast(pa.int64()) if whole else values.cast(pa.decimal128(18, 3), safe=False)
    return values


def copy_statement(table: str, columns: Sequence[str], freeze: bool = False) -> sql.Composed:
    """The COPY that takes `to_csv`."""
    return sql.SQL("copy {} ({}) from stdin (format csv{})").format(
        sql.Identifier("public", table),
        sql.SQL(", ").join(sql.Identifier(column) for column in columns),
        sql.SQL(", freeze" if freeze else ""),
    )


class Loader:
    """Loads one database in one transaction, in a thread of its own; rows become visible at `finish`.

    An error in the thread is raised by the next `add` or by `finish`.
    """

    def __init__(self, uri: str, database: str) -> None:
        self.database = database
        self.rows: dict[str, int] = {}
        self._queue: queue.Queue[tuple[str, list[str], bytes] | None] = queue.Queue(maxsize=4)
        self._error: BaseException | None = None
        self._connection = connect(uri)
        self._connection.execute("set maintenance_work_mem = '256MB'")
        self._connection.execute("set synchronous_commit = off")
        make_empty(self._connection, database)
        self._thread = threading.Thread(target=self._work, name=f"load-{database}", daemon=True)
        self._thread.start()

    def add(self, table: str, columns: dict[str, Any]) -> None:
        """Queues rows for a table."""
        n = len(next(iter(columns.values())))
        self.rows[table] = self.rows.get(table, 0) + n
        for at in range(0, n, 200_000):
            part = {name: values.slice(at, 200_000) for name, values in columns.items()}
            self._raise()
            self._queue.put((table, list(columns), to_csv(part)))

    def finish(self) -> None:
        """Waits for the rows, makes the indexes, commits."""
        self._queue.put(None)
        self._thread.join()
        self._raise()
        self._connection.commit()
        self._connection.close()

    def cancel(self) -> None:
        """Gives up: nothing of it stays."""
        self._error = self._error or DemoError("cancelled")
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        cursor = self._connection.cursor()
        while (job := self._queue.get()) is not None:
            if self._error is None:
                try:
                    with cursor.copy(copy_statement(job[0], job[1], freeze=True)) as copy:
                        copy.write(job[2])
                except BaseException as error:
                    self._error = error
        if self._error is None:
            try:
                cursor.execute(ddl(self.database)[1].encode())
                for table in self.rows:
                    cursor.execute(sql.SQL("analyze {}").format(sql.Identifier("public", table)))
            except BaseException as error:
                self._error = error
