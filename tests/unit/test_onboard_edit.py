"""A contract's text is changed where it has to change, and nowhere else."""

from __future__ import annotations

import difflib

import pytest
import yaml

from pdic import settings
from pdic.contracts import load_all
from pdic.onboard.edit import ContractText

TEXT = """\
# Hợp đồng của Sở.
version: 1.2.3   # tăng khi đổi
schema:
  - name: x
    physicalName: public.x
    physicalType: table
    properties:
      - name: a
        physicalName: A b
        physicalType: "varchar(3)"  # thường
        logicalType: string
        enum:
          - {value: '1', label: một}
        customProperties: [{property: descriptionEn, value: A}, {property: unit, value: km}]

      # về b
      - name: b
        physicalName: b
        physicalType: text
        description: 'dài, có: dấu'
        customProperties:
          - property: descriptionEn
            value: B
          - {property: unit, value: kg}
      - {name: c, physicalName: c, physicalType: text, logicalType: string, customProperties: [{property: unit, value: m}]}
"""


def columns(text: ContractText) -> dict[str, dict[str, object]]:
    return {column["physicalName"]: column for column in yaml.safe_load(text.text)["schema"][0]["properties"]}


def changed_lines(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def test_scalars_are_replaced_and_comments_stay() -> None:
    text = ContractText(TEXT)
    text.set_version("1.3.0")
    text.set_field("A b", "physicalType", "text[]")
    text.set_field("b", "physicalName", "Tên: mới")
    text.set_field("c", "physicalType", "bigint")
    assert changed_lines(TEXT, text.text) == [
        "- version: 1.2.3   # tăng khi đổi",
        "+ version: 1.3.0   # tăng khi đổi",
        '-         physicalType: "varchar(3)"  # thường',
        "+         physicalType: text[]  # thường",
        "-         physicalName: b",
        "+         physicalName: 'Tên: mới'",
        "-       - {name: c, physicalName: c, physicalType: text, logicalType: string, customProperties: [{property: unit, value: m}]}",
        "+       - {name: c, physicalName: c, physicalType: bigint, logicalType: string, customProperties: [{property: unit, value: m}]}",
    ]


def test_fields_and_properties_come_and_go_in_either_style() -> None:
    text = ContractText(TEXT)
    for name in ("A b", "b", "c"):
        text.set_field(name, "required", True)
        text.set_custom(name, "sourceType", "muc.mood")
        text.set_custom(name, "unit", "cm")
    found = columns(text)
    for name in ("A b", "b", "c"):
        assert found[name]["required"] is True
        assert {"property": "sourceType", "value": "muc.mood"} in found[name]["customProperties"]  # type: ignore[operator]
        assert {"property": "unit", "value": "cm"} in found[name]["customProperties"]  # type: ignore[operator]
    for name in ("A b", "b", "c"):
        text.remove_field(name, "required")
        text.remove_custom(name, "sourceType")
    text.set_custom("A b", "unit", "km")
    text.set_custom("b", "unit", "kg")
    text.set_custom("c", "unit", "m")
    assert text.text == TEXT


def test_a_list_is_replaced_whole() -> None:
    text = ContractText(TEXT)
    text.set_field("A b", "enum", [{"value": "1", "label": "một"}, {"value": "2", "label": "hai"}])
    assert columns(text)["A b"]["enum"] == [{"value": "1", "label": "một"}, {"value": "2", "label": "hai"}]
    assert "# thường" in text.text
    assert "# về b" in text.text


@pytest.mark.parametrize("after", [None, "A b", "b", "c"])
def test_columns_come_and_go_at_their_place(after: str | None) -> None:
    text = ContractText(TEXT)
    text.insert_column(
        {"name": "d", "physicalName": "D", "customProperties": [{"property": "unit", "value": "l"}]}, after
    )
    names = list(columns(text))
    assert names.index("D") == (0 if after is None else names.index(after) + 1)
    text.remove_column("D")
    assert text.text == TEXT


def test_contracts_that_people_wrote_can_be_edited() -> None:
    """What is put in and taken out again leaves the text as it was."""
    root = settings.project_root()
    for contract in list(load_all(root).values())[::5]:
        before = (root / contract.path).read_text(encoding="utf-8")
        text = ContractText(before)
        last = contract.columns[-1].source_name
        former = columns(text)
        text.insert_column({"name": "d", "physicalName": "D"}, last)
        text.set_custom(last, "guessed", ["classification"])
        text.remove_custom(last, "guessed")
        text.remove_column("D")
        assert columns(text) == former
        assert text.text == before
