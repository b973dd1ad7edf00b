"""Batch tables: where a load lands, how it becomes part of `raw`, and what `raw` holds per source key."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import errors, sql

from pdic import cleaning, contracts, failures, settings
from pdic.contracts import compiled, key_identity, pg_types
from pdic.contracts.raw_tables import raw_tables
from pdic.errors import LoadError
from pdic.warehouse import one
from pdic.warehouse.statements import Rendered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

    from pdic.contracts import Contract

_log = logging.getLogger(__name__)


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


def is_there(cursor: Cursor, table: sql.Identifier) -> bool:
    """Does the warehouse have this table? A dataset's first load makes its tables; a comparison without a difference makes no batch's."""
    cursor.execute("select to_regclass(%s) is not null", (table.as_string(cursor),))
    return bool(one(cursor)[0])


def tables(contract: Contract) -> tuple[str, ...]:
    """What a load of a dataset changes besides its batch's table, as `schema.table`."""
    return f"raw.{contract.raw_table}", f"quarantine.{contract.raw_table}", "control.dataset", "control.batch"


def batch_name(contract: Contract, batch_id: int) -> str:
    """The name of a batch's table, in `raw_batch` until it is accepted and in `raw` after."""
    return f"{contract.raw_table}__{batch_id}"


def batch_table(contract: Contract, batch_id: int) -> sql.Identifier:
    """`raw_batch.<sector>__<dataset>__<batch>`."""
    return sql.Identifier("raw_batch", batch_name(contract, batch_id))


def columns(contract: Contract) -> sql.Composed:
    """The source's columns, in the contract's order."""
    return sql.SQL(", ").join(sql.Identifier(column.source_name) for column in contract.columns)


def key_text(contract: Contract, alias: str | None = None) -> sql.Composable:
    """A source key as one text, as staging writes it in `_key`; empty where the row names none."""
    return sql.SQL("coalesce({}, '')").format(Rendered(key_identity.text(contract, alias)))


def key_texts(contract: Contract, alias: str) -> sql.Composed:
    """The parts of a source key, each as its text, with commas between. Each text is a literal of its part's type."""
    return sql.SQL(", ").join(map(sql.SQL, key_identity.parts(contract, alias)))


def living(contract: Contract, names: Sequence[str]) -> sql.Composed:
    """A query of some columns of the newest known version of each record, accepted or in quarantine, that is not gone."""
    key = sql.SQL(", ").join(map(sql.Identifier, contract.key))
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    return sql.SQL(
        """
        select {columns} from (
            select distinct on ({key}) {columns}, _op
            from (
                select {columns}, _batch_id, _op from {parent}
                union all
                select {columns}, _batch_id, 'U' from {quarantine}
            ) as version
            order by {key}, _batch_id desc
        ) as newest
        where _op = 'U'
        """
    ).format(key=key, columns=columns, parent=parent(contract), quarantine=quarantine(contract))


def same_key(contract: Contract, one: str, other: str) -> sql.Composed:
    """A condition: rows of two aliases have the same key."""
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(one, name), sql.Identifier(other, name)) for name in contract.key
    )


