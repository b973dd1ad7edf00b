"""The settings that decide how a session reads and writes values: one list for every session whose values are compared.

A role, a database or a server may have set any of them otherwise (`alter role … set`). Two sessions with the same formats write the
same value as the same text and as the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CLIENT_ENCODING: Final = "UTF8"
"""Text crosses in this encoding, in binary COPY too. It is a parameter of the connection: both drivers must know it."""

FORMATS: Final = MappingProxyType(
    {
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "array_nulls": "on",
        "quote_all_identifiers": "off",
        "xmlbinary": "base64",
        "xmloption": "content",
        "standard_conforming_strings": "on",
        "transform_null_equals": "off",
    }
)
"""Name → value. Every supported version of PostgreSQL has each of them, and every role may set them."""

OF_WAREHOUSE: Final = MappingProxyType(FORMATS | {"TimeZone": "Asia/Ho_Chi_Minh", "DateStyle": "ISO, DMY"})
"""What a session with the warehouse sets in their place, dbt's among them: dates are read and written as the province does."""


def startup_options(settings: Mapping[str, str] = FORMATS, former: str = "") -> str:
    """libpq's parameter `options` that sets these as a session begins, after what `former` sets: the later one holds."""
    ours = " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())
    return f"{former} {ours}".strip()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
