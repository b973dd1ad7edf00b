"""What commands print: JSON on standard output for machines, lines that fit the screen for people, progress on standard error.

    say, tell      a sentence on standard output; on standard error. Wrapped between words; `what is quoted so` stays on one line
    give           what is to be copied (an address, a path, a command): one line of its own, never wrapped
    print_table    a table where it fits, otherwise an item for each row; a number is never cut
    print_json     one document for machines

A screen has 80 columns unless the terminal or COLUMNS says otherwise: also where the output is a file or a pipe.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pdic.airflow_names import TIME_ZONE

NARROWEST: Final = 40
"""Columns of the narrowest screen that text is laid out for: a number and its label still fit."""

UNBOUND: Final = 100_000
FEW: Final = 40
"""So many datasets are listed one by one without being asked for; of more, their sectors are."""
FEW_PROBLEMS: Final = 20
"""So many sentences about what is wrong are printed; of more, their number."""
LONG_TEXT: Final = 28
"""Columns from which on a value has lines of its own in an item."""

_WORD: Final = re.compile(r"(?:`[^`\n]*`|\S)+")
"""A word of a sentence: what stands in backticks is one, blanks included, because people copy it."""

console = Console(stderr=True, highlight=False)


def width() -> int:
    """Columns of the screen: what COLUMNS says, else the terminal, else 80."""
    return max(shutil.get_terminal_size((80, 24)).columns, NARROWEST)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def say(text: str, indent: str = "") -> None:
    """A sentence on standard output, wrapped between words. Further lines of it begin with `indent`."""
    for line in wrapped(text, width(), indent):
        typer.echo(line)


def tell(text: str, style: str | None = None) -> None:
    """A sentence on standard error, wrapped between words."""
    for line in wrapped(text, width()):
        console.print(line, style=style, markup=False, emoji=False, soft_wrap=True)


def give(text: object, label: str | None = None) -> None:
    """What is to be copied, alone on a line of standard output and never wrapped; `label` stands on the line before."""
    if label is not None:
        say(label)
    typer.echo(str(text))


def wrapped(text: str, columns: int, indent: str = "") -> list[str]:
    """`text` in lines of at most `columns`, broken between words. A word that is longer than a line has one for itself."""
    lines: list[str] = []
    for part in text.split("\n"):
        margin = part[: len(part) - len(part.lstrip())]
        words = _WORD.findall(part)
        lines += _filled([margin + words[0], *words[1:]] if words else [], columns, margin + indent)
    return lines


def print_table(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Rows on standard output: a table where it fits the screen, otherwise an item for each row.

    Numbers stand to the right with their thousands parted, absent values are empty in a table and left out of an item.
    """
    if not rows:
        say(f"{title}: none")
        return
    screen = width()
    out = Console(highlight=False, width=screen)
    for broken in (False, True):
        table = _table(rows, columns, broken_headers=broken)
        if Measurement.get(out, out.options.update(width=UNBOUND), table).maximum <= screen:
            say(title)
            out.print(table)
            return
    say(title)
    print_items(rows, columns)


def print_items(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """An item for each row on standard output: for rows that hold sentences, which no table does."""
    for row in rows:
        for line in item(row, columns, width()):
            typer.echo(line)


def item(row: dict[str, Any], columns: Sequence[str], screen: int) -> list[str]:
    """One row as lines: what it is called, then `label value; label value …`, then long values each on its own."""
    named, rest = _heading(row, columns)
    short: list[tuple[str, str]] = []
    long: list[tuple[str, str]] = []
    for column in rest:
        value, label = cell(row.get(column)), column.replace("_", " ")
        if value:
            (long if cell_len(value) > LONG_TEXT else short).append((label, value))
    lines = wrapped(named, screen, "  ")
    pairs = [f"{label} {value}" for label, value in short]
    words = [f"{pair};" for pair in pairs[:-1]] + pairs[-1:]
    lines += [f"  {line}" for line in _filled(words, screen - 2, "")] if words else []
    for label, value in long:
        lines += [f"  {line}" for line in wrapped(f"{label}: {value}", screen - 2, "  ")]
    return lines


def cell(value: Any) -> str:
    """A value as people read it; None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def moment(value: datetime) -> str:
    """A moment to the minute, by the province's clock."""
    return f"{value.astimezone(ZoneInfo(TIME_ZONE)):%Y-%m-%d %H:%M}"


def _filled(words: Sequence[str], columns: int, indent: str) -> Iterator[str]:
    line = ""
    for word in words:
        if line and cell_len(line) + 1 + cell_len(word) > columns:
            yield line
            line = f"{indent}{word}"
        else:
            line = f"{line} {word}" if line else word
    yield line


def _heading(row: dict[str, Any], columns: Sequence[str]) -> tuple[str, list[str]]:
    """What a row is called (a dataset by its sector too), and the columns that are left."""
    if {"sector", "dataset"} <= set(columns) and row.get("dataset"):
        return f"{row['sector']}.{row['dataset']}", [name for name in columns if name not in ("sector", "dataset")]
    first = next((name for name in columns if cell(row.get(name))), columns[0])
    return cell(row.get(first)), [name for name in columns if name != first]


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str], *, broken_headers: bool) -> Table:
    """A table whose cells are never wrapped. `broken_headers` gives each word of a header a line of its own."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        header = column.replace("_", "\n" if broken_headers else " ")
        table.add_column(Text(header), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
