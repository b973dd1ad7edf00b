"""A draft as the files that a person would write: contract, staging model, and the model's entry in its YAML file."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pdic.contracts import Contract, pg_types, yaml_text
from pdic.contracts.model import table_written
from pdic.contracts.output import both
from pdic.contracts.read import dataset_path
from pdic.contracts.reserved import BETTER_QUOTED
from pdic.contracts.templates import constant, description
from pdic.onboard.guess import ColumnDraft, Draft
from pdic.onboard.names import snake_case, title
from pdic.sources.catalogue import SourceColumn

SCHEDULE: Final = "0 1 * * *"
FRESHNESS_HOURS: Final = 26
MODELS: Final = Path("dbt_project", "models")


def contract_text(draft: Draft, agency: str, connection: str, schedule: str = SCHEDULE) -> str:
    """The contract as YAML. ``connection`` is named only where it is not the sector's own."""
    facts = draft.facts
    what = _words(facts.table.comment) or _words(f"{title(facts.name)} ({facts.written})")
    custom: dict[str, Any] = {"descriptionEn": what, "capture": draft.capture}
    if draft.cursor_column:
        custom["cursorColumn"] = draft.cursor_column
    if draft.cursor_time_zone:
        custom["cursorTimeZone"] = draft.cursor_time_zone
    custom["deletes"] = draft.deletes
    if draft.soft_delete_column:
        custom["softDeleteColumn"] = draft.soft_delete_column
    if draft.capture == "snapshot" and facts.empty:
        custom["minRows"] = 0
    if draft.row_security_agreed:
        custom["rowSecurity"] = "agreed"
    if draft.encoding is not None:
        custom["encoding"] = draft.encoding
    if connection != f"pdic_source_{draft.sector}":
        custom["connection"] = connection
    if draft.guessed:
        custom["guessed"] = sorted(draft.guessed)
    if draft.candidates:
        custom["cursorCandidates"] = [candidate.words for candidate in draft.candidates]
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": f"{draft.sector}.{draft.dataset}",
        "name": draft.dataset,
        "version": "1.0.0",
        "status": "active",
        "domain": draft.sector,
        "team": {"name": agency},
        "description": {"purpose": what},
        "slaProperties": [
            {"property": "frequency", "value": 1, "unit": "d", "scheduler": "cron", "schedule": schedule},
            {"property": "latency", "value": FRESHNESS_HOURS, "unit": "h"},
        ],
        "customProperties": _properties(custom),
        "schema": [
            {
                "name": snake_case(facts.name) or draft.dataset,
                "physicalName": table_written(facts.schema, facts.name),
                "physicalType": facts.table.kind,
                "businessName": _words(title(facts.name)) or draft.dataset,
                "properties": [column_entry(column, draft.key) for column in draft.columns],
            }
        ],
    }
    return yaml_text.dump(document)


def column_entry(column: ColumnDraft, key: tuple[str, ...]) -> dict[str, Any]:
    """A column as the contract's YAML has it."""
    words = _words(column.source.comment) or _words(title(column.source.name)) or column.name
    custom: dict[str, Any] = {"descriptionEn": words}
    if column.source_type:
        custom["sourceType"] = column.source_type
    if column.guessed:
        custom["guessed"] = sorted(column.guessed)
    if column.held:
        custom["heldBack"] = column.held
    entry: dict[str, Any] = {
        "name": column.name,
        "physicalName": column.source.name,
        "physicalType": column.physical_type,
        "logicalType": pg_types.logical_type(column.physical_type),
        "description": words,
        "classification": column.classification,
    }
    if column.source.name in key:
        entry["primaryKey"] = True
        if len(key) > 1:
            entry["primaryKeyPosition"] = key.index(column.source.name) + 1
    if column.required:
        entry["required"] = True
    if column.codes:
        entry["enum"] = [{"value": code, "label": code or "(empty)"} for code in column.codes]
    return entry | {"customProperties": _properties(custom)}


