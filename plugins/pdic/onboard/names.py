"""Names of a source folded to the warehouse's: English or unaccented, snake_case, and not words that SQL keeps for itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from pdic.contracts.reserved import OF_POSTGRESQL

MAX_BYTES: Final = 63

# Words that PostgreSQL keeps for itself (`pg_get_keywords()`, categories R and T), which would need quotes wherever they
# are a column's name.
_WORDS_RESERVED: Final = """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
    concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
    full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning right
    select session_user similar some symmetric system_user table tablesample then to trailing true union unique user using
    variadic verbose when where window with
"""
RESERVED: Final = frozenset(_WORDS_RESERVED.split()) | OF_POSTGRESQL


# Words that may be a column's name, but not everywhere without quotes (category C).
_WORDS_BETTER_QUOTED: Final = """
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping inout int integer
    interval json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize
    json_table json_value least merge_action national nchar none normalize nullif numeric out overlay position precision real
    row setof smallint substring time timestamp treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists
    xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
"""
BETTER_QUOTED: Final = frozenset(_WORDS_BETTER_QUOTED.split())


def without_accents(text: str) -> str:
    """``text`` without diacritics: đ becomes d, ế becomes e."""
    decomposed = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def snake_case(name: str) -> str:
    """``name`` in snake_case; '' where no letter or digit of it is ASCII without its accents."""
    plain = without_accents(name)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    folded = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
    # Each word of the name must not begin a name with a digit; inside it may.
    return f"n{folded}" if folded[:1].isdigit() else folded


def fold(
    names: Iterable[str],
    fallback: str,
    *,
    limit: int = MAX_BYTES,
    taken: Iterable[str] = (),
    reserved: frozenset[str] = RESERVED,
) -> dict[str, str]:
    """Each of ``names`` → a name of its own in snake_case, at most ``limit`` long and none of those ``taken``.

    A word that is ``reserved`` gets ``fallback`` in front, a name with nothing to fold becomes ``fallback`` with its place, and of two
    that fold alike the later gets a number.
    """
    folded: dict[str, str] = {}
    taken = set(taken)
    for place, name in enumerate(names, start=1):
        wanted = snake_case(name) or f"{fallback}_{place}"
        if wanted in reserved:
            wanted = f"{fallback}_{wanted}"
        wanted = wanted[:limit].rstrip("_")
        unique, number = wanted, 1
        while unique in taken:
            number += 1
            unique = f"{wanted[: limit - len(str(number)) - 1].rstrip('_')}_{number}"
        taken.add(unique)
        folded[name] = unique
    return folded


def title(name: str) -> str:
    """A name as words, for a description where the source has none."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\s]+", " ", name).strip()
    return words[:1].upper() + words[1:] if words else name
