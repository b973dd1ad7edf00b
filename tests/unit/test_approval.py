"""The reason of a person: one line that everybody can read."""

from __future__ import annotations

import pytest

from pdic import approval
from pdic.errors import PdicError


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("the agency closed 725 payments", "the agency closed 725 payments"),
        ("  hai\n dòng\tcách nhau ", "hai dòng cách nhau"),
        ("nguồn đã sửa 👍", "nguồn đã sửa 👍"),
        ("a\u200bb\x1b[31mc\x00", "ab[31mc"),
        ('it\'s "quoted"; drop table x --', 'it\'s "quoted"; drop table x --'),
    ],
)
def test_a_reason_is_kept_as_one_readable_line(written: str, kept: str) -> None:
    assert approval.given(written).reason == kept


@pytest.mark.parametrize("written", ["", "  \n", "\u200b", "\x00\x1b"])
def test_what_nobody_can_read_is_no_reason(written: str) -> None:
    with pytest.raises(PdicError, match="say why with --reason WHY"):
        approval.given(written)


def test_a_reason_that_fills_pages_is_refused_with_its_length() -> None:
    with pytest.raises(PdicError, match=r"501 characters, and 500 are kept"):
        approval.given("x" * 501)


def test_who_decided_is_the_account_unless_somebody_is_named() -> None:
    assert approval.given("why").said_by == approval.person()
    assert approval.given("why", "Nguyễn Thị Lan").said_by == "Nguyễn Thị Lan"
