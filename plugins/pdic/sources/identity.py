"""Which table a name stands for, and which rows it shows: what must be the same for a load to go on where the last one ended.

A name says little. The table behind it may have been made anew or replaced, two columns may have exchanged their names, a
partition may have been attached with old rows in it. Such a change stamps no row, so a load by cursor would not see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from pdic.contracts.findings import listed
from pdic.sources.names import Name
from pdic.sources.parts import bound, written_since
from pdic.sources.reading import source_table
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.sources.window import Seam

VIEW = "v"
ELSEWHERE = 1
"""What stands for the file of a foreign table: its rows lie on another server."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What stands behind a contract's table.

    ``server`` names the cluster and the database; None where the role may not ask. ``table`` is the OID, ``kind`` the relkind.
    ``columns``: the number of each of the contract's columns. ``view``: a hash of a view's definition, 0 where it is none.
    ``members`` are the relations that the rows come from (the table, its partitions and children, what a view reads), by OID:
    the file that holds the rows, 0 where it is empty or the relation has none.
    """

    server: str | None
    table: int
    kind: str
    columns: Mapping[str, int]
    view: int
    members: Mapping[int, int]

    def as_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {
            "server": self.server,
            "table": self.table,
            "kind": self.kind,
            "columns": dict(self.columns),
            "view": self.view,
            "members": {str(oid): file for oid, file in sorted(self.members.items())},
        }


def former_identity(position: dict[str, Any] | None) -> Identity | None:
    """The identity that the ledger keeps with a position; None where it was written before identities were kept."""
    found = (position or {}).get("identity")
    if found is None:
        return None
    members = {int(oid): int(file) for oid, file in found["members"].items()}
    return Identity(found["server"], found["table"], found["kind"], found["columns"], found["view"], members)


def identify(connection: Connection, contract: Contract) -> Identity:
    """The identity of the contract's table now. Reads no row. The table must be there."""
    with connection.cursor() as cursor:
        cursor.execute("select has_function_privilege('pg_catalog.pg_control_system()', 'execute')")
        cluster = "(select system_identifier from pg_control_system())" if one(cursor)[0] else "null"
        names = [column.name_at_source for column in contract.columns]
        table = source_table(contract).as_string(connection)
        cursor.execute(
            _IDENTITY.format(cluster=sql.SQL(cluster), elsewhere=sql.Literal(ELSEWHERE)),
            {"table": table, "columns": names},
        )
        server, oid, kind, columns, view, members = one(cursor)
    return Identity(server, oid, kind, columns, view, {int(member): file for member, file in members.items()})


def difference(connection: Connection, contract: Contract, seam: Seam, former: Identity, now: Identity) -> str | None:
    """In a few words, what is no longer as the former load found it, where rows may hide from a load by cursor; else None.

    `seam` is the end of the former load. A column that the contract does not name, an index, a comment, an empty partition, VACUUM
    FULL and the like are no difference: they neither bring nor take rows.
    """
    if None not in (former.server, now.server) and former.server != now.server:
        return f"sector {contract.sector} is read from another server or database than before (restored, moved or replaced)"
    if former.table != now.table:
        return f"{contract.table} is another table than before (made anew, or another one has taken its name)"
    others = sorted(
        name for name, number in now.columns.items() if name in former.columns and former.columns[name] != number
    )
    if others:
        return f"in {contract.table} other columns than before are called {listed(others)} (made anew, or renamed)"
    if gained := now.columns.keys() - former.columns.keys():
        return f"{contract.path} names columns of {contract.table} that no load has read yet ({listed(sorted(gained))})"
    if former.view != now.view:
        return f"the view {contract.table} was defined anew"
    if former.members.keys() - now.members.keys():
        return f"{contract.table} has lost a partition, a child or a table that it reads"
    new = [oid for oid, file in now.members.items() if file and oid not in former.members]
    if any(now.kind == VIEW or now.members[oid] == ELSEWHERE or _hides(connection, contract, seam, oid) for oid in new):
        return f"{contract.table} has got a partition, a child or a table that it reads, with rows older than the last load"
    return _emptied(connection, contract, seam, former, now)


def _emptied(connection: Connection, contract: Contract, seam: Seam, former: Identity, now: Identity) -> str | None:
    """Whether rows went all at once. Each of these statements writes a new file, as do VACUUM FULL and CLUSTER, which leave
    every row the transaction that wrote it. A view does not show that, so of what it reads only an empty file counts."""
    changed = [oid for oid, file in former.members.items() if file and now.members[oid] != file]
    for oid in changed:
        if not now.members[oid]:
            return f"{contract.table}, or a part of it, was emptied (TRUNCATE)"
        if now.kind != VIEW and not _exists(connection, contract, oid, _written_before(seam.xids.xmax)):
            return f"{contract.table}, or a part of it, was emptied or written anew (TRUNCATE, ALTER TABLE … TYPE)"
    return None


def _hides(connection: Connection, contract: Contract, seam: Seam, member: int) -> bool:
    """Whether a new member holds rows that a load from the seam on does not read."""
    if seam.watermark is None:
        return _exists(connection, contract, member, _written_before(seam.xids.xmin))
    return _exists(
        connection,
        contract,
        member,
        sql.SQL("{} < {}").format(Name(seam.cursor), bound(contract, seam.watermark)),
    )


def _written_before(xid: int) -> sql.Composed:
    return sql.SQL("not {}").format(written_since(xid))


def _exists(connection: Connection, contract: Contract, member: int, condition: sql.Composable) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("select exists (select from {} where tableoid = {} and {})").format(
                source_table(contract), sql.Literal(member), condition
            )
        )
        return bool(one(cursor)[0])


_IDENTITY = sql.SQL(
    """
    with recursive reached as (
        select to_regclass(%(table)s)::oid as oid
        union
        select next.oid
        from reached
        cross join lateral (
            select child.oid
            from pg_inherits
            inner join pg_class as child on child.oid = pg_inherits.inhrelid
            -- The rows of tables that inherit from the contract's own are not read with it.
            where inhparent = reached.oid and (child.relispartition or inhparent <> to_regclass(%(table)s))
            union all
            select dependency.refobjid
            from pg_rewrite as rule
            inner join pg_class as viewed on viewed.oid = rule.ev_class and viewed.relkind = 'v'
            inner join pg_depend as dependency on dependency.objid = rule.oid
            where rule.ev_class = reached.oid
                and rule.rulename = '_RETURN'
                and dependency.classid = 'pg_rewrite'::regclass
                and dependency.refclassid = 'pg_class'::regclass
        ) as next
    ),
    member as (
        select class.oid, case
                when class.relkind = 'f' then {elsewhere}
                when pg_relation_size(class.oid) > 0 then pg_relation_filenode(class.oid)::bigint
            end as file
        from reached
        inner join pg_class as class on class.oid = reached.oid
    )
    select
        {cluster} || '/' || (select oid from pg_database where datname = current_database()),
        class.oid::bigint,
        class.relkind::text,
        (
            select coalesce(json_object_agg(attname, attnum), '{{}}')
            from pg_attribute
            where attrelid = class.oid and attname = any(%(columns)s::text[]) and attnum > 0 and not attisdropped
        ),
        coalesce(
            (select hashtextextended(ev_action::text, 0) from pg_rewrite where ev_class = class.oid and rulename = '_RETURN'), 0
        ),
        (select json_object_agg(oid, coalesce(file, 0)) from member)
    from pg_class as class
    where class.oid = to_regclass(%(table)s)
    """
)
