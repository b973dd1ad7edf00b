"""What the last load found a source's table to promise: kind, key, columns that are never empty, labels of enums.

A contract says what PDIC needs of a table, not what the table happens to declare. So that a declaration which goes missing
is noticed, `control.source_shape` remembers it, with the version of the contract under which it was seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg2

from pdic import failures
from pdic.warehouse import one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

    from pdic.contracts import Contract
    from pdic.sources.catalogue import SourceTable


@dataclass(frozen=True)
class Shape:
    """What a table declared when it was last read."""

    kind: str
    key: tuple[str, ...]
    not_null: frozenset[str]
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    policies: str | None = None
    """The digest of the policies that may hide rows (`pdic.sources.policies`); None where nobody has asked."""

    @classmethod
    def of(cls, table: SourceTable, policies: str | None = None) -> Shape:
        """The shape of a table as its catalogue stands."""
        return cls(
            table.kind,
            table.key,
            frozenset(column.name for column in table.columns if column.not_null),
            {column.name: column.labels for column in table.columns if column.labels},
            policies,
        )


@dataclass(frozen=True)
class Shapes:
    """The memory of shapes, in the warehouse."""

    loader_uri: str

    def former(self, contract: Contract) -> Shape | None:
        """The shape seen under this version of the contract; None where there is none."""
        with self._cursor(contract) as cursor:
            cursor.execute(
                "select shape from control.source_shape where sector = %s and dataset = %s and contract_version = %s",
                (contract.sector, contract.dataset, contract.version),
            )
            row = cursor.fetchone()
        if row is None:
            return None
        found = row[0]
        labels = {name: tuple(values) for name, values in found["labels"].items()}
        return Shape(found["kind"], tuple(found["key"]), frozenset(found["not_null"]), labels, found.get("policies"))

    def remember(self, contract: Contract, shape: Shape) -> None:
        """Keep the shape, in place of any older one."""
        found = {
            "kind": shape.kind,
            "key": list(shape.key),
            "not_null": sorted(shape.not_null),
            "labels": {name: list(values) for name, values in sorted(shape.labels.items())},
            "policies": shape.policies,
        }
        with self._cursor(contract) as cursor:
            cursor.execute(
                """
                insert into control.source_shape (sector, dataset, contract_version, shape) values (%s, %s, %s, %s)
                on conflict (sector, dataset) do update
                set contract_version = excluded.contract_version, shape = excluded.shape, seen_at = excluded.seen_at
                """,
                (contract.sector, contract.dataset, contract.version, json.dumps(found)),
            )

    def said(self, contract: Contract, remark: str) -> bool:
        """Whether a load that was accepted has said this of the table."""
        with self._cursor(contract) as cursor:
            cursor.execute(
                """
                select exists (
                    select from control.batch
                    where sector = %s and dataset = %s and status = 'accepted' and strpos(drift, %s) > 0
                )
                """,
                (contract.sector, contract.dataset, remark),
            )
            return bool(one(cursor)[0])

    @contextmanager
    def _cursor(self, contract: Contract) -> Iterator[Cursor]:
        """A transaction in the warehouse. Its errors are PDIC's own: around it, a database's error is taken for the source's."""
        try:
            with transaction(self.loader_uri, f"drift {contract.id}") as loader, loader.cursor() as cursor:
                yield cursor
        except psycopg2.Error as error:
            if (refusal := failures.in_words(error)) is None:
                raise
            raise refusal from error
