"""From the facts of a table to a draft of its contract, in which every guess is listed so that a person can look at it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, cast, get_args

from pdic.contracts import key_identity
from pdic.contracts.model import Capture, Classification, Deletes
from pdic.contracts.reserved import MOST_COLUMNS
from pdic.errors import OnboardError
from pdic.onboard import cursors
from pdic.onboard.classify import classify
from pdic.onboard.cursors import Candidate, Wish
from pdic.onboard.introspect import TableFacts
from pdic.onboard.names import fold, snake_case
from pdic.sources.catalogue import SourceColumn

_FLAG: Final = re.compile(r"(is_?)?(deleted|removed)|(da_?)?xoa|(is_?)?delete_?flag")
_ZONE: Final = "cursorTimeZone"
NO_WISH: Final = Wish()
_FACTS: Final = frozenset({"physicalType", "columns", "cursorColumn"})
"""What a draft says of a dataset without having guessed it."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One thing that was guessed. ``column`` is the source's name, None where it is about the dataset.

    ``options`` are what may be said instead; any text where there are none.
    """

    dataset: str
    column: str | None
    what: str
    value: str
    why: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnDraft:
    """A column to be. ``guessed`` names the fields that a person has not looked at; ``held`` is why naming it is not enough to share it."""

    source: SourceColumn
    name: str
    physical_type: str
    source_type: str | None
    classification: Classification
    required: bool
    codes: tuple[str, ...]
    guessed: frozenset[str]
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A contract to be. ``candidates`` are columns that loads could go by if a person said so; empty where they go by one."""

    sector: str
    dataset: str
    facts: TableFacts
    key: tuple[str, ...]
    capture: Capture
    cursor_column: str | None
    deletes: Deletes
    soft_delete_column: str | None
    cursor_time_zone: str | None
    candidates: tuple[Candidate, ...]
    columns: tuple[ColumnDraft, ...]
    guesses: tuple[Guess, ...]
    guessed: frozenset[str]
    row_security_agreed: bool = False
    encoding: str | None = None

    def decided(self, answers: dict[Guess, str]) -> Draft:
        """The draft after a person has looked at all of its guesses; ``answers`` are those that differ or agree.

        Nothing is marked as guessed any more. Raises `OnboardError` for an answer that is none of the options.
        """
        draft = replace(self, guesses=(), guessed=frozenset())
        columns = {column.source.name: replace(column, guessed=frozenset(), held=None) for column in self.columns}
        for guess, answer in answers.items():
            if guess.options and answer not in guess.options:
                raise OnboardError(f"{guess.dataset}: {guess.what} may be {', '.join(guess.options)}, not {answer!r}")
            if guess.column is not None and guess.what == "classification":
                columns[guess.column] = replace(columns[guess.column], classification=cast(Classification, answer))
            elif guess.column is not None and guess.what == "name":
                columns[guess.column] = replace(columns[guess.column], name=answer)
            elif guess.what == "capture" and answer == "snapshot":
                draft = replace(draft, **asdict(_WHOLE))
            elif guess.what == "cursorColumn" and answer != cursors.NONE:
                zone = next((said for of, said in answers.items() if (of.column, of.what) == (answer, _ZONE)), None)
                draft = replace(draft, **asdict(_by(self.facts, answer, zone)), candidates=())
        return replace(draft, columns=tuple(columns.values()))


@dataclass(frozen=True, slots=True)
class _Captured:
    """The part of a draft that says how loads read the table; its fields are those of `Draft`."""

    capture: Capture
    cursor_column: str | None
    deletes: Deletes
    soft_delete_column: str | None
    cursor_time_zone: str | None


_WHOLE: Final = _Captured("snapshot", None, "none", None, None)


def guess_contract(facts: TableFacts, sector: str, dataset: str, wish: Wish = NO_WISH, *, must: bool = False) -> Draft:
    """A draft for one table. ``wish`` is what somebody says of its cursor; with ``must``, the table has to have that column.

    Raises `OnboardError` where it has no key, or a cursor that cannot be one.
    """
    guesses: list[Guess] = []

    def note(column: str | None, what: str, value: str, why: str, options: Iterable[str] = ()) -> None:
        guesses.append(Guess(dataset, column, what, value, why, tuple(options)))

    if snake_case(facts.name) != facts.name or dataset != facts.name:
        note(None, "dataset", dataset, f"folded from the table's name {facts.name!r}")
    key = _key(facts, note)
    _check_fits(facts, key)
    folded = fold((column.name for column in facts.table.columns), snake_case(facts.name) or "column")
    columns = tuple(_column(facts, column, folded[column.name], key, note) for column in facts.table.columns)
    capture, candidates, said = _capture(facts, wish, note, must=must)
    if facts.empty and capture.capture == "snapshot":
        note(None, "minRows", "0", "the table is empty now, so an empty read must not be held")
    if facts.children:
        children = ", ".join(facts.children)
        note(
            None,
            "physicalType",
            facts.table.kind,
            f"{children} inherit from it: their rows are theirs and not read with it",
        )
    if facts.unread:
        unread = ", ".join(facts.unread)
        note(
            None,
            "columns",
            f"without {unread}",
            f"this login may not read them; for them, its administrator runs: {facts.grant}",
        )
    if facts.table.kind in ("view", "materialized view", "foreign table"):
        note(
            None,
            "physicalType",
            facts.table.kind,
            f"it is a {facts.table.kind}: nothing there promises its key or its types",
        )
    if facts.found_key and facts.found_key.named:
        said |= {"key"}
    return Draft(
        sector,
        dataset,
        facts,
        key,
        capture.capture,
        capture.cursor_column,
        capture.deletes,
        capture.soft_delete_column,
        capture.cursor_time_zone,
        tuple(candidates),
        columns,
        tuple(guesses),
        frozenset(guess.what for guess in guesses if guess.column is None) - _FACTS - said,
    )


