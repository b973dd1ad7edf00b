"""What `pdic onboard` refuses before it looks at anything."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pdic.cli import onboard
from pdic.cli.app import app
from pdic.errors import PdicError
from pdic.onboard import Guess


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
        (["--connection", "c", "--schema", "s", "--zone", "Hanoi", "--yes"], "no time zone: write it like"),
        (["--update", "health"], "not SECTOR.DATASET"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["onboard", *arguments])
    assert isinstance(result.exception, PdicError)
    assert message in str(result.exception)
    assert "a:b" not in str(result.exception)


def test_a_cursor_is_asked_for_and_then_its_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zone is asked of the chosen column only, and again until it is one."""
    guesses = (
        Guess("d", None, "cursorColumn", "none", "why", ("none", "a", "b")),
        Guess("d", "a", "cursorTimeZone", "Asia/Ho_Chi_Minh", "whose time"),
        Guess("d", "b", "cursorTimeZone", "Asia/Ho_Chi_Minh", "whose time"),
    )
    said = iter(["e", "b", "Hanoi", "UTC"])
    monkeypatch.setattr(onboard.typer, "prompt", lambda *_, **__: next(said))
    assert onboard._ask("s.d", guesses) == {guesses[0]: "b", guesses[2]: "UTC"}
