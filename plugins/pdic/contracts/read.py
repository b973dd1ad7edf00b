"""Read contracts: ODCS YAML in, :class:`Contract` and :class:`SharedContract` out, or every reason why not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args
from zoneinfo import available_timezones

from pdic import encodings, settings, whole_files
from pdic.contracts import cron, kept, pg_types
from pdic.contracts.columns import NAME_BYTES, read_columns, read_key
from pdic.contracts.document import check_identity, only_table, parse
from pdic.contracts.errors import ContractError, Problem
from pdic.contracts.feed import check_resource, read_feed
from pdic.contracts.findings import (
    SNAKE_CASE,
    Findings,
    choice,
    count,
    custom_properties,
    duration,
    flag,
    listed,
    row_count,
    share,
    text,
)
from pdic.contracts.model import Capture, Column, Contract, Deletes, SharedContract, table_parts

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import TypeAdapter

FOLDER: Final = "contracts"
SUFFIX: Final = ".odcs.yaml"
SHARED: Final = "shared"

RAW_NAME_CHARACTERS: Final = NAME_BYTES - len("__") - 12
"""A batch table is called ``<sector>__<dataset>__<batch id>``; twelve digits of batch ids are enough for ever."""

_PROPERTIES: Final = frozenset(
    {"capture", "cursorColumn", "deletes", "softDeleteColumn", "overlap", "minRows", "descriptionEn", "feed"}
    | {"sourceConnections", "maxBytesPerSecond", "maxDeletedShare", "connection", "publication", "maxRetainedBytes"}
    | {"cursorTimeZone", "cursorCandidates", "statementTimeout", "idleTimeout", "guessed"}
    | {"agencyColumn", "rowSecurity", "encoding"}
)
_SHARED_PROPERTIES: Final = frozenset({"grain", "restricted", "minRows", "limits", "descriptionEn"})

_Value = TypeVar("_Value")


def dataset_path(sector: str, dataset: str) -> Path:
    """Where the contract of a dataset is kept, relative to the project root."""
    return Path(FOLDER, sector, dataset + SUFFIX)


def dataset_of(path: Path) -> str:
    """The dataset, or the published table, whose contract is kept there."""
    return path.name.removesuffix(SUFFIX)


def load_all(root: Path | None = None) -> dict[tuple[str, str], Contract]:
    """Every dataset's contract by (sector, dataset), sorted. ``root`` defaults to the project root.

    Raises ContractError with the problems of all files where any contract is invalid.
    """
    files = _all_contents(root or settings.project_root())
    contracts = _read_each(_those(files, shared=False), Contract, _read_contract)
    return {(contract.sector, contract.dataset): contract for contract in contracts}


def names(root: Path | None = None) -> list[tuple[str, str]]:
    """Sector and dataset of every contract's file, sorted. No file is read: one that is invalid has its name all the same."""
    root = root or settings.project_root()
    found = (root / FOLDER).glob(f"*/*{SUFFIX}")
    return sorted((path.parent.name, path.name.removesuffix(SUFFIX)) for path in found if path.parent.name != SHARED)


def readable(root: Path | None = None) -> dict[tuple[str, str], Contract]:
    """The contracts of those `names` whose files can be read; what is wrong with the others `get` says of each."""
    root = root or settings.project_root()
    files, _ = _contents(root, [dataset_path(sector, dataset) for sector, dataset in names(root)])
    found, _ = _read_what_can_be(files, Contract, _read_contract)
    return {(contract.sector, contract.dataset): contract for contract in found}


def unreadable(root: Path | None = None) -> dict[tuple[str, str], ContractError]:
    """What is wrong with those of the `names` that are not `readable`."""
    found: dict[tuple[str, str], ContractError] = {}
    for name in sorted(set(names(root)) - readable(root).keys()):
        try:
            get(*name, root)
        except ContractError as error:
            found[name] = error
    return found


def load_shared(root: Path | None = None) -> dict[str, SharedContract]:
    """Every published table's contract by table name, sorted. Raises ContractError as :func:`load_all` does."""
    files = _all_contents(root or settings.project_root())
    return {
        contract.table: contract for contract in _read_each(_those(files, shared=True), SharedContract, _read_shared)
    }


