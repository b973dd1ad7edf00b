"""Expressions that give a row the same 64 bits on both servers, and other bits wherever anything in it differs.

PostgreSQL's own hash of a record is the cheapest, but follows each type's equality, and equal is not always identical:
1.5 and 1.50, -0 and 0, '1 mon' and '30 days' are equal. So values of types whose equality is identity go in as they are, and
all others as their text or as the bytes that binary COPY would send. None of that depends on a session's settings.

The record's hash is promised to be stable neither across major versions nor across machines. Where the two servers do not
hash a sample alike, the bytes of the whole row go through SHA-256 instead: slower, and the same everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg2 import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdic.contracts import Column, Contract

_IDENTITY: Final = re.compile(
    r"smallint|integer|bigint|boolean|date|uuid|bytea|numeric\(\d+,-?\d+\)"
    r"|timestamp(\(\d\))? (with|without) time zone|time(\(\d\))? without time zone"
)
"""Types whose equal values are identical. A numeric's scale is fixed by its type here."""
_TEXT: Final = re.compile(r"text|character varying(\(\d+\))?|character\(\d+\)")
"""The same under the collation "C"; character(n) is always padded to n."""
_WRITTEN: Final = re.compile(r"jsonb?|numeric")
"""Types whose text says all there is, whatever the session's settings, and costs less than their bytes."""

_INTEGER: Final = re.compile(r"smallint|integer|bigint")
_FAR_FROM_ZERO: Final = 0x5851F42D4C957F2D
_NO_SEED: Final = sql.SQL("0")

SAMPLE: Final = sql.SQL(
    """
    select
        current_setting('server_version_num')::integer / 10000,
        hash_record_extended(
            row(
                1::smallint, 2::integer, -3::bigint, true, 'Đ'::text collate "C", 'ạ  '::character(4) collate "C",
                date '2026-02-28', timestamp '2026-02-28 12:00', 1.50::numeric(5, 2),
                '00000000-0000-0000-0000-000000000001'::uuid, '\\x00ff'::bytea, null::text, record_send(row(1.5, 'Đ'::text))
            ),
            0
        )
    """
)
"""The major version and the hash of a sample; servers that answer alike hash alike."""


@dataclass(frozen=True)
class Hashing:
    """How rows of one dataset are hashed: `native` by PostgreSQL's own hash of records."""

    contract: Contract
    native: bool

    def row(self, alias: str) -> sql.Composed:
        """The hash of a whole row of `alias`, a bigint.

        The record's hash is seeded by the key. It adds up hashes of its values, so without a seed of its own each row would
        leave little trace of values that two rows have exchanged; and a numeric's NaN hashes to the seed, a null to 0.
        """
        columns = self.contract.columns
        if not self.native:
            return self._hash(_value(alias, column) for column in columns)
        plain = [_comparable(alias, column) for column in columns if _is_plain(column)]
        written = [column for column in columns if _WRITTEN.fullmatch(column.physical_type)]
        rest = [_value(alias, column) for column in columns if not _is_plain(column) and column not in written]
        texts = [sql.SQL('{}::text collate "C"').format(_value(alias, column)) for column in written]
        sent = [sql.SQL("record_send({})").format(_row(rest))] if rest else []
        return self._hash([*plain, *texts, *sent], self._seed(alias))

    def bucket(self, alias: str, buckets: int) -> sql.Composed:
        """Which of `buckets` (a power of two) the key of a row of `alias` is in, an integer. Equal keys share a bucket."""
        return sql.SQL("({} & {})::integer").format(self._key(alias), sql.Literal(buckets - 1))

    @property
    def has_buckets(self) -> bool:
        """Whether keys can be put in buckets: for types that have other values beside identical ones it is not attempted."""
        columns = [self.contract.column(name) for name in self.contract.key]
        return all(_is_plain(column) or column.physical_type == "numeric" for column in columns)

    def _key(self, alias: str) -> sql.Composed:
        if self.native and (number := self._number(alias)):
            return sql.SQL("coalesce(hashint8extended({}, 0), 0)").format(number)
        return self._hash(_folded(alias, self.contract.column(name)) for name in self.contract.key)

    def _seed(self, alias: str) -> sql.Composed:
        if number := self._number(alias):  # as it is, moved away from 0
            return sql.SQL("coalesce({} # {}, 1)").format(number, sql.Literal(_FAR_FROM_ZERO))
        return self._key(alias)

    def _number(self, alias: str) -> sql.Composed | None:
        """The key as a bigint where it is one whole number: the common case, which needs no record."""
        name, *others = self.contract.key
        column = self.contract.column(name)
        if others or not _INTEGER.fullmatch(column.physical_type):
            return None
        return sql.SQL("{}::bigint").format(_value(alias, column))

    def _hash(self, values: Iterable[sql.Composable], seed: sql.Composable = _NO_SEED) -> sql.Composed:
        if self.native:
            return sql.SQL("hash_record_extended({}, {})").format(_row(values), seed)
        return sql.SQL("('x' || encode(substr(sha256(record_send({})), 1, 8), 'hex'))::bit(64)::bigint").format(
            _row(values)
        )


def _is_plain(column: Column) -> bool:
    return bool(_IDENTITY.fullmatch(column.physical_type) or _TEXT.fullmatch(column.physical_type))


def _row(values: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL("row({})").format(sql.SQL(", ").join(values))


def _value(alias: str, column: Column) -> sql.Composed:
    # The cast takes a domain to the type beneath it; of any other type it costs nothing.
    return sql.SQL("{}::{}").format(sql.Identifier(alias, column.source_name), sql.SQL(column.physical_type))


def _comparable(alias: str, column: Column) -> sql.Composed:
    value = _value(alias, column)
    return sql.SQL('{} collate "C"').format(value) if _TEXT.fullmatch(column.physical_type) else value


def _folded(alias: str, column: Column) -> sql.Composed:
    value = _comparable(alias, column)
    return sql.SQL("trim_scale({})").format(value) if column.physical_type == "numeric" else value
