"""Coverage names the columns that no rule reads."""

from __future__ import annotations

from pathlib import Path

from pdic import contracts, settings
from pdic.contracts.compile import compile_all
from pdic.onboard.written import written_models
from pdic.quality import load_rules
from pdic.quality.coverage import coverage, of_dataset
from tests.integration.sectors import write_contract

RULES = """
rules:
  - id: t.a.required
    type: expect_column_values_to_not_be_null
    kwargs: {column: a}
    severity: critical
    dimension: completeness
    on_fail: quarantine
    reason: {vi: "x", en: "x"}
    origin: contract
    source: a contract
  - id: t.bc.order
    type: pdic_expect_row_condition
    kwargs: {columns: [b, c], condition: 'b < c'}
    severity: warning
    dimension: consistency
    on_fail: warn
    reason: {vi: "x", en: "x"}
    origin: contract
    source: a contract
  - id: t.d.there
    type: expect_column_to_exist
    kwargs: {column: d}
    severity: warning
    dimension: completeness
    on_fail: halt
    reason: {vi: "x", en: "x"}
    origin: contract
    source: a contract
"""


def test_a_column_that_only_has_to_exist_has_no_rule(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    found = of_dataset("s", "t", ["a", "b", "c", "d", "e"], load_rules([path]))
    assert (found.columns, found.without_rule, found.percent) == (5, ("d", "e"), 60.0)


def test_every_dataset_is_counted_with_all_its_columns() -> None:
    root = settings.project_root()
    found = {(each.sector, each.dataset): each for each in coverage(root)}
    wanted = contracts.load_all(root)
    assert found.keys() == wanted.keys()
    for name, contract in wanted.items():
        assert found[name].columns == len(contract.columns)
        assert set(found[name].without_rule) <= {column.source_name for column in contract.columns}


def test_a_contract_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    write_contract(tmp_path, "thu", "tot")
    compile_all(tmp_path, check=False)
    path = tmp_path / "contracts" / "thu" / "hong.odcs.yaml"
    for broken in ("id: [", "apiVersion: v3.2.0\nkind: DataContract\n", ""):
        path.write_text(broken, encoding="utf-8")
        assert [each.dataset for each in coverage(tmp_path)] == ["tot"]
        assert written_models(tmp_path) == []
        assert contracts.names(tmp_path) == [("thu", "hong"), ("thu", "tot")]
