"""When a release is too unlike the live one: what holds it, what only warns, and of what nothing is said."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pdic.errors import ReleaseError
from pdic.quality.chance import tolerated
from pdic.release.broken_rules import Broken, jump
from pdic.release.compare import Finding, compared, held_message
from pdic.release.limits import Limits, limits
from pdic.release.profile import Profile, TableProfile
from pdic.release.views import views

ROOT = Path(__file__).parents[2]
BOUNDS = Limits()


def table(rows: int, *, amount: float = 1000, empty: float = 0.1, digits: int = 6, content: int = 1) -> TableProfile:
    """A table of which every row has an amount, and a tenth no unit."""
    return TableProfile(
        content,
        Profile(rows, {"unit": int(rows * empty)}, {"paid": Decimal(str(rows * amount))}, {"paid": digits}),
    )


def found(
    was: TableProfile,
    now: TableProfile,
    past: Sequence[Profile | None] = (),
    bounds: Limits = BOUNDS,
    *,
    grown: bool = False,
) -> list[tuple[str, bool]]:
    return [(each.what, each.holds) for each in compared("fct_x", bounds, was, now, past, grown=grown)]


def test_an_ordinary_day_holds_nothing() -> None:
    assert found(table(1810), table(1850, amount=1010)) == []
    assert found(table(1810), table(1810)) == []


def test_two_fifths_of_the_rows_gone_hold_a_release_and_it_is_told_in_one_sentence() -> None:
    """40 % bad rows went to quarantine: 1,810 rows became 1,085."""
    (finding,) = compared("fct_disbursement", BOUNDS, table(1810), table(1085))
    assert (finding.what, finding.holds) == ("rows", True)
    assert finding.message == "fct_disbursement has 1,085 rows, and 1,810 in the live release (-40%)"
    assert finding.message_vi == "fct_disbursement có 1.085 dòng, bản đang dùng có 1.810 (-40%)"
    said = held_message(42, 41, [finding])
    assert said.startswith("release 42 is held, and readers keep release 41: fct_disbursement has 1,085 rows")
    assert "pdic release approve 42 --reason WHY" in said


def test_a_source_that_lost_half_its_rows_holds_a_release() -> None:
    assert ("rows", True) in found(table(2000), table(1000))
    assert ("rows", True) in found(table(2000), table(0))


@pytest.mark.parametrize("rows", [12, 60, 300, 20_000, 2_000_000])
def test_one_amount_a_million_times_too_large_holds_a_release_of_any_size(rows: int) -> None:
    was, spoilt = table(rows), table(rows, digits=12)
    sums = {"paid": was.whole.sums["paid"] + Decimal(1000) * 1_000_000}
    now = replace(spoilt, whole=replace(spoilt.whole, sums=sums))
    assert ("amount", True) in found(was, now)


def test_all_amounts_in_another_unit_hold_a_release() -> None:
    assert ("sum", True) in found(table(1000), table(1000, amount=1_000_000))
    assert ("sum", True) in found(table(1000), table(1000, amount=1))
    assert ("sum", True) in found(table(1000), table(1000, amount=-1000))


def test_a_column_that_lost_its_values_holds_a_release() -> None:
    assert found(table(1000), table(1000, empty=0.29)) == []
    assert found(table(1000), table(1000, empty=0.5)) == [("nulls", True)]


def test_other_keys_in_as_many_rows_hold_a_release() -> None:
    assert found(table(1000), replace(table(1000), keys_gone=900)) == [("keys", True)]
    assert found(table(1000), replace(table(1000), keys_gone=20)) == []
    assert found(table(100), replace(table(65), keys_gone=100)) == [("keys", True)], "so few rows may be gone by chance"


def test_a_number_of_keys_that_is_estimated_is_told_as_one() -> None:
    """Of more than 20,000 rows some are looked up."""
    (exact,) = compared("fct_payment", BOUNDS, table(20_000), replace(table(20_000), keys_gone=18_000))
    (estimated,) = compared("fct_payment", BOUNDS, table(20_001), replace(table(20_001), keys_gone=18_000))
    assert exact.message.startswith("fct_payment: 18,000 of the 20,000 keys")
    assert estimated.message.startswith("fct_payment: about 18,000 of the 20,001 keys")
    assert estimated.message_vi.startswith("fct_payment: khoảng 18.000 trong 20.001 khóa")


def test_rows_that_tripled_hold_a_release_unless_a_dataset_is_new() -> None:
    assert found(table(1000), table(2900)) == [("rows", True)]
    assert found(table(1000), table(2900), grown=True) == [("rows", False)]


def test_a_commune_that_is_gone_is_named_though_the_whole_hardly_changed() -> None:
    part = Profile(300, sums={"paid": Decimal(300_000)})
    group = ("commune_unit_key", "xa:19333")
    was = replace(table(20_000), groups={group: part})
    (finding,) = compared("fct_x", BOUNDS, was, table(19_700))
    assert finding.message == "fct_x, commune_unit_key xa:19333, has 0 rows, and 300 in the live release (-100%)"
    assert (finding.grouped_by, finding.group_key) == group
    spoilt = replace(table(20_000), groups={group: replace(part, sums={"paid": Decimal(300_000_000)})})
    assert found(was, spoilt) == [("sum", True)]


@pytest.mark.parametrize("rows", [3, 12, 40, 99])
def test_of_few_rows_nothing_is_said(rows: int) -> None:
    assert found(table(rows), table(rows // 3)) == []
    assert found(table(rows), table(rows, empty=0.9)) == []


def test_small_tables_that_change_by_chance_are_not_held() -> None:
    """A table of about a hundred rows, each of which comes or goes by chance: no release in thousands may be held."""
    chance = random.Random(7)  # noqa: S311 (a test's)
    for _ in range(3000):
        was, now = (sum(chance.random() < 0.5 for _ in range(220)) for _ in range(2))
        assert found(table(was), table(now)) == []


def usual(changes: Sequence[float]) -> list[Profile | None]:
    """A table that changed so from release to release."""
    rows, past = 10_000.0, [table(10_000).whole]
    for change in changes:
        rows *= 1 + change
        past.append(table(int(rows)).whole)
    return list(past)


DAYS = (0.01, 0.012, 0.008, 0.011, 0.01, 0.009, 0.01)


def test_history_warns_until_there_is_enough_of_it_and_then_holds() -> None:
    past = usual(DAYS)
    was, now = table(10_000), table(8_000)
    assert found(was, now, past[:3]) == []
    assert found(was, now, past[:6]) == [("rows", False), ("sum", False)]
    assert found(was, now, past) == [("rows", True), ("sum", True)]
    assert found(was, table(10_100), past) == []
    (finding, _) = compared("fct_x", BOUNDS, was, now, past)
    assert finding.message.endswith("which is far from how much it usually changes")


def test_a_table_that_always_changes_much_may_do_so_again() -> None:
    past = usual((0.3, -0.2, 0.25, -0.3, 0.3, -0.2, 0.2))
    assert found(table(10_000), table(8_000), past) == []


def test_what_a_person_approved_teaches_nothing() -> None:
    jump = usual((*DAYS, 0.9))
    with_it, without = jump, [*jump[:-1], None, jump[-1]]
    assert found(table(19_000), table(15_000), with_it) == []
    assert found(table(19_000), table(15_000), without) == [("rows", True), ("sum", True)]


def test_a_table_says_in_its_contract_what_does_not_fit_it(tmp_path: Path) -> None:
    seasonal = limits(ROOT, "mart_x", {"rows_fall": None, "sum_factor": 10})
    assert found(table(2000), table(700), bounds=seasonal) == []
    assert limits(tmp_path, "t", {}) == BOUNDS
    with pytest.raises(ReleaseError, match="contracts/shared/t.odcs.yaml: limits: rows_fell"):
        limits(ROOT, "t", {"rows_fell": 0.5})
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations/comparison.yaml").write_text("rows_fall: 30\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match="comparison.yaml: rows_fall"):
        limits(tmp_path, "t", {})


def test_the_projects_limits_are_sound() -> None:
    for view in views():
        limits(ROOT, view.name, view.limits)


def test_a_message_names_three_findings_at_most() -> None:
    some = [Finding(f"t{number}", "rows", True, f"t{number} has 1 row", "") for number in range(5)]
    assert "t2 has 1 row; and 2 more" in held_message(2, 1, some)


@pytest.mark.parametrize(
    ("rows", "share", "allowed"),
    [(40, 0.05, 7), (1_000_000, 0.05, 50_673), (100, 0, 0), (0, 0.05, 0), (5, 0.05, 3), (3000, 0.0001, 3)],
)
def test_of_few_rows_more_may_fail_than_their_share(rows: int, share: float, allowed: int) -> None:
    assert tolerated(rows, share) == allowed


def test_the_shares_of_many_rows_stay_as_they_are_written() -> None:
    assert tolerated(100_000, 0.05) < 100_000 * 0.0522
    assert all(tolerated(rows, 0.05) >= int(rows * 0.05) for rows in range(1, 3000, 7))


def test_sound_data_of_a_small_province_fails_no_share_by_chance() -> None:
    chance = random.Random(3)  # noqa: S311 (a test's)
    failing = [sum(chance.random() < 0.04 for _ in range(60)) for _ in range(2000)]
    assert max(failing) > 60 * 0.05, "some of these would have been held by the share alone"
    assert sum(count > tolerated(60, 0.05) for count in failing) <= 2


def broken(was: tuple[int, int], now: tuple[int, int], past: Sequence[Broken | None] = ()) -> str:
    found = jump(BOUNDS, Broken(*was), Broken(*now), past)
    return "" if found is None else "holds" if found.holds else "warns"


def test_many_more_broken_rows_hold_a_release_and_a_few_do_not() -> None:
    assert broken((5, 1810), (1692, 2534)) == "holds"
    assert broken((0, 1_000_000), (60_000, 1_000_000)) == "holds"
    assert broken((0, 40), (30, 40)) == "holds"
    assert broken((5, 1_000_000), (20_000, 1_000_000)) == "holds", "2 points more, and 4,000 times as many"
    assert broken((6, 2180), (14, 2179)) == ""
    assert broken((20, 1810), (70, 1830)) == "", "3 points more, and 4 times as many"
    assert broken((0, 12), (9, 12)) == "", "a few rows"
    assert broken((900, 2000), (450, 2000)) == "", "fewer than before"
    assert broken((1400, 2000), (1420, 2000)) == ""


def test_broken_rows_that_were_always_the_same_warn_and_hold_once_that_is_learned() -> None:
    few = [Broken(100 + n % 3, 10_000) for n in range(6)]
    assert broken((100, 10_000), (400, 10_000)) == ""
    assert broken((100, 10_000), (400, 10_000), few) == "warns"
    assert broken((100, 10_000), (400, 10_000), few * 2) == "holds"
    restless = [Broken(100 + n % 2 * 400, 10_000) for n in range(12)]
    assert broken((100, 10_000), (400, 10_000), restless) == ""
