"""What the warehouse knows of a dataset: the newest version of each key, whether accepted or held in quarantine.

Of two versions the one of the later batch is the newer, and a key occurs once in a batch. Nearly always one old batch holds
most keys and the batches since a few. So the large one is read as it is, without the keys that have a later version; only the
small ones are sorted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import raw

if TYPE_CHECKING:
    from pdic.contracts import Contract

PARTITIONS = sql.SQL(
    """
    select pg_get_expr(partition.relpartbound, partition.oid), pg_relation_size(partition.oid)
    from pg_inherits
    inner join pg_class as partition on partition.oid = pg_inherits.inhrelid
    where pg_inherits.inhparent = {parent}::regclass
    order by 2 desc
    """
)
"""The bound and the bytes of each accepted batch, the largest first. `parent` is the raw table's name as a literal."""

_ONE_BATCH = re.compile(r"FOR VALUES IN \('(\d+)'\)")
_ANY = sql.SQL("true")


def largest_batch(partitions: list[tuple[str, int]]) -> int | None:
    """The batch that holds most of the dataset, of what PARTITIONS gave; None where that partition is not of one batch."""
    match = _ONE_BATCH.fullmatch(partitions[0][0]) if partitions else None
    return int(match[1]) if match else None


def newest(contract: Contract, base: int | None, values: sql.Composable, where: sql.Composable = _ANY) -> sql.Composed:
    """A query of `values` over the newest known version (`version`: the columns, `_op`, `_batch_id`) of each key.

    `base` is the batch to read unsorted. `where`, over the alias `version`, narrows by key: it must say the same of all
    versions of a key. Tombstones are versions with `_op` 'D'.
    """
    parts = {"values": values}
    if base is None:
        return sql.SQL("select {values} from ({newest}) as version").format(
            newest=_latest(contract, versions(contract, where)), **parts
        )
    of_base, later, earlier = (
        versions(contract, sql.SQL("_batch_id {} {} and {}").format(sql.SQL(sign), sql.Literal(base), where))
        for sign in ("=", ">", "<")
    )
    return sql.SQL(
        """
        select {values} from ({of_base}) as version
        where not exists (select from ({later}) as later where {same_as_later})
        union all
        select {values} from ({newest_later}) as version
        union all
        select {values} from ({newest_earlier}) as version
        where not exists (select from ({later}) as later where {same_as_later})
            and not exists (select from ({of_base}) as base where {same_as_base})
        """
    ).format(
        of_base=of_base,
        later=later,
        newest_later=_latest(contract, later),
        newest_earlier=_latest(contract, earlier),
        same_as_later=raw.same_key(contract, "later", "version"),
        same_as_base=raw.same_key(contract, "base", "version"),
        **parts,
    )


def versions(contract: Contract, where: sql.Composable) -> sql.Composed:
    """A query of all known versions, for which `where` (over the alias `version`) holds."""
    return sql.SQL(
        """
        select {columns}, _batch_id, _op from {parent} as version where {where}
        union all
        select {columns}, _batch_id, 'U'::"char" from {quarantine} as version where {where}
        """
    ).format(
        columns=raw.columns(contract), parent=raw.parent(contract), quarantine=raw.quarantine(contract), where=where
    )


def _latest(contract: Contract, of: sql.Composed) -> sql.Composed:
    key = sql.SQL(", ").join(sql.Identifier(name) for name in contract.key)
    return sql.SQL("select distinct on ({key}) * from ({of}) as version order by {key}, _batch_id desc").format(
        key=key, of=of
    )
