"""Contract → the rules of its shape in Great Expectations' terms (``expectations/shape/**``).

Map expectations pass over NULL, and an empty table passes all of them. Required columns and row counts therefore have
rules of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pdic.contracts import pg_types, yaml_text
from pdic.contracts.model import Column, Contract, SharedContract
from pdic.contracts.output import Output, header, literal, quoted
from pdic.encodings import UNREADABLE

_FOLDER: Final = Path("expectations", "shape")
_NOT_IN_AN_ID: Final = re.compile(r"[\s,{}]+")
"""A source may name a column in any way; the id of a rule is one word."""
_ENDS_A_TITLE: Final = re.compile(r"\s*[:;,(]")


def shape_path(sector: str, name: str) -> Path:
    """Where the rules of a dataset, or (sector `shared`) of a published table, are kept."""
    return _FOLDER / sector / f"{name}.yaml"


def dataset_rules(contract: Contract) -> Output:
    """Rules for the batches of a dataset; they name columns as the source does."""
    return _output(
        shape_path(contract.sector, contract.dataset),
        contract.path,
        [
            *_table_rules(contract.dataset, contract.key, contract.min_rows, contract.path),
            *(rule for column in contract.columns for rule in _column_rules(contract.dataset, column, contract.path)),
            *_encoding_rules(contract),
        ],
    )


def shared_rules(contract: SharedContract) -> Output:
    """Rules for a published table in a candidate release. Nothing can be set aside any more: every rule halts."""
    rules = list(_table_rules(contract.table, contract.key, contract.min_rows or 0, contract.path))
    for column in contract.columns:
        rules += [
            {**rule, "on_fail": "warn" if column.on_fail == "warn" and not _is_required(rule) else "halt"}
            for rule in _column_rules(contract.table, column, contract.path)
        ]
    return _output(shape_path("shared", contract.table), contract.path, rules)


def _output(path: Path, source: Path, rules: list[dict[str, Any]]) -> Output:
    _tell_ids_apart(rules)
    return Output(path, f"# {header(source.as_posix())}\n" + yaml_text.dump({"rules": rules}))


def _tell_ids_apart(rules: list[dict[str, Any]]) -> None:
    """Makes one word of each id, and numbers those that would then be one, as of the columns `a b`, `a,b` and `a_b`.

    An id that is one word already stays as it is, whatever else the table has.
    """
    taken: set[str] = set()
    for rule in sorted(rules, key=lambda each: each["id"] != _NOT_IN_AN_ID.sub("_", each["id"])):
        word = free = _NOT_IN_AN_ID.sub("_", rule["id"])
        number = 1
        while free in taken:
            number += 1
            free = f"{word}_{number}"
        taken.add(free)
        rule["id"] = free


def _shown(name: str) -> str:
    """A column's name in one line: a source's may hold line breaks, or nothing that is seen."""
    return " ".join(name.split()) or repr(name)


def _table_rules(table: str, key: tuple[str, ...], min_rows: int, path: Path) -> Iterator[dict[str, Any]]:
    if min_rows > 0:  # a rule that cannot fail would only look like one
        yield _rule(
            f"{table}._table.row_count",
            "expect_table_row_count_to_be_between",
            {"min_value": min_rows},
            severity="critical",
            dimension="completeness",
            on_fail="halt",
            source=path.as_posix(),
            vi=f"Số bản ghi nhận được ít hơn {min_rows}",
            en=f"Fewer than {min_rows} rows came",
        )
    names = ", ".join(map(_shown, key))
    yield _rule(
        f"{table}._key.unique",
        "expect_column_values_to_be_unique" if len(key) == 1 else "expect_compound_columns_to_be_unique",
        {"column": key[0]} if len(key) == 1 else {"column_list": list(key)},
        severity="critical",
        dimension="cleanliness",
        on_fail="halt",
        source=f"{path.as_posix()}: {names}",
        vi=f"Khoá ({names}) bị trùng",
        en=f"The key ({names}) occurs more than once",
    )


def _encoding_rules(contract: Contract) -> Iterator[dict[str, Any]]:
    """Texts that could not be read in the encoding that the contract names: their bytes stand as letters of a private range."""
    for column in contract.columns if contract.encoding is not None else ():
        if not pg_types.holds_text(column.physical_type):
            continue
        name = column.source_name
        yield _rule(
            f"{contract.dataset}.{name}.encoding",
            "pdic_expect_row_condition",
            {
                "columns": [name],
                "condition": f"{quoted(name)} is null or {quoted(name)}::text !~ {literal(UNREADABLE)}",
            },
            severity="critical",
            dimension="accuracy",
            on_fail="quarantine",
            source=f"{contract.path.as_posix()}: {_shown(name)}",
            vi=f"{_shown(name)} ({_ENDS_A_TITLE.split(column.description_vi)[0]}) có ký tự không đọc được theo bảng mã {contract.encoding}",
            en=f"{_shown(name)} holds bytes that cannot be read as {contract.encoding}",
        )


def _is_required(rule: Mapping[str, Any]) -> bool:
    return bool(rule["type"] == "expect_column_values_to_not_be_null")


def _column_rules(table: str, column: Column, path: Path) -> Iterator[dict[str, Any]]:
    name = column.source_name
    source = f"{path.as_posix()}: {_shown(name)}"
    vi, en = f"{_shown(name)} ({_ENDS_A_TITLE.split(column.description_vi)[0]})", _shown(name)
    if column.required:
        yield _rule(
            f"{table}.{name}.required",
            "expect_column_values_to_not_be_null",
            {"column": name},
            severity="critical",
            dimension="completeness",
            on_fail="quarantine",
            source=source,
            vi=f"Thiếu {vi}",
            en=f"{en} is missing",
        )
    if column.unique and not column.primary_key:
        yield _rule(
            f"{table}.{name}.unique",
            "expect_column_values_to_be_unique",
            {"column": name},
            severity="warning",
            dimension="cleanliness",
            on_fail="warn",
            source=source,
            vi=f"{vi} bị trùng",
            en=f"{en} occurs more than once",
        )
    for kind, expectation, arguments, vi_wrong, en_wrong in _value_rules(column):
        yield _rule(
            f"{table}.{name}.{kind}",
            expectation,
            {"column": name, **arguments},
            severity="critical" if column.classification == "identifier" else "warning",
            dimension="accuracy",
            on_fail=column.on_fail,
            source=source,
            vi=f"{vi} {vi_wrong}",
            en=f"{en} {en_wrong}",
        )


def _value_rules(column: Column) -> Iterator[tuple[str, str, dict[str, Any], str, str]]:
    """Kind, expectation, arguments and both reasons of each rule about the column's values."""
    if column.enum:
        codes = ", ".join(str(code) for code in column.enum)
        labelled = (f"{code} {label}".rstrip() for code, label in zip(column.enum, column.enum_labels, strict=True))
        yield (
            "enum",
            "expect_column_values_to_be_in_set",
            {"value_set": list(column.enum)},
            f"không thuộc danh mục: {', '.join(labelled)}",
            f"is not one of {codes}",
        )
    if column.pattern is not None:
        yield (
            "format",
            "expect_column_values_to_match_regex",
            {"regex": column.pattern},
            f"sai định dạng; cột này là: {column.description_vi}",
            f"is malformed; it should be: {column.description_en}",
        )
    if column.minimum is not None or column.maximum is not None:
        low, high = column.minimum, column.maximum
        bounds = {"min_value": low, "max_value": high}
        yield (
            "range",
            "expect_column_values_to_be_between",
            {name: value for name, value in bounds.items() if value is not None},
            f"nằm ngoài khoảng {_span(low, high)}",
            f"is outside {_span(low, high)}",
        )
    limit = pg_types.length_limit(column.physical_type)
    if column.max_length is not None and (limit is None or column.max_length < limit):
        yield (
            "length",
            "expect_column_value_lengths_to_be_between",
            {"max_value": column.max_length},
            f"dài quá {column.max_length} ký tự",
            f"is longer than {column.max_length} characters",
        )


def _span(low: object, high: object) -> str:
    return f"{'…' if low is None else low} – {'…' if high is None else high}"


def _rule(
    rule_id: str,
    expectation: str,
    kwargs: dict[str, Any],
    *,
    severity: str,
    dimension: str,
    on_fail: str,
    source: str,
    vi: str,
    en: str,
) -> dict[str, Any]:
    return {
        "id": rule_id,
        "type": expectation,
        "kwargs": kwargs,
        "severity": severity,
        "dimension": dimension,
        "on_fail": on_fail,
        "reason": {"vi": vi, "en": en},
        "origin": "contract",
        "source": source,
    }
