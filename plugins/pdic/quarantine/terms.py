"""How long an agency has to correct a row: `expectations/quarantine.yaml`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pdic import settings
from pdic.errors import PdicError
from pdic.quality.rules import Severity

TIME_ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")
_WEEKEND: Final = (5, 6)

WorkingDays = Annotated[int, Field(ge=1, le=250)]


class Terms(BaseModel):
    """Working days by severity, and which days are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    deadlines: dict[Severity, WorkingDays] = {Severity.CRITICAL: 5, Severity.WARNING: 10, Severity.INFO: 15}
    every_year: frozenset[str] = frozenset()
    holidays: frozenset[dt.date] = frozenset()

    @field_validator("deadlines")
    @classmethod
    def _complete(cls, value: dict[Severity, int]) -> dict[Severity, int]:
        if missing := [severity.value for severity in Severity if severity not in value]:
            raise ValueError(f"lacks {', '.join(missing)}")
        return value

    @field_validator("every_year")
    @classmethod
    def _days(cls, value: frozenset[str]) -> frozenset[str]:
        for day in value:
            dt.datetime.strptime(f"2000-{day}", "%Y-%m-%d").replace(tzinfo=TIME_ZONE)
        return value

    def due(self, severity: Severity, since: dt.date) -> dt.date:
        """The last day of the deadline that began the day after `since`."""
        day, left = since, self.deadlines[severity]
        while left:
            day += dt.timedelta(days=1)
            left -= self.is_working(day)
        return day

    def is_working(self, day: dt.date) -> bool:
        """Whether people work on this day."""
        return day.weekday() not in _WEEKEND and day not in self.holidays and f"{day:%m-%d}" not in self.every_year


def terms(root: Path | None = None) -> Terms:
    """The deadlines of the project at `root`, or the usual ones where it has no such file.

    Raises PdicError, naming the file and the field, where they are wrong.
    """
    path = (root or settings.project_root()) / "expectations" / "quarantine.yaml"
    if not path.exists():
        return Terms()
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Terms.model_validate(content)
    except yaml.YAMLError as error:
        raise PdicError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise PdicError(f"{path}: {found}. Correct it; deadlines are working days by severity") from None


def today() -> dt.date:
    """The province's date."""
    return dt.datetime.now(TIME_ZONE).date()
