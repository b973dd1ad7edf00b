"""`_repaired` of a staging model: the columns that cleaning changed, whatever they are called and however many they are."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import jinja2

from pdic import settings

MACROS = settings.project_root() / "dbt_project" / "macros"


def newest_versions(columns: list[str]) -> str:
    """What the macro writes for a dataset whose columns are all cleaned."""
    text = (MACROS / "staging.sql").read_text(encoding="utf-8")
    (macro,) = re.findall(r"\{% macro newest_versions.*?\{%- endmacro %\}", text, re.DOTALL)
    quoted = ['"' + name.replace('"', '""') + '"' for name in columns]
    names = dict(zip(quoted, columns, strict=True))
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # noqa: S701 (SQL)
    environment.globals |= {
        "source": lambda *_: SimpleNamespace(),
        "batch_window": lambda *_: {"after": 0, "up_to": 9, "batches": 1},
        "source_columns": lambda _: quoted,
        "quoted": lambda name: '"' + name.replace('"', '""') + '"',
        "bare": names.__getitem__,
        "execute": True,
        "context": {
            "cleaned__s__d": lambda: {name: f"lower({short})" for short, name in names.items()},
            "agency__s__d": lambda: "null::text",
            "key__s__d": lambda: '"id"::text',
        },
    }
    return str(environment.from_string(macro).module.newest_versions("s", "d", ["id"]))


def repaired_of(sql: str) -> str:
    (found,) = re.findall(r"(nullif\(array_remove.*?) as _repaired", sql, re.DOTALL)
    return str(found)


def test_no_function_takes_a_column_each() -> None:
    """PostgreSQL passes at most 100 arguments; the list of an array has no such end."""
    found = repaired_of(newest_versions([f"c{number}" for number in range(120)]))
    assert found.count("case when") == 120
    assert re.search(r"array\[\s*case when", found)
    assert "concat_ws" not in found


def test_readers_take_the_names_apart_as_they_were_put_together() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(MACROS).glob("*.sql"))
    assert "string_to_array(staged._repaired" not in text
    assert "unnest(staged._repaired::text[])" in text
