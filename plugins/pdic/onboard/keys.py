"""Which columns tell a table's rows apart where nobody declared it: the smallest combination that does, or why there is none.

A sample throws combinations out fast, and the whole table proves the one that is left. Values stay at the source: the sample
is of hashes. What is found holds for the rows as they are now; whoever reads the draft decides whether it will hold tomorrow.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from psycopg2 import errors, sql

from pdic.contracts import key_identity, pg_types
from pdic.contracts.columns import MOST_KEY_COLUMNS
from pdic.errors import OnboardError
from pdic.onboard import belonging
from pdic.onboard.attempt import attempt
from pdic.onboard.belonging import Belonging
from pdic.sources.names import Name
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.sources.catalogue import SourceColumn, SourceTable

COUNTED_ROWS: Final = 2_000_000
"""A key that nobody declared is looked for in tables up to this size only: proving one reads them whole."""
LOOKED_AT: Final = 100
"""So many columns are looked at, in the table's order."""
COMBINED: Final = 14
"""So many of them are combined, the likeliest first."""
LARGEST: Final = 4
"""Combinations have up to so many columns; larger ones are only found by leaving columns out of all together."""
SAMPLE_ROWS: Final = 5_000
FEW_ROWS: Final = 20
"""Fewer rows than this differ in much by chance."""
MOST_PROOFS: Final = 12
SEARCH_SECONDS: Final = 45.0
CHECK_SECONDS: Final = 600
"""A key that somebody names is checked for up to this long."""
LONGEST_KEY: Final = 500
"""Bytes of a text that may be part of a key: longer ones are texts, and no index holds them."""

