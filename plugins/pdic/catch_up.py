"""Which datasets broke off for a reason that may have passed by now."""

from __future__ import annotations

from typing import Final

from pdic import contracts, errors
from pdic.warehouse import Connect, transaction

PASSING: Final = [kind.__name__ for kind in errors.passing()]
"""The kinds of error that trying again can heal, as the ledger names them."""

_OUTAGES: Final = [kind.__name__ for kind in errors.OUTAGES]


def broken_off(sector: str, connect_to: Connect) -> list[str]:
    """The datasets of a sector whose newest batch was given up for trouble that passes, and that are to be asked again now.

    A refused login is no such trouble: only a person can mend it, and each try brings the account nearer to being locked. After an
    outage a dataset is asked each time. After trouble of its own (its table is locked, its read takes too long) it is left alone
    for as long as that has gone on, a day at most, because the whole sector is read again with it.
    """
    with transaction(connect_to("pdic_warehouse_loader"), f"catch up {sector}") as loader, loader.cursor() as cursor:
        cursor.execute(
            """
            select newest.dataset
            from (
                select distinct on (dataset) dataset, status, error_kind, started_at
                from control.batch
                where sector = %(sector)s
                order by dataset asc, batch_id desc
            ) as newest
            cross join lateral (
                select min(started_at) as since
                from control.batch
                where sector = %(sector)s and dataset = newest.dataset and batch_id > coalesce((
                    select max(batch_id)
                    from control.batch
                    where sector = %(sector)s and dataset = newest.dataset and status = 'accepted'
                ), 0)
            ) as trouble
            where newest.status = 'abandoned' and newest.error_kind = any(%(passing)s) and (
                newest.error_kind = any(%(outages)s)
                or clock_timestamp() - newest.started_at >= least(newest.started_at - trouble.since, interval '1 day')
            )
            order by 1
            """,
            {"sector": sector, "passing": PASSING, "outages": _OUTAGES},
        )
        found = [dataset for (dataset,) in cursor.fetchall()]
    known = set(contracts.names())  # not what they say: another dataset's contract may be unreadable
    return [dataset for dataset in found if (sector, dataset) in known]