@dataclass(frozen=True, slots=True)
class Found:
    """All contracts of a project: those that can be read, sorted, and what is wrong with the others.

    ``files`` holds the text of each file that is a contract's by its place, by relative path.
    """

    files: Mapping[Path, bytes]
    datasets: Mapping[tuple[str, str], Contract]
    shared: Mapping[str, SharedContract]
    problems: tuple[Problem, ...]


def find(root: Path, drafts: Mapping[Path, str] | None = None) -> Found:
    """The contracts under ``root``; ``drafts`` stand for the files of their paths."""
    drafted = {path: text.encode() for path, text in (drafts or {}).items()}
    paths, strays = _files(root)
    files, closed = _contents(root, [path for path in paths if path not in drafted])
    files = dict(sorted((files | drafted).items()))
    datasets, wrong = _read_what_can_be(_those(files, shared=False), Contract, _read_contract)
    shared, wrong_shared = _read_what_can_be(_those(files, shared=True), SharedContract, _read_shared)
    return Found(
        files,
        {(contract.sector, contract.dataset): contract for contract in datasets},
        {contract.table: contract for contract in shared},
        (*strays, *closed, *wrong, *wrong_shared),
    )


def get(sector: str, dataset: str, root: Path | None = None) -> Contract:
    """The contract of one dataset. Raises ContractError where it does not exist or is invalid."""
    root = root or settings.project_root()
    path = dataset_path(sector, dataset)
    if sector == SHARED or not os.path.lexists(root / path):
        what = f"there is no contract for dataset {dataset!r} of sector {sector!r}"
        raise Findings(path).stop("file", what, f"write it, or name a dataset that has one in {FOLDER}/")
    return read_contract(root, path)


def read_contract(root: Path, path: Path) -> Contract:
    """The dataset contract in file ``path`` (relative to ``root``). Raises ContractError naming every problem."""
    return _read_contract(path, _content(root, path))


@lru_cache(maxsize=256)
def _read_contract(path: Path, content: bytes) -> Contract:
    """A load asks for its contract at every step; the same text is parsed once."""
    findings = Findings(path)
    document = parse(content, findings)
    table = only_table(document, findings)
    properties = custom_properties(document.customProperties, _PROPERTIES, "customProperties", findings)
    sector, dataset = path.parent.name, path.name.removesuffix(SUFFIX)
    check_identity(document, sector, dataset, findings)
    if len(f"{sector}__{dataset}") > RAW_NAME_CHARACTERS:
        what = f"{sector}__{dataset} is longer than {RAW_NAME_CHARACTERS} characters"
        findings.add("name", what, "give the dataset a shorter name")
    if not SNAKE_CASE.fullmatch(table.name or ""):
        findings.add("schema[0].name", f"{table.name!r} is not English snake_case", "write it like student")
    physical_name = table.physicalName or ""
    if properties.get("capture") == "feed":
        check_resource(physical_name, findings)
    else:
        try:
            table_parts(physical_name)
        except ValueError as error:
            todo = 'write it like public.hocsinh, or public."học sinh"'
            findings.add("schema[0].physicalName", str(error), todo)

    columns = read_columns(table, document.apiVersion or "", findings, at_source=True)
    by_source_name = {column.name_at_source: column for column in columns}
    capture = choice(properties, "capture", get_args(Capture), findings)
    deletes = choice(properties, "deletes", get_args(Deletes), findings)
    if capture == "snapshot" and deletes == "reconcile":
        findings.add("customProperties.deletes", "a snapshot already shows which keys are gone", "say none")
    if capture == "cdc" and deletes == "reconcile":
        findings.add("customProperties.deletes", "the log already says which rows are deleted", "say none")
    cadence, freshness = _service_levels(document, findings)
    for column in columns if capture == "cdc" else ():
        if column.source_type is not None:
            place = f"properties.{column.name}.customProperties.sourceType"
            findings.add(
                place, "the source's log gives values as they are, never cast", "use capture: cursor or snapshot"
            )
    _check_renamed(columns, capture, properties, findings)
    min_rows = row_count(properties, "minRows", findings)
    contract = Contract(
        id=document.id or "",
        sector=sector,
        dataset=dataset,
        entity=table.name or "",
        version=document.version or "",
        status=document.status or "",
        **_titles(document, properties, "what the dataset holds", findings),
        owner_agency=text(getattr(document.team, "name", None), "team.name", "which agency owns the dataset", findings),
        table=physical_name,
        capture=cast(Capture, capture),
        cursor_column=_cursor_column(properties, capture, by_source_name, findings),
        deletes=cast(Deletes, deletes),
        soft_delete_column=_soft_delete_column(properties, capture, deletes, by_source_name, findings),
        overlap=_overlap(properties, capture, findings),
        cadence=cadence,
        freshness=freshness,
        min_rows=(1 if capture == "snapshot" else 0) if min_rows is None else min_rows,
        key=read_key(table, columns, findings),
        columns=columns,
        path=path,
        source_connections=count(properties, "sourceConnections", findings) or 1,
        max_bytes_per_second=count(properties, "maxBytesPerSecond", findings),
        max_deleted_share=share(properties, "maxDeletedShare", 0.05, findings),
        feed=read_feed(properties, capture, deletes, by_source_name, findings),
        connection=_connection(properties, findings),
        publication=_publication(properties, capture, findings),
        max_retained_bytes=_max_retained_bytes(properties, capture, findings),
        cursor_time_zone=_cursor_time_zone(properties, by_source_name, findings),
        statement_timeout=_length(properties, "statementTimeout", findings) or timedelta(hours=4),
        idle_timeout=_length(properties, "idleTimeout", findings) or timedelta(minutes=10),
        may_be_empty=min_rows == 0,
        agency_column=_agency_column(properties, by_source_name, findings),
        encoding=_encoding(properties, capture, findings),
        row_security_agreed=_row_security_agreed(properties, capture, findings),
        key_guessed=isinstance(guessed := properties.get("guessed"), list) and "key" in guessed,
    )
    if findings.problems:
        raise ContractError(findings.problems)
    return contract


