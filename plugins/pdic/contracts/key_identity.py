"""A source key as one text: the same for all spellings of equal values, another wherever values differ.

PostgreSQL compares keys by ``=``, by which numeric 2.5 is 2.5000 and the interval '1 day' is '24:00'. Staging, the register of
the quarantine and whoever names a row by its key do so by a text. So the text must follow ``=``, and may not hang on what a
session says of time zones and styles of dates. This module writes the SQL of that text, for Python and for the models alike;
:func:`problem` names the types of which no such text is made.

The text of a part is a literal, too: cast to :func:`literal_type`, it equals the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pdic.contracts import pg_types
from pdic.contracts.output import quoted

if TYPE_CHECKING:
    from pdic.contracts.model import Contract

_ONE_SPELLING: Final = re.compile(
    r"smallint|integer|bigint|oid|boolean|uuid|inet|cidr|macaddr8?|pg_lsn|xid8|tid|tsvector"
    r'|text|name|"char"|bpchar|character varying(\(\d+\))?|character\(\d+\)'
    r'|bit varying(\(\d+\))?|bit\(\d+\)|"bit"|time(\(\d\))? (with|without) time zone|(int4|int8)(multi)?range'
)
"""Types whose equal values PostgreSQL prints alike, whatever the session says. Padding of character(n) is not printed."""
_OF_ARRAYS: Final = re.compile(
    r"(smallint|integer|bigint|oid|boolean|uuid|inet|cidr|macaddr8?|text|name|character varying(\(\d+\))?|character\(\d+\))\[\]"
)
_RANGES: Final = {
    "numrange": "numeric",
    "daterange": "date",
    "tsrange": "timestamp without time zone",
    "tstzrange": "timestamp with time zone",
}


def text(contract: Contract, alias: str | None = None) -> str:
    """The SQL of the key's text of a row of ``alias``; null where the key is one column and that is null.

    The parts of a key of several columns are joined so that no two keys can come out alike, whatever they hold.
    """
    texts = parts(contract, alias)
    if len(texts) == 1:
        return texts[0]
    escaped = ", ".join(rf"replace(replace({of_part}, '\', '\\'), '|', '\|')" for of_part in texts)
    return f"concat_ws('|', {escaped})"


def parts(contract: Contract, alias: str | None = None) -> list[str]:
    """The SQL of the texts of a key's parts, in the key's order."""
    before = f"{quoted(alias)}." if alias else ""
    return [part(before + quoted(name), contract.column(name).physical_type) for name in contract.key]


def part(value: str, physical_type: str) -> str:
    """The SQL of one value's text. ``value`` is SQL, an identifier or a term in brackets, of a type without a problem."""
    if _ONE_SPELLING.fullmatch(physical_type) or _OF_ARRAYS.fullmatch(physical_type):
        return f"{value}::text"
    if element := _RANGES.get(physical_type):
        return _range(value, element)
    if element := _RANGES.get(physical_type.replace("multirange", "range")):
        return _multirange(value, element)
    for pattern, write in _SPELLED:
        if pattern.fullmatch(physical_type):
            return write(value)
    raise ValueError(f"{physical_type} cannot be a key")


def literal_type(physical_type: str) -> str:
    """The type to which a part's text is cast back: that of the column, but for an interval of some fields only."""
    return "interval" if physical_type.startswith("interval") else physical_type


def problem(physical_type: str, source_type: str | None = None) -> str | None:
    """Why a column of the type cannot be part of a key, in one clause; None where it can. `source_type` as a contract has it."""
    if source_type == "money":
        return "what amount a value of money is hangs on a setting of its server (lc_monetary)"
    if not pg_types.can_be_compared(physical_type):
        return f"PostgreSQL has no order, or no equality, for values of {physical_type}"
    try:
        part("value", physical_type)
    except ValueError:
        return f"PDIC has no text of {physical_type} that is the same for all values that are equal"
    return None


def _timestamp(value: str) -> str:
    # JSON has one style of dates; it puts a T where a timestamp's literal has a blank, too.
    return f"replace(to_jsonb({value}) #>> '{{}}', 'T', ' ')"


def _zoned_timestamp(value: str) -> str:
    utc = _timestamp(f"{value} at time zone 'UTC'")
    return f"case when isfinite({value}) then {utc} || '+00' else {value}::text end"


def _interval(value: str) -> str:
    # As equality counts it: 30 days a month, 24 hours a day. Infinite ones exist from PostgreSQL 17 on.
    months = f"(extract(year from {value}) * 12 + extract(month from {value}))"
    days = f"({months} * 30 + extract(day from {value}))"
    hours = f"({days} * 24 + extract(hour from {value}))"
    seconds = f"({hours} * 3600 + extract(minute from {value}) * 60 + extract(second from {value}))"
    return f"case when isfinite({value}) then trim_scale({seconds})::text || ' seconds' else {value}::text end"


def _range(value: str, element: str) -> str:
    lower, upper = (part(f"{end}({value})", element) for end in ("lower", "upper"))
    opens = f"case when lower_inc({value}) then '[' else '(' end"
    closes = f"case when upper_inc({value}) then ']' else ')' end"
    bounds = f"{opens} || coalesce({lower}, '') || ',' || coalesce({upper}, '') || {closes}"
    return f"case when isempty({value}) then 'empty' else {bounds} end"


def _multirange(value: str, element: str) -> str:
    of_range = _range("pdic_of.pdic_range", element)
    listed = f"'{{' || coalesce(string_agg({of_range}, ',' order by pdic_of.pdic_place), '') || '}}'"
    ranges = f"unnest({value}) with ordinality as pdic_of (pdic_range, pdic_place)"
    return f"case when {value} is not null then (select {listed} from {ranges}) end"  # noqa: S608 (an identifier, quoted)


_SPELLED: Final[tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]] = tuple(
    (re.compile(pattern), write)
    for pattern, write in (
        (r"numeric(\(\d+,-?\d+\))?", lambda value: f"trim_scale({value})::text"),
        (r"real", lambda value: f"({value} + '0'::real)::text"),  # there is a zero below zero
        (r"double precision", lambda value: f"({value} + '0'::double precision)::text"),
        (r"date", lambda value: f"(to_jsonb({value}) #>> '{{}}')"),
        (r"timestamp(\(\d\))? without time zone", _timestamp),
        (r"timestamp(\(\d\))? with time zone", _zoned_timestamp),
        (r"interval[^\[\]]*", _interval),
        (r"bytea", lambda value: rf"('\x' || encode({value}, 'hex'))"),
    )
)
