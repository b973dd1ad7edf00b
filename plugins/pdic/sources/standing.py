"""How a source stands at the moment a cursor load looks at it: its clock, who is writing, what can be known of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic.sources.catalogue import NEVER_EMPTY
from pdic.sources.clocks import Instant, here
from pdic.sources.names import Name
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


Transaction = tuple[int, datetime]
"""An open transaction: the process it runs in, and when it began. A process has one at a time."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What was true of the source just before the load's snapshot.

    ``clock`` was read first, at ``instant`` here. ``replayed`` is set on a standby only: when the last transaction that it
    shows was committed at the primary (None: nothing yet). ``sees_starts``: every transaction that may write the table is
    known by its start; ``open`` are they, each with the process it runs in. ``prepared``: a prepared transaction has
    written, or may have written, the table. ``has_row_ids``: rows carry the id of the transaction that wrote them (a table, no view).
    ``cursor_nullable``: the table may hold rows without a stamp.
    """

    clock: datetime
    instant: Instant
    standby: bool
    replayed: datetime | None
    sees_starts: bool
    open: frozenset[Transaction]
    prepared: bool
    has_row_ids: bool
    cursor_nullable: bool


def look(connection: Connection, contract: Contract) -> Standing:
    """Read the source's standing. To be called before the snapshot is taken, in a transaction that ends before it.

    The order of the statements matters. Whoever begins after the first stamps no earlier than ``clock``. Who was open at
    the second is in the list or, where it was prepared since, in the third; who has committed since is in the snapshot.
    """
    table = Name(contract.table_schema, contract.table_name).as_string(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select
                clock_timestamp(),
                pg_is_in_recovery(),
                pg_last_xact_replay_timestamp(),
                pg_has_role(current_user, 'pg_read_all_stats', 'usage')
            """
        )
        instant = here()
        clock, standby, replayed, privileged = one(cursor)
        # A session that is about to begin shows its statement a moment before its transaction. Autovacuum and walsenders
        # write no rows. A session that tracks no activity could have begun at any time.
        cursor.execute(
            """
            select pid, coalesce(xact_start, case when state <> 'idle' then query_start end) as start, state = 'disabled'
            from pg_stat_activity
            where
                datname = current_database()
                and pid <> pg_backend_pid()
                and backend_type not in ('autovacuum worker', 'walsender')
            """
        )
        sessions = cursor.fetchall()
        # A prepared transaction no longer says when it began; but whoever has written a table holds a lock on it until the
        # end, and those of prepared transactions belong to no process. Rows that a subscription brings carry the stamps of
        # another server's transactions.
        cursor.execute(
            sql.SQL(
                """
            with recursive family as (
                select to_regclass(%(table)s)::oid as oid
                union
                select inhrelid from pg_inherits inner join family on inhparent = family.oid
            ),
            kind as (
                select
                    bool_and(relkind in ('r', 'p', 'm'))
                    and has_column_privilege(to_regclass(%(table)s), (-2)::smallint, 'select') as has_row_ids -- (xmin)
                from pg_class inner join family using (oid)
            )
            select
                coalesce((select has_row_ids from kind), false),
                exists (select from pg_subscription_rel where srrelid in (select oid from family)),
                case
                    when coalesce((select has_row_ids from kind), false) then exists (
                        select from pg_locks
                        where
                            pid is null
                            and locktype = 'relation'
                            and mode <> 'AccessShareLock'
                            and database = (select oid from pg_database where datname = current_database())
                            and relation in (select oid from family)
                    )
                    else exists (select from pg_prepared_xacts where database = current_database())
                end,
                not exists (
                    select from pg_attribute as attribute
                    where attribute.attrelid = to_regclass(%(table)s) and attribute.attname = %(cursor)s
                        and {never_empty}
                )
            """
            ).format(never_empty=NEVER_EMPTY),
            {"table": table, "cursor": contract.cursor_column},
        )
        has_row_ids, subscribed, prepared, cursor_nullable = one(cursor)
    return Standing(
        clock=clock,
        instant=instant,
        standby=standby,
        replayed=replayed if standby else None,
        sees_starts=privileged and not standby and not subscribed and not any(hidden for _, _, hidden in sessions),
        open=frozenset((pid, start) for pid, start, _ in sessions if start is not None),
        prepared=prepared,
        has_row_ids=has_row_ids,
        cursor_nullable=cursor_nullable,
    )
