"""Publish what somebody chose of a dataset: a shared contract and a model over its staging table, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pdic import contracts, settings
from pdic.contracts import Column, Contract, pg_types, yaml_text
from pdic.contracts.findings import SNAKE_CASE
from pdic.contracts.output import both
from pdic.contracts.read import SHARED, dataset_path
from pdic.contracts.templates import description
from pdic.errors import OnboardError, instead_of
from pdic.onboard.draft import MODELS, with_model_entries
from pdic.onboard.edit import ContractText
from pdic.onboard.files import try_out, write_all

Report = dict[str, Any]

BEGINS: Final = "-- The columns of "
"""How a drafted model begins; the dataset follows."""


def share(sector: str, dataset: str, columns: Sequence[str] = (), name: str | None = None) -> Report:
    """Draft the published table of a dataset and write it.

    ``columns`` are names in the warehouse; none means those that are open already. A column whose class was only guessed to
    be personal is opened by naming it (its contract says `public` from then on); one that a person classified, that is
    sensitive or an identifier, or that is held back since its values are a person's or nobody has seen any, has to be
    reclassified in the contract first. Key columns are always part of the table.
    `warnings` names other contracts that cannot be used. Raises `OnboardError`; then, as after a ContractError, nothing has
    been written.
    """
    with settings.locked(
        settings.home(), "onboard"
    ):  # from reading on: two at once would each write back what they had read
        return _share(settings.project_root(), sector, dataset, columns, name)


def _share(root: Path, sector: str, dataset: str, columns: Sequence[str], name: str | None) -> Report:
    contract = contracts.get(sector, dataset, root)
    table = name or f"mart_{sector}__{dataset}"
    if not all(SNAKE_CASE.fullmatch(part) for part in table.split("__")):
        raise OnboardError(f"{table!r} cannot be a table's name: write it like mart_public_works__permit")
    path = dataset_path(SHARED, table)
    model = model_path(sector, table)
    text, opened = _opened(root, contract, columns)
    chosen = _chosen(contract, columns, opened)
    texts = {path: _contract_text(contract, table, chosen)}
    models = {model: model_text(contract, chosen)}
    for place, wanted in (texts | models).items():  # what a run that was cut off has left is no obstacle
        if (root / place).exists() and (root / place).read_text(encoding="utf-8") != wanted:
            raise OnboardError(f"{place} exists already: change it by hand, or say another name with --as")
    entries = MODELS / "marts" / sector / f"_{sector}__models.yml"
    former = (root / entries).read_text(encoding="utf-8") if (root / entries).exists() else ""
    if opened:
        texts = {contract.path: text} | texts
    _, warnings = try_out(root, texts)
    written = write_all(
        root,
        {
            **models,
            entries: with_model_entries(former, {table: _entry(contract, chosen)}),
            **texts,
        },
    )
    return {
        "table": table,
        "columns": [column.name for column in chosen],
        "opened": sorted(opened),
        "kept_back": [column.name for column in contract.columns if column not in chosen],
        "written": [path.as_posix() for path in written],
        "warnings": warnings,
    }


def _opened(root: Path, contract: Contract, columns: Sequence[str]) -> tuple[str, set[str]]:
    """The dataset's contract with the named columns opened, and which they are."""
    by_name = {column.name: column for column in contract.columns}
    text = ContractText((root / contract.path).read_text(encoding="utf-8"))
    marks = _marks(text.text)
    opened = set()
    for name in columns:
        column = by_name.get(name)
        if column is None:
            raise OnboardError(f"{contract.id} has no column {name!r} ({instead_of(name, by_name)}): correct --columns")
        if column.is_open:
            continue
        if column.classification != "personal" or "classification" not in marks[name].get("guessed", ()):
            raise OnboardError(
                f"{contract.id}: column {name} is {column.classification}: whoever may decide that it can be shown changes "
                f"its classification in {contract.path} first"
            )
        if held := marks[name].get("heldBack"):
            raise OnboardError(
                f"{contract.id}: column {name} is not opened by naming it ({held}): whoever may decide that it can be shown changes "
                f"its classification in {contract.path} first"
            )
        text.set_field(column.name_at_source, "classification", "public")
        rest = sorted(set(marks[name]["guessed"]) - {"classification"})
        if rest:
            text.set_custom(column.name_at_source, "guessed", rest)
        else:
            text.remove_custom(column.name_at_source, "guessed")
        opened.add(name)
    return text.text, opened


