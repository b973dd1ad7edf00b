"""One reply of a feed, read and proven: is it a page, does it follow the page before, which of its values cannot be kept?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from pdic.contracts import pg_types
from pdic.errors import DriftError, LoadError
from pdic.sources.rest.reply import Reply, Transient, from_json

if TYPE_CHECKING:
    from pdic.contracts import Contract

Cursor = Mapping[str, str]
"""Query parameter → the value to go on after, as the feed wrote it."""

ENOUGH_TO_MISS: Final = 20
"""A required field that this many records lack is gone from the feed; fewer may each be wrong."""

_BAD_ESCAPE: Final = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u(?:0000|[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\u)[dD][c-fC-F][0-9a-fA-F]{2})"
)
_UNKEEPABLE: Final = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Page:
    """What a reply holds.

    ``total`` is how many records the request matches. ``last`` is the cursor after the page (None: no records).
    ``text`` is the body as PostgreSQL can read it. ``unreadable`` maps positions (from 1) to fields whose text PostgreSQL cannot hold.
    ``unknown`` are fields that the contract does not name.
    """

    records: int
    total: int
    last: Cursor | None
    text: str
    unreadable: Mapping[int, Sequence[str]]
    unknown: frozenset[str]


def read_page(contract: Contract, reply: Reply, after: Cursor | None) -> Page:
    """The page in `reply`, asked for with the cursor `after` (None: from the beginning).

    Raises `Transient` where the reply is no whole page or not the one that was asked for, `LoadError` or `DriftError` where
    the feed is not what the contract says.
    """
    feed = contract.feed
    assert feed is not None
    text, document = _parse(reply)
    records, total = _find(document, feed.records), _find(document, feed.total)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise Transient(f"sent no list of records at {'.'.join(feed.records) or 'the top'}")
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise Transient(f"sent no total at {'.'.join(feed.total)}")
    if total < len(records):
        raise Transient(f"sent {len(records)} records and says that they are {total}")
    last, bound = after, sort_key(contract, after) if after is not None else None
    for position, record in enumerate(records, 1):
        _require_envelope(contract, record, position)
        last = {parameter: _as_text(record[column]) for parameter, column in feed.cursor}
        here = sort_key(contract, last)
        if bound is not None and not bound < here:
            raise Transient("sent a page that repeats records or has them out of order")
        bound = here
    return Page(
        records=len(records),
        total=total,
        last=last if records else None,
        text=text,
        unreadable=_unkeepable(contract, records) if "\\u" in text else {},
        unknown=_check_fields(contract, records),
    )


def reach_back(contract: Contract, position: Cursor) -> Cursor:
    """Where a load begins that goes on after `position`: earlier by the contract's overlap, where it has one."""
    assert contract.feed is not None
    if not contract.overlap:
        return position
    parameter, _ = contract.feed.cursor[0]
    return {parameter: (_moment(position[parameter]) - contract.overlap).isoformat()}


def _parse(reply: Reply) -> tuple[str, Any]:
    if not reply.body.strip():
        raise Transient("sent an empty reply")
    try:
        text = reply.body.decode("utf-8-sig")
        document = from_json(text, parse_constant=_no_constant)
    except ValueError as error:
        if reply.body.lstrip()[:1] == b"<" or "html" in reply.content_type.lower():
            raise Transient("sent a web page instead of data, perhaps its login page") from None
        broken = "not in UTF-8" if isinstance(error, UnicodeDecodeError) else "cut off or broken"
        raise Transient(f"sent JSON that is {broken}") from None
    return _BAD_ESCAPE.sub(r"\1\\ufffd", text), document


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _find(document: Any, path: Sequence[str]) -> Any:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _require_envelope(contract: Contract, record: Mapping[str, Any], position: int) -> None:
    """Without key, event, version, time and cursor there is no telling what a record is about: the load stops."""
    feed = contract.feed
    assert feed is not None
    for column in (*contract.key, feed.event, feed.version, feed.time, *(name for _, name in feed.cursor)):
        if isinstance(record.get(column), dict | list | None):
            raise unusable(contract, column, position)


def unusable(contract: Contract, column: str, position: int, page: int | None = None) -> LoadError:
    """The error for a record that cannot be placed."""
    where = f"record {position} of page {page}" if page is not None else f"record {position} of a page"
    return LoadError(
        f"{contract.id}: {where} has no usable {column}, so there is no telling which record it is or how new. Nothing was "
        f"accepted. The page lies in the schema landing; have {contract.owner_agency} correct the record, then load again."
    )


def _check_fields(contract: Contract, records: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    found = frozenset().union(*records)
    gone = sorted(c.source_name for c in contract.columns if c.required and c.source_name not in found)
    if gone and len(records) >= ENOUGH_TO_MISS:
        raise DriftError(
            f"{contract.id}: no record of a whole page has {', '.join(gone)}, which the contract requires. Agree the change "
            f"with {contract.owner_agency}, edit {contract.path}, run `pdic contracts compile`, load again."
        )
    return found - {column.source_name for column in contract.columns}


def _unkeepable(contract: Contract, records: Sequence[Mapping[str, Any]]) -> dict[int, list[str]]:
    """Columns with a NUL or half a surrogate pair, which no PostgreSQL text can hold."""
    names = [column.source_name for column in contract.columns]
    return {
        position: columns
        for position, record in enumerate(records, 1)
        if (columns := [name for name in names if any(map(_UNKEEPABLE.search, _strings(record.get(name))))])
    }


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def sort_key(contract: Contract, cursor: Cursor) -> tuple[Any, ...]:
    """A cursor in the order of the feed: numbers and times by size, texts by their bytes."""
    assert contract.feed is not None
    values = []
    for parameter, name in contract.feed.cursor:
        if parameter not in cursor:
            break  # a load that reaches back begins with a time alone
        kind = pg_types.logical_type(contract.column(name).physical_type)
        try:
            values.append(_ORDER[kind or "string"](cursor[parameter]))
        except ValueError:
            raise LoadError(
                f"{contract.id}: a record's {name}, by which the feed is paged, is no {kind}. Nothing was accepted; have "
                f"{contract.owner_agency} correct it, then load again."
            ) from None
    return tuple(values)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)  # all of one feed's times are written alike


_ORDER: Final[Mapping[str, Any]] = {
    "integer": int,
    "timestamp": _moment,
    "date": date.fromisoformat,
    "string": str.encode,
}
