"""Citizen keys: the same again under the same secret, meaningless without it, never mistaken for an identifier."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from pdic.identity import citizen_key


def test_key_is_the_hmac_of_the_mention_in_letters() -> None:
    expected = hmac.new(b"secret", b"id:044201000001", hashlib.sha256).hexdigest()[:32]
    assert citizen_key(b"secret", "id:044201000001") == expected.translate(
        str.maketrans("0123456789abcdef", "abcdefghijklmnop")
    )


def test_another_secret_gives_another_key() -> None:
    assert citizen_key(b"one", "id:044201000001") != citizen_key(b"two", "id:044201000001")


@given(st.text(min_size=1))
def test_keys_are_32_letters_whatever_the_mention(mention: str) -> None:
    key = citizen_key(b"secret", mention)
    assert len(key) == 32
    assert set(key) <= set("abcdefghijklmnop")
