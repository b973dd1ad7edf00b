"""The project's own contracts: they are valid ODCS, their outputs are committed, and personal data is classified."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from functools import cache
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from pdic import logins, settings
from pdic.contracts import Column, Contract, compile_all, load_all, load_shared
from pdic.generated.catalogue import SECTORS, SHARED_TABLES

ROOT = settings.project_root()
CONTRACTS = load_all(ROOT)

NAMES_A_PERSON = re.compile(r"hovaten|ho_?ten|ten_?(me|cha|con)$", re.IGNORECASE)
NUMBERS_A_PERSON = re.compile(r"so_?dinh_?danh|cccd|the_bhyt|sogiaytotuythan|masobhxh", re.IGNORECASE)
SENSITIVE = re.compile(r"dan_?toc|benh_|nguyen_?nhan|khuyettat|ma_thuoc", re.IGNORECASE)


@cache
def odcs_schema() -> jsonschema.protocols.Validator:
    text = resources.files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft201909Validator(json.loads(text))


@pytest.mark.parametrize("path", sorted(ROOT.glob("contracts/*/*.odcs.yaml")), ids=lambda path: path.stem)
def test_a_contract_meets_the_standards_own_schema(path: Path) -> None:
    errors = [error.message for error in odcs_schema().iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))]
    assert errors == []


def test_committed_files_are_what_the_contracts_compile_to() -> None:
    assert [str(difference) for difference in compile_all(ROOT, check=True)] == []


def test_the_catalogue_names_every_dataset() -> None:
    assert {(sector, name) for sector, known in SECTORS.items() for name in known["datasets"]} == set(CONTRACTS)
    assert tuple(load_shared(ROOT)) == SHARED_TABLES


def every_column() -> list[tuple[Contract, Column]]:
    return [(contract, column) for contract in CONTRACTS.values() for column in contract.columns]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (NAMES_A_PERSON, {"personal", "sensitive"}),
        (NUMBERS_A_PERSON, {"identifier"}),
        (SENSITIVE, {"sensitive"}),
        (re.compile(r"dia_?chi$|noicutru$|dien_thoai", re.IGNORECASE), {"personal", "sensitive"}),
    ],
)
def test_columns_about_people_are_closed(names: re.Pattern[str], classes: set[str]) -> None:
    matching = [(contract, column) for contract, column in every_column() if names.search(column.source_name)]
    assert len(matching) >= 4
    wrong = [
        f"{contract.id}.{column.source_name}: {column.classification}"
        for contract, column in matching
        if column.classification not in classes
    ]
    assert wrong == []


def test_nothing_that_describes_a_child_is_open() -> None:
    pupil = CONTRACTS["education", "hocsinh"]
    open_columns = {column.source_name for column in pupil.columns if column.is_open}
    assert open_columns == {
        *("id", "matruong", "malop", "namhoc", "matrangthaihientai"),
        *("mahocbantru", "ngayvaotruong", "thoigiancapnhat", "daxoa"),
    }


def test_every_change_is_read_by_a_required_cursor_and_lists_are_read_whole() -> None:
    for contract in CONTRACTS.values():
        if contract.sector not in logins.SECTORS:
            continue  # a sector that a province has taken on is as its source is
        if contract.capture == "cursor":
            assert contract.column(str(contract.cursor_column)).physical_type == "timestamp with time zone"
            assert contract.column(str(contract.soft_delete_column)).physical_type == "boolean"
        elif contract.capture == "snapshot":
            assert contract.min_rows == 1
        else:
            assert contract.feed is not None
            assert contract.feed.cancel == "CANCEL"
        assert timedelta(hours=4) < contract.freshness <= timedelta(hours=26)


def test_old_papers_are_not_refused_for_their_length() -> None:
    """A paper may be a former identity card of nine digits: such columns have no format that would set the row aside."""
    for contract, column in every_column():
        if "GiayToTuyThan" in column.source_name or "SO_CCCD" in column.source_name:
            assert column.pattern is None or column.on_fail == "warn", f"{contract.id}.{column.source_name}"


def test_codes_have_labels() -> None:
    bare = {
        f"{contract.dataset}.{column.source_name}"
        for contract, column in every_column()
        if column.enum and not all(column.enum_labels)
    }
    assert bare == set()


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.id)
def test_staging_calls_columns_as_the_contract_does(contract: Contract) -> None:
    """`name` of a contract's column is its name in the warehouse; the model of the dataset must not use another."""
    folder = ROOT / "dbt_project" / "models" / "staging" / contract.sector
    model = (folder / f"stg_{contract.sector}__{contract.dataset}.sql").read_text(encoding="utf-8")
    # The cursor, the flag and a feed's event, version and time become columns of staging's own; a month of birth goes into
    # birth_year and birth_precision.
    without_a_column = {contract.cursor_column, contract.soft_delete_column, "thangnamsinh"}
    if contract.feed:
        without_a_column |= {contract.feed.event, contract.feed.version, contract.feed.time}
    missing = [
        column.name
        for column in contract.columns
        if column.source_name not in without_a_column and not re.search(rf"\b{column.name}\b", model)
    ]
    assert missing == []
