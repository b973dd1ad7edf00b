"""Keys that leave the vault: HMACs of business keys, under secrets that no table and no statement holds.

A code that can be guessed (a pupil's, a dossier's) must not be found again by hashing all codes there are. Every purpose (a pupil's key,
a visit's) has a secret of its own: who learns one can compute no key of another purpose. They follow from a root, which follows from
`identity_key` and goes to dbt's sessions as a setting, at their start. `clean.key_of` does the rest, in SQL.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

LETTERS: Final = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")


def settings_of(secret: bytes) -> dict[str, str]:
    """What a session that makes keys must be given as it begins: setting and value."""
    return {"pdic.key_root": _root(secret).hex()}


def key_of(secret: bytes, purpose: str, value: str) -> str:
    """What `clean.key_of` makes of a value: the first 128 bits of the HMAC as 32 letters g to v."""
    of_purpose = hmac.digest(_root(secret), f"key of {purpose}".encode(), "sha256")
    return hmac.new(of_purpose, value.encode(), hashlib.sha256).hexdigest()[:32].translate(LETTERS)


def check_of(secret: bytes) -> str:
    """What says later whether a secret is still the same one; nothing else follows from it."""
    return key_of(secret, "check of the secret", "")


def _root(secret: bytes) -> bytes:
    return hmac.digest(secret, b"root of the keys that leave the vault", "sha256")
