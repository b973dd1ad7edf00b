"""What a contract says, as plain immutable values.

Two kinds of contract exist. A :class:`Contract` describes a dataset as a sector hands it over; a
:class:`SharedContract` describes a table as readers of a release see it. Both are written as ODCS YAML
(docs/contracts.md) and read by :mod:`pdic.contracts.read`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

Capture = Literal["cursor", "snapshot"]
Deletes = Literal["none", "soft", "reconcile"]
Classification = Literal["public", "internal", "personal", "sensitive", "identifier"]
OnFail = Literal["quarantine", "warn"]
CodeValue = str | int
Bound = int | float | str

OPEN_CLASSIFICATIONS: Final[frozenset[Classification]] = frozenset({"public", "internal"})
"""Classes that readers of the schema ``shared`` may see; columns of every other class never leave the inner schemas."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its warehouse name, its name and type at the source, and what its values must be.

    ``physical_type`` is what PostgreSQL's ``format_type()`` prints. ``maximum`` and ``minimum`` are inclusive and are
    ISO dates where the column is a date or a timestamp. ``max_length`` counts characters. ``enum_labels`` runs
    parallel to ``enum`` (an empty string where a code has no label). ``on_fail`` says what becomes of a row that
    breaks the enum, the pattern, the range or the length; a missing required value always goes to quarantine.
    ``unit`` names the unit of an amount ('VND', 'million VND', 'km').
    """

    name: str
    source_name: str
    physical_type: str
    classification: Classification
    description_vi: str
    description_en: str
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    enum: tuple[CodeValue, ...] = ()
    enum_labels: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    max_length: int | None = None
    on_fail: OnFail = "quarantine"
    unit: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether readers of the schema ``shared`` may see the column."""
        return self.classification in OPEN_CLASSIFICATIONS


@dataclass(frozen=True, slots=True)
class Contract:
    """What a dataset of a sector must be.

    ``table`` is ``schema.table`` at the source; ``key``, ``cursor_column`` and ``soft_delete_column`` are names at the
    source. ``overlap`` is how far stamps may lie behind the source's clock, and, where nobody can see when transactions
    began, the longest that one may last (zero: not stated). ``cursor_time_zone`` is whose time the stamps of a cursor
    without time zone are.
    ``cadence`` is a cron line in the province's time zone, ``freshness`` the age at which the dataset counts as stale.
    ``min_rows`` is the least number of rows that one read of the dataset may bring. ``source_connections`` is how many
    connections a load may open at the source, ``max_bytes_per_second`` how fast it may read (None: as it comes).
    ``max_deleted_share`` is the share of a dataset's keys (0 to 1) that one sweep may find deleted at the source before
    an operator has to approve. ``statement_timeout`` ends one read of the source, ``idle_timeout`` a session there that does
    nothing. ``path`` is relative to the root.
    """

    id: str
    sector: str
    dataset: str
    entity: str
    version: str
    status: str
    title: str
    description: str
    description_en: str
    owner_agency: str
    table: str
    capture: Capture
    cursor_column: str | None
    deletes: Deletes
    soft_delete_column: str | None
    overlap: timedelta
    cadence: str
    freshness: timedelta
    min_rows: int
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    path: Path
    source_connections: int = 1
    max_bytes_per_second: int | None = None
    max_deleted_share: float = 0.05
    cursor_time_zone: str | None = None
    statement_timeout: timedelta = timedelta(hours=4)
    idle_timeout: timedelta = timedelta(minutes=10)

    @property
    def raw_table(self) -> str:
        """Name of the dataset's table in the schemas ``raw`` and ``quarantine``, and the stem of its batch tables."""
        return f"{self.sector}__{self.dataset}"

    @property
    def table_schema(self) -> str:
        """Schema of the table at the source."""
        return self.table.partition(".")[0]

    @property
    def table_name(self) -> str:
        """Name of the table at the source, without its schema."""
        return self.table.partition(".")[2]

    def column(self, source_name: str) -> Column:
        """The column with this name at the source. Raises KeyError where the contract has none."""
        for column in self.columns:
            if column.source_name == source_name:
                return column
        raise KeyError(f"{self.path}: no column {source_name!r}")


@dataclass(frozen=True, slots=True)
class SharedContract:
    """What a published table is: the columns readers see, its grain, and which of its rows are hidden.

    ``key`` names the columns whose values identify a row. ``removable`` tables carry a tombstone column ``_removed``
    that reader views filter on. A ``restricted`` table may hold columns that the schema ``shared`` must not show.
    ``min_rows`` is None where an empty table is acceptable. ``path`` is relative to the root.
    """

    id: str
    table: str
    version: str
    status: str
    title: str
    description: str
    description_en: str
    grain: str
    removable: bool
    restricted: bool
    min_rows: int | None
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    path: Path

    @property
    def open_columns(self) -> tuple[Column, ...]:
        """The columns that the view in the schema ``shared`` shows."""
        return tuple(column for column in self.columns if column.is_open)
