"""What a feed's batch adds to the accepted state: newer versions win, repeats and older ones change nothing."""

from __future__ import annotations

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
    assert contract.feed is not None
    taken_out = 0
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("analyze {}").format(raw.batch_table(contract, batch_id)))
        for held in (raw.parent(contract), raw.quarantine(contract)):
            cursor.execute(
                sql.SQL(
                    """
                    delete from {batch} as batch where exists (
                        select 1 from {held} as held where {same_key} and held.{version} >= batch.{version}
                    )
                    """
                ).format(
                    batch=raw.batch_table(contract, batch_id),
                    held=held,
                    same_key=sql.SQL(" and ").join(
                        sql.SQL("held.{0} = batch.{0}").format(sql.Identifier(name)) for name in contract.key
                    ),
                    version=sql.Identifier(contract.feed.version),
                )
            )
            taken_out += int(cursor.rowcount)
    return taken_out


def quarantine_unreadable(connection: Connection, contract: Contract, batch_id: int) -> int:
    """Move a batch's rows that lost a value on the way (it was not of its column's type) to quarantine. Returns how many.

    The reason is `<dataset>.<column>.type`; the record as it came stays in `landing.unreadable` until a newer version of
    it is accepted.
    """
    assert contract.feed is not None
    batch = raw.batch_table(contract, batch_id)
    this_row = sql.SQL("array[{}]::text[] = unreadable.key and batch.{}::text = unreadable.version").format(
        sql.SQL(", ").join(sql.SQL("batch.{}").format(sql.Identifier(name)) for name in contract.key),
        sql.Identifier(contract.feed.version),
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
                    and unreadable.key = array[{key}]::text[]
                """
            ).format(
                batch=batch,
                batch_id=sql.Literal(batch_id),
                sector=sql.Literal(contract.sector),
                dataset=sql.Literal(contract.dataset),
                key=sql.SQL(", ").join(sql.SQL("batch.{}").format(sql.Identifier(name)) for name in contract.key),
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
