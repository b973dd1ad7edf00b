"""What a contract says, as plain immutable values.

Two kinds of contract exist. A :class:`Contract` describes a dataset as a sector hands it over; a
:class:`SharedContract` describes a table as readers of a release see it. Both are written as ODCS YAML
(docs/contracts.md) and read by :mod:`pdic.contracts.read`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

Capture = Literal["cursor", "snapshot", "feed", "cdc"]
Deletes = Literal["none", "soft", "reconcile"]
Classification = Literal["public", "internal", "personal", "sensitive", "identifier"]
OnFail = Literal["quarantine", "warn"]
CodeValue = str | int
Bound = int | float | str

OPEN_CLASSIFICATIONS: Final[frozenset[Classification]] = frozenset({"public", "internal"})
"""Classes that readers of the schema ``shared`` may see; columns of every other class never leave the inner schemas."""


_PART: Final = r'(?:[^."\s]+|"(?:[^"]|"")+")'
_TABLE: Final = re.compile(rf"({_PART})\.({_PART})")


def table_parts(physical_name: str) -> tuple[str, str]:
    """Schema and table that ``schema.table`` names, each in double quotes where it holds a dot, a blank or a quote.

    Capitals are kept either way. Raises ValueError where it is not two names.
    """
    match = _TABLE.fullmatch(physical_name)
    if match is None:
        raise ValueError(f"{physical_name!r} is not schema.table")
    schema, table = (part[1:-1].replace('""', '"') if part.startswith('"') else part for part in match.groups())
    return schema, table


def table_written(schema: str, table: str) -> str:
    """The form that :func:`table_parts` reads."""
    return ".".join(
        part if re.fullmatch(r'[^."\s]+', part) else '"' + part.replace('"', '""') + '"' for part in (schema, table)
    )


def default_connection(sector: str) -> str:
    """Id of the connection to a sector's database, where a contract names no other."""
    return f"pdic_source_{sector}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its warehouse name, its name and type at the source, and what its values must be.

    ``physical_type`` is what PostgreSQL's ``format_type()`` prints. ``maximum`` and ``minimum`` are inclusive and are
    ISO dates where the column is a date or a timestamp. ``max_length`` counts characters. ``enum_labels`` runs
    parallel to ``enum`` (an empty string where a code has no label). ``on_fail`` says what becomes of a row that
    breaks the enum, the pattern, the range or the length; a missing required value always goes to quarantine.
    ``unit`` names the unit of an amount ('VND', 'million VND', 'km'). ``source_type`` is the type that the source prints,
    schema included, where the column is read by a cast to ``physical_type`` (an enum as text); None where it comes as it is.
    ``cleaning`` is the kind of cleaning by which values become what rules judge and staging holds (:mod:`pdic.cleaning`);
    enum, pattern, range and length are about the cleaned value. ``source_name`` is what raw and its rules call the column: its
    name at the source, but where PDIC keeps that for itself (:mod:`pdic.contracts.reserved`); ``renamed_from`` is the source's then.
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
    source_type: str | None = None
    cleaning: str | None = None
    renamed_from: str | None = None

    @property
    def name_at_source(self) -> str:
        """What the source itself calls the column."""
        return self.renamed_from or self.source_name

    @property
    def is_open(self) -> bool:
        """Whether readers of the schema ``shared`` may see the column."""
        return self.classification in OPEN_CLASSIFICATIONS


