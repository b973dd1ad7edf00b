"""Alembic's entry: one transaction, the version table in schema `control`. `pdic.warehouse.migrate` lets one migrator in at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from pdic.warehouse.connect import connect


def run() -> None:
    uri, lock_seconds = (context.config.attributes[name] for name in ("uri", "lock_seconds"))
    engine = sa.create_engine(
        "postgresql+psycopg2://", creator=lambda: connect(uri, "migrate"), poolclass=sa.pool.NullPool
    )
    with engine.begin() as connection:
        # A table that a load or a release reads is waited for, and whoever comes after this waits behind it: not for long.
        connection.execute(sa.text("select set_config('lock_timeout', :limit, true)"), {"limit": f"{lock_seconds}s"})
        connection.execute(sa.text("create schema if not exists control"))
        context.configure(connection=connection, version_table_schema="control")
        context.run_migrations()


run()
