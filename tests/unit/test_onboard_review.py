"""What onboarding guessed and nobody has confirmed is listed, the guesses that matter most first; and what else its command line does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pdic import airflow_stack, settings
from pdic import onboard as onboarding
from pdic.cli import onboard as command
from pdic.cli.app import app
from pdic.contracts.read import dataset_path
from pdic.errors import PdicError
from pdic.onboard import draft as drafts
from pdic.onboard import review
from pdic.onboard.guess import guess_contract
from pdic.onboard.introspect import TableFacts
from pdic.sources.catalogue import SourceColumn, SourceTable
from tests.conftest import put


def column(name: str, type_: str = "text", *, filled: bool = False) -> SourceColumn:
    return SourceColumn(name, type_, type_, cast=False, not_null=filled)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two onboarded tables: one without a declared key, one that loads go by a stamp of."""
    monkeypatch.setenv("PDIC_ROOT", str(tmp_path))
    monkeypatch.setenv("PDIC_HOME", str(tmp_path / "home"))
    (tmp_path / "pyproject.toml").touch()
    people = SourceTable(
        "table", (column("code", filled=True), column("so_cccd"), column("dan_toc"), column("Họ Tên")), ()
    )
    stamped = "timestamp with time zone"
    visits = SourceTable(
        "table",
        (column("id", "bigint", filled=True), column("updated_at", stamped, filled=True), column("n", "integer")),
        ("id",),
    )
    for dataset, found in {
        "people": TableFacts("public", "people", people, empty=False, unique=(("code",),)),
        "visits": TableFacts("public", "visits", visits, empty=False, indexed=frozenset({"updated_at"})),
    }.items():
        draft = guess_contract(found, "health", dataset)
        text = drafts.contract_text(draft, "Sở Y tế", "pdic_source_health")
        put(tmp_path / drafts.contract_path(draft), text)
    return tmp_path


def found(root: Path, *only: str) -> list[tuple[str, str, str | None]]:
    return [(each.kind, each.dataset, each.column) for each in review.review(root, only)]


def test_what_loses_rows_or_shows_too_much_is_listed_first(root: Path) -> None:
    assert found(root) == [
        ("guessed-keys", "health.people", None),
        ("cursors", "health.visits", None),
        ("identifiers", "health.people", "so_cccd"),
        ("sensitive", "health.people", "dan_toc"),
    ]
    assert found(root, "guessed-keys", "identifiers") == [
        ("guessed-keys", "health.people", None),
        ("identifiers", "health.people", "so_cccd"),
    ]
    assert found(root, "names") == [("names", "health.people", "ho_ten")]
    assert ("internal", "health.visits", "n") in found(root, "internal")
    values = {each.kind: each.value for each in review.review(root)}
    assert (values["guessed-keys"], values["cursors"]) == ("code", "updated_at")
    assert review.review(root, sector="education") == []


def test_a_mark_that_a_person_takes_out_is_gone_from_the_list(root: Path) -> None:
    path = root / dataset_path("health", "people")
    text = path.read_text(encoding="utf-8")
    assert "      - key\n" in text
    put(root / dataset_path("health", "people"), text.replace("      - key\n", ""))
    assert "guessed-keys" not in {kind for kind, _, _ in found(root)}


def test_the_command_ends_with_1_while_something_is_left(root: Path) -> None:
    result = CliRunner().invoke(app, ["onboard", "review", "--only", "guessed-keys,identifiers", "--json"])
    assert result.exit_code == 1
    assert [(each["kind"], each["column"]) for each in json.loads(result.stdout)] == [
        ("guessed-keys", None),
        ("identifiers", "so_cccd"),
    ]
    words = CliRunner().invoke(app, ["onboard", "review", "--only", "identifiers"])
    assert words.exit_code == 1
    assert "so_cccd" in words.output
    nothing = CliRunner().invoke(app, ["onboard", "review", "--only", "agency"])
    assert nothing.exit_code == 0
    assert "nothing" in nothing.output
    wrong = CliRunner().invoke(app, ["onboard", "review", "--only", "keys"])
    assert isinstance(wrong.exception, PdicError)
    assert "guessed-keys" in str(wrong.exception)


@pytest.mark.parametrize("running", [True, False])
def test_several_schemas_are_taken_on_and_the_pool_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch, running: bool
) -> None:
    asked: list[str | None] = []
    pools: list[str] = []

    def take_on(*_: Any, schema: str | None, **__: Any) -> dict[str, Any]:
        asked.append(schema)
        return {
            "sector": "health",
            "connection": "c",
            "datasets": [f"health.{schema}"],
            "guesses": [],
            "refused": [],
        } | {
            "skipped": [],
            "written": ["plugins/pdic/generated/catalogue.py", f"contracts/health/{schema}.odcs.yaml"],
            "warnings": [],
        }

    monkeypatch.setattr(onboarding, "onboard", take_on)
    monkeypatch.setattr(command, "ensure_warehouse", settings.home)
    monkeypatch.setattr("pdic.connections.uri", lambda _: "postgresql://")
    monkeypatch.setattr(airflow_stack, "health", lambda _: {"running": running})
    monkeypatch.setattr(airflow_stack, "ensure_pools", lambda _, sectors: pools.extend(sectors))
    arguments = ["onboard", "--connection", "c", "--yes", "--schema", "one", "--schema", "two", "--schema", "one"]
    report = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert asked == ["one", "two"]
    assert report["datasets"] == ["health.one", "health.two"]
    assert report["written"].count("plugins/pdic/generated/catalogue.py") == 1
    assert pools == (["health"] if running else [])
    assert report["pool"] == ("made" if running else "made by the next `pdic up`")
    words = CliRunner().invoke(app, arguments).output
    assert "git add contracts dbt_project expectations/shape plugins/pdic/generated" in " ".join(words.split())


def test_airflows_command_line_runs_over_this_installation(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = CliRunner().invoke(app, ["airflow", "dags", "list"])
    assert isinstance(before.exception, PdicError)
    assert "pdic up" in str(before.exception)
    (root / "home" / "airflow").mkdir(parents=True)
    (root / "home" / "airflow" / "airflow.cfg").touch()
    became: list[Any] = []
    monkeypatch.setattr("pdic.cli.airflow.ensure_warehouse", settings.home)
    monkeypatch.setattr(os, "execve", lambda *arguments: became.extend(arguments))
    CliRunner().invoke(app, ["airflow", "dags", "list", "--output", "json", "--help"])
    program, arguments, environment = became
    assert (program, arguments) == (
        sys.executable,
        [sys.executable, "-m", "airflow", "dags", "list", "--output", "json", "--help"],
    )
    assert environment["AIRFLOW_HOME"] == str(root / "home" / "airflow")
