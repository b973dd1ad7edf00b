"""What a feed's batch adds to the accepted state: newer versions win, repeats and older ones change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import raw

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


def keep_newer(connection: Connection, contract: Contract, batch_id: int) -> int:
    """Take out of a batch the versions that are no newer than the one held, be it accepted or in quarantine.

    Part of the accepting transaction. Returns how many.
    """
    taken_out = 0
    batch, buried = raw.batch_table(contract, batch_id), graves(connection, contract)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("analyze {}").format(batch))
        for held in (raw.parent(contract), raw.quarantine(contract)):
            as_new = is_held(contract, held, buried, as_new=True)
            cursor.execute(sql.SQL("delete from {} as batch where {}").format(batch, as_new))
            taken_out += int(cursor.rowcount)
    return taken_out


def graves(connection: Connection, contract: Contract) -> list[int]:
    """The accepted batches that hold tombstones: records that a reconcile found gone at the service."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select batch_id from control.batch
            where sector = %s and dataset = %s and status = 'accepted' and rows_deleted > 0 order by batch_id
            """,
            (contract.sector, contract.dataset),
        )
        return [batch_id for (batch_id,) in cursor.fetchall()]


def is_held(
    contract: Contract, table: sql.Identifier, buried: Sequence[int], *, as_new: bool = False
) -> sql.Composable:
    """A condition on a row `batch`: `table` holds its record, with `as_new` in a version no older, and it has not gone since.

    `buried` are the batches with tombstones.
    """
    assert contract.feed is not None
    conditions = [raw.same_key(contract, "held", "batch"), sql.SQL("held._op = 'U'")]
    if as_new:
        conditions.append(sql.SQL("held.{0} >= batch.{0}").format(sql.Identifier(contract.feed.version)))
    if buried:
        conditions.append(
            sql.SQL(
                "not exists (select from {parent} as gone where gone._batch_id in ({buried}) and gone._op = 'D' "
                "and gone._batch_id > held._batch_id and {same_key})"
            ).format(
                parent=raw.parent(contract),
                buried=sql.SQL(", ").join(map(sql.Literal, buried)),
                same_key=raw.same_key(contract, "gone", "held"),
            )
        )
    return sql.SQL("exists (select from {} as held where {})").format(table, sql.SQL(" and ").join(conditions))


def quarantine_unreadable(connection: Connection, contract: Contract, batch_id: int) -> int:
    """Move a batch's rows that lost a value on the way (it was not of its column's type) to quarantine. Returns how many.

    The reason is `<dataset>.<column>.type`; the record as it came stays in `landing.unreadable` until a newer version of
    it is accepted.
    """
    assert contract.feed is not None
    batch = raw.batch_table(contract, batch_id)
    key = raw.key_texts(contract, "batch")
    this_row = sql.SQL("array[{}] = unreadable.key and batch.{}::text = unreadable.version").format(
        key, sql.Identifier(contract.feed.version)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                delete from landing.unreadable using control.batch as former, {batch} as batch
                where
                    unreadable.batch_id = former.batch_id
                    and former.batch_id < {batch_id}
                    and former.sector = {sector}
                    and former.dataset = {dataset}
                    and unreadable.key = array[{key}]
                """
            ).format(
                batch=batch,
                batch_id=sql.Literal(batch_id),
                sector=sql.Literal(contract.sector),
                dataset=sql.Literal(contract.dataset),
                key=key,
            )
        )
        cursor.execute(
            sql.SQL(
                """
                with unreadable as (
                    select key, version, array_agg(distinct {dataset} || '.' || name || '.type') as reasons
                    from landing.unreadable, unnest(columns) as name
                    where batch_id = {batch_id}
                    group by key, version
                ),
                failing as (
                    delete from {batch} as batch using unreadable where {this_row}
                    returning {columns}, unreadable.reasons
                )
                insert into {quarantine} ({names}, _batch_id, _reasons, _quarantined_at)
                select {names}, {batch_id}, reasons, clock_timestamp() from failing
                """
            ).format(
                dataset=sql.Literal(contract.dataset),
                batch_id=sql.Literal(batch_id),
                batch=batch,
                this_row=this_row,
                columns=sql.SQL(", ").join(
                    sql.SQL("batch.{}").format(sql.Identifier(column.source_name)) for column in contract.columns
                ),
                names=raw.columns(contract),
                quarantine=raw.quarantine(contract),
            )
        )
        return int(cursor.rowcount)
