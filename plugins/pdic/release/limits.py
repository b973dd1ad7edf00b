"""How much a release may differ from the live one before a person has to look: `expectations/comparison.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pdic.errors import ReleaseError


class Limits(BaseModel):
    """Where a published table differs too much. Shares are parts of 1, points parts of 100; None is not asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compared: bool = True
    rows_fall: float | None = Field(0.30, gt=0, le=1)
    rows_rise: float | None = Field(0.80, gt=0)
    keys_gone: float | None = Field(0.30, gt=0, le=1)
    sum_factor: float | None = Field(3, gt=1)
    amount_digits: int | None = Field(3, ge=1)
    amount_least_rows: int = Field(10, ge=1)
    null_points: float | None = Field(20, gt=0, le=100)
    rule_points: float | None = Field(5, gt=0, le=100)
    rule_rows: int = Field(20, ge=0)
    rule_factor: float = Field(10, gt=1)
    rule_points_least: float = Field(1, gt=0, le=100)
    group_rows_fall: float | None = Field(0.50, gt=0, le=1)
    group_sum_factor: float | None = Field(10, gt=1)
    least_rows: int = Field(100, ge=20)
    noise: float = Field(4, ge=0)
    learned_releases: int = Field(8, ge=3)
    learned_window: int = Field(30, ge=3)
    learned_deviations: float = Field(4, gt=0)
    learned_least: float = Field(0.15, gt=0)


def path_of(root: Path) -> Path:
    """Where the usual limits stand; `root` is the project root."""
    return root / "expectations" / "comparison.yaml"


def limits(root: Path, table: str, own: Mapping[str, Any]) -> Limits:
    """The limits of a published table: the usual ones, but for those that its contract names (`own`).

    Raises ReleaseError, naming file and limit, where one is wrong.
    """
    path = path_of(root)
    try:
        usual = _read(path.read_text(encoding="utf-8")) if path.is_file() else {}
        Limits.model_validate(usual)
    except yaml.YAMLError as error:
        raise ReleaseError(f"{path} is not valid YAML: {error}. Correct it, then run `pdic release` again") from error
    except ValidationError as error:
        raise ReleaseError(_said(str(path), error)) from None
    try:
        return Limits.model_validate({**usual, **own})
    except ValidationError as error:
        raise ReleaseError(_said(f"contracts/shared/{table}.odcs.yaml: limits", error)) from None


@lru_cache(maxsize=4)
def _read(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text) or {}
    return found if isinstance(found, dict) else {"": found}


def _said(where: str, error: ValidationError) -> str:
    found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return f"{where}: {found}. Correct it (docs/releases.md says what each limit is), then run `pdic release` again"
