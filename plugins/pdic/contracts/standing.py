"""What was compiled before of contracts that cannot be read now: their share of the files that several contracts make together.

Somebody may take on or share a table while another one's contract is being worked on. What follows from that contract stays as it
is until it can be read again. A share that cannot be told apart in its file (somebody edited it) is not there.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from pdic.contracts import catalogue, cron, dbt_cleaning, dbt_sources, shared_views, yaml_text
from pdic.contracts.read import SHARED, dataset_of


def source_entries(root: Path, sector: str, raw_tables: Collection[str]) -> dict[str, str]:
    """By raw table, its entry in dbt's sources of the sector."""
    try:
        document = yaml_text.load(_text(root / dbt_sources.sources_path(sector)))
        tables = document["sources"][0]["tables"]
        return {table["name"]: dbt_sources.written_entry(table) for table in tables if table["name"] in raw_tables}
    except (yaml.YAMLError, LookupError, TypeError):
        return {}


def cleaning_macros(root: Path, sector: str, raw_tables: Collection[str]) -> dict[str, str]:
    """By raw table, its macros in the sector's file."""
    text = _text(root / dbt_cleaning.cleaning_path(sector))
    found = {}
    for table in raw_tables:
        macros = (
            rf"\n\{{% macro {kind}__{re.escape(table)}\(\) -%\}}\n.*?\n\{{%- endmacro %\}}\n"
            for kind in dbt_cleaning.KINDS
        )
        if match := re.search("".join(macros), text, re.DOTALL):
            found[table] = match[0]
    return found


def views(root: Path, contracts: Collection[Path]) -> dict[str, dict[str, Any]]:
    """By published table, what the manifest says of its view, for those whose contracts these are."""
    tables = {dataset_of(path) for path in contracts if path.parent.name == SHARED}
    if not tables:
        return {}
    try:
        manifest = json.loads(_text(root / shared_views.PATH))
        return {view["name"]: view for view in manifest["views"] if view["name"] in tables}
    except (json.JSONDecodeError, LookupError, TypeError):
        return {}


def sectors(root: Path) -> dict[str, catalogue.Sector]:
    """What the catalogue says of each sector."""
    try:
        for statement in ast.parse(_text(root / catalogue.PATH)).body:
            if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "SECTORS" and statement.value:
                return {name: _sector(facts) for name, facts in ast.literal_eval(statement.value).items()}
    except (SyntaxError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return {}


def _sector(facts: dict[str, Any]) -> catalogue.Sector:
    cron.firings_per_month(facts["schedule"])  # raises ValueError for what is no schedule
    return catalogue.Sector(facts["schedule"], facts["owner_agency"], tuple(facts["datasets"]))


def _text(path: Path) -> str:
    """The file's text as it was written; '' where there is none."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
