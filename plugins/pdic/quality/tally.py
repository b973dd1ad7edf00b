"""What a check came to, in counts: for task logs and for those who follow a table. Never a value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_NAMED: Final = 12
"""So many broken rules are named in a line."""


@dataclass(frozen=True, slots=True)
class Tally:
    """One batch's check: how many rules, the most rows that one of them judged, and `broken`: rule → rows and what follows."""

    rules: int
    rows: int
    broken: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """`12 rules judged 1,234 rows; 2 are broken: hocsinh.malop.required by 3 rows (quarantine), …`."""
        said = f"{self.rules:,} rules judged {_rows(self.rows)}"
        if not self.broken:
            return f"{said}; all hold"
        named = [f"{rule} by {_rows(rows)} ({follows})" for rule, (rows, follows) in self.broken.items()][:_NAMED]
        more = f" and {len(self.broken) - _NAMED:,} more" if len(self.broken) > _NAMED else ""
        are = "is" if len(self.broken) == 1 else "are"
        return f"{said}; {len(self.broken):,} {are} broken: {', '.join(named)}{more}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def of_batches(auditor: Connection, batch_ids: Collection[int]) -> dict[int, Tally]:
    """By batch, what its last check recorded. A batch in which nothing came has no rules."""
    found = {batch_id: Tally(0, 0) for batch_id in batch_ids}
    with auditor.cursor() as cursor:
        cursor.execute(
            """
            with newest as (
                -- A check that was cut short and began again has recorded its rules twice.
                select distinct on (batch_id, rule_id) *
                from control.expectation_result
                where batch_id = any(%s)
                order by batch_id, rule_id, id desc
            )
            select
                batch_id,
                count(*),
                coalesce(max(checked), 0),
                coalesce(
                    jsonb_object_agg(rule_id, jsonb_build_array(coalesce(failed, 0), on_fail)) filter (where not success), '{}'
                )
            from newest
            group by batch_id
            """,
            (list(batch_ids),),
        )
        for batch_id, rules, rows, broken in cursor.fetchall():
            named = {rule: (failed, follows) for rule, (failed, follows) in sorted(broken.items())}
            found[batch_id] = Tally(rules, rows, named)
    return found