_LIKE_AN_ID: Final = re.compile(
    r"(^|_)(id|uuid|guid|ma|code|so|no|nr|num|number|key|stt|seq|ref)(_|$)|(id|code|no|key)$"
)
_DOUBTFUL: Final = re.compile(r"real|double precision|numeric.*|timestamp.*|time .*|interval.*|boolean")
"""Types whose values differ by chance rather than by nature: measures and moments."""


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that the rows have, () where there is none; ``words`` say how it was found, or what was tried.

    ``named``: somebody said so, and nothing was guessed.
    """

    key: tuple[str, ...]
    words: str
    named: bool = False


def find(
    connection: Connection,
    relation: sql.Composable,
    table: SourceTable,
    *,
    unique: Sequence[tuple[str, ...]] = (),
    expected_rows: float,
    belongs: Belonging,
) -> FoundKey:
    """The smallest key of a table that holds rows. ``unique`` are its unique indexes over columns that may be empty, those that
    ``belongs`` to the table first.

    Bounded: by `COUNTED_ROWS`, the number of combinations and proofs, and `SEARCH_SECONDS`.
    """
    if expected_rows > COUNTED_ROWS:
        return FoundKey(
            (),
            f"it holds about {expected_rows:,.0f} rows, and a key is only looked for in tables of up to {COUNTED_ROWS:,}",
        )
    columns = {column.name: column for column in table.columns if _comparable(column)}
    columns = dict(list(columns.items())[:LOOKED_AT])
    if not columns:
        return FoundKey((), "none of its columns is of a type whose values can be compared")
    search = _Search(connection, relation, table, columns, belongs)
    try:
        with attempt(connection):
            return search.run(unique)
    except errors.QueryCanceled:
        return FoundKey(
            (), f"{search.tried_words()}, until reading it took longer than the time that a look at a source may take"
        )


def check(
    connection: Connection, relation: sql.Composable, table: SourceTable, written: str, key: Sequence[str]
) -> FoundKey:
    """The key that somebody names, held against all rows. Raises `OnboardError` in one sentence where it does not hold."""
    columns = {column.name: column for column in table.columns}
    said = ", ".join(key)
    require_columns(table, written, key)
    if len(set(key)) != len(key) or not key:
        raise OnboardError(f"--key {said}: name each column once")
    if len(key) > MOST_KEY_COLUMNS:
        raise OnboardError(f"--key names {len(key)} columns: a key has at most {MOST_KEY_COLUMNS}")
    incomparable = [name for name in key if not _comparable(columns[name])]
    if incomparable:
        raise OnboardError(
            f"{written}: values of {', '.join(incomparable)} cannot be compared, so no key can hold them: name other columns"
        )
    values = [_value(columns[name]) for name in key]
    statement = sql.SQL(
        """
        select coalesce(sum(row_count), 0), coalesce(sum(row_count) filter (where is_empty), 0),
            coalesce(sum(row_count) filter (where row_count > 1 and not is_empty), 0)
        from (
            select count(*) as row_count, bool_or({empty}) as is_empty from {relation} group by {values}
        ) as row_group
        """
    ).format(
        empty=sql.SQL(" or ").join(sql.SQL("{} is null").format(value) for value in values),
        relation=relation,
        values=sql.SQL(", ").join(values),
    )
    try:
        with attempt(connection, seconds=CHECK_SECONDS), connection.cursor() as cursor:
            cursor.execute(statement)
            rows, empty, shared = (int(number) for number in one(cursor))
    except errors.QueryCanceled:
        raise OnboardError(
            f"{written}: whether {said} is a key could not be proven within {CHECK_SECONDS // 60} minutes: have the key declared "
            "at the source"
        ) from None
    if empty:
        raise OnboardError(f"{written}: {said} is no key: {empty:,} of {rows:,} rows are empty in one of its columns")
    if shared:
        raise OnboardError(
            f"{written}: {said} is no key: {shared:,} of {rows:,} rows have the same values there as another row"
        )
    if not rows:
        return FoundKey(tuple(key), "named by --key; the table is empty, so nothing proves it yet", named=True)
    return FoundKey(tuple(key), f"named by --key; it tells all {rows:,} rows apart as they are now", named=True)


def require_columns(table: SourceTable, written: str, key: Sequence[str]) -> None:
    """Raises `OnboardError` where the table has no column of a name that somebody says is of its key."""
    columns = [column.name for column in table.columns]
    if unknown := [name for name in key if name not in columns]:
        raise OnboardError(
            f"{written} has no column {', '.join(unknown)} that this login may read: --key takes the source's names, "
            f"which are {', '.join(columns)}"
        )


class _Search:
    """One search as it goes on."""

    def __init__(
        self,
        connection: Connection,
        relation: sql.Composable,
        table: SourceTable,
        columns: Mapping[str, SourceColumn],
        belongs: Belonging,
    ) -> None:
        self.connection = connection
        self.relation = relation
        self.table = table
        self.columns = columns
        self.belongs = belongs
        self.ends = time.monotonic() + SEARCH_SECONDS
        self.rows = 0
        self.with_empty: list[str] = []
        self.too_long: list[str] = []
        self.filled: list[str] = []
        self.tried = 0
        self.proofs = 0
        self.sample: dict[str, list[int]] = {}

    def run(self, unique: Sequence[tuple[str, ...]]) -> FoundKey:
        self._count()
        for names in unique:
            if set(names) <= set(self.filled):
                words = "they have a unique index; it allows empty values, of which there are none now"
                return FoundKey(names, words)
        self._take_sample()
        ranked = self._ranked()
        for names in self._candidates(ranked):
            self.tried += 1
            if self._differ_in_sample(names) and self._proven(names):
                return FoundKey(names, self._found_words(names))
            if self.proofs >= MOST_PROOFS or time.monotonic() > self.ends:
                break
        if names := self._left_of_all(ranked):
            return FoundKey(names, self._found_words(names))
        return FoundKey((), self._none_words())

    def tried_words(self) -> str:
        """What was tried, for whoever has to find a key."""
        if not self.rows:
            return "a key was looked for in its rows"
        largest = min(LARGEST, len(self.filled))
        these = f"{min(len(self.filled), COMBINED)} columns ({_some(self.filled)})"
        return (
            f"{self.tried:,} combinations of up to {largest} of its {these} were tried over all {self.rows:,} rows"
            if self.filled
            else f"none of its columns can be part of a key in all of its {self.rows:,} rows"
        )

    def _count(self) -> None:
        """Rows, and which columns are filled in all of them and short enough, in one read of the table."""
        counts: list[sql.Composable] = [sql.SQL("count(*)")]
        for column in self.columns.values():
            value = _value(column)
            counts.append(sql.SQL("count({})").format(value))
            text = column.carrier is None or pg_types.is_text(column.carrier) or column.carrier.endswith("[]")
            counts.append(sql.SQL("max(octet_length({}::text))").format(value) if text else sql.SQL("0"))
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL("select {} from {}").format(sql.SQL(", ").join(counts), self.relation))
            self.rows, *found = one(cursor)
        for name, filled, longest in zip(self.columns, found[::2], found[1::2], strict=True):
            if filled < self.rows:
                self.with_empty.append(name)
            elif longest > LONGEST_KEY:
                self.too_long.append(name)
            else:
                self.filled.append(name)

    def _take_sample(self) -> None:
        """Hashes of the first rows' values: two rows that are alike in them are alike in the table."""
        if not self.filled:
            return
        hashes = sql.SQL(", ").join(
            sql.SQL('hashtextextended({}::text collate "C", 0)').format(_value(self.columns[name]))
            for name in self.filled
        )
        with self.connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("select {} from {} limit {}").format(hashes, self.relation, sql.Literal(SAMPLE_ROWS))
            )
            rows = cursor.fetchall()
        self.sample = {name: [row[place] for row in rows] for place, name in enumerate(self.filled)}

    def _ranked(self) -> list[str]:
        """The columns that may be part of a key, the likeliest first: called like an id, of a type for that, telling."""

        def rank(name: str) -> tuple[bool, bool, int]:
            doubtful = _DOUBTFUL.fullmatch(self.columns[name].carrier or "") is not None
            return (not _like_an_id(name), doubtful, -len(set(self.sample[name])))

        return sorted(self.filled, key=rank)

    def _candidates(self, ranked: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Every column alone, the table's own first, then combinations of the likeliest, small ones and likely ones first."""
        yield from ((name,) for name in sorted(ranked, key=self._strangeness))
        most_telling = sorted(ranked, key=lambda name: -len(set(self.sample[name])))
        chosen = set(ranked[: COMBINED // 2])
        chosen.update([name for name in most_telling if name not in chosen][: COMBINED - len(chosen)])
        places = [place for place, name in enumerate(ranked) if name in chosen]
        for size in range(2, LARGEST + 1):
            for combination in sorted(combinations(places, size), key=sum):
                yield tuple(ranked[place] for place in combination)

    def _strangeness(self, name: str) -> int:
        """How little a column alone seems to be the table's key: one that points to another table is unique by chance."""
        of = self.belongs.of(name)
        if of == belonging.PLAIN and not (_like_an_id(name) or name == self.table.columns[0].name):
            return belonging.FOREIGN + 1
        return of

    def _left_of_all(self, ranked: Sequence[str]) -> tuple[str, ...]:
        """All columns together, without those that are not needed; () where they are too few, or do not do it."""
        everything = list(ranked[:MOST_KEY_COLUMNS])
        if len(everything) <= LARGEST or not self._differ_in_sample(everything):
            return ()
        fewer = everything
        for name in reversed(everything):
            without = [other for other in fewer if other != name]
            if without and self._differ_in_sample(without):
                fewer = without
        return next((tuple(names) for names in (fewer, everything) if self._proven(names)), ())

    def _differ_in_sample(self, names: Sequence[str]) -> bool:
        columns = [self.sample[name] for name in names]
        rows = len(columns[0])
        if math.prod(len(set(column)) for column in columns) < rows:
            return False
        return len(set(zip(*columns, strict=True))) == rows

    def _proven(self, names: Sequence[str]) -> bool:
        """Whether no two rows of the whole table are equal in these columns; False where the time is over."""
        if time.monotonic() > self.ends:
            return False
        self.proofs += 1
        values = sql.SQL(", ").join(_value(self.columns[name]) for name in names)
        statement = "select not exists (select from {} group by {} having count(*) > 1)"
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(self.relation, values))
            return bool(one(cursor)[0])

    def _copies(self) -> int:
        """How many rows are the same as another one in every column."""
        texts = sql.SQL(", ").join(
            _value(self.columns[column.name])
            if column.name in self.columns
            else sql.SQL("{}::text").format(Name(column.name))
            for column in self.table.columns
        )
        statement = """
            select coalesce(sum(row_count), 0)
            from (select count(*) as row_count from {} group by {} having count(*) > 1) as row_group
        """
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(self.relation, texts))
            return int(one(cursor)[0])

    def _found_words(self, names: Sequence[str]) -> str:
        size = len(names)
        few = f", and none of {self.tried - 1:,} likelier or smaller ones does" if self.tried > 1 else ""
        what = "it tells" if size == 1 else "together they tell"
        doubt = ": so few rows say little" if self.rows < FEW_ROWS else ""
        if size == 1 and self.belongs.of(names[0]) == belonging.FOREIGN:
            doubt += "; but its name points to another table, so two rows may have the same value later"
        return f"nothing is declared; {what} all {self.rows:,} rows apart as they are now{few}{doubt}"

    def _none_words(self) -> str:
        words = [f"{self.tried_words()}, and none tells its rows apart"] if self.filled else [self.tried_words()]
        if time.monotonic() > self.ends or self.proofs >= MOST_PROOFS:
            words.append("the search was ended there")
        if self.with_empty:
            words.append(f"{_some(self.with_empty)} may be no part of a key, for some rows are empty there")
        if self.too_long:
            words.append(f"texts in {_some(self.too_long)} are too long for one")
        if copies := self._copies():
            words.append(f"{copies:,} rows are the same as another one in every column")
        return "; ".join(words)


def _like_an_id(name: str) -> bool:
    return _LIKE_AN_ID.search(name.lower()) is not None


def _comparable(column: SourceColumn) -> bool:
    if column.carrier is None:
        return not column.type.endswith("[]")  # carried as text
    return key_identity.problem(column.carrier, column.type) is None


def _value(column: SourceColumn) -> sql.Composable:
    """The column as the warehouse holds it."""
    name = Name(column.name)
    if column.carrier is None:
        return sql.SQL("{}::text").format(name)
    return sql.SQL("{}::{}").format(name, sql.SQL(column.carrier)) if column.cast else name  # a type of the closed list


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
