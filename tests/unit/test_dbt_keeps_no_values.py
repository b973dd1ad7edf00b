"""What dbt writes of a run holds PostgreSQL's messages, with values of rows: nothing of it stays, however the run ended."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dbt.cli.main
import pytest

from pdic import settings
from pdic.errors import PdicError
from pdic.release import dbt as building

VALUE = "079301000001"


@pytest.mark.parametrize("ends", ["well", "with an exception", "by dying"])
def test_no_value_stays_in_dbts_files(ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    left = tmp_path / "dbt" / "target" / "run_results.json"
    left.parent.mkdir(parents=True)
    left.write_text(f"what a killed build left: {VALUE}", encoding="utf-8")

    def invoke(_: Any, command: list[str]) -> Any:
        asked.append(command)
        assert not left.exists()
        for folder, name in (
            ("DBT_LOG_PATH", "dbt.log"),
            ("DBT_LOG_PATH", "dbt.log.1"),
            ("DBT_TARGET_PATH", "run_results.json"),
        ):
            Path(os.environ[folder]).mkdir(parents=True, exist_ok=True)
            (Path(os.environ[folder]) / name).write_text(f"Key (so)=({VALUE}) already exists", encoding="utf-8")
        if ends == "by dying":
            raise KeyboardInterrupt
        failed = ValueError(VALUE) if ends == "with an exception" else None
        return SimpleNamespace(result=None, exception=failed)

    monkeypatch.setenv("PDIC_HOME", str(tmp_path))
    settings.secret("identity_key", create=True)
    monkeypatch.setattr(building, "connect", lambda *_: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(building.locks, "told", lambda *_: nullcontext())
    monkeypatch.setattr(dbt.cli.main, "dbtRunner", type("Runner", (), {"invoke": invoke}))
    try:
        building.build("postgresql://u:p@h/d")
    except (PdicError, KeyboardInterrupt):
        assert ends != "well"
    assert asked[0][asked[0].index("--log-level-file") + 1] == "none"
    assert "--no-write-json" in asked[0]
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and VALUE in path.read_text(encoding="utf-8")]
    assert kept == []
    assert (tmp_path / "dbt" / "log").is_dir()