def _read_shared(path: Path, content: bytes) -> SharedContract:
    """The published table's contract that the file ``path`` holds. Raises ContractError."""
    findings = Findings(path)
    document = parse(content, findings)
    table = only_table(document, findings)
    properties = custom_properties(document.customProperties, _SHARED_PROPERTIES, "customProperties", findings)
    name = path.name.removesuffix(SUFFIX)
    check_identity(document, SHARED, name, findings)
    if table.name != name or table.physicalName not in (None, name):
        findings.add("schema[0].name", f"the table's name must be {name}", "say so (in physicalName too, if given)")
    columns = read_columns(table, document.apiVersion or "", findings, at_source=False)
    restricted = flag(properties, "restricted", findings)
    closed = [column for column in columns if not column.is_open]
    for column in () if restricted else closed:
        findings.add(
            f"properties.{column.name}.classification",
            f"{column.classification} data may not be shown in the schema shared",
            "take the column out, or add the custom property restricted: true, which leaves it out of the view",
        )
    if columns and len(closed) == len(columns):
        findings.add("schema[0].properties", "no column is public or internal", "publish at least one")
    contract = SharedContract(
        id=document.id or "",
        table=name,
        version=document.version or "",
        status=document.status or "",
        **_titles(document, properties, "what the table answers", findings),
        grain=text(properties.get("grain"), "customProperties.grain", "what one row is", findings),
        restricted=restricted,
        min_rows=row_count(properties, "minRows", findings),
        key=read_key(table, columns, findings),
        columns=columns,
        path=path,
        limits=_limits(properties, findings),
    )
    if findings.problems:
        raise ContractError(findings.problems)
    return contract


def _limits(properties: Mapping[str, Any], findings: Findings) -> Mapping[str, float | bool | None]:
    """A table's own limits of how much a release may differ. Which there are is known by who compares."""
    found = properties.get("limits", {})
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and (value is None or isinstance(value, int | float)) for name, value in found.items()
    ):
        findings.add(
            "customProperties.limits",
            "it is no list of limits with a number each",
            "write it like {property: limits, value: {rows_fall: 0.5}}; docs/releases.md names the limits",
        )
        return {}
    return found


