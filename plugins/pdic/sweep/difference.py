"""The statements that tell landed rows from known ones: what is missing, what has changed, what is gone.

They work on three temporary tables: `landed`, the source's rows (`_pdic_here` is true in each); `known`, the newest versions of
the same keys; `difference`, the rows of a batch to be, with `_op` and whether the key was known as living.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import raw
from pdic.sources.parts import bound
from pdic.sweep import known

if TYPE_CHECKING:
    from pdic.contracts import Contract


def create(contract: Contract) -> sql.Composed:
    """Make `difference`: rows are compared byte by byte, keys by equality."""
    return sql.SQL(
        """
        create temporary table difference on commit drop as
        select
            {merged},
            (case when landed._pdic_here then 'U' else 'D' end)::"char" as _op,
            known._op = 'U' as _pdic_living
        from landed
        full join known on {same_key}
        where
            case
                when landed._pdic_here is null then known._op = 'U' and {named}
                when known._op = 'U' then not record_image_eq(row({landed}), row({known_columns}))
                else true
            end
        """
    ).format(
        merged=sql.SQL(", ").join(_merged(contract, column.source_name) for column in contract.columns),
        same_key=raw.same_key(contract, "landed", "known"),
        named=_named(contract, "known"),
        landed=columns(contract, "landed"),
        known_columns=columns(contract, "known"),
    )


def has_nameless(contract: Contract) -> sql.Composed:
    """A query: is there a row in `difference` that lacks part of its key?"""
    return sql.SQL("select exists (select from difference where not ({}))").format(_named(contract, "difference"))


def forget_nameless(contract: Contract) -> sql.Composed:
    """A row without a whole key equals no other by key: take it out where an identical one is known."""
    return sql.SQL(
        """
        delete from difference using ({versions}) as version
        where not ({named}) and record_image_eq(row({difference}), row({version}))
        """
    ).format(
        versions=known.versions(contract, sql.SQL("not ({})").format(_named(contract, "version"))),
        named=_named(contract, "difference"),
        difference=columns(contract, "difference"),
        version=columns(contract, "version"),
    )


def add_doubles(contract: Contract) -> sql.Composed:
    """Where a key occurs twice at the source, all its rows are in `difference`, each once: the rule that keys are unique judges them."""
    return sql.SQL(
        """
        with doubled as (
            select {key} from landed where {named} group by {key} having count(*) > 1
        ),
        found_already as (
            delete from difference using doubled where {same_as_difference}
        )
        insert into difference ({columns}, _op, _pdic_living)
        select {landed}, 'U', true from landed
        inner join doubled on {same_key}
        """
    ).format(
        columns=raw.columns(contract),
        landed=columns(contract, "landed"),
        key=sql.SQL(", ").join(sql.Identifier(name) for name in contract.key),
        named=_named(contract, "landed"),
        same_key=raw.same_key(contract, "landed", "doubled"),
        same_as_difference=raw.same_key(contract, "difference", "doubled"),
    )


def count(contract: Contract, watermark: datetime | None) -> sql.Composed:
    """A query of five counts: rows missing, rows changed, those of each that are news, and keys that are gone.

    News are rows stamped at or after `watermark`, where the next load by cursor starts, or not stamped at all.
    """
    return sql.SQL(
        """
        select
            count(*) filter (where _op = 'U' and _pdic_living is not true),
            count(*) filter (where _op = 'U' and _pdic_living),
            count(*) filter (where _op = 'U' and _pdic_living is not true and {news}),
            count(*) filter (where _op = 'U' and _pdic_living and {news}),
            count(*) filter (where _op = 'D')
        from difference
        """
    ).format(news=_is_news(contract, watermark))


def columns(contract: Contract, alias: str) -> sql.Composed:
    """The source's columns, of one alias."""
    return sql.SQL(", ").join(sql.Identifier(alias, column.source_name) for column in contract.columns)


def _is_news(contract: Contract, watermark: datetime | None) -> sql.Composable:
    if contract.cursor_column is None:
        return sql.SQL("false")
    if watermark is None:
        return sql.SQL("true")
    stamp = sql.Identifier(contract.cursor_column)
    return sql.SQL("({stamp} is null or {stamp} >= {watermark})").format(
        stamp=stamp, watermark=bound(contract, watermark)
    )


def _merged(contract: Contract, name: str) -> sql.Composed:
    """A column of the difference: the source's value; of a ghost, which the source has not, the key."""
    here, there = sql.Identifier("known", name), sql.Identifier("landed", name)
    value = sql.SQL("coalesce({}, {})").format(there, here) if name in contract.key else there
    return sql.SQL("{} as {}").format(value, sql.Identifier(name))


def _named(contract: Contract, alias: str) -> sql.Composed:
    """A condition: no part of the key is missing."""
    return sql.SQL(" and ").join(sql.SQL("{} is not null").format(sql.Identifier(alias, name)) for name in contract.key)
