"""The guard against large deletions: what it allows, and that its words and its verdict count alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pdic import contracts
from pdic.sweep.findings import Findings
from pdic.sweep.guard import objection

LOP = contracts.get("education", "lop")


def gone(deleted: int, known: int) -> Findings:
    return Findings(
        source_rows=known - deleted,
        known_rows=known,
        late=0,
        changed=0,
        news=0,
        deleted=deleted,
        buckets=0,
        buckets_differing=0,
        rows_fetched=0,
    )


@pytest.mark.parametrize(
    ("share", "known", "allowed"),
    [(0.05, 8_715, 435), (0.05, 59, 2), (0.05, 3, 1), (0.29, 100, 29), (0.0, 100, 1)],
    ids=["shares that print alike", "few rows", "one may always go", "no whole number in binary", "none but one"],
)
def test_the_count_that_is_allowed_is_the_count_that_is_said(share: float, known: int, allowed: int) -> None:
    contract = replace(LOP, max_deleted_share=share)
    assert objection(contract, gone(allowed, known), None) is None
    held = objection(contract, gone(allowed + 1, known), None)
    assert held is not None
    assert f"{allowed + 1} of {known} known rows" in held
    assert f"the contract allows {allowed} ({share:.1%})" in held


@pytest.mark.parametrize(("min_rows", "named"), [(1, True), (0, False)], ids=["rows are asked for", "none are"])
def test_a_source_with_too_few_rows_names_what_else_would_hold_it(min_rows: int, named: bool) -> None:
    contract = replace(LOP, min_rows=min_rows)
    held = objection(contract, gone(3, 3), None)
    assert held is not None
    assert "--approve" in held
    assert (f"set minRows to 0 in {contract.path}, run `pdic contracts compile`, and run" in held) is named