def _files(root: Path) -> tuple[list[Path], list[Problem]]:
    """Contract files under ``root``, relative and sorted, and the files that are out of place among them."""
    folder = root / FOLDER
    found = sorted(path.relative_to(root) for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    strays = [path for path in found if not is_place(path) and not whole_files.is_unfinished(path)]
    problems = [
        Problem(path, "file", f"it is not {FOLDER}/<sector>/<dataset>{SUFFIX}", "move or rename it") for path in strays
    ]
    return [path for path in found if is_place(path)], problems


def is_place(path: Path) -> bool:
    """Whether a contract's file may lie there: a path relative to the project's root."""
    return len(path.parts) == 3 and path.parts[0] == FOLDER and path.name.endswith(SUFFIX)


def _all_contents(root: Path) -> dict[Path, bytes]:
    """What every contract file under ``root`` holds, by relative path, sorted. Raises ContractError where one cannot be opened."""
    paths, strays = _files(root)
    files, closed = _contents(root, paths)
    if problems := [*strays, *closed]:
        raise ContractError(problems)
    return files


def _contents(root: Path, paths: Iterable[Path]) -> tuple[dict[Path, bytes], list[Problem]]:
    """What those of the files hold that can be opened, and what is wrong with the others."""
    files: dict[Path, bytes] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            files[path] = _content(root, path)
        except ContractError as error:
            problems += error.problems
    return files, problems


def _content(root: Path, path: Path) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError as error:
        todo = "see to its rights, or to where it leads"
        raise ContractError([Problem(path, "file", f"it cannot be opened ({type(error).__name__})", todo)]) from error


def _those(files: Mapping[Path, bytes], *, shared: bool) -> dict[Path, bytes]:
    """Those of the files that are contracts of published tables, or those that are not."""
    return {path: content for path, content in files.items() if (path.parent.name == SHARED) == shared}


def _read_each(files: Mapping[Path, bytes], kind: type[_Value], read: Callable[[Path, bytes], _Value]) -> list[_Value]:
    """The contract in each of ``files``. Raises ContractError with the problems of all."""
    values, problems = _read_what_can_be(files, kind, read)
    if problems:
        raise ContractError(problems)
    return values


def _read_what_can_be(
    files: Mapping[Path, bytes], kind: type[_Value], read: Callable[[Path, bytes], _Value]
) -> tuple[list[_Value], list[Problem]]:
    """The contracts in ``files``, and what is wrong with the others; one whose text was read before is not parsed again."""
    values: list[_Value] = []
    problems: list[Problem] = []
    with kept.opened() as known:
        for path, content in files.items():
            digest = kept.digest(kind.__name__, path, content)
            text = known.get(digest)
            if text is not None:
                values.append(_restored(cast(Any, kind), text))
                continue
            try:
                values.append(read(path, content))
            except ContractError as error:
                problems.extend(error.problems)
            else:
                known.put(digest, _plain(cast(Any, kind)).dump_json(values[-1]).decode())
    return values, problems


@lru_cache(maxsize=2048)
def _restored(kind: type, text: str) -> Any:
    """A contract from the text that it is kept as. One command asks for all contracts several times."""
    return _plain(kind).validate_json(text)


@cache
def _plain(kind: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # here, not above: not every command reads contracts

    return TypeAdapter(kind)


def _titles(
    document: OpenDataContractStandard, properties: Mapping[str, Any], meaning: str, findings: Findings
) -> dict[str, Any]:
    """Title and descriptions, which both kinds of contract have."""
    table = only_table(document, findings)
    purpose = document.description.purpose if document.description else None
    return {
        "title": text(table.businessName, "schema[0].businessName", "its Vietnamese title", findings),
        "description": text(purpose, "description.purpose", f"{meaning}, in Vietnamese", findings),
        "description_en": text(
            properties.get("descriptionEn"), "customProperties.descriptionEn", f"{meaning}, in English", findings
        ),
    }


def _connection(properties: Mapping[str, Any], findings: Findings) -> str:
    """The custom property ``connection``: an id, never an address, which would put a password into the contract."""
    value = properties.get("connection", "")
    if value != "" and not (isinstance(value, str) and re.fullmatch(r"\w[\w.-]*", value)):
        findings.add("customProperties.connection", "it is not a connection's id", "write it like pdic_source_health")
        return ""
    return str(value)


def _cursor_column(
    properties: Mapping[str, Any], capture: str, columns: Mapping[str, Column], findings: Findings
) -> str | None:
    place, name = "customProperties.cursorColumn", properties.get("cursorColumn")
    if capture != "cursor":
        if name is not None:
            findings.add(place, "only capture: cursor uses it", "take it out, or say capture: cursor")
        return None
    if name is None:
        findings.add(place, "capture: cursor needs it", "name the column that every change moves forward")
        return None
    column = columns.get(str(name))
    if column is None:
        findings.add(place, f"the table has no column {name!r}", "use the column's name at the source")
    elif pg_types.logical_type(column.physical_type) != "timestamp":
        findings.add(place, f"{name} is {column.physical_type}, no timestamp", "else use capture: snapshot")
    return str(name)


def _check_renamed(columns: Sequence[Column], capture: str, properties: Mapping[str, Any], findings: Findings) -> None:
    """Columns that raw calls otherwise than the source may only hold data: nothing else asks for two names."""
    renamed = {column.renamed_from for column in columns if column.renamed_from is not None}
    if capture == "feed":
        for name in sorted(renamed):
            todo = "leave the field out, or have the service call it otherwise"
            findings.add(f"properties.{name}.physicalName", f"PDIC keeps the name {name} for itself", todo)
    for field in ("cursorColumn", "softDeleteColumn", "agencyColumn"):
        if properties.get(field) in renamed:
            what = f"PDIC keeps the name {properties[field]} for itself, and this column is read under one name only"
            findings.add(f"customProperties.{field}", what, "have a view made that calls the column otherwise")


def _agency_column(properties: Mapping[str, Any], columns: Mapping[str, Column], findings: Findings) -> str | None:
    """The column whose values are agencies' codes: they stand in reports, so nothing about a person may."""
    place, name = "customProperties.agencyColumn", properties.get("agencyColumn")
    if name is None:
        return None
    column = columns.get(str(name))
    if column is None:
        findings.add(place, f"the table has no column {name!r}", "use the column's name at the source")
    elif not column.is_open:
        what = f"{name} is {column.classification}, and agencies are named in reports"
        findings.add(place, what, "name a public or internal column, or leave it out")
    return str(name)


def _row_security_agreed(properties: Mapping[str, Any], capture: str, findings: Findings) -> bool:
    """Whether the contract agrees that policies hide rows at the source. The source's log shows all rows."""
    place, value = "customProperties.rowSecurity", properties.get("rowSecurity")
    if value is None:
        return False
    if value != "agreed":
        findings.add(place, f"{value!r} is not understood", "say agreed, or take it out")
    elif capture not in ("cursor", "snapshot"):
        findings.add(place, "only the captures cursor and snapshot read rows that policies may hide", "take it out")
    return True


def _encoding(properties: Mapping[str, Any], capture: str, findings: Findings) -> str | None:
    """What the source's texts are written in, where its server does not know."""
    place, value = "customProperties.encoding", properties.get("encoding")
    if value is None:
        return None
    if value not in encodings.NAMES:
        findings.add(place, f"{value!r} is not read here", f"say one of {listed(encodings.NAMES)}")
        return None
    if capture not in ("cursor", "snapshot"):
        findings.add(
            place, "only the captures cursor and snapshot can read such texts", "use one of them, or take it out"
        )
    return str(value)


def _publication(properties: Mapping[str, Any], capture: str, findings: Findings) -> str | None:
    place, name = "customProperties.publication", properties.get("publication")
    if name is not None and capture != "cdc":
        findings.add(place, "only capture: cdc uses it", "take it out, or say capture: cdc")
    elif name is not None and not (isinstance(name, str) and 0 < len(name.encode()) <= NAME_BYTES):
        findings.add(place, f"{name!r} is not a publication's name", "name it as the source's administrator did")
    return str(name) if name is not None else None


def _max_retained_bytes(properties: Mapping[str, Any], capture: str, findings: Findings) -> int:
    if "maxRetainedBytes" in properties and capture != "cdc":
        findings.add("customProperties.maxRetainedBytes", "only capture: cdc uses it", "take it out")
    return count(properties, "maxRetainedBytes", findings) or 1 << 30


def _cursor_time_zone(properties: Mapping[str, Any], columns: Mapping[str, Column], findings: Findings) -> str | None:
    """Whose time a cursor without time zone is: guessing it wrong would lose rows for ever."""
    place, zone = "customProperties.cursorTimeZone", properties.get("cursorTimeZone")
    cursor = columns.get(str(properties.get("cursorColumn")))
    has_zone = cursor is None or "without time zone" not in cursor.physical_type
    if has_zone:
        if zone is not None:
            findings.add(place, "only a cursor that is a timestamp without time zone uses it", "take it out")
        return None
    if zone not in available_timezones():
        what = "the cursor has no time zone" if zone is None else f"{zone!r} is no time zone"
        findings.add(place, what, "say whose time is stamped, like Asia/Ho_Chi_Minh or UTC")
        return None
    return str(zone)


def _soft_delete_column(
    properties: Mapping[str, Any], capture: str, deletes: str, columns: Mapping[str, Column], findings: Findings
) -> str | None:
    place, name = "customProperties.softDeleteColumn", properties.get("softDeleteColumn")
    if deletes != "soft" or capture == "feed":
        if name is not None:
            what = "a feed cancels by an event" if capture == "feed" else "only deletes: soft uses it"
            findings.add(place, what, "take it out" if capture == "feed" else "take it out, or say deletes: soft")
        return None
    column = columns.get(str(name))
    if column is None:
        what = "deletes: soft needs it" if name is None else f"the table has no column {name!r}"
        findings.add(place, what, "name the flag's column at the source")
        return None
    if column.physical_type != "boolean":
        findings.add(place, f"{name} is {column.physical_type}", "the flag must be boolean")
    return str(name)


def _service_levels(document: OpenDataContractStandard, findings: Findings) -> tuple[str, timedelta]:
    """Cadence (``frequency`` with a cron schedule) and freshness (``latency``)."""
    known = ("frequency", "latency")
    entries = document.slaProperties or []
    for entry in entries:
        if entry.property not in known:
            findings.add(f"slaProperties.{entry.property}", "PDIC does not read it", f"known: {listed(known)}")
        elif [other.property for other in entries].count(entry.property) > 1:
            findings.add(f"slaProperties.{entry.property}", "it is given twice", "keep one")
    by_name = {entry.property: entry for entry in entries}

    cadence, frequency = "", by_name.get("frequency")
    if frequency is None or frequency.scheduler != "cron" or not frequency.schedule:
        findings.add("slaProperties.frequency", "there is no cron schedule", "give scheduler: cron and a schedule")
    else:
        cadence = " ".join(frequency.schedule.split())
        try:
            cron.firings_per_month(cadence)
        except ValueError as error:
            findings.add("slaProperties.frequency.schedule", str(error), "write it like '30 1 * * *'")
    latency = by_name.get("latency")
    freshness = duration(f"{latency.value}{latency.unit}") if latency else None
    if not freshness:
        findings.add("slaProperties.latency", "there is no age that counts as stale", "give value: 26 and unit: h")
    return cadence, freshness or timedelta()


def _length(properties: Mapping[str, Any], name: str, findings: Findings) -> timedelta | None:
    """A length of time above zero; None where it is not given."""
    words = properties.get(name)
    found = duration(str(words)) if words is not None else None
    if words is not None and not found:
        findings.add(f"customProperties.{name}", f"{words!r} is not a length of time", "write it like 30m or 4h")
    return found


def _overlap(properties: Mapping[str, Any], capture: str, findings: Findings) -> timedelta:
    place, words = "customProperties.overlap", properties.get("overlap")
    if words is None:
        return timedelta()
    if capture not in ("cursor", "feed"):
        findings.add(place, "only the captures cursor and feed use it", "take it out")
    overlap = duration(str(words))
    if overlap is None:
        findings.add(place, f"{words!r} is not a length of time", "write it like 15m or 2h")
    return overlap or timedelta()
