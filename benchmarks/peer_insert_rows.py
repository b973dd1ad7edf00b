"""Airflow's own PostgresHook.insert_rows, in a process of its own. The URIs of source and target are in the environment."""

from __future__ import annotations

import os

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import Connection

from benchmarks import citizen


def main() -> None:
    """Reads through a server-side cursor, 10,000 rows at a time, and inserts with executemany's fast form."""
    source, target = (
        PostgresHook(connection=Connection(conn_id=name, uri=os.environ[f"BENCH_{name.upper()}"]))
        for name in ("source", "target")
    )
    names = citizen.columns().split(", ")
    # The driver turns jsonb into a dictionary, which it cannot send again: as text it can.
    wanted = ", ".join(f"{name}::text" if name == "details" else name for name in names)
    with source.get_conn() as connection, connection.cursor("citizens") as cursor:
        cursor.itersize = 10_000
        cursor.execute(f"select {wanted} from public.citizen")  # noqa: S608
        target.insert_rows("insert_rows.citizen", cursor, names, commit_every=10_000, fast_executemany=True)


if __name__ == "__main__":
    main()
