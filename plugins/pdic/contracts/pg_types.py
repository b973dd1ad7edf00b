"""The column types a contract may name, spelt as PostgreSQL's ``format_type()`` spells them.

A closed list serves two ends: the raw table gets exactly the type of the source, and no text of a contract reaches
DDL unless it is one of these words.
"""

from __future__ import annotations

import re
from typing import Final

_FIELDS: Final = r"( (year|month|day|hour|minute|second|year to month|(day|hour|minute) to (hour|minute|second)))?"
_FAMILIES: Final[tuple[tuple[str, str], ...]] = (
    (r"smallint|integer|bigint|oid", "integer"),
    (r"numeric(\(\d+,-?\d+\))?|real|double precision", "number"),
    (r'character varying(\(\d+\))?|character\(\d+\)|bpchar|text|name|"char"', "string"),
    (r"uuid|inet|cidr|macaddr8?|jsonpath|pg_lsn|(pg|txid)_snapshot|xid8?|cid|tid", "string"),
    (rf"interval{_FIELDS}(\(\d\))?", "string"),
    (r'bit varying(\(\d+\))?|bit\(\d+\)|"bit"|(int4|int8|num|ts|tstz|date)(multi)?range', "string"),
    (r"tsvector|tsquery|point|line|lseg|box|path|polygon|circle", "string"),
    (r"boolean", "boolean"),
    (r"date", "date"),
    (r"timestamp(\(\d\))? (with|without) time zone", "timestamp"),
    (r"time(\(\d\))? (with|without) time zone", "time"),
    (r"jsonb?", "object"),
    (r"bytea", "string"),
)
_TEXT: Final = re.compile(r'character varying(\(\d+\))?|character\(\d+\)|bpchar|text|name|"char"')
_HOLDS_TEXT: Final = re.compile(
    r"(text|character varying(\(\d+\))?|character\(\d+\)|bpchar|name|jsonb?|jsonpath|tsvector|tsquery)(\[\])?"
)
_WITHOUT_EQUALITY: Final = re.compile(
    r"(json|jsonpath|(pg|txid)_snapshot|xid|cid|point|line|lseg|box|path|polygon|circle)(\[\])?"
)
_ARRAY: Final = re.compile(r"(?P<element>.+)\[\]")
_LENGTH: Final = re.compile(r"character(?: varying)?\((?P<length>\d+)\)")
_SCALE_ZERO: Final = re.compile(r"numeric\(\d+,0\)")
_PRECISION: Final = re.compile(
    r"(?P<kind>timestamp|time|interval|numeric|bit varying|character varying)(?:\((?P<limit>[\d,-]+)\))?(?P<rest>.*)"
)

_ALIASES: Final[tuple[tuple[str, str], ...]] = (
    (r"varchar(\(\d+\))?", r"character varying\1"),
    (r"char(\(\d+\))", r"character\1"),
    (r"(int|int4|serial)", "integer"),
    (r"(int8|bigserial)", "bigint"),
    (r"int2", "smallint"),
    (r"bool", "boolean"),
    (r"timestamptz", "timestamp with time zone"),
    (r"timestamp", "timestamp without time zone"),
    (r"decimal", "numeric"),
    (r"decimal\((\d+)\)", r"numeric(\1,0)"),
    (r"numeric\((\d+)\)", r"numeric(\1,0)"),
    (r"character", "character(1)"),
    (r"bit", "bit(1)"),
    (r"varbit(\(\d+\))?", r"bit varying\1"),
    (r"timetz", "time with time zone"),
    (r"time", "time without time zone"),
    (r"float8", "double precision"),
    (r"float4", "real"),
)


def logical_type(physical_type: str) -> str | None:
    """The ODCS logical type that values of ``physical_type`` have, or None where the type is not on the list."""
    array = _ARRAY.fullmatch(physical_type)
    if array:
        return "array" if logical_type(array["element"]) else None
    for pattern, family in _FAMILIES:
        if re.fullmatch(pattern, physical_type):
            return family
    return None


def fits(physical_type: str, declared: str) -> bool:
    """Whether a contract may call ``physical_type`` by the ODCS logical type ``declared``."""
    if declared == "integer" and _SCALE_ZERO.fullmatch(physical_type):
        return True
    return logical_type(physical_type) == declared


def suggestion(physical_type: str) -> str | None:
    """How PostgreSQL prints the type that ``physical_type`` is an alias of, or None where there is no telling."""
    folded = re.sub(r"\s*,\s*", ",", physical_type.strip().lower())
    for pattern, replacement in _ALIASES:
        if re.fullmatch(pattern, folded):
            return re.sub(pattern, replacement, folded)
    return folded if logical_type(folded) else None


def length_limit(physical_type: str) -> int | None:
    """The number of characters that the type itself allows, or None where it sets no limit."""
    match = _LENGTH.fullmatch(physical_type)
    return int(match["length"]) if match else None


def is_text(physical_type: str) -> bool:
    """Whether values are text that codes and patterns can be about."""
    return bool(_TEXT.fullmatch(physical_type))


def holds_text(physical_type: str) -> bool:
    """Whether values may hold letters beyond ASCII, so that their bytes depend on the encoding of their database."""
    return bool(_HOLDS_TEXT.fullmatch(physical_type))


def can_be_compared(physical_type: str) -> bool:
    """Whether PostgreSQL can compare two values for order and equality."""
    return logical_type(physical_type) is not None and not _WITHOUT_EQUALITY.fullmatch(physical_type)


def widens(narrow: str, wide: str) -> bool:
    """Whether a column of type ``narrow`` can become ``wide`` with no value changed and no row written anew.

    Longer limits of the same type, and text without one: PostgreSQL then changes the catalogue only. False for equal types.
    """
    if narrow == wide:
        return False
    if wide == "text":
        return bool(re.fullmatch(r"character varying(\(\d+\))?", narrow))
    before, after = _PRECISION.fullmatch(narrow), _PRECISION.fullmatch(wide)
    if not before or not after or (before["kind"], before["rest"]) != (after["kind"], after["rest"]):
        return False
    if before["limit"] is None or after["limit"] is None:
        return after["limit"] is None
    had, has = ([int(part) for part in match["limit"].split(",")] for match in (before, after))
    return had[1:] == has[1:] and had[0] <= has[0]
