"""The part of a contract that says how a feed's replies are built and paged (custom property ``feed``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pdic.contracts import pg_types
from pdic.contracts.findings import Findings, listed
from pdic.contracts.model import Column, Feed

_PLACE: Final = "customProperties.feed"
_FIELDS: Final = frozenset(
    {"records", "total", "pageSize", "pageSizeParameter", "cursor", "event", "cancel", "version", "time"}
)
_RESOURCE: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_PARAMETER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]*")
_CURSOR_TYPES: Final = ("integer", "timestamp", "date", "string")
MAX_PAGE_SIZE: Final = 10_000


def check_resource(path: str, findings: Findings) -> None:
    """Note where ``path`` is not the path of a resource: no query, no host, no way out through dots."""
    if not _RESOURCE.fullmatch(path):
        findings.add("schema[0].physicalName", f"{path!r} is not a resource's path", "write it like /v1/hoso")


def read_feed(
    properties: Mapping[str, Any], capture: str, deletes: str, columns: Mapping[str, Column], findings: Findings
) -> Feed | None:
    """The feed's shape; None where the capture is another. ``columns`` are by their name at the source."""
    value = properties.get("feed")
    if capture != "feed":
        if value is not None:
            findings.add(_PLACE, "only capture: feed uses it", "take it out, or say capture: feed")
        return None
    if not isinstance(value, dict):
        what = "capture: feed needs it" if value is None else "it is not a mapping"
        findings.add(_PLACE, what, f"say how the feed is paged: {listed(_FIELDS)}")
        return None
    for name in value:
        if name not in _FIELDS:
            findings.add(f"{_PLACE}.{name}", "there is no such field", f"use one of {listed(_FIELDS)}")
    if deletes == "reconcile":
        findings.add("customProperties.deletes", "a feed says itself what is cancelled", "say soft or none")
    return Feed(
        records=_steps(value, "records", findings, may_be_root=True),
        total=_steps(value, "total", findings),
        page_size=_page_size(value, findings),
        page_size_parameter=_parameter(value.get("pageSizeParameter"), f"{_PLACE}.pageSizeParameter", findings),
        cursor=_cursor(value, columns, findings, overlap="overlap" in properties),
        event=_column(value, "event", ("string",), columns, findings),
        cancel=_cancel(value, deletes, columns, findings),
        version=_column(value, "version", ("integer",), columns, findings),
        time=_column(value, "time", ("timestamp",), columns, findings),
    )


def _steps(value: Mapping[str, Any], name: str, findings: Findings, *, may_be_root: bool = False) -> tuple[str, ...]:
    words = value.get(name, "" if may_be_root else None)
    if not isinstance(words, str) or not (words or may_be_root) or (words and not all(words.split("."))):
        findings.add(f"{_PLACE}.{name}", f"{words!r} is not a path in the reply", "write it like data.items")
        return ()
    return tuple(words.split(".")) if words else ()


def _page_size(value: Mapping[str, Any], findings: Findings) -> int:
    size = value.get("pageSize")
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_PAGE_SIZE:
        findings.add(f"{_PLACE}.pageSize", f"{size!r} is no page size", f"say how many records, 1 to {MAX_PAGE_SIZE}")
        return 1
    return size


def _parameter(name: object, place: str, findings: Findings) -> str:
    if not isinstance(name, str) or not _PARAMETER.fullmatch(name):
        findings.add(place, f"{name!r} is not the name of a query parameter", "write it like limit")
    return str(name)


def _column(
    value: Mapping[str, Any], name: str, kinds: tuple[str, ...], columns: Mapping[str, Column], findings: Findings
) -> str:
    place, source_name = f"{_PLACE}.{name}", str(value.get(name))
    column = columns.get(source_name)
    if column is None:
        what = "it is missing" if value.get(name) is None else f"there is no column {source_name!r}"
        findings.add(place, what, "name the column as the feed does")
        return source_name
    if not any(pg_types.fits(column.physical_type, kind) for kind in kinds):
        findings.add(place, f"{source_name} is {column.physical_type}", f"name a column that is {' or '.join(kinds)}")
    if not column.required:
        findings.add(place, f"{source_name} may be empty", "say required: true for it")
    return source_name


def _cursor(
    value: Mapping[str, Any], columns: Mapping[str, Column], findings: Findings, *, overlap: bool
) -> tuple[tuple[str, str], ...]:
    place, found = f"{_PLACE}.cursor", value.get("cursor")
    if not isinstance(found, dict) or not found:
        todo = "map each parameter to the column whose last value it takes, in the feed's order"
        findings.add(place, "it is missing" if found is None else "it is not a mapping", todo)
        return ()
    for parameter, name in found.items():
        _parameter(parameter, f"{place}.{parameter}", findings)
        _column({f"cursor.{parameter}": name}, f"cursor.{parameter}", _CURSOR_TYPES, columns, findings)
        column = columns.get(str(name))
        if column is not None and not column.is_open:
            what = f"{name} is {column.classification}, and a cursor's values stand in the ledger and in web logs"
            findings.add(f"{place}.{parameter}", what, "page by public or internal columns")
    first = columns.get(str(next(iter(found.values()))))
    if overlap and first is not None and pg_types.logical_type(first.physical_type) != "timestamp":
        what = f"the cursor begins with {first.source_name}, which is {first.physical_type}"
        findings.add("customProperties.overlap", what, "only a cursor by time can reach back; take it out")
    return tuple((str(parameter), str(name)) for parameter, name in found.items())


def _cancel(value: Mapping[str, Any], deletes: str, columns: Mapping[str, Column], findings: Findings) -> str | None:
    place, cancel = f"{_PLACE}.cancel", value.get("cancel")
    if deletes != "soft":
        if cancel is not None:
            findings.add(place, "only deletes: soft uses it", "say deletes: soft")
        return None
    column = columns.get(str(value.get("event")))
    if not isinstance(cancel, str) or not cancel:
        findings.add(place, "deletes: soft needs it", "say which event cancels a record, like CANCEL")
        return None
    if column is not None and column.enum and cancel not in column.enum:
        findings.add(place, f"{cancel!r} is no code of {column.source_name}", "use a code of the column's enum")
    return cancel