def drafted_column(source: SourceColumn, name: str, classification: Any, held: str | None = None) -> ColumnDraft:
    """A column that a source has gained, as :func:`column_entry` takes it; its class is a guess (``held`` as `ClassGuess` has it)."""
    carrier = source.carrier or ("text[]" if source.type.endswith("[]") else "text")
    return ColumnDraft(
        source=source,
        name=name,
        physical_type=carrier,
        source_type=source.type if source.cast or source.carrier is None else None,
        classification=classification,
        required=source.not_null,
        codes=source.labels,
        guessed=frozenset({"classification"}),
        held=held,
    )


def contract_path(draft: Draft) -> Path:
    """Where the contract goes, relative to the root."""
    return dataset_path(draft.sector, draft.dataset)


def staging_path(contract: Contract) -> Path:
    """Where the staging model of a dataset is, relative to the root."""
    return MODELS / "staging" / contract.sector / f"stg_{contract.raw_table}.sql"


def staging_text(contract: Contract) -> str:
    """The staging model: every column under its name in the warehouse, its value as the source has it."""
    key = "[" + ", ".join(map(constant, contract.key)) + "]"
    flag = f", {constant(contract.soft_delete_column)}" if contract.soft_delete_column else ""
    grain = ", ".join(contract.column(name).name for name in contract.key)
    columns = ",\n".join(f"        {_column(column.source_name, column.name)}" for column in contract.columns)
    sector, dataset = constant(contract.sector), constant(contract.dataset)
    return (
        f"-- The current state of {contract.id}; what it holds: {contract.path.as_posix()}.\n"
        f"-- Grain: one row per source key ({grain}).\n"
        "{{ config(\n"
        "    indexes=[\n"
        "        {'columns': ['_key'], 'unique': true},\n"
        "        {'columns': ['_release_id']},\n"
        "    ],\n"
        ") }}\n"
        "\n"
        "with\n"
        "\n"
        f"versions as ({{{{ newest_versions({sector}, {dataset}, {key}) }}}}\n"
        "),\n"
        "\n"
        "typed as (\n"
        "    select\n"
        f"        {{{{ staging_columns({key}{flag}) }}}},\n"
        f"{columns}\n"
        "    from versions\n"
        "    offset 0\n"
        "),\n"
        "\n"
        "{{ changed_rows('typed') }}\n"
    )


def models_path(contract: Contract) -> Path:
    """The YAML file that describes a sector's staging models, relative to the root."""
    return MODELS / "staging" / contract.sector / f"_{contract.sector}__models.yml"


def with_model_entries(text: str, entries: Mapping[str, dict[str, Any]]) -> str:
    """A models' YAML file (or '') with an entry at its end for each model it has none for; the rest as it is."""
    known = yaml_text.load(text) if text.strip() else None
    named = {model["name"] for model in (known or {}).get("models") or ()}
    items = [
        yaml_text.indented(yaml_text.dump([{"name": name, **entry}]), 2)
        for name, entry in entries.items()
        if name not in named
    ]
    if not items:
        return text
    if not known:
        return "version: 2\n\nmodels:\n" + "\n".join(items)
    return "\n".join([f"{text.rstrip()}\n", *items])


def staging_entry(contract: Contract) -> dict[str, Any]:
    """What the YAML file says of the staging model."""
    return {
        "description": description(
            both(
                f"Trạng thái hiện tại, mỗi khóa nguồn một dòng: {contract.description}",
                f"Current state, one row per source key: {contract.description_en}",
            )
        )
    }


def _column(source_name: str, name: str) -> str:
    if source_name == name and name not in BETTER_QUOTED:
        return name
    return f"{{{{ renamed({constant(source_name)}, {constant(name)}) }}}}"


def _properties(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items()]


def _words(comment: str | None) -> str:
    """A source's comment in one line, without characters that nobody sees or that turn the order of the others round."""
    return " ".join("".join(letter for letter in comment or "" if _is_seen(letter)).split())


def _is_seen(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) not in ("Cc", "Cf")
