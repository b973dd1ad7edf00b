"""Batch tables: where a load lands, how it becomes part of `raw`, and what `raw` holds per source key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import settings
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


@dataclass(frozen=True)
class KeyCounts:
    """How many source keys are, by their newest version, accepted, held in quarantine, or deleted at the source."""

    accepted: int
    quarantined: int
    deleted: int


def parent(contract: Contract) -> sql.Identifier:
    """`raw.<sector>__<dataset>`: all accepted batches of a dataset."""
    return sql.Identifier("raw", contract.raw_table)


def quarantine(contract: Contract) -> sql.Identifier:
    """`quarantine.<sector>__<dataset>`: the rows that broke a row rule."""
    return sql.Identifier("quarantine", contract.raw_table)


def batch_name(contract: Contract, batch_id: int) -> str:
    """The name of a batch's table, in `raw_batch` until it is accepted and in `raw` after."""
    return f"{contract.raw_table}__{batch_id}"


def batch_table(contract: Contract, batch_id: int) -> sql.Identifier:
    """`raw_batch.<sector>__<dataset>__<batch>`."""
    return sql.Identifier("raw_batch", batch_name(contract, batch_id))


def columns(contract: Contract) -> sql.Composed:
    """The source's columns, in the contract's order."""
    return sql.SQL(", ").join(sql.Identifier(column.source_name) for column in contract.columns)


def ensure_tables(connection: Connection, contract: Contract) -> None:
    """Create the dataset's raw and quarantine tables, or add the columns that its contract has gained.

    Complete tables are left alone: even a change that changes nothing would wait for every reader of them.
    """
    wanted = {column.source_name for column in contract.columns}
    with connection.cursor() as cursor:
        for schema in ("raw", "quarantine"):
            cursor.execute(
                "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
                (schema, contract.raw_table),
            )
            if wanted - {name for (name,) in cursor.fetchall()}:
                break
        else:
            return
        folder = settings.project_root() / "plugins" / "pdic" / "generated" / "raw"
        cursor.execute("set local client_min_messages = warning")
        cursor.execute((folder / f"{contract.raw_table}.sql").read_text(encoding="utf-8"))


def create_batch_table(contract: Contract, batch_id: int) -> sql.Composed:
    """The statement that makes a batch's table: the source's columns, and a batch id that is proven constant.

    The check lets `attach` trust the table without reading it.
    """
    return sql.SQL(
        "create table {table} (like {parent} including defaults, check (_batch_id = {batch_id}));"
        "alter table {table} alter column _batch_id set default {batch_id}"
    ).format(table=batch_table(contract, batch_id), parent=parent(contract), batch_id=sql.Literal(batch_id))


def drop_batch_table(connection: Connection, contract: Contract, batch_id: int) -> None:
    """Remove a batch's table if it is there."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("drop table if exists {}").format(batch_table(contract, batch_id)))


def attach(connection: Connection, contract: Contract, batch_id: int) -> None:
    """Make a batch's table a partition of its dataset's raw table. Reads no row."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("alter table {batch} set schema raw").format(batch=batch_table(contract, batch_id)),
        )
        cursor.execute(
            sql.SQL("alter table {parent} attach partition {partition} for values in ({batch_id})").format(
                parent=parent(contract),
                partition=sql.Identifier("raw", batch_name(contract, batch_id)),
                batch_id=sql.Literal(batch_id),
            )
        )


def quarantine_failing(
    connection: Connection, contract: Contract, batch_id: int, fails: sql.Composable, reasons: sql.Composable
) -> int:
    """Move the rows of a batch that break a row rule to quarantine. Returns how many.

    `fails` is a condition over the batch's columns, true where the row breaks a rule; `reasons`, of type text[], names
    the rules that it breaks.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                with failing as (
                    delete from {batch} where _op = 'U' and ({fails})
                    returning {columns}, {reasons} as _reasons
                )
                insert into {quarantine} ({columns}, _batch_id, _reasons, _quarantined_at)
                select {columns}, {batch_id}, _reasons, clock_timestamp() from failing
                """
            ).format(
                batch=batch_table(contract, batch_id),
                quarantine=quarantine(contract),
                columns=columns(contract),
                fails=fails,
                reasons=reasons,
                batch_id=sql.Literal(batch_id),
            )
        )
        return int(cursor.rowcount)


def count_keys(connection: Connection, contract: Contract) -> KeyCounts:
    """Count the dataset's source keys by what became of their newest version."""
    key = sql.SQL(", ").join(sql.Identifier(name) for name in contract.key)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                select
                    count(*) filter (where fate = 'U'),
                    count(*) filter (where fate = 'Q'),
                    count(*) filter (where fate = 'D')
                from (
                    select distinct on ({key}) fate
                    from (
                        select {key}, _batch_id, _op as fate from {parent}
                        union all
                        select {key}, _batch_id, 'Q' from {quarantine}
                    ) as version
                    order by {key}, _batch_id desc
                ) as newest
                """
            ).format(key=key, parent=parent(contract), quarantine=quarantine(contract))
        )
        return KeyCounts(*(int(value) for value in one(cursor)))
