"""Names of a source folded to the warehouse's: English or unaccented, snake_case, and not words that SQL keeps for itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from pdic.contracts.reserved import KEYWORDS, OF_POSTGRESQL

MAX_BYTES: Final = 63

RESERVED: Final = KEYWORDS | OF_POSTGRESQL


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
