"""Which drafts a person should look at, and what at: guesses that nobody has confirmed, read from the marks in the contracts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pdic.contracts import readable, unreadable, yaml_text
from pdic.errors import OnboardError


@dataclass(frozen=True, slots=True)
class Finding:
    """One guess that stands in a contract. ``column`` is the warehouse's name, None where it is about the dataset."""

    kind: str
    dataset: str
    column: str | None
    value: str
    contract: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of guess, and what of a contract is one: by its dataset's or a column's fields, properties and marks."""

    meaning: str
    of_dataset: Callable[[Mapping[str, Any], Collection[str]], bool] = lambda properties, guessed: False
    of_column: Callable[[Mapping[str, Any], Mapping[str, Any], Collection[str]], bool] = lambda column, own, guessed: (
        False
    )


def _class(name: str) -> Callable[[Mapping[str, Any], Mapping[str, Any], Collection[str]], bool]:
    return lambda column, _, guessed: "classification" in guessed and column.get("classification") == name


KINDS: Final[Mapping[str, _Kind]] = {
    "guessed-keys": _Kind("keys that nobody declared", of_dataset=lambda _, guessed: "key" in guessed),
    "cursors": _Kind(
        "loads that go by a column",
        of_dataset=lambda own, guessed: "capture" in guessed and own.get("capture") == "cursor",
    ),
    "identifiers": _Kind("columns taken for numbers of people or papers", of_column=_class("identifier")),
    "sensitive": _Kind("columns taken for sensitive", of_column=_class("sensitive")),
    "internal": _Kind("columns that may be shared without being named", of_column=_class("internal")),
    "personal": _Kind("columns taken for personal", of_column=_class("personal")),
    "names": _Kind(
        "names that were folded",
        of_dataset=lambda _, guessed: "dataset" in guessed,
        of_column=lambda _, __, guessed: "name" in guessed,
    ),
    "agency": _Kind("whose data it is", of_dataset=lambda _, guessed: "agency" in guessed),
    "empty": _Kind("tables that were empty", of_dataset=lambda _, guessed: "minRows" in guessed),
}
"""In the order in which a person should look."""

USUAL: Final = ("guessed-keys", "cursors", "identifiers", "sensitive", "agency")
"""Wrong guesses of these kinds lose rows, or show what may not be shown."""


def review(root: Path, only: Collection[str] = (), sector: str | None = None) -> list[Finding]:
    """The guesses of the kinds ``only`` (none: `USUAL`) that stand in the contracts under ``root`` (of one sector, or of all).

    Sorted by kind, then by dataset. A person who has looked takes the mark `guessed` out of the contract. Raises `OnboardError`
    for a kind that is none. A contract that cannot be read is left out, and `unseen` says so.
    """
    unknown = sorted(set(only) - KINDS.keys())
    if unknown:
        raise OnboardError(f"there is no kind of guess {', '.join(unknown)}: say one of {', '.join(KINDS)}")
    wanted = only or USUAL
    documents = [
        (contract.path, yaml_text.load((root / contract.path).read_text(encoding="utf-8")))
        for contract in readable(root).values()
        if sector in (None, contract.sector)
    ]
    return [
        finding
        for name, kind in KINDS.items()
        if name in wanted
        for path, document in documents
        for finding in _findings(name, kind, path, document)
    ]


def unseen(root: Path, sector: str | None = None) -> list[str]:
    """A sentence for each contract (of one sector, or of all) that `review` cannot read."""
    return [
        f"{' '.join(str(error.problems[0]).split())}. It was left out of this list"
        for (of, _), error in unreadable(root).items()
        if sector in (None, of)
    ]


def _findings(name: str, kind: _Kind, path: Path, document: Mapping[str, Any]) -> Iterator[Finding]:
    own = _properties(document)
    (table,) = document["schema"]
    if kind.of_dataset(own, own.get("guessed", ())):
        yield Finding(name, document["id"], None, _value(name, document, own, table), path.as_posix())
    for column in table["properties"]:
        of_column = _properties(column)
        if kind.of_column(column, of_column, of_column.get("guessed", ())):
            value = column["physicalName"] if name == "names" else column["classification"]
            yield Finding(name, document["id"], column["name"], value, path.as_posix())


def _value(name: str, document: Mapping[str, Any], own: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    keys = sorted(
        (column.get("primaryKeyPosition", 0), column["name"])
        for column in table["properties"]
        if column.get("primaryKey")
    )
    values = {
        "guessed-keys": ", ".join(name for _, name in keys),
        "cursors": own.get("cursorColumn", ""),
        "agency": (document.get("team") or {}).get("name", ""),
        "names": table["physicalName"],
        "empty": "minRows: 0",
    }
    return str(values[name])


def _properties(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {item["property"]: item["value"] for item in entry.get("customProperties") or ()}