def ensure_tables(connection: Connection, contract: Contract, *, rewrite: bool = False) -> None:
    """Create the dataset's raw and quarantine tables, add the columns that its contract has gained, widen what became wider.

    Complete tables are left alone: even a change that changes nothing would wait for every reader of them. A type that
    raw holds and the contract no longer names is widened where PostgreSQL does so without touching a row, and stays where
    it already holds every value of the new one. Any other change writes accepted rows anew: it is made with `rewrite`. Raises
    `LoadError` where it is needed without, or where accepted values do not fit the new type; and without `rewrite` where a
    table is gone that held accepted rows: a new one in its place would hold the news only, and nobody would know.
    """
    wanted = {column.source_name: column.physical_type for column in contract.columns}
    found = {schema: _column_types(connection, schema, contract.raw_table) for schema in ("raw", "quarantine")}
    gone = [schema for schema, types in found.items() if not types]
    if gone and not rewrite and _was_accepted(connection, contract):
        tables = [f"{schema}.{contract.raw_table}" for schema in gone]
        raise LoadError(f"{contract.id}: {_gone(tables, contract.id)}")
    others: set[str] = set()
    with connection.cursor() as cursor:
        cursor.execute("set local client_min_messages = warning")
        for schema, types in found.items():
            for name, type_ in wanted.items():
                held = types.get(name, type_)
                if held == type_ or pg_types.widens(type_, held):
                    continue
                if pg_types.widens(held, type_):
                    cursor.execute(_change_type(schema, contract.raw_table, name, type_))
                elif rewrite:
                    _rewrite(connection, contract, schema, name, type_)
                else:
                    others.add(f"{name} (now {held}, contract: {type_})")
        if others:
            raise LoadError(
                f"{contract.id}: {contract.path} names other types than accepted batches have: {'; '.join(sorted(others))}. Nothing "
                f"was moved. Accepted rows have to be written anew, which a person decides: run `pdic load {contract.id} --full`."
            )
        if any(wanted.keys() - types.keys() for types in found.values()):
            folder = settings.project_root() / "plugins" / "pdic" / "generated" / "raw"
            cursor.execute(compiled.read(folder / f"{contract.raw_table}.sql", contract.path))


def _gone(tables: Sequence[str], dataset: str) -> str:
    them, verb = ("it", "is") if len(tables) == 1 else ("them", "are")
    return (
        f"{' and '.join(tables)} {verb} gone, with all rows: somebody dropped or renamed {them}. Nothing was moved. Give {them} the "
        f"former name, or run `pdic load {dataset} --full`, which reads everything at the source anew."
    )


def _was_accepted(connection: Connection, contract: Contract) -> bool:
    """Was any batch of the dataset ever accepted?"""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select exists (
                select from control.batch where sector = %s and dataset = %s and status = 'accepted'
            )
            """,
            (contract.sector, contract.dataset),
        )
        return bool(one(cursor)[0])


def ensure_unloaded(connection: Connection) -> None:
    """Create the tables of datasets that were never loaded: to whoever reads raw, they are empty.

    A script that cannot be used is made anew from its contract; where that is no help either, the dataset is left out and logged.
    Raises `LoadError` where a table is gone that held accepted rows, as `ensure_tables`.
    """
    root = settings.project_root()
    folder = root / "plugins" / "pdic" / "generated" / "raw"
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                name,
                exists (
                    select from control.batch where sector || '__' || dataset = name and status = 'accepted'
                )
            from unnest(%s) as name
            where to_regclass(format('raw.%%I', name)) is null
            order by name
            """,
            (sorted(path.stem for path in folder.glob("*.sql")),),
        )
        missing = cursor.fetchall()
        if gone := [f"raw.{name}" for name, was_accepted in missing if was_accepted]:
            raise LoadError(_gone(gone, "SECTOR.DATASET"))
        cursor.execute("set local client_min_messages = warning")
        for name, _ in missing:
            _make_empty(connection, root, folder / f"{name}.sql")


def _make_empty(connection: Connection, root: Path, path: Path) -> None:
    """Run the script of a dataset that was never loaded, or the one that its contract asks for. Raises what is no fault of a script."""

    def compiled_now() -> str:
        (contract,) = (of for of in contracts.readable(root).values() if of.raw_table == path.stem)
        return raw_tables(contract).text

    scripts = {
        path.relative_to(root).as_posix(): lambda: path.read_bytes().decode("utf-8"),
        "what its contract asks for": compiled_now,
    }
    with connection.cursor() as cursor:
        for script, text in scripts.items():
            cursor.execute("savepoint script")
            try:
                cursor.execute(text())
            except (psycopg2.Error, ValueError) as error:
                if failures.in_words(error) is not None:
                    raise
                cursor.execute("rollback to savepoint script")
                _log.warning("the table raw.%s was not made by %s: %s", path.stem, script, failures.kind(error))
            else:
                return


def _column_types(connection: Connection, schema: str, table: str) -> dict[str, str]:
    """Column → type as PostgreSQL prints it; empty where there is no such table."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select attribute.attname, format_type(attribute.atttypid, attribute.atttypmod)
            from pg_attribute as attribute
            inner join pg_class as relation on relation.oid = attribute.attrelid
            where relation.relnamespace = to_regnamespace(%s) and relation.relname = %s
                and attribute.attnum > 0 and not attribute.attisdropped
            """,
            (schema, table),
        )
        return dict(cursor.fetchall())


