"""An amount of money is no key: what it is hangs on a setting of the source's."""

from __future__ import annotations

import pytest

from pdic.contracts import key_identity
from pdic.errors import OnboardError
from pdic.onboard.guess import guess_contract
from pdic.onboard.introspect import TableFacts
from pdic.sources.catalogue import SourceColumn, SourceTable


def test_onboarding_refuses_the_table_with_the_reason() -> None:
    columns = (SourceColumn("gia", "money", "numeric", True, True), SourceColumn("ten", "text", "text", False, False))
    facts = TableFacts("public", "bang_gia", SourceTable("table", columns, ("gia",)), empty=False)
    with pytest.raises(OnboardError, match=r"key column gia is money, and .*lc_monetary"):
        guess_contract(facts, "tai_chinh", "bang_gia")


def test_a_number_is_one() -> None:
    assert key_identity.problem("numeric") is None
    assert key_identity.problem("numeric", "amount") is None
    assert key_identity.problem("numeric", "money")