def _key(facts: TableFacts, note: Any) -> tuple[str, ...]:
    readable = {column.name for column in facts.table.columns}
    if facts.found_key and facts.found_key.key:
        note(None, "key", ", ".join(facts.found_key.key), facts.found_key.words)
        return facts.found_key.key
    if facts.table.key and set(facts.table.key) <= readable:
        return facts.table.key
    if facts.unique:
        key = facts.unique[0]
        note(None, "key", ", ".join(key), "the table has no primary key; these columns are unique and never empty")
        return key
    if facts.table.key:
        raise OnboardError(
            f"{facts.written}: this login may not read {', '.join(name for name in facts.table.key if name not in readable)}, "
            f"which its primary key needs: have its administrator run: {facts.grant}"
        )
    reason = facts.found_key.words if facts.found_key else "it is empty, so there is nothing to look for one in"
    raise OnboardError(
        f"{facts.written} has neither a primary key nor a unique index over columns that are never empty, and {reason}: name one "
        "with --key COLUMN,COLUMN if you know better, have its agency declare one, or have a view made that has one"
    )


def _check_fits(facts: TableFacts, key: tuple[str, ...]) -> None:
    """Raises `OnboardError` for what a contract would be refused for later: the other tables are taken on meanwhile."""
    columns = len(facts.table.columns)
    if columns > MOST_COLUMNS:
        raise OnboardError(
            f"{facts.written} has {columns} columns, and the warehouse's tables hold {MOST_COLUMNS} of a source: have a view made "
            "that leaves some out, and onboard the view"
        )
    for name in key:
        column = facts.table.column(name)
        if column is not None and column.carrier and (what := key_identity.problem(column.carrier, column.type)):
            raise OnboardError(
                f"{facts.written}: the key column {name} is {column.type}, and {what}: have its agency declare another key, "
                "or have a view made that has one, and onboard that"
            )


def _capture(facts: TableFacts, wish: Wish, note: Any, *, must: bool) -> tuple[_Captured, list[Candidate], set[str]]:
    """How the table is captured, the columns that loads could go by if a person said so, and what nobody had to guess."""
    if cursors.NONE in wish.columns:
        return _WHOLE, [], set()
    if wish.columns and (wanted := cursors.chosen(facts, wish, must=must)):
        captured = _by(facts, wanted.column, wish.zone)
        note(None, "capture", "cursor", f"named by --cursor. {wanted.words}")
        _note_flag(captured, note)
        return captured, [], {"capture"}
    found = cursors.candidates(facts, wish.zone)
    if found and not found[0].doubts:
        best = found[0].column
        captured = _by(facts, best, wish.zone)
        why = (
            f"{best} is indexed and never empty, and its name says that every change moves it forward: see that it does"
        )
        note(None, "capture", "cursor", why, ("cursor", "snapshot"))
        _note_flag(captured, note)
        return captured, [], set()
    note(
        None,
        "capture",
        "snapshot",
        "it is read whole and its difference kept: right for every table, dear for large ones",
        ("snapshot",),
    )
    if found:
        words = " | ".join(item.words for item in found)
        note(
            None,
            "cursorColumn",
            cursors.NONE,
            f"say --cursor COLUMN if every change moves it. {words}",
            (cursors.NONE, *(item.column for item in found)),
        )
        for item in found:
            if item.zoneless:
                note(
                    item.column,
                    _ZONE,
                    wish.zone or cursors.PROVINCE_ZONE,
                    "whose time is stamped there, if loads go by it",
                )
    return _WHOLE, found, set()


def _by(facts: TableFacts, column: str, zone: str | None) -> _Captured:
    """Loads go by a column; the zone counts only where it has none itself."""
    flag = next(
        (
            flag.name
            for flag in facts.table.columns
            if flag.carrier == "boolean" and _FLAG.fullmatch(snake_case(flag.name))
        ),
        None,
    )
    wanted = cursors.chosen(facts, Wish((column,), zone), must=True)
    zone = zone if wanted is not None and wanted.zoneless else None
    return _Captured("cursor", column, "soft" if flag else "reconcile", flag, zone)


def _note_flag(captured: _Captured, note: Any) -> None:
    if captured.soft_delete_column:
        note(None, "softDeleteColumn", captured.soft_delete_column, "its name says that it marks deleted rows")


def _column(facts: TableFacts, source: SourceColumn, name: str, key: tuple[str, ...], note: Any) -> ColumnDraft:
    carrier, source_type = source.carrier, source.type if source.cast else None
    if carrier is None:
        carrier, source_type = ("text[]" if source.type.endswith("[]") else "text"), source.type
        note(source.name, "physicalType", carrier, f"the warehouse has no type {source.type}: it is carried as text")
    codes = source.labels or (facts.checks.get(source.name, ()) if carrier != "text[]" else ())
    guess = classify(
        source.name,
        carrier,
        facts.samples.get(source.name, ()),
        is_key=source.name in key or source.name in facts.references,
        has_codes=bool(codes),
    )
    guessed = {"classification"}
    if name != source.name:
        guessed.add("name")
        note(source.name, "name", name, f"folded from {source.name!r}")
    why = guess.why if guess.held in (None, guess.why) else f"{guess.why}; not shared by naming it: {guess.held}"
    note(source.name, "classification", guess.classification, why, get_args(Classification))
    return ColumnDraft(
        source=source,
        name=name,
        physical_type=carrier,
        source_type=source_type,
        classification=guess.classification,
        required=source.not_null or source.name in key,
        codes=codes,
        guessed=frozenset(guessed),
        held=guess.held,
    )
