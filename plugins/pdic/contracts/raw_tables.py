"""Contract → DDL of its raw table and its quarantine table (``plugins/pdic/generated/raw/*.sql``).

Both take what comes: the source's columns and types, all of them nullable. A column that the contract has gained is
added to tables that exist; one that it has lost stays, for its history. A column whose type has changed is no matter of
this script: ``pdic.raw`` widens it where that loses nothing and refuses otherwise.

Every load runs the script, and ALTER TABLE would wait for whoever reads the table. So the script begins by comparing its
own digest with the one it left behind, and does nothing where they are equal.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pdic.contracts.model import Contract
from pdic.contracts.output import GENERATED, Output, both, header, joined, literal, quoted

_RAW_COLUMNS = ("_batch_id bigint not null", "_op \"char\" not null default 'U'")
_QUARANTINE_COLUMNS = (*_RAW_COLUMNS, "_reasons text[]", "_quarantined_at timestamp with time zone")
_COMMENTS = {
    "_batch_id": ("Số của lô", "Number of the batch"),
    "_op": ("U: thêm hoặc sửa; D: khoá không còn ở nguồn", "U: added or changed; D: the key is gone at the source"),
    "_reasons": ("Mã các quy tắc mà bản ghi vi phạm", "Ids of the rules that the row broke"),
    "_quarantined_at": ("Thời điểm bị cách ly", "When the row was set aside"),
}


def raw_tables(contract: Contract) -> Output:
    """The script that makes or completes both tables of a dataset. It may be run again at any time."""
    raw, quarantine = (f"{schema}.{quoted(contract.raw_table)}" for schema in ("raw", "quarantine"))
    batch_index, key_index = (f"{contract.raw_table}__{suffix}" for suffix in ("batch", "key"))
    body = [
        *_table(contract, raw, _RAW_COLUMNS, " partition by list (_batch_id)"),
        *_table(contract, quarantine, _QUARANTINE_COLUMNS, ""),
        "",
        f"create index if not exists {quoted(batch_index)} on {quarantine} (_batch_id);",
        f"create index if not exists {quoted(key_index)} on {quarantine} ({', '.join(map(quoted, contract.key))});",
        *_version_index(contract, raw),
    ]
    digest = hashlib.sha256(joined(body).encode()).hexdigest()
    mark = f"quarantine.{quoted(batch_index)}"
    body.append(f"comment on index {mark} is 'made by script {digest}';")
    tag = _dollar_tag(joined(body))
    lines = [
        f"-- {header(contract.path.as_posix())}",
        "",
        f"do {tag}",
        "begin",
        f"    if to_regclass({literal(raw)}) is not null",
        f"        and obj_description(to_regclass({literal(mark)}), 'pg_class') = 'made by script {digest}'",
        "    then",
        "        return;",
        "    end if;",
        *(f"    {line}" if line else "" for line in body),
        "end",
        f"{tag};",
    ]
    return Output(script_path(contract.raw_table), joined(lines))


def script_path(raw_table: str) -> Path:
    """Where the script of a dataset's tables is kept."""
    return GENERATED / "raw" / f"{raw_table}.sql"


def _table(contract: Contract, table: str, extra: tuple[str, ...], suffix: str) -> list[str]:
    columns = [f"{quoted(column.source_name)} {column.physical_type}" for column in contract.columns]
    return [
        "",
        f"create table if not exists {table} (",
        *(f"    {column}," for column in (*columns, *extra[:-1])),
        f"    {extra[-1]}",
        f"){suffix};",
        f"alter table {table}",
        *(f"    add column if not exists {column}," for column in columns[:-1]),
        f"    add column if not exists {columns[-1]};",
        *_comments(contract, table, extra),
    ]


def _version_index(contract: Contract, table: str) -> list[str]:
    """Each load of a feed looks its keys up in what was accepted before, which must not cost what was accepted before."""
    if contract.feed is None:
        return []
    columns = ", ".join(quoted(name) for name in (*contract.key, contract.feed.version))
    return [f"create index if not exists {quoted(f'{contract.raw_table}__version')} on {table} ({columns});"]


def _dollar_tag(body: str) -> str:
    """A dollar quote that ``body`` does not hold."""
    tag = "$ddl$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return tag


def _comments(contract: Contract, table: str, extra: tuple[str, ...]) -> list[str]:
    comments = {
        quoted(column.source_name): (column.description_vi, column.description_en) for column in contract.columns
    }
    comments |= {name: _COMMENTS[name] for name in (definition.split(" ", 1)[0] for definition in extra)}
    return [
        f"comment on table {table} is {literal(both(contract.description, contract.description_en))};",
        *(f"comment on column {table}.{name} is {literal(both(*words))};" for name, words in comments.items()),
    ]
