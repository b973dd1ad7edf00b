"""The dbt project keeps its promises to itself and to the contracts: checked on the files, without a database."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdic import contracts, settings

MODELS = settings.project_root() / "dbt_project" / "models"
SQL = sorted(MODELS.rglob("*.sql"))
INDEX = re.compile(r"\{'columns': \[([^\]]*)\], 'unique': true\}")


def described() -> dict[str, dict[str, Any]]:
    """Model → its entry in the YAML files."""
    return {
        model["name"]: model
        for path in MODELS.rglob("*__models.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    }


def names(text: str) -> list[str]:
    return re.findall(r"'(\w+)'", text)


@pytest.mark.parametrize("path", SQL, ids=lambda path: path.stem)
def test_a_model_states_its_grain(path: Path) -> None:
    assert re.search(r"^-- Grain: .+", path.read_text(encoding="utf-8"), re.MULTILINE), (
        "add a line `-- Grain: one row per …`"
    )


@pytest.mark.parametrize("path", SQL, ids=lambda path: path.stem)
def test_an_incremental_table_enforces_its_grain(path: Path) -> None:
    """The database itself refuses a second row of a key; a test that reads millions of rows again would say less."""
    text = path.read_text(encoding="utf-8")
    staging = path.is_relative_to(MODELS / "staging")
    if not staging and "unique_key=" not in text:
        pytest.skip("built whole each time: its grain is a test in the YAML file")
    stated = ["_key"] if staging else names(re.search(r"unique_key=(\[[^\]]*\]|'\w+')", text).group(1))  # type: ignore[union-attr]
    unique = INDEX.search(text)
    assert unique, f"config(indexes=…) needs a unique index on {stated}"
    assert sorted(names(unique.group(1))) == sorted(stated)


def test_every_dataset_has_a_staging_model() -> None:
    wanted = {f"stg_{sector}__{dataset}" for sector, dataset in contracts.load_all()}
    assert {path.stem for path in (MODELS / "staging").rglob("*.sql")} == wanted


def test_a_staging_model_names_key_and_flag_as_its_contract() -> None:
    for (sector, dataset), contract in contracts.load_all().items():
        text = (MODELS / "staging" / sector / f"stg_{sector}__{dataset}.sql").read_text(encoding="utf-8")
        call = re.search(r"staging_columns\((\[[^\]]*\])(?:, ('.+?'))?(?:, cancel=\['(\w+)', '(\w+)'\])?\) \}\}", text)
        assert call, dataset
        key, flag = (
            ast.literal_eval(word or "None") for word in call.group(1, 2)
        )  # Jinja writes constants as Python does
        assert (tuple(key), flag) == (contract.key, contract.soft_delete_column)
        feed = contract.feed
        assert call.group(3, 4) == ((feed.event, feed.cancel) if feed and feed.cancel else (None, None))


def test_published_tables_are_described_as_their_contracts_say() -> None:
    models = described()
    for table, contract in contracts.load_shared().items():
        columns = {column["name"]: column["description"] for column in models[table]["columns"]}
        assert columns == {
            column.name: f"{column.description_vi} | {column.description_en}" for column in contract.columns
        }, f"{table}: bring contracts/shared/{table}.odcs.yaml and its models' YAML together"


def test_every_published_table_has_a_tested_grain() -> None:
    models = described()
    for table, contract in contracts.load_shared().items():
        tests = {name: options for test in models[table]["data_tests"] for name, options in test.items()}
        assert tuple(tests["grain"]["arguments"]["columns"]) == contract.key, table


def test_code_lists_named_by_models_exist() -> None:
    seed = (settings.project_root() / "dbt_project" / "seeds" / "code_list.csv").read_text(encoding="utf-8")
    known = {tuple(line.split(",")[:2]) for line in seed.splitlines()[1:]}
    for path in SQL:
        for used in re.findall(r"common_code\('(\w+)', '(\w+)'", path.read_text(encoding="utf-8")):
            assert used in known, f"{path.name} names the list {used}, which seeds/code_list.csv does not have"
