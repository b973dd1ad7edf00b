"""Rule files: what is read, and that a wrong one says where and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdic import settings
from pdic.quality import (
    Dimension,
    OnFail,
    Reason,
    RuleError,
    Severity,
    Stage,
    load_rules,
    rules_for_batch,
    rules_for_release,
)

GOOD: dict[str, Any] = {
    "id": "hocsinh.sodinhdanh.format",
    "type": "expect_column_values_to_match_regex",
    "kwargs": {"column": "sodinhdanh", "regex": r"^\d{12}$"},
    "severity": "critical",
    "dimension": "accuracy",
    "on_fail": "quarantine",
    "reason": {"vi": "Số định danh phải có 12 chữ số", "en": "The identity number must have 12 digits"},
    "origin": "text",
    "source": "NĐ 137/2015 Điều 13",
}


def write(path: Path, *entries: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"rules": list(entries)}, allow_unicode=True), encoding="utf-8")
    return path


def test_a_rule_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", GOOD)
    (rule,) = load_rules([path])
    assert (rule.id, rule.type, dict(rule.kwargs)) == (GOOD["id"], GOOD["type"], GOOD["kwargs"])
    assert (rule.severity, rule.dimension, rule.on_fail) == (Severity.CRITICAL, Dimension.ACCURACY, OnFail.QUARANTINE)
    assert rule.reason == Reason(vi="Số định danh phải có 12 chữ số", en="The identity number must have 12 digits")
    assert (rule.path, rule.column_name, rule.needed_columns) == (path, "sodinhdanh", ("sodinhdanh",))
    assert (rule.source, rule.active) == ("NĐ 137/2015 Điều 13", True)
    assert rule.is_row_rule


def test_dates_become_text_that_the_database_reads_as_the_columns_type(tmp_path: Path) -> None:
    entry = {
        **GOOD,
        "type": "expect_column_values_to_be_between",
        "kwargs": yaml.safe_load("{column: ngaysinh, min_value: 1900-01-01}"),
    }
    (rule,) = load_rules([write(tmp_path / "a.yaml", entry)])
    assert rule.kwargs["min_value"] == "1900-01-01"


def test_an_empty_list_of_rules_is_a_rule_file(tmp_path: Path) -> None:
    assert load_rules([write(tmp_path / "a.yaml")]) == ()


def test_a_draft_is_left_out_of_every_reading_that_does_not_ask_for_it(tmp_path: Path) -> None:
    draft = {**GOOD, "id": "draft", "active": False}
    write(tmp_path / "expectations" / "shape" / "education" / "hocsinh.yaml", {**GOOD, "id": "shape"})
    write(tmp_path / "expectations" / "batch" / "education" / "hocsinh.yaml", draft, GOOD)
    release = write(tmp_path / "expectations" / "release" / "dim_citizen.yaml", {**draft, "on_fail": "halt"})
    assert [rule.id for rule in rules_for_batch(tmp_path, "education", "hocsinh")] == ["shape", GOOD["id"]]
    assert [(rule.id, rule.active) for rule in rules_for_batch(tmp_path, "education", "hocsinh", drafts=True)] == [
        ("shape", True),
        ("draft", False),
        (GOOD["id"], True),
    ]
    assert rules_for_release(tmp_path, "dim_citizen") == ()
    assert [rule.id for rule in rules_for_release(tmp_path, "dim_citizen", drafts=True)] == ["draft"]
    assert load_rules([release], Stage.RELEASE) == ()


def test_an_id_is_unique_among_drafts_too(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="used twice"):
        load_rules([write(tmp_path / "a.yaml", GOOD, {**GOOD, "active": False})])


ROW_KWARGS: Mapping[str, Any] = {"column": "a"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "expect_column_values_to_match_regx"}, "did you mean expect_column_values_to_match_regex?"),
        ({"type": "expect_peace"}, "unknown type expect_peace"),
        ({"type": ["x"]}, "unknown type"),
        ({"kwargs": {"column": "a", "regex": "x", "regexp": "y"}}, "does not take regexp"),
        ({"kwargs": {"column": "a"}}, "needs regex"),
        ({"kwargs": {"column": "a", "regex": 12}}, "regex must be text"),
        ({"kwargs": ["column"]}, "kwargs must be a mapping"),
        ({"severity": "bad"}, "severity: bad; it must be one of critical, warning, info"),
        ({"dimension": "beauty"}, "dimension: beauty; it must be one of accuracy"),
        ({"on_fail": "ignore"}, "on_fail: ignore; it must be one of quarantine, halt, warn"),
        ({"origin": "dream"}, "origin: dream"),
        ({"source": " "}, "needs a source in one line"),
        ({"source": "NĐ 137/2015\nĐiều 13"}, "needs a source in one line"),
        ({"active": "no"}, "active must be true or false"),
        ({"active": False, "severity": "bad"}, "severity: bad"),
        ({"reason": {"vi": "Sai"}}, "a reason in both languages"),
        ({"reason": {"vi": " ", "en": "Wrong"}}, "a reason in both languages"),
        ({"severty": "critical"}, "unknown field severty"),
        (
            {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
            "does not judge single rows: say halt or warn",
        ),
        ({"type": "expect_column_values_to_be_unique", "kwargs": ROW_KWARGS}, "does not judge single rows"),
        (
            {"type": "expect_column_values_to_not_be_null", "kwargs": {**ROW_KWARGS, "mostly": 0.9}},
            "every failing row is moved, so drop `mostly`",
        ),
        (
            {"type": "expect_column_values_to_not_be_null", "on_fail": "warn", "kwargs": {**ROW_KWARGS, "mostly": 95}},
            "mostly must be a share over 0 and up to 1",
        ),
        ({"type": "expect_column_values_to_be_between", "kwargs": ROW_KWARGS}, "at least one of max_value, min_value"),
        (
            {"type": "expect_column_values_to_be_between", "kwargs": {**ROW_KWARGS, "min_value": True}},
            "must be a number, a date",
        ),
        (
            {"type": "expect_column_value_lengths_to_be_between", "kwargs": {**ROW_KWARGS, "max_value": "ten"}},
            "max_value must be a number",
        ),
        ({"type": "expect_column_values_to_be_in_set", "kwargs": {**ROW_KWARGS, "value_set": []}}, "at least one item"),
        ({"type": "expect_column_values_to_be_in_set", "kwargs": {**ROW_KWARGS, "value_set": ["1", None]}}, "no null"),
        ({"type": "pdic_expect_row_condition", "kwargs": {"condition": "a > b"}}, "needs columns"),
        (
            {"type": "pdic_expect_row_condition", "kwargs": {"condition": "a > b", "columns": "a"}},
            "columns must be a list",
        ),
        (
            {
                "type": "expect_column_pair_values_a_to_be_greater_than_b",
                "kwargs": {"column_A": "a", "column_B": "b", "or_equal": "yes"},
            },
            "or_equal must be true or false",
        ),
    ],
)
def test_a_wrong_rule_names_file_and_rule_and_says_what_to_do(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "rules.yaml", {**GOOD, **change})
    with pytest.raises(RuleError) as caught:
        load_rules([path])
    assert str(caught.value).startswith(f"{path}: rule hocsinh.sodinhdanh.format")
    assert said in str(caught.value)


@pytest.mark.parametrize("rule_id", [None, "", "has space", "a,b", "{a}", 7])
def test_an_id_is_one_plain_word(tmp_path: Path, rule_id: Any) -> None:
    with pytest.raises(RuleError, match="rule 1 needs an `id`"):
        load_rules([write(tmp_path / "a.yaml", {**GOOD, "id": rule_id})])


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    entry = {name: value for name, value in GOOD.items() if name not in ("severity", "origin", "source")}
    with pytest.raises(RuleError, match="lacks origin, severity, source"):
        load_rules([write(tmp_path / "a.yaml", entry)])


def test_an_id_is_unique_over_all_files_of_a_dataset(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.yaml", GOOD), write(tmp_path / "b.yaml", GOOD)
    with pytest.raises(
        RuleError, match=r"b\.yaml: the rule id hocsinh\.sodinhdanh\.format is used twice \(also in .*a\.yaml\)"
    ):
        load_rules([first, second])


@pytest.mark.parametrize("text", ["", "rules:", "rules: {}", "- a", "rules: []\nother: 1", "rules: [", "rules: [1]"])
def test_what_is_no_rule_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=r"a\.yaml"):
        load_rules([path])


def test_a_release_has_no_quarantine(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="a release has no quarantine: say halt or warn"):
        load_rules([write(tmp_path / "a.yaml", GOOD)], Stage.RELEASE)


def test_a_batch_is_checked_by_its_contracts_shape_and_its_own_rules(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="run `pdic contracts compile`"):
        rules_for_batch(tmp_path, "education", "hoc_sinh")
    expectations = tmp_path / "expectations"
    write(expectations / "shape" / "education" / "hoc_sinh.yaml", {**GOOD, "id": "shape"})
    assert [rule.id for rule in rules_for_batch(tmp_path, "education", "hoc_sinh")] == ["shape"]
    write(expectations / "batch" / "education" / "hoc_sinh.yaml", {**GOOD, "id": "text"})
    assert [rule.id for rule in rules_for_batch(tmp_path, "education", "hoc_sinh")] == ["shape", "text"]


def test_a_shared_table_without_rules_is_not_audited_by_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="no rules for the shared table dim_citizen"):
        rules_for_release(tmp_path, "dim_citizen")
    expectations = tmp_path / "expectations"
    write(expectations / "release" / "dim_citizen.yaml", {**GOOD, "on_fail": "halt"})
    assert len(rules_for_release(tmp_path, "dim_citizen")) == 1
    write(expectations / "shape" / "shared" / "dim_citizen.yaml", {**GOOD, "id": "shape", "on_fail": "warn"})
    assert [rule.id for rule in rules_for_release(tmp_path, "dim_citizen")] == ["shape", GOOD["id"]]


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for part in ("batch", "release", "shape")
        for path in (settings.project_root() / "expectations" / part).rglob("*.yaml")
    ),
    ids=lambda p: f"{p.parent.name}/{p.stem}",
)
def test_every_rule_file_of_the_project_is_sound(path: Path) -> None:
    release = path.parent.name == "shared" or path.parent.name == "release"
    load_rules([path], Stage.RELEASE if release else Stage.BATCH)
