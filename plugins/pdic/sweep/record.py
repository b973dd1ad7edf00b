"""What each comparison found, kept beside its batch in `control.reconciliation`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql
from psycopg2.extras import Json

from pdic.errors import LoadError
from pdic.sweep.guard import Approval
from pdic.warehouse import records

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.sweep.findings import Findings

_SHOWN: Final = sql.SQL(
    "batch_id, batch.status, held, source_rows, known_rows, late, changed, news, deleted, buckets, buckets_differing,"
    " rows_fetched, approves, reconciliation.seconds as comparison_seconds, reconciled_at"
)


def insert(
    batch_id: int, findings: Findings, seconds: dict[str, float], *, held: bool, approval: Approval | None
) -> sql.Composed:
    """The statement that records a comparison."""
    values = asdict(findings) | {
        "batch_id": batch_id,
        "held": held,
        "approves": approval.batch_id if approval else None,
        "seconds": Json(seconds),
    }
    return sql.SQL("insert into control.reconciliation ({}) values ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Literal, values.values()))
    )


def waiting(connection: Connection, contract: Contract, batch_id: int | None = None) -> Approval:
    """The held comparison (`batch_id`, or the newest) that waits for an operator. Raises LoadError where none does."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select held.batch_id, held.source_rows, held.deleted
            from control.reconciliation as held
            inner join control.batch using (batch_id)
            where
                held.held and batch.sector = %(sector)s and batch.dataset = %(dataset)s
                and held.batch_id = coalesce(%(batch_id)s, held.batch_id)
                -- Once a later comparison was accepted nothing waits any more: an approval is used once.
                and not exists (
                    select from control.reconciliation as later
                    inner join control.batch as accepted using (batch_id)
                    where
                        later.batch_id > held.batch_id and accepted.status = 'accepted'
                        and accepted.sector = batch.sector and accepted.dataset = batch.dataset
                )
            order by held.batch_id desc
            limit 1
            """,
            {"sector": contract.sector, "dataset": contract.dataset, "batch_id": batch_id},
        )
        found = cursor.fetchone()
    if found is None:
        raise LoadError(
            f"{contract.id}: nothing waits for an approval"
            f"{f' that batch {batch_id} asked for' if batch_id is not None else ''}. Run `pdic reconcile "
            f"{contract.sector}.{contract.dataset}` to see how things stand."
        )
    return Approval(*found)


def of_batch(connection: Connection, batch_id: int) -> dict[str, Any]:
    """What the comparison of one batch found, as plain values; empty where the batch was none."""
    return _first(connection, "batch.batch_id = %s", batch_id)


def healed_by(connection: Connection, held_batch: int) -> dict[str, Any] | None:
    """The accepted comparison that used the approval of the held one; None while it is unused."""
    return _first(connection, "approves = %s and batch.status = 'accepted'", held_batch) or None


def newest(connection: Connection, contract: Contract) -> dict[str, Any] | None:
    """The newest comparison of a dataset that came to an end (accepted, held or rejected)."""
    return (
        _first(
            connection,
            "batch.sector = %s and batch.dataset = %s and batch.status in ('accepted', 'rejected')",
            contract.sector,
            contract.dataset,
        )
        or None
    )


def newest_of_all(connection: Connection) -> dict[tuple[str, str], dict[str, Any]]:
    """:func:`newest` of every dataset that was ever compared, by (sector, dataset)."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                select distinct on (batch.sector, batch.dataset) batch.sector, batch.dataset, {}
                from control.reconciliation inner join control.batch using (batch_id)
                where batch.status in ('accepted', 'rejected')
                order by batch.sector, batch.dataset, batch_id desc
                """
            ).format(_SHOWN)
        )
        return {(found.pop("sector"), found.pop("dataset")): found for found in records(cursor)}


def _first(connection: Connection, where: str, *values: Any) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "select {} from control.reconciliation inner join control.batch using (batch_id)"
                " where {} order by batch_id desc limit 1"
            ).format(_SHOWN, sql.SQL(where)),  # the conditions above
            values,
        )
        found = records(cursor)
    return found[0] if found else {}
