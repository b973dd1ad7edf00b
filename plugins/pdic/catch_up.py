"""Which datasets broke off for a reason that may have passed by now."""

from __future__ import annotations

from typing import Final

from pdic import contracts, errors
from pdic.warehouse import Connect, transaction

PASSING: Final = [kind.__name__ for kind in errors.passing()]
"""The kinds of error that trying again can heal, as the ledger names them."""


def broken_off(sector: str, connect_to: Connect) -> list[str]:
    """The datasets of a sector whose newest batch was given up for trouble that passes.

    A refused login is none: only a person can mend it, and each try brings the account nearer to being locked.
    """
    with transaction(connect_to("pdic_warehouse_loader"), f"catch up {sector}") as loader, loader.cursor() as cursor:
        cursor.execute(
            """
            select newest.dataset
            from (
                select distinct on (dataset) dataset, status, error_kind
                from control.batch
                where sector = %s
                order by dataset asc, batch_id desc
            ) as newest
            where newest.status = 'abandoned' and newest.error_kind = any(%s)
            order by 1
            """,
            (sector, PASSING),
        )
        found = [dataset for (dataset,) in cursor.fetchall()]
    known = set(contracts.names())  # not what they say: another dataset's contract may be unreadable
    return [dataset for dataset in found if (sector, dataset) in known]
