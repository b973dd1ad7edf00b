"""What `pdic onboard` refuses before it looks at anything."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pdic.cli.app import app
from pdic.errors import PdicError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--connection", "postgresql://a:b@h/d", "--schema", "s", "--yes"], "shows in process lists"),
        (["--connection", "host=h password=p", "--schema", "s", "--yes"], "shows in process lists"),
        (["--connection", "c"], "either --table"),
        (["--connection", "c", "--schema", "s", "--table", "s.t"], "either --table"),
        (["--connection", "c", "--schema", "s"], "there is nobody to ask"),
        (["--connection", "c", "--table", "no schema", "--yes"], "double quotes"),
        (["--connection", "c", "--schema", "s", "--key", "a,b", "--yes"], "say --table"),
        (["--update", "health"], "not SECTOR.DATASET"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["onboard", *arguments])
    assert isinstance(result.exception, PdicError)
    assert message in str(result.exception)
    assert "a:b" not in str(result.exception)
