"""A page of the Data Docs opens without a network and shows every rule, with counts."""

from __future__ import annotations

import re

from pdic import settings
from pdic.quality import rules_for_batch
from pdic.quality.data_docs import Page, render


def page(failing: str, raising: str) -> str:
    rules = {rule.id: rule for rule in rules_for_batch(settings.project_root(), "education", "hocsinh")}
    results = [
        {
            "rule_id": rule.id,
            "expectation_type": rule.type,
            "severity": rule.severity.value,
            "on_fail": rule.on_fail.value,
            "dimension": rule.dimension.value,
            "success": rule.id not in (failing, raising),
            "checked": None if rule.id == raising else 4321,
            "failed": None if rule.id == raising else 1234 if rule.id == failing else 0,
            "raised": "ProgrammingError (42703)" if rule.id == raising else None,
        }
        for rule in rules.values()
    ]
    results.append(results[0] | {"rule_id": "hocsinh.of.yesterday", "expectation_type": "pdic_of_yesterday"})
    history = {"expectation_type": "pdic_history_freshness", "column_name": "thoigiancapnhat", "dimension": "freshness"}
    results.append(results[0] | history | {"rule_id": "hocsinh.history.thoigiancapnhat.freshness"})
    return render(Page("education", "hocsinh", 7, results), rules)


def test_a_page_shows_every_rule_with_counts_and_loads_nothing() -> None:
    rules = rules_for_batch(settings.project_root(), "education", "hocsinh")
    failing = next(rule.id for rule in rules if rule.is_row_rule)
    raising = next(rule.id for rule in rules if rule.is_row_rule and rule.id != failing)
    html = page(failing, raising)
    for rule in rules:
        assert rule.id in html
        assert rule.source in html
    assert "hocsinh.of.yesterday" in html
    for text in (
        "hocsinh.history.thoigiancapnhat.freshness",
        "Nguồn đã lâu không ghi thêm gì",
        "expectations/history.yaml",
    ):
        assert text in html
    assert "1234" in re.sub(r"[,. ]", "", html)
    assert "ProgrammingError (42703)" in html
    assert not re.search(r"<script|<link|<img|<iframe|url\(|src=", html)
    assert "unexpected Exception" not in html
    assert "Traceback" not in html
