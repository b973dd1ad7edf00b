"""The columns of a contract: names, types, classes and what their values must be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from pdic import cleaning
from pdic.contracts import key_identity, pg_types, reserved
from pdic.contracts.findings import SNAKE_CASE, Findings, custom_properties, listed, text
from pdic.contracts.model import Bound, Classification, CodeValue, Column, OnFail

if TYPE_CHECKING:
    from open_data_contract_standard.model import SchemaObject, SchemaProperty

ENUM_API_VERSION: Final = "v3.2.0"
"""The version of the standard that brought code lists with labels."""
NAME_BYTES: Final = 63
"""PostgreSQL cuts longer names off."""
MOST_KEY_COLUMNS: Final = 32
"""PostgreSQL indexes no more columns together, and a key without an index is no key."""

_PROPERTIES: Final = frozenset({"descriptionEn", "onFail", "unit", "sourceType", "cleaning", "guessed", "heldBack"})
_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"pattern", "maxLength"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "date": frozenset({"minimum", "maximum"}),
    "timestamp": frozenset({"minimum", "maximum"}),
}
_CODE_TYPES: Final[Mapping[str, type]] = {"string": str, "integer": int}


def read_columns(table: SchemaObject, api_version: str, findings: Findings, *, at_source: bool) -> tuple[Column, ...]:
    """The columns of ``table`` in their order. ``at_source``: they have a name of their own at the source."""
    columns = tuple(
        _column(item, f"properties.{item.name or number}", api_version, findings, at_source=at_source)
        for number, item in enumerate(table.properties or ())
    )
    if not columns:
        findings.add("schema[0].properties", "the table has no columns", "list every column of the table")
    if len(columns) > reserved.MOST_COLUMNS:
        what = f"it has {len(columns)} columns, and the warehouse's tables hold {reserved.MOST_COLUMNS} of a source"
        findings.add("schema[0].properties", what, "leave columns out, or split the table among several contracts")
    for field, names in (
        ("name", [column.name for column in columns]),
        ("physicalName", [column.source_name for column in columns]),
    ):
        for repeated in sorted({name for name in names if names.count(name) > 1}):
            findings.add(f"properties.{repeated}.{field}", "two columns have this name", "rename one")
    in_raw = reserved.raw_names([column.source_name for column in columns])
    return tuple(
        replace(column, source_name=in_raw[column.source_name], renamed_from=column.source_name)
        if in_raw[column.source_name] != column.source_name
        else column
        for column in columns
    )


def read_key(table: SchemaObject, columns: Sequence[Column], findings: Findings) -> tuple[str, ...]:
    """The source names of the primary key's columns, in the key's order."""
    parts = [
        (item.primaryKeyPosition or 0, column)
        for item, column in zip(table.properties or (), columns, strict=True)
        if item.primaryKey
    ]
    if not parts:
        findings.add("properties", "no column is the primary key", "mark the key columns with primaryKey: true")
    if len(parts) > MOST_KEY_COLUMNS:
        what = f"the key has {len(parts)} columns, and PostgreSQL indexes {MOST_KEY_COLUMNS} together at most"
        findings.add("properties", what, "mark fewer columns with primaryKey: true")
    for _, column in parts:
        if not column.required:
            findings.add(f"properties.{column.name}.required", "a key column may not be empty", "say required: true")
        unfit = (
            key_identity.problem(column.physical_type, column.source_type)
            if pg_types.logical_type(column.physical_type)
            else None
        )
        if unfit is not None:
            findings.add(f"properties.{column.name}.primaryKey", unfit, "choose other key columns")
    positions = sorted(position for position, _ in parts)
    if len(parts) > 1 and positions != list(range(1, len(parts) + 1)):
        findings.add(
            "properties.primaryKeyPosition",
            f"the positions are {positions}",
            f"number the {len(parts)} key columns from 1 without gaps",
        )
    return tuple(column.source_name for _, column in sorted(parts, key=lambda part: part[0]))


def _column(item: SchemaProperty, place: str, api_version: str, findings: Findings, *, at_source: bool) -> Column:
    properties = custom_properties(item.customProperties, _PROPERTIES, f"{place}.customProperties", findings)
    name = item.name or ""
    if not SNAKE_CASE.fullmatch(name) or len(name) > NAME_BYTES:
        findings.add(f"{place}.name", f"{name!r} is not a name in snake_case", "write it like birth_date")
    elif reserved.is_reserved(name):
        findings.add(f"{place}.name", f"PostgreSQL keeps the name {name} for itself", "choose another")
    if item.classification not in get_args(Classification):
        what = "it is missing" if item.classification is None else f"{item.classification!r} is not a class"
        findings.add(f"{place}.classification", what, f"say one of {listed(get_args(Classification))}")
    on_fail = properties.get("onFail", "quarantine")
    if on_fail not in get_args(OnFail):
        findings.add(f"{place}.customProperties.onFail", f"{on_fail!r} is unknown", "say quarantine or warn")
    physical_type, logical = _types(item, place, findings)
    codes, labels = _codes(item, logical, api_version, place, findings)
    options = _known_options(item, logical, f"{place}.logicalTypeOptions", findings)
    minimum, maximum = _range(options, logical, f"{place}.logicalTypeOptions", findings)
    return Column(
        name=name,
        source_name=_source_name(item, name, place, findings, at_source=at_source),
        physical_type=physical_type,
        classification=cast(Classification, item.classification),
        description_vi=text(item.description, f"{place}.description", "what the column says, in Vietnamese", findings),
        description_en=text(
            properties.get("descriptionEn"), f"{place}.customProperties.descriptionEn", "the same in English", findings
        ),
        required=bool(item.required),
        unique=bool(item.unique),
        primary_key=bool(item.primaryKey),
        enum=codes,
        enum_labels=labels,
        pattern=_pattern(options, f"{place}.logicalTypeOptions", findings),
        minimum=minimum,
        maximum=maximum,
        max_length=_max_length(options, physical_type, f"{place}.logicalTypeOptions", findings),
        on_fail=cast(OnFail, on_fail),
        unit=properties.get("unit"),
        source_type=_source_type(properties, f"{place}.customProperties.sourceType", findings, at_source=at_source),
        cleaning=_cleaning(
            properties, physical_type, f"{place}.customProperties.cleaning", findings, at_source=at_source
        ),
    )


def _source_name(item: SchemaProperty, name: str, place: str, findings: Findings, *, at_source: bool) -> str:
    place = f"{place}.physicalName"
    source_name = item.physicalName or ("" if at_source else name)
    if not source_name:
        findings.add(place, "it is missing", "name the column as the source does")
    elif not at_source and source_name != name:
        findings.add(place, "a published column has one name only", f"say {name} or leave it out")
    elif len(source_name.encode()) > NAME_BYTES:
        findings.add(place, f"it is longer than {NAME_BYTES} bytes", "name it as PostgreSQL does")
    return source_name


def _source_type(properties: Mapping[str, Any], place: str, findings: Findings, *, at_source: bool) -> str | None:
    value = properties.get("sourceType")
    if value is None:
        return None
    if not at_source:
        findings.add(place, "a published column comes from no source", "take it out")
    elif not isinstance(value, str) or not value.strip():
        findings.add(place, f"{value!r} is not a type", "write it as the load's message about the column does")
    return str(value)


def _cleaning(
    properties: Mapping[str, Any], physical_type: str, place: str, findings: Findings, *, at_source: bool
) -> str | None:
    value = properties.get("cleaning")
    if value is None:
        return None
    if not at_source:
        findings.add(place, "a published column comes from no source", "take it out")
    elif value not in cleaning.KINDS:
        findings.add(place, f"{value!r} is no kind of cleaning", f"say one of {listed(tuple(cleaning.KINDS))}")
    elif not pg_types.is_text(physical_type):
        findings.add(place, f"only text is cleaned, and the column is {physical_type}", "take it out")
    return str(value)


def _types(item: SchemaProperty, place: str, findings: Findings) -> tuple[str, str]:
    physical_type, logical = item.physicalType or "", item.logicalType or ""
    actual = pg_types.logical_type(physical_type)
    if not physical_type:
        findings.add(f"{place}.physicalType", "it is missing", "say what format_type() prints for the column")
    elif actual is None:
        suggested = pg_types.suggestion(physical_type)
        findings.add(
            f"{place}.physicalType",
            f"{physical_type!r} is not a type as PostgreSQL prints it",
            f"say {suggested}" if suggested else "use a built-in type, spelt as format_type() prints it",
        )
    elif not pg_types.fits(physical_type, logical):
        findings.add(f"{place}.logicalType", f"{logical!r} does not fit {physical_type}", f"say {actual}")
    return physical_type, logical


def _codes(
    item: SchemaProperty, logical: str, api_version: str, place: str, findings: Findings
) -> tuple[tuple[CodeValue, ...], tuple[str, ...]]:
    place = f"{place}.enum"
    if item.enum is None:
        return (), ()
    if api_version != ENUM_API_VERSION:
        findings.add(place, f"the standard has it since {ENUM_API_VERSION}", f"say apiVersion: {ENUM_API_VERSION}")
    expected = _CODE_TYPES.get(logical)
    if expected is None:
        findings.add(place, f"a {logical or 'typeless'} column has no code list", "take it out")
        return (), ()
    if expected is str and not pg_types.is_text(item.physicalType or ""):
        findings.add(place, f"codes are text, and the column is {item.physicalType}", "take the list out")
    values = [entry.value for entry in item.enum]
    if not values:
        findings.add(place, "the list is empty", "name the codes or take it out")
    for value in values:
        if not isinstance(value, expected) or isinstance(value, bool):
            todo = "put quotes around it" if expected is str else "write it as a whole number"
            findings.add(place, f"{value!r} is not a {logical}", todo)
    for repeated in sorted({str(value) for value in values if values.count(value) > 1}):
        findings.add(place, f"the code {repeated} is listed twice", "keep one")
    return tuple(cast(list[CodeValue], values)), tuple(entry.label or "" for entry in item.enum)


def _known_options(item: SchemaProperty, logical: str, place: str, findings: Findings) -> dict[str, Any]:
    known = _OPTIONS.get(logical, frozenset())
    options = item.logicalTypeOptions or {}
    for name in options:
        if name not in known:
            kind = f"a {logical} column" if logical else "a column without a logical type"
            findings.add(f"{place}.{name}", f"{kind} has no such option here", f"known: {listed(known) or 'none'}")
    return {name: value for name, value in options.items() if name in known and value is not None}


def _pattern(options: Mapping[str, Any], place: str, findings: Findings) -> str | None:
    pattern = options.get("pattern")
    if pattern is None:
        return None
    place = f"{place}.pattern"
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        findings.add(place, f"{pattern!r} is not a regular expression ({error})", "correct it")
        return None
    if not (pattern.startswith("^") and pattern.endswith("$")):
        findings.add(place, f"{pattern!r} also matches longer values", "begin it with ^ and end it with $")
    return str(pattern)


def _max_length(options: Mapping[str, Any], physical_type: str, place: str, findings: Findings) -> int | None:
    value = options.get("maxLength")
    if value is None:
        return None
    place = f"{place}.maxLength"
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        findings.add(place, f"{value!r} is not a number of characters", "write a whole number above 0")
        return None
    limit = pg_types.length_limit(physical_type)
    if limit is not None and value > limit:
        findings.add(place, f"{physical_type} allows {limit} characters only", "lower it or leave it out")
    return value


def _range(
    options: Mapping[str, Any], logical: str, place: str, findings: Findings
) -> tuple[Bound | None, Bound | None]:
    minimum = _bound(options, "minimum", logical, place, findings)
    maximum = _bound(options, "maximum", logical, place, findings)
    # Both are numbers or both are ISO dates: _bound reads them by the same logical type.
    if minimum is not None and maximum is not None and cast(Any, minimum) > maximum:
        findings.add(f"{place}.minimum", f"{minimum} is above the maximum {maximum}", "swap them")
    return minimum, maximum


def _bound(options: Mapping[str, Any], name: str, logical: str, place: str, findings: Findings) -> Bound | None:
    value = options.get(name)
    if value is None:
        return None
    if logical in ("date", "timestamp"):
        written = value.isoformat() if isinstance(value, date) else str(value)
        try:
            datetime.fromisoformat(written)
        except ValueError:
            findings.add(f"{place}.{name}", f"{value!r} is not a date", "write it like 1900-01-01")
        return written
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    findings.add(f"{place}.{name}", f"{value!r} is not a number", "write a number without quotes")
    return None
