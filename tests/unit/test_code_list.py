"""The code lists: every code that a contract knows has one meaning and a common code."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from pdic.contracts import Column, Contract, load_all

ROOT = Path(__file__).resolve().parents[2]


def load_script() -> ModuleType:
    """Import scripts/glossary.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("glossary", ROOT / "scripts" / "glossary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


glossary = load_script()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (ROOT / "dbt_project" / "seeds" / "code_list.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def contracts() -> list[Contract]:
    return list(load_all().values())


def test_a_code_has_one_row_per_list_and_sector(rows: list[dict[str, str]]) -> None:
    keys = [(row["list"], row["sector"], row["source_code"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert keys == sorted(keys)


def test_text_is_complete_and_in_nfc(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert all(
            value and value == value.strip() and unicodedata.is_normalized("NFC", value) for value in row.values()
        )
        assert row["name_en"].isascii() or row["list"] == "amount_unit", row
        assert row["assumption"] in {"true", "false"}
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row["list"])


def test_a_common_code_has_one_label_within_a_list(rows: list[dict[str, str]]) -> None:
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        labels[row["list"], row["common_code"]].add(row["name_en"])
    assert {key: names for key, names in labels.items() if len(names) > 1} == {}


def test_sectors_disagree_about_sex_and_the_common_codes_settle_it(rows: list[dict[str, str]]) -> None:
    codes = {(row["sector"], row["source_code"]): row["common_code"] for row in rows if row["list"] == "sex"}
    assert codes["education", "0"] == codes["civil_registry", "3"] == codes["health", "3"] == "unknown"
    assert {codes[sector, "2"] for sector in ("education", "civil_registry", "health")} == {"female"}


def test_ethnicity_has_the_54_national_codes(rows: list[dict[str, str]]) -> None:
    for sector in ("education", "health"):
        codes = {r["source_code"]: r["name_vi"] for r in rows if (r["list"], r["sector"]) == ("ethnicity", sector)}
        assert sorted(codes) == [f"{number:02d}" for number in range(1, 55)]
        assert (codes["01"], codes["23"], codes["31"], codes["44"]) == ("Kinh", "Bru - Vân Kiều", "Tà Ôi", "Chứt")


def test_every_code_in_a_contract_is_in_the_lists_with_the_same_label(contracts: list[Contract]) -> None:
    lists = glossary.read_code_lists()
    assert contracts
    for contract in contracts:
        for column in contract.columns:
            name = glossary.list_of(contract.sector, column, lists)  # raises LookupError when a code is missing
            assert name is None or (name, contract.sector) in lists, (contract.id, column.source_name)
            assert name is not None or not column.enum, (contract.id, column.source_name)


def test_a_code_that_no_list_holds_is_refused() -> None:
    column = Column("x_code", "x", "text", "public", "x", "x", enum=("1", "77"), enum_labels=("nam", "không có"))
    with pytest.raises(LookupError, match="no list"):
        glossary.list_of("education", column, glossary.read_code_lists())


def test_the_glossary_is_up_to_date() -> None:
    assert glossary.main(["--check"]) == 0, "run python scripts/glossary.py"
