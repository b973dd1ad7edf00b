"""What contracts and rule files promise of each dataset, as a release keeps it for the models that measure quality."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdic import contracts, failures
from pdic.quality.coverage import coverage_of
from pdic.warehouse.statements import execute_values

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promises:
    """What contracts and rule files say of each dataset, for the models that measure quality; and the datasets of which they
    cannot be read: what those promised last stands."""

    said: list[tuple[Any, ...]]
    unread: list[tuple[str, str]]


def read(root: Path) -> Promises:
    """What contracts and rule files promise now; `root` is the project root. One that cannot be read is told in the log."""
    found = Promises([], [])
    known = contracts.readable(root)
    for sector, dataset in contracts.names(root):
        try:
            contract = known.get((sector, dataset)) or contracts.get(sector, dataset, root)  # which says what is wrong
            covered = coverage_of(root, contract)
        except Exception as error:
            failures.log(_log, f"reading what {sector}.{dataset} promises", error)
            _log.warning("%s.%s keeps what its contract promised last: %s", sector, dataset, failures.words(error))
            found.unread.append((sector, dataset))
            continue
        found.said.append(
            (
                sector,
                dataset,
                contract.title,
                contract.owner_agency,
                contract.freshness,
                covered.columns,
                covered.columns - len(covered.without_rule),
                covered.rules,
                covered.freshness or None,
            )
        )
    return found


def record(publisher: Connection, release_id: int, promises: Promises) -> None:
    """Keep what was promised when a release began. The caller commits."""
    with publisher.cursor() as cursor:
        execute_values(
            cursor,
            """
            insert into control.release_dataset (
                release_id, sector, dataset, title, owner_agency, freshness, columns, columns_with_rule, rules, freshness_by
            ) values %s
            """,
            [(release_id, *promise) for promise in promises.said],
        )
        cursor.executemany(
            """
            insert into control.release_dataset (
                release_id, sector, dataset, title, owner_agency, freshness, columns, columns_with_rule, rules, freshness_by
            )
            select %s, sector, dataset, title, owner_agency, freshness, columns, columns_with_rule, rules, freshness_by
            from control.release_dataset where sector = %s and dataset = %s order by release_id desc limit 1
            """,
            [(release_id, *name) for name in promises.unread],
        )
