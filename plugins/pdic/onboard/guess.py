"""From the facts of a table to a draft of its contract, in which every guess is listed so that a person can look at it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, cast, get_args

from pdic.contracts.model import Capture, Classification, Deletes
from pdic.errors import OnboardError
from pdic.onboard.classify import classify
from pdic.onboard.introspect import TableFacts
from pdic.onboard.names import fold, snake_case
from pdic.sources.catalogue import SourceColumn

_STAMP: Final = re.compile(
    r"(^|_)(updated?(_?(at|on|date|time|ts|timestamp))?|last_?(update|updated|modified|change|changed)(_?(at|on|date|time))?"
    r"|modified(_?(at|on|date|time))?|changed_?(at|on)|date_?(updated|modified)|ngay_?cap_?nhat|(thoi_?gian|tg|luc)_?cap_?nhat|ngay_?sua|thoigiancapnhat)$"
)
_FLAG: Final = re.compile(r"(is_?)?(deleted|removed)|(da_?)?xoa|(is_?)?delete_?flag")
_FACTS: Final = frozenset({"physicalType", "columns"})
"""What a draft says of a dataset without having guessed it."""
_BRACES: Final = re.compile(r"[{}]")


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
    """A contract to be."""

    sector: str
    dataset: str
    facts: TableFacts
    key: tuple[str, ...]
    capture: Capture
    cursor_column: str | None
    deletes: Deletes
    soft_delete_column: str | None
    columns: tuple[ColumnDraft, ...]
    guesses: tuple[Guess, ...]
    guessed: frozenset[str]
    row_security_agreed: bool = False

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
                draft = replace(draft, capture="snapshot", cursor_column=None, deletes="none", soft_delete_column=None)
        return replace(draft, columns=tuple(columns.values()))


def guess_contract(facts: TableFacts, sector: str, dataset: str) -> Draft:
    """A draft for one table. Raises `OnboardError` where it has no key, or a name that models cannot hold."""
    guesses: list[Guess] = []

    def note(column: str | None, what: str, value: str, why: str, options: Iterable[str] = ()) -> None:
        guesses.append(Guess(dataset, column, what, value, why, tuple(options)))

    if snake_case(facts.name) != facts.name or dataset != facts.name:
        note(None, "dataset", dataset, f"folded from the table's name {facts.name!r}")
    key = _key(facts, note)
    for column in facts.table.columns:
        if _BRACES.search(column.name):
            raise OnboardError(
                f"{facts.written}: the name of column {column.name!r} holds a brace, which models cannot write: have a view "
                "made that calls it otherwise, and onboard the view"
            )
    folded = fold((column.name for column in facts.table.columns), snake_case(facts.name) or "column")
    columns = tuple(_column(facts, column, folded[column.name], key, note) for column in facts.table.columns)
    capture, cursor_column, deletes, soft_delete_column = _capture(facts, note)
    if facts.empty and capture == "snapshot":
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
    said = {"key"} if facts.found_key and facts.found_key.named else set()
    return Draft(
        sector,
        dataset,
        facts,
        key,
        capture,
        cursor_column,
        deletes,
        soft_delete_column,
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


def _capture(facts: TableFacts, note: Any) -> tuple[Capture, str | None, Deletes, str | None]:
    whole = "it is read whole and its difference kept: right for every table, dear for large ones"
    stamps = [column for column in facts.table.columns if _STAMP.search(snake_case(column.name))]
    for column in stamps:
        zoned = re.fullmatch(r"timestamp(\(\d\))? with time zone", column.carrier or "")
        if not (column.not_null and column.name in facts.indexed and zoned):
            continue
        flag = next(
            (
                flag.name
                for flag in facts.table.columns
                if flag.carrier == "boolean" and _FLAG.fullmatch(snake_case(flag.name))
            ),
            None,
        )
        why = f"{column.name} is indexed and never empty, and its name says that every change moves it forward: see that it does"
        note(None, "capture", "cursor", why, get_args(Capture))
        if flag:
            note(None, "softDeleteColumn", flag, "its name says that it marks deleted rows")
        return "cursor", column.name, "soft" if flag else "reconcile", flag
    if stamps:
        whole = f"{stamps[0].name} may be empty, or is not indexed, or has no time zone, so {whole}"
    note(None, "capture", "snapshot", whole, ("snapshot",))
    return "snapshot", None, "none", None


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
