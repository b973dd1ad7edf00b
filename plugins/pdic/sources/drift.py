"""Is a source's table still what its contract says, and what the last load found? Asked before any row moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdic.contracts.findings import listed
from pdic.errors import DriftError
from pdic.sources import policies
from pdic.sources.carried import decoded_table
from pdic.sources.catalogue import SourceTable, read_table
from pdic.sources.shapes import Shape

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract
    from pdic.sources.shapes import Shapes

_TABLES = ("table", "partitioned table")


def check_drift(
    connection: Connection, contract: Contract, shapes: Shapes | None = None, there: Contract | None = None
) -> str | None:
    """Compare the table's catalogue with the contract and with what `shapes` remember. Returns a remark on what was added.

    Raises `DriftError` naming each difference, old and new, and what to do. What the last load found counts as long as the
    contract keeps its version: a new version says that somebody has agreed to the change. `there` is the contract with its names
    as the source writes them, where these are others (`pdic.sources.carried`).
    """
    there = there or contract
    table = read_table(connection, there.table_schema, there.table_name)
    if table is None:
        raise DriftError(
            f"{contract.id}: the source has no table {contract.table} that this role may see. If it was renamed, change "
            f"schema/physicalName in {contract.path}; if it is gone, remove that file and "
            f"dbt_project/models/staging/{contract.sector}/stg_{contract.raw_table}.sql, and run `pdic contracts compile`."
        )
    if contract.encoding is not None:
        table = decoded_table(table, contract.encoding)
    former = shapes.former(contract) if shapes is not None else None
    shape = Shape.of(table, policies.digest(connection, there.table_schema, there.table_name))
    problems = [*column_problems(table, contract), *_lost_labels(table, contract)]
    if former is not None:
        problems += narrowed(former, shape, table, contract)
    if problems:
        raise DriftError(
            f"{contract.id}: {contract.table} differs from its contract: {'; '.join(problems)}. Nothing was moved. Agree the "
            f"change with {contract.owner_agency}; `pdic onboard --update {contract.id}` drafts it in {contract.path} with a "
            "new version. Then load again."
        )
    if shapes is not None and shape != former:
        shapes.remember(contract, shape)
    return _remark(table, contract)


def column_problems(table: SourceTable, contract: Contract) -> list[str]:
    """The contract's columns that the table lacks or has in another type."""
    problems = []
    renamed = renames(table, contract)
    for column in contract.columns:
        found = table.column(column.name_at_source)
        if found is not None:
            if problem := found.problem(column):
                problems.append(problem)
            continue
        gone = f"column {column.name_at_source} is gone (contract: {column.source_type or column.physical_type})"
        if now := renamed.get(column.name_at_source):
            gone += f"; it looks renamed to {now}, a new column of the same type: change its physicalName"
        problems.append(gone)
    return problems


def renames(table: SourceTable, contract: Contract) -> dict[str, str]:
    """Former → new name, where exactly one column of a type has gone and exactly one of that type is new."""
    known = {column.name_at_source for column in contract.columns}
    gone: dict[str, list[str]] = {}
    new: dict[str, list[str]] = {}
    for column in contract.columns:
        if table.column(column.name_at_source) is None:
            gone.setdefault(column.source_type or column.physical_type, []).append(column.name_at_source)
    for found in table.columns:
        if found.name not in known:
            new.setdefault(found.type if found.cast or found.carrier is None else found.carrier, []).append(found.name)
    return {
        names[0]: new[type_][0] for type_, names in gone.items() if len(names) == 1 and len(new.get(type_, [])) == 1
    }


def narrowed(former: Shape, now: Shape, table: SourceTable, contract: Contract) -> list[str]:
    """What the table promised at the last load and no longer does, where the contract stands on it."""
    problems = []
    if contract.row_security_agreed and former.policies is not None and former.policies != now.policies:
        problems.append(
            "its row level security is another (policies, or to whom they apply): rows that it hides now are not deleted"
        )
    if former.kind in _TABLES and now.kind not in _TABLES:
        problems.append(f"it was a {former.kind} and is a {now.kind}, so nothing promises its key any more")
    if former.key != now.key and set(former.key) == set(contract.key_at_source):
        is_now = f"is ({', '.join(now.key)})" if now.key else "was dropped"
        problems.append(f"the primary key was ({', '.join(former.key)}) and {is_now}")
    needed = {column.name_at_source for column in contract.columns if column.required or column.primary_key}
    names = {column.name for column in table.columns}
    problems += [
        f"column {name} was not null and may now be empty"
        for name in sorted((former.not_null - now.not_null) & needed & names)
    ]
    for name, labels in sorted(former.labels.items()):
        lost = [label for label in labels if label not in now.labels.get(name, labels)]
        column = next((column for column in contract.columns if column.name_at_source == name), None)
        if lost and column is not None and not column.enum:  # where the contract lists codes, it is asked itself
            problems.append(f"column {name} has lost the enum labels {listed(lost)}")
    return problems


def _lost_labels(table: SourceTable, contract: Contract) -> list[str]:
    problems = []
    for column in contract.columns:
        found = table.column(column.name_at_source)
        if found is not None and found.labels and column.enum:
            lost = [str(code) for code in column.enum if code not in found.labels]
            if lost:
                problems.append(
                    f"column {column.name_at_source} has lost the enum labels {listed(lost)} (contract: enum)"
                )
    return problems


def _remark(table: SourceTable, contract: Contract) -> str | None:
    known = {column.name_at_source: column for column in contract.columns}
    # (What the login may not read is no news that could be drafted: `access.remarks` says what opens it.)
    added = [found.name for found in table.columns if found.name not in known and found.readable]
    remarks = []
    if added:
        remarks.append(
            f"columns not in the contract: {listed(added)} (`pdic onboard --update {contract.id}` drafts them)"
        )
    for found in table.columns:
        column = known.get(found.name)
        if column is not None and column.enum:
            new = [label for label in found.labels if label not in column.enum]
            if new:
                remarks.append(
                    f"enum labels of {found.name} not in the contract: {listed(new)} (`pdic onboard --update {contract.id}` drafts "
                    f"them; then `pdic quarantine retry {contract.id}` accepts rows that were held for them)"
                )
    return "; ".join(remarks) or None
