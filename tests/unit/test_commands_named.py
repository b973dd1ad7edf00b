"""Every command that documentation, Makefile or a message of the package names is there, with the options that it is named with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from pdic import settings
from pdic.cli.app import app

NAMED: Final = re.compile(
    r"`(?:\.venv/bin/)?pdic ([^`\n]+)`"
    r"|^\s*(?:docker-compose run --rm |\.venv/bin/|@?\$\(BIN\)/)pdic ([^#\n|>()\"]+)",
    re.MULTILINE,
)
NO_COMMANDS: Final = {"COMMAND --help", "<step>", "0.1.0 (cc7af68)"}
"""What stands in backticks after `pdic` and is none: a placeholder, a session's name, a version."""


def files() -> list[Path]:
    root = settings.project_root()
    documents = [root / "README.md", root / "Makefile", *sorted((root / "docs").rglob("*.md"))]
    code = [path for room in ("plugins/pdic", "demo", "dags") for path in sorted((root / room).rglob("*.py"))]
    return documents + [path for path in code if "generated" not in path.parts]


def texts(path: Path) -> Iterator[str]:
    """A document whole; of code its strings, `X` standing for what is put into one."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named(path: Path) -> list[str]:
    found = (match[1] or match[2] for text in texts(path) for match in NAMED.finditer(text))
    return [words.strip() for words in found if words.strip() not in NO_COMMANDS]


COMMANDS: Final[Any] = typer.main.get_command(app)


def wrong(words: str) -> str | None:
    """What of a command's words there is not."""
    node = COMMANDS
    rest = words.split()
    while rest and rest[0] in getattr(node, "commands", {}):
        node = node.commands[rest.pop(0)]
        if node.name == "airflow":
            return None  # the words after it are Airflow's own
    if hasattr(node, "commands") and rest and not rest[0].startswith(("-", "…")):
        return f"no command {rest[0]}"
    options = {option for parameter in node.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }
    asked = [word.strip("`.,;:)").split("=")[0] for word in rest if word.startswith("--")]
    return next((f"no option {option}" for option in asked if option not in options), None)


@pytest.mark.parametrize(
    "words", ["onboard --updated a.b", "quarantine again health", "retry health", "load --complete"]
)
def test_what_is_not_there_is_noticed(words: str) -> None:
    assert wrong(words)


def test_every_command_that_is_named_is_there() -> None:
    found = {path: named(path) for path in files()}
    assert sum(map(len, found.values())) > 200
    assert [
        f"{path.name}: pdic {words}: {what}" for path, of in found.items() for words in of if (what := wrong(words))
    ] == []
