"""Onboarding beside others: contracts that cannot be used, and people who take on tables at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import contracts
from pdic.contracts import compile_all
from pdic.errors import OnboardError
from pdic.onboard import Guess, onboard
from tests.conftest import Postgres
from tests.integration.test_onboard import project

CONN_ID = "pdic_source_works"
CONFLICT = "<<<<<<< HEAD\n{}=======\n>>>>>>> theirs\n"


class Works:
    """A project with one contract, and a source with five tables."""

    def __init__(self, root: Path, uri: str) -> None:
        self.root = root
        self.uri = uri

    def onboard(self, table: str | None = None, **options: Any) -> dict[str, Any]:
        named = {"table": ("public", table)} if table else {"schema": "public"}
        return onboard(CONN_ID, self.uri, agency="Sở Xây dựng", **named, **options)

    def contract(self, dataset: str) -> Path:
        return self.root / "contracts" / "works" / f"{dataset}.odcs.yaml"


@pytest.fixture(scope="module")
def source(postgres: Postgres) -> str:
    uri = postgres.create_database("works")
    with psycopg.connect(uri) as database:
        for name in ("permit", "road", "bridge", "dyke", "Road"):
            database.execute(
                psycopg.sql.SQL("create table {} (id int primary key, name text)").format(psycopg.sql.Identifier(name))
            )
            database.execute(
                psycopg.sql.SQL("insert into {} values (1, 'a'), (2, 'b')").format(psycopg.sql.Identifier(name))
            )
    return uri


@pytest.fixture
def works(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Works]:
    monkeypatch.setenv("PDIC_ROOT", str(project(tmp_path / "project")))
    found = Works(tmp_path / "project", source)
    found.onboard("permit")
    yield found


def test_one_table_is_taken_on_beside_a_contract_that_cannot_be_read(works: Works) -> None:
    right = works.contract("permit").read_text()
    works.contract("permit").write_text(CONFLICT.format(right))
    report = works.onboard("road")
    assert report["datasets"] == ["works.road"]
    (warning,) = report["warnings"]
    assert warning.startswith("contracts/works/permit.odcs.yaml: ")
    works.contract("permit").write_text(right)
    assert compile_all(works.root, check=True) == []
    assert {dataset for _, dataset in contracts.load_all(works.root)} == {"permit", "road"}


def test_the_table_of_a_contract_that_cannot_be_read_is_not_taken_on_again(works: Works) -> None:
    works.contract("permit").write_text(CONFLICT.format(works.contract("permit").read_text()))
    report = works.onboard()
    assert "works.permit" not in report["datasets"]
    assert {"table": "public.permit", "why": "it has the contract contracts/works/permit.odcs.yaml"} in report[
        "skipped"
    ]
    assert len(report["datasets"]) == 4


def test_where_its_table_is_unknown_it_is_refused_in_that_sector_only(works: Works) -> None:
    works.contract("permit").write_text("id: works.permit\nschema: [")
    with pytest.raises(OnboardError, match=r"permit\.odcs\.yaml.*second time: correct it, or move it"):
        works.onboard("road")
    report = works.onboard("road", sector="roads")
    assert report["datasets"] == ["roads.road"] and len(report["warnings"]) == 1


def test_a_new_dataset_has_the_agency_of_a_sector_that_cannot_be_read_now(works: Works) -> None:
    right = works.contract("permit").read_text()
    works.contract("permit").write_text(CONFLICT.format(right))
    onboard(CONN_ID, works.uri, table=("public", "road"))
    works.contract("permit").write_text(right)
    assert compile_all(works.root, check=True) == []


def test_nobody_waits_while_a_person_thinks_and_nothing_is_taken_on_twice(works: Works) -> None:
    """In the first one's dialogue a second one, a process of its own, takes on the same table and one that folds to its name."""
    others: list[subprocess.CompletedProcess[str]] = []
    code = (
        "import sys; from pdic.onboard import onboard\n"
        "onboard(sys.argv[1], sys.argv[2], table=('public', sys.argv[3]), agency='Sở Xây dựng')"
    )

    def confirm(dataset: str, _: tuple[Guess, ...]) -> dict[Guess, str]:
        if not others:
            for table in ("dyke", "Road"):
                command = [sys.executable, "-c", code, CONN_ID, works.uri, table]
                others.append(subprocess.run(command, env=os.environ, check=True, capture_output=True, text=True))
        return {}

    first = works.onboard("dyke", confirm=confirm)
    assert first["datasets"] == []
    assert first["skipped"] == [{"table": "public.dyke", "why": "it has the contract contracts/works/dyke.odcs.yaml"}]
    assert len(others) == 2
    others.clear()
    works.contract("road").unlink()
    late = works.onboard("road", confirm=confirm)
    assert [entry["table"] for entry in late["skipped"]] == ["public.road"]
    assert "another table was taken on as road meanwhile: run the command again" in late["skipped"][0]["why"]
    assert {contract.table for contract in contracts.load_all(works.root).values()} == {
        "public.permit",
        "public.dyke",
        "public.Road",
    }
