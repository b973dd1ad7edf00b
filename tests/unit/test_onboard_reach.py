"""Why a table could not be looked at, in words that say what to do."""

from __future__ import annotations

import pytest
from psycopg2 import errors

from pdic.onboard.source_reach import Reach


@pytest.mark.parametrize("error", [errors.CharacterNotInRepertoire(), errors.UntranslatableCharacter()])
def test_text_in_no_known_encoding_asks_what_it_is_written_in(error: errors.DataException) -> None:
    words = Reach(1, "r", "public.hoc_sinh", None, "", (), "", (), 0).failed(error)
    assert "public.hoc_sinh" in words
    assert "--encoding tcvn3" in words
