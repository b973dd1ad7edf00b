"""From a contract file to a checked ODCS document: YAML, the standard's shape, and the fields that PDIC reads.

A field that is misspelt, or that the standard knows and PDIC would ignore, is an error and not a silent promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import yaml

from pdic.contracts import yaml_text
from pdic.contracts.errors import ContractError
from pdic.contracts.findings import SNAKE_CASE, Findings, listed

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject

API_VERSIONS: Final = ("v3.1.0", "v3.2.0")
STATUSES: Final = ("proposed", "draft", "active", "deprecated", "retired")

_ANYWHERE: Final = frozenset({"name", "description", "customProperties", "tags", "authoritativeDefinitions"})
_TOP_FIELDS: Final = _ANYWHERE | {
    *("apiVersion", "kind", "id", "version", "status", "domain", "team", "schema", "slaProperties"),
}
_TABLE_FIELDS: Final = (_ANYWHERE - {"description", "customProperties"}) | {
    *("businessName", "physicalName", "physicalType", "logicalType", "dataGranularityDescription", "properties"),
}
_COLUMN_FIELDS: Final = _ANYWHERE | {
    *("businessName", "physicalName", "physicalType", "logicalType", "logicalTypeOptions", "classification"),
    *("required", "unique", "primaryKey", "primaryKeyPosition", "enum", "relationships"),
}
_INNER_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "customProperties": frozenset({"property", "value", "description"}),
    "enum": frozenset({"value", "label", "description"}),
    "slaProperties": frozenset({"property", "value", "unit", "scheduler", "schedule", "description"}),
    "team": frozenset({"name", "description"}),
}
_DESCRIPTION_FIELDS: Final = frozenset({"purpose"})
_NOT_READ: Final = "PDIC does not read this field"


def parse(content: bytes, findings: Findings) -> OpenDataContractStandard:
    """The document that a file's ``content`` is. Raises ContractError where it has not the standard's shape.

    Fields that PDIC does not read are noted in ``findings``.
    """
    # Here, not above: a contract that was read before is not parsed, and loading these costs a quarter of a second.
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import ValidationError

    try:
        raw = yaml_text.load(content.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise findings.stop("file", f"it is not YAML in UTF-8 ({error})", "correct it") from error
    if not isinstance(raw, dict):
        raise findings.stop("file", "it is not a mapping", "start from the example in docs/contracts.md")
    _check_fields(raw, findings)
    try:
        return OpenDataContractStandard(**{key: value for key, value in raw.items() if key in _TOP_FIELDS})
    except ValidationError as error:
        for item in error.errors(include_url=False):
            place = ".".join(str(part) for part in item["loc"])
            findings.add(place, item["msg"], "write it as the standard's schema says")
        raise ContractError(findings.problems) from error


def only_table(document: OpenDataContractStandard, findings: Findings) -> SchemaObject:
    """The one table a contract describes. Raises ContractError where there is none or more than one."""
    tables = document.schema_ or []
    if len(tables) != 1:
        raise findings.stop("schema", f"it describes {len(tables)} tables", "write one contract per table")
    return tables[0]


def check_identity(document: OpenDataContractStandard, sector: str, name: str, findings: Findings) -> None:
    """Note where the document is not what the place of its file says, or lacks version or status."""
    expected = {"id": f"{sector}.{name}", "name": name, "domain": sector, "kind": "DataContract"}
    found = {"id": document.id, "name": document.name, "domain": document.domain, "kind": document.kind}
    for field, value in expected.items():
        if found[field] != value:
            findings.add(field, f"{found[field]!r} does not match the file's place", f"say {value}, or move the file")
    # Published tables may have two parts: mart_<domain>__<question>, bridge_<a>__<b>.
    parts = name.split("__") if sector == "shared" else [name]
    for word, part in (("folder", sector), *(("name", part) for part in parts)):
        if not SNAKE_CASE.fullmatch(part):
            findings.add("file", f"its {word} {part!r} is not snake_case", "rename it")
    if document.apiVersion not in API_VERSIONS:
        findings.add("apiVersion", f"{document.apiVersion!r} is not read here", f"say one of {listed(API_VERSIONS)}")
    if document.status not in STATUSES:
        findings.add("status", f"{document.status!r} is not a status", f"say one of {listed(STATUSES)}")
    if not re.fullmatch(r"\d+\.\d+\.\d+", document.version or ""):
        findings.add("version", f"{document.version!r} is not major.minor.patch", "write it like 1.0.0")


def _check_fields(raw: Mapping[Any, Any], findings: Findings) -> None:
    """Note the fields that PDIC does not read, at every level. Wrong shapes are left to the standard's own model."""
    _check_level(raw, _TOP_FIELDS, "", findings)
    _check_names(raw.get("description"), _DESCRIPTION_FIELDS, "description", findings)
    for number, table in enumerate(_mappings(raw.get("schema"))):
        _check_level(table, _TABLE_FIELDS, f"schema[{number}].", findings)
        for position, column in enumerate(_mappings(table.get("properties"))):
            _check_level(column, _COLUMN_FIELDS, f"properties.{column.get('name', position)}.", findings)


def _check_level(raw: Mapping[Any, Any], known: frozenset[str], prefix: str, findings: Findings) -> None:
    _check_names(raw, known, prefix.rstrip("."), findings)
    for field, inner in _INNER_FIELDS.items():
        value = raw.get(field)
        _check_names(value, inner, f"{prefix}{field}", findings)
        for number, entry in enumerate(_mappings(value)):
            _check_names(entry, inner, f"{prefix}{field}[{number}]", findings)


def _check_names(value: object, known: frozenset[str], place: str, findings: Findings) -> None:
    if isinstance(value, dict):
        for name in value:
            if name not in known:
                findings.add(f"{place}.{name}".lstrip("."), _NOT_READ, f"take it out; known here: {listed(known)}")


def _mappings(value: object) -> Iterator[Mapping[Any, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