def _chosen(contract: Contract, columns: Sequence[str], opened: set[str]) -> list[Column]:
    wanted = [
        column
        for column in contract.columns
        if column.primary_key or column.name in columns or (not columns and column.is_open)
    ]
    closed = [column.name for column in wanted if not column.is_open and column.name not in opened]
    if closed:
        raise OnboardError(
            f"{contract.id}: the key column {', '.join(closed)} may not be shown, and a table without its key has no grain: open "
            "it (name it with --columns) if it says nothing of a person, or write a model that has another key "
            "(docs/models.md)"
        )
    return wanted


def _marks(text: str) -> dict[str, dict[str, Any]]:
    """Column → what onboarding left with it: `guessed`, the fields that it guessed, and `heldBack`, why naming is not enough."""
    return {
        column["name"]: {entry["property"]: entry["value"] for entry in column.get("customProperties", ())}
        for column in yaml_text.load(text)["schema"][0]["properties"]
    }


def _contract_text(contract: Contract, table: str, columns: Sequence[Column]) -> str:
    keys = [contract.column(source).name for source in contract.key]
    properties = []
    for column in columns:
        kind = "text" if column.cleaning else column.physical_type  # what cleaning gives, whatever it takes
        entry: dict[str, Any] = {
            "name": column.name,
            "physicalType": kind,
            "logicalType": pg_types.logical_type(kind),
            "description": column.description_vi,
            "classification": column.classification if column.is_open else "public",
        }
        if column.primary_key:
            entry["primaryKey"] = True
            if len(keys) > 1:
                entry["primaryKeyPosition"] = keys.index(column.name) + 1
        if column.required:
            entry["required"] = True
        entry["customProperties"] = [{"property": "descriptionEn", "value": column.description_en}]
        properties.append(entry)
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": f"{SHARED}.{table}",
        "name": table,
        "version": "1.0.0",
        "status": "active",
        "domain": SHARED,
        "description": {"purpose": contract.description},
        "customProperties": [
            {"property": "descriptionEn", "value": contract.description_en},
            {"property": "grain", "value": f"one row per {', '.join(keys)}"},
        ],
        "schema": [{"name": table, "physicalType": "table", "businessName": contract.title, "properties": properties}],
    }
    return yaml_text.dump(document)


def model_path(sector: str, table: str) -> Path:
    """Where the model of a table is kept that a sector shares, relative to the root."""
    return MODELS / "marts" / sector / f"{table}.sql"


def model_text(contract: Contract, columns: Sequence[Column]) -> str:
    """The model of a shared table: the chosen columns of a dataset as they stand."""
    keys = [contract.column(source).name for source in contract.key]
    before = " " if len(columns) == 1 else "\n    "  # the linter wants a column that is alone beside its select
    listed = ",\n    ".join(f"standing.{column.name}" for column in columns)
    return (
        f"{BEGINS}{contract.id} that were chosen to be shared; what it holds: {contract.path.as_posix()}.\n"
        f"-- Grain: one row per {', '.join(keys)}.\n"
        "\n"
        f"select{before}{listed}\n"
        f"from {{{{ ref('stg_{contract.raw_table}') }}}} as standing\n"
        "where {{ stands('standing') }}\n"
    )


def _entry(contract: Contract, columns: Sequence[Column]) -> dict[str, Any]:
    keys = [contract.column(source).name for source in contract.key]
    return {
        "description": description(both(contract.description, contract.description_en)),
        "data_tests": [{"grain": {"arguments": {"columns": keys}}}],
        "columns": [
            {"name": column.name, "description": description(both(column.description_vi, column.description_en))}
            for column in columns
        ],
    }
