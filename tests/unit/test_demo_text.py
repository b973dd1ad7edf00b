"""Columns of text: fixed digits, dates in the ways of the sectors, numbers and names that follow their rules."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from demo import people, text
from demo.defects import broken_id
from demo.profile import stream, to_date, to_days
from demo.records.investment import month_end, tax_codes


def test_fixed_digits_keep_their_zeros() -> None:
    assert text.fixed(np.array([0, 7, 1234]), 4).to_pylist() == ["0000", "0007", "1234"]


@pytest.mark.parametrize("day", [date(1926, 2, 28), date(1970, 1, 1), date(2024, 2, 29), date(2026, 12, 31)])
def test_dates_are_written_in_the_way_of_each_sector(day: date) -> None:
    days = np.array([to_days(day)])
    assert to_date(days[0]) == day
    assert text.compact(days).to_pylist() == [day.strftime("%Y%m%d")]
    assert text.dotted(days).to_pylist() == [day.strftime("%d.%m.%Y")]
    assert text.dates(days).to_pylist() == [day]
    assert text.compact_minutes(days * text.MINUTES + 485).to_pylist() == [day.strftime("%Y%m%d") + "0805"]


def test_month_thirteen_closes_the_budget_year() -> None:
    ends = month_end(np.array([2025, 2025, 2026]), np.array([2, 13, 12]))
    assert [to_date(day) for day in ends] == [date(2025, 2, 28), date(2026, 1, 31), date(2026, 12, 31)]


def test_personal_ids_tell_century_sex_and_year_and_differ() -> None:
    n = 5000
    born = np.full(n, to_days(date(2021, 5, 6)))
    ids = people.personal_id(text.const("044", n), np.ones(n, dtype=bool), born, np.arange(n)).to_pylist()
    assert len(set(ids)) == n
    assert {number[:6] for number in ids} == {"044321"}
    old = people.personal_id(
        text.const("045", 1), np.array([False]), np.array([to_days(date(1987, 1, 1))]), np.array([0])
    )
    assert old.to_pylist()[0].startswith("045087")


def test_every_break_of_a_number_can_be_seen() -> None:
    number = "044321004567"
    broken = [broken_id(number, how) for how in range(4)]
    assert len({number, *broken}) == 5
    assert broken[0] == "04432100456"
    assert [len(value) == 12 and value.isdigit() for value in broken] == [False, False, True, True]


def test_tax_codes_carry_their_check_digit() -> None:
    for code in tax_codes(np.arange(200) * 7).to_pylist():
        total = sum(int(digit) * weight for digit, weight in zip(code, (31, 29, 23, 19, 17, 13, 7, 5, 3), strict=False))
        assert int(code[9]) == 10 - total % 11


def test_serials_count_within_groups_in_row_order() -> None:
    assert people.serials(np.array([5, 3, 5, 5, 3])).tolist() == [0, 0, 1, 2, 1]
    assert people.serials(np.array([1, 1, 1]), np.array([0, 1, 0])).tolist() == [0, 0, 1]


def test_streams_depend_on_seed_and_name_alone() -> None:
    first, again, other = (
        stream(seed, "health", name).integers(0, 2**60) for seed, name in ((1, "a"), (1, "a"), (1, "b"))
    )
    assert first == again
    assert first != other
    assert stream(2, "health", "a").integers(0, 2**60) != first
