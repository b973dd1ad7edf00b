"""Whether a batch is like those before it: passes, fails, and says nothing where there is too little to compare with."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdic.quality import OnFail
from pdic.quality.census import Census
from pdic.quality.history import (
    Held,
    Limits,
    Refused,
    allowed_refusals,
    compare,
    jumped,
    limits,
    quarantined,
    stability_index,
)
from pdic.quality.rules import RuleError

BOUNDS = Limits.model_validate({})
ROOT = Path(__file__).parents[2]


def held(rows: int, missing: int = 0, women: float = 0.5) -> Held:
    of_sex = {"F": int((rows - missing) * women), "M": rows - missing - int((rows - missing) * women), "(other)": 0}
    return Held(rows, Census(rows, {}, {"giới tính": missing}, {"giới tính": of_sex}))


def failing(now: Held, earlier: list[Held], bounds: Limits = BOUNDS) -> dict[str, bool]:
    return {result.rule.id: not result.success for result in compare("hocsinh", bounds, now, earlier)}


ROWS, NULLS, CODES = (f"hocsinh.history.{name}" for name in ("rows", "giới_tính.null_share", "giới_tính.categories"))
USUAL = [held(1000, 50), held(1100, 40), held(900, 60), held(1000, 50), held(5000, 250)]


def test_a_usual_batch_passes_all() -> None:
    assert failing(held(1050, 60), USUAL) == {ROWS: False, NULLS: False, CODES: False}


@pytest.mark.parametrize(("rows", "unlike"), [(199, True), (200, False), (5000, False), (5001, True)])
def test_rows_are_held_against_the_median(rows: int, unlike: bool) -> None:
    assert failing(held(rows), USUAL)[ROWS] is unlike


def test_a_column_that_loses_its_values_is_seen() -> None:
    assert failing(held(1000, 149), USUAL)[NULLS] is False
    assert failing(held(1000, 151), USUAL)[NULLS] is True
    assert failing(held(1000, 0), USUAL)[NULLS] is False


def test_codes_that_shift_are_seen() -> None:
    assert failing(held(1000, 50, women=0.55), USUAL)[CODES] is False
    assert failing(held(1000, 50, women=0.9), USUAL)[CODES] is True


def test_too_short_a_history_says_nothing() -> None:
    assert failing(held(1, 1), USUAL[:4]) == {}
    assert failing(held(1000, 900), [held(99, 1)] * 5) == {ROWS: True}
    assert failing(held(20), [held(99)] * 5) == {}


def test_what_is_unlike_is_warned_of_in_words_unless_the_file_says_halt() -> None:
    (rows, *_) = compare("hocsinh", BOUNDS, held(10), USUAL)
    assert (str(rows), rows.halts) == ("hocsinh.history.rows (10 rows, 1000 are usual)", False)
    strict = Limits.model_validate({"rows_on_fail": "halt"})
    assert compare("hocsinh", strict, held(10), USUAL)[0].halts


def test_the_stability_index_is_that_of_the_books() -> None:
    assert stability_index({"a": 50, "b": 50}, {"a": 500, "b": 500}) == 0
    assert stability_index({"a": 50, "b": 50}, {"a": 75, "b": 25}) == pytest.approx(0.2747, abs=1e-4)
    assert stability_index({"a": 100}, {"a": 50, "new": 50}) > 0.25


def test_a_batch_of_which_most_would_be_refused_is_held() -> None:
    at_limit = quarantined("hocsinh", BOUNDS, 1000, 500, {"a": 500})
    assert (at_limit.success, at_limit.halts) == (True, False)
    over = quarantined("hocsinh", BOUNDS, 1000, 501, {"a": 20, "b": 490})
    assert (over.rule.on_fail, over.halts) == (OnFail.HALT, True)
    assert "501 of 1000 rows would go to quarantine, by b (490), a (20)" in str(over)
    assert quarantined("hocsinh", Limits.model_validate({"max_quarantined_share": 0.6}), 1000, 501, {"a": 501}).success


def test_the_projects_limits_are_sound() -> None:
    assert limits(ROOT, "education.hocsinh").max_quarantined_share <= 1


def test_a_dataset_has_its_own_limits_over_the_usual_ones(tmp_path: Path) -> None:
    file = tmp_path / "expectations" / "history.yaml"
    assert limits(tmp_path, "a.b") == BOUNDS
    file.parent.mkdir()
    file.write_text("defaults: {psi: 0.3}\ndatasets: {a.b: {window: 7}}\n", encoding="utf-8")
    assert (limits(tmp_path, "a.b").psi, limits(tmp_path, "a.b").window, limits(tmp_path, "a.c").window) == (0.3, 7, 20)


@pytest.mark.parametrize(
    "text", ["defaults: {spi: 1}", "defaults: {psi: 0}", "other: {}", "datasets: {a.b: {window: x}}", "a: ["]
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "expectations" / "history.yaml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=r"history\.yaml"):
        limits(tmp_path, "a.c")


def holds(rows: int, refused: int, usual: Refused) -> bool:
    allowed = allowed_refusals(BOUNDS, rows, usual)
    return jumped("hocsinh", BOUNDS, allowed, Refused(rows, refused), usual, {"a": refused}).halts


def test_a_jump_of_what_is_refused_is_held_and_told_in_plain_words() -> None:
    result = jumped("giaingan", BOUNDS, 480, Refused(1810, 725), Refused(1810, 18), {"b": 25, "a": 700})
    assert result.halts
    assert result.finding == "725 of 1,810 rows (40%) would go to quarantine, by a (700), b (25); usual are 1.0%"
    assert not holds(1810, 300, Refused(1810, 18))


def test_where_much_is_always_refused_no_more_than_that_is_allowed() -> None:
    assert not holds(1000, 550, Refused(5000, 2000))
    assert holds(1000, 700, Refused(5000, 2000))


def test_a_few_bad_rows_are_no_jump_however_large_their_share() -> None:
    assert not holds(49, 49, Refused(1000, 0))
    assert holds(120, 80, Refused(1000, 0))


def test_chance_is_no_jump() -> None:
    """Of 230 rows of which usually a tenth is refused, 30 percent and some more are no surprise."""
    assert not holds(230, 80, Refused(1000, 100))
    assert holds(230, 120, Refused(1000, 100))


def test_of_the_first_batches_nothing_is_said() -> None:
    assert allowed_refusals(BOUNDS, 1000, Refused(0, 0)) is None
    assert allowed_refusals(BOUNDS, 1000, Refused(99, 0)) is None
    assert allowed_refusals(Limits.model_validate({"quarantined_points": None}), 1000, Refused(9999, 0)) is None
    assert not holds(1000, 1000, Refused(0, 0))
