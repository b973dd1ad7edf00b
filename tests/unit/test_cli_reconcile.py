"""`pdic reconcile`: what it passes on, prints and exits with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from pdic import reconcile as reconciling
from pdic.cli import reconcile as command
from pdic.cli.app import app

HEALED = {"sector": "s", "dataset": "d", "status": "accepted", "deleted": 3, "seconds": {"total": 1.5}, "message": None}
HELD = {**HEALED, "status": "rejected", "held": True, "message": "6 of 100 known rows (6.0%) are gone"}


def invoke(monkeypatch: pytest.MonkeyPatch, report: dict[str, Any], *words: str) -> tuple[Any, list[Any]]:
    asked: list[Any] = []

    def reconcile(targets: list[str], *, approve: bool, progress: Any) -> list[dict[str, Any]]:
        asked.append((targets, approve))
        return [report]

    monkeypatch.setattr(command, "ensure_warehouse", lambda: None)
    monkeypatch.setattr(reconciling, "reconcile", reconcile)
    return CliRunner().invoke(app, ["reconcile", *words]), asked


def test_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = invoke(monkeypatch, HEALED, "s.d", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [HEALED]
    assert asked == [(["s.d"], False)]


def test_held_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = invoke(monkeypatch, HELD, "s.d", "--approve")
    assert result.exit_code == 1
    assert "6 of 100 known rows" in result.output
    assert asked == [(["s.d"], True)]
