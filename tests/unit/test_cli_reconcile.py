"""`pdic reconcile` and `pdic load --full`: what they pass on, print and exit with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from pdic import load as loading
from pdic import reconcile as reconciling
from pdic import retry as judging
from pdic.cli import quarantine as held_rows
from pdic.cli import reconcile as command
from pdic.cli.app import app

HEALED = {"sector": "s", "dataset": "d", "status": "accepted", "deleted": 3, "seconds": {"total": 1.5}, "message": None}
HELD = {**HEALED, "status": "rejected", "held": True, "message": "6 of 100 known rows (6.0%) are gone"}


def invoke(monkeypatch: pytest.MonkeyPatch, report: dict[str, Any], *words: str) -> tuple[Any, list[Any]]:
    asked: list[Any] = []

    def reconcile(targets: list[str], *, approve: bool, consent: Any, progress: Any) -> list[dict[str, Any]]:
        asked.append((targets, consent.reason if approve else None))
        return [report]

    monkeypatch.setattr(command, "ensure_warehouse", lambda: None)
    monkeypatch.setattr(reconciling, "reconcile", reconcile)
    return CliRunner().invoke(app, ["reconcile", *words]), asked


def test_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = invoke(monkeypatch, HEALED, "s.d", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [HEALED]
    assert asked == [(["s.d"], None)]


def test_held_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = invoke(monkeypatch, HELD, "s.d", "--approve", "--reason", "they moved")
    assert result.exit_code == 1
    assert "6 of 100 known rows" in result.output
    assert asked == [(["s.d"], "they moved")]


def test_an_approval_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = invoke(monkeypatch, HELD, "s.d", "--approve")
    assert "say why with --reason WHY" in str(result.exception)
    assert asked == []


def test_a_full_load_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(targets: list[str], *, progress: Any, full: bool) -> list[dict[str, Any]]:
        asked.append((targets, full))
        return [HEALED]

    monkeypatch.setattr("pdic.cli.app.ensure_warehouse", lambda: None)
    monkeypatch.setattr(loading, "load", load)
    assert CliRunner().invoke(app, ["load", "s.d", "--full", "--json"]).exit_code == 0
    assert CliRunner().invoke(app, ["load", "--json"]).exit_code == 0
    assert asked == [(["s.d"], True), ([], False)]
    refused = CliRunner().invoke(app, ["load", "--full"])
    assert "pdic load SECTOR.DATASET --full" in str(refused.exception)
    assert len(asked) == 2


SUPERSEDED = {**HEALED, "status": "superseded", "message": "was superseded by batch 7 of another load; nothing to do"}


def test_what_another_load_took_over_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = invoke(monkeypatch, SUPERSEDED, "s.d")
    assert result.exit_code == 0
    assert "superseded by batch 7" in result.output
    monkeypatch.setattr(held_rows, "ensure_warehouse", lambda: None)
    for report, code in ((SUPERSEDED, 0), (HELD, 1)):
        monkeypatch.setattr(judging, "retry", lambda *_, report=report, **__: [report])
        assert CliRunner().invoke(app, ["quarantine", "retry", "s.d", "--json"]).exit_code == code