@dataclass(frozen=True, slots=True)
class Feed:
    """How a feed is asked and how its replies are built.

    ``records`` and ``total`` are paths in a reply: where its records are (empty: the reply is the list), and how many
    records the request matches, those of later pages included. ``cursor`` pairs each query parameter with the column
    whose last value it takes; the feed is ordered by these columns, and together they differ for any two records.
    ``event``, ``version`` and ``time`` are names at the source; ``cancel`` is the event that cancels a record (None: none).
    """

    records: tuple[str, ...]
    total: tuple[str, ...]
    page_size: int
    page_size_parameter: str
    cursor: tuple[tuple[str, str], ...]
    event: str
    cancel: str | None
    version: str
    time: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What a dataset of a sector must be.

    ``table`` is ``schema.table`` at the source, or the path of a feed's resource; ``key``, ``cursor_column`` and
    ``soft_delete_column`` are names in raw, the latter two at the source as well. ``overlap`` is how far stamps may lie behind
    the source's clock, and, where nobody can see when transactions began, the longest that one may last (zero: not stated).
    ``cursor_time_zone`` is whose time the stamps of a cursor without time zone are.
    ``cadence`` is a cron line in the province's time zone, ``freshness`` the age at which the dataset counts as stale.
    ``min_rows`` is the least number of rows that one read of the dataset may bring; ``may_be_empty`` is whether the contract
    says in so many words that it may bring none (``minRows: 0``): else a first read without a row is held.
    ``source_connections`` is how many connections a load may open at the source, ``max_bytes_per_second`` how fast it may read
    (None: as it comes).
    ``agency_column`` is the source column whose value is the code of the agency that owns a row (None: the dataset is
    the agency's as a whole).
    ``encoding`` is what the texts of a database are written in that does not say so itself (SQL_ASCII), one of
    `pdic.encodings.NAMES`; None where the server says it.
    ``key_guessed``: onboarding found the key in the rows, and nobody has confirmed it.
    ``row_security_agreed``: what the login sees at the source is the dataset, although policies may hide rows from it.
    ``connection`` is the id of the connection to read it by, '' for ``pdic_source_<sector>``.
    ``max_deleted_share`` is the share of a dataset's keys (0 to 1) that one sweep may find deleted at the source before
    an operator has to approve. ``publication`` is the source's publication that a cdc load reads (None: the one named
    after the dataset), ``max_retained_bytes`` how much log the source may keep for its slot before that is worth a
    warning. ``statement_timeout`` ends one read of the source, ``idle_timeout`` a session there that does
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
    feed: Feed | None = None
    connection: str = ""
    publication: str | None = None
    max_retained_bytes: int = 1 << 30
    cursor_time_zone: str | None = None
    statement_timeout: timedelta = timedelta(hours=4)
    idle_timeout: timedelta = timedelta(minutes=10)
    agency_column: str | None = None
    may_be_empty: bool = False
    row_security_agreed: bool = False
    encoding: str | None = None
    key_guessed: bool = False

    @property
    def source_connection(self) -> str:
        """Id of the connection that reads the source: the contract's own, else that of the sector."""
        return self.connection or default_connection(self.sector)

    @property
    def raw_table(self) -> str:
        """Name of the dataset's table in the schemas ``raw`` and ``quarantine``, and the stem of its batch tables."""
        return f"{self.sector}__{self.dataset}"

    @property
    def table_schema(self) -> str:
        """Schema of the table at the source."""
        return table_parts(self.table)[0]

    @property
    def table_name(self) -> str:
        """Name of the table at the source, without its schema."""
        return table_parts(self.table)[1]

    @property
    def key_at_source(self) -> tuple[str, ...]:
        """The key's columns by the names that the source itself gives them."""
        return tuple(self.column(name).name_at_source for name in self.key)

    def column(self, source_name: str) -> Column:
        """The column with this name in raw. Raises KeyError where the contract has none."""
        for column in self.columns:
            if column.source_name == source_name:
                return column
        raise KeyError(f"{self.path}: no column {source_name!r}")


@dataclass(frozen=True, slots=True)
class SharedContract:
    """What a published table is: the columns readers see, its grain, and which of its rows are hidden.

    ``key`` names the columns whose values identify a row. A ``restricted`` table may hold columns that the schema ``shared`` must not show.
    ``min_rows`` is None where an empty table is acceptable. ``limits`` are this table's own limits of how much a release may differ from
    the live one, as written; those that are not named are the usual ones. ``path`` is relative to the root.
    """

    id: str
    table: str
    version: str
    status: str
    title: str
    description: str
    description_en: str
    grain: str
    restricted: bool
    min_rows: int | None
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    path: Path
    limits: Mapping[str, float | bool | None] = field(default_factory=dict)

    @property
    def open_columns(self) -> tuple[Column, ...]:
        """The columns that the view in the schema ``shared`` shows."""
        return tuple(column for column in self.columns if column.is_open)