def _rewrite(connection: Connection, contract: Contract, schema: str, name: str, type_: str) -> None:
    """Write a column of accepted rows in another type. Raises `LoadError` where a value is none of that type."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                _change_type(schema, contract.raw_table, name, type_)
                + sql.SQL(" using {}::{}").format(sql.Identifier(name), sql.SQL(type_))
            )
    except (errors.DataError, errors.CannotCoerce) as error:  # its words could quote a value
        raise LoadError(
            f"{contract.id}: accepted rows hold values of {name} that are no {type_} (SQLSTATE {error.pgcode}), so the column cannot "
            f"take the type that {contract.path} names. Nothing was changed. Give the column a type there that holds both, such as "
            "text, then load again."
        ) from None


def _change_type(schema: str, table: str, column: str, type_: str) -> sql.Composed:
    return sql.SQL("alter table {} alter column {} type {}").format(
        sql.Identifier(schema, table),
        sql.Identifier(column),
        sql.SQL(type_),  # one of the closed list of types: the contract was read
    )


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


def drop_unheld(cursor: Cursor, schema: str, names: Iterable[str]) -> None:
    """Drop tables that nobody needs any more, those that no session holds: it waits for none, and the next load finds the rest."""
    for name in names:
        table = sql.Identifier(schema, name)
        cursor.execute("savepoint unheld")
        try:
            cursor.execute(sql.SQL("lock table {} in access exclusive mode nowait").format(table))
        except (errors.LockNotAvailable, errors.UndefinedTable):  # held, or somebody else has just dropped it
            cursor.execute("rollback to savepoint unheld")
        else:
            cursor.execute(sql.SQL("drop table {}").format(table))
        cursor.execute("release savepoint unheld")


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
    connection: Connection,
    contract: Contract,
    batch_id: int,
    reasons: sql.Composable,
    spare: sql.Composable | None = None,
    read: Collection[str | None] | None = None,
) -> int:
    """Move the rows of a batch that break a row rule to quarantine, as the source sent them. Returns how many.

    `reasons`, an expression of type text[] over the batch's cleaned columns, names the rules that a row breaks; those of a good
    row are none. Rows for which `spare` is true, a condition over the columns of `batch` and the array `judged._reasons`, stay.
    A tombstone has nothing but its key and breaks no rule. `read` names the columns that `reasons` reads (None: any): the
    others are not cleaned.
    """
    batch = batch_table(contract, batch_id)
    with connection.cursor() as cursor:
        # Apart, because a statement that writes to a table reads it in one process only. The clock keeps the condition above the
        # cleaned values: below, each would be cleaned anew wherever a rule names it.
        cursor.execute(
            sql.SQL(
                """
                create temporary table judged on commit drop as
                select * from (
                    select _row, case when clock_timestamp() is not null then {reasons} end as _reasons
                    from ({cleaned}) as cleaned where _op = 'U'
                ) as judged
                where cardinality(_reasons) > 0
                """
            ).format(
                cleaned=cleaning.relation(contract, batch, read=read),
                reasons=reasons,
            )
        )
        cursor.execute(
            sql.SQL(
                """
                with failing as (
                    delete from {batch} as batch using judged
                    where batch.ctid = judged._row and not coalesce({spare}, false)
                    returning {sent}, judged._reasons
                )
                insert into {quarantine} ({columns}, _batch_id, _reasons, _quarantined_at)
                select {columns}, {batch_id}, _reasons, clock_timestamp() from failing
                """
            ).format(
                batch=batch,
                spare=sql.SQL("false") if spare is None else spare,
                sent=sql.SQL(", ").join(
                    sql.SQL("batch.{}").format(sql.Identifier(column.source_name)) for column in contract.columns
                ),
                quarantine=quarantine(contract),
                columns=columns(contract),
                batch_id=sql.Literal(batch_id),
            )
        )
        moved = int(cursor.rowcount)
        cursor.execute("drop table judged")
        return moved


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
