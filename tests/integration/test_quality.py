"""The gates on a real PostgreSQL: what each kind of rule counts, and that neither fault nor value slips through."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg2
import pytest
import sqlalchemy as sa
import yaml
from psycopg2 import sql

from pdic.contracts import Contract
from pdic.errors import DiskFull, WarehouseUnavailable
from pdic.quality import (
    BatchVerdict,
    Dimension,
    OnFail,
    Origin,
    Reason,
    Rule,
    RuleResult,
    Severity,
    audit_release,
    check_batch,
    check_sector,
    quarantine_predicates,
    quarantine_sql,
    record,
)
from pdic.quality.gate import Gate
from pdic.quality.safe_text import safe_class

CONTRACT = cast(
    "Contract",
    SimpleNamespace(
        sector="education", dataset="hoc_sinh", key=("id",), key_guessed=False, columns=(), agency_column=None
    ),
)
TABLE = "raw_batch.education__hoc_sinh__1"
PLANTED = ("Nguyễn Thị Bí Mật", "079300000001", "0912345678", "Hẻm Không Tên")
"""What must never be seen outside the table."""

CREATE = """
drop schema if exists raw_batch cascade;
create schema raw_batch;
create table raw_batch.education__hoc_sinh__1 (
    id bigint, "hoTen" text, sodinhdanh varchar(20), "GIOI_TINH" char(2), lop int, "điểm" numeric(4, 2),
    ngaysinh date, ngaynhaphoc date, "100%: ""ghi"" chú" text,
    _batch_id bigint not null default 1, _op "char" not null default 'U'
);
insert into raw_batch.education__hoc_sinh__1 values
    (1, 'Trần Văn Tốt', '079300000000', '1', 5, 8.25, '2015-03-01', '2021-09-05', 'a:b%c'),
    (2, 'Nguyễn Thị Bí Mật', '07930000000X', '9', 13, 10.5, '2021-09-05', '2021-09-05', 'xấu'),
    (3, null, null, null, null, null, null, null, null),
    (1, 'Lê An', '079300000001', '2', 12, 10, '2014-01-01', '2020-09-05', 'a:b%c');
insert into raw_batch.education__hoc_sinh__1 (id, _op) values (99, 'D');
"""


@pytest.fixture(scope="module")
def uri(postgres: Any) -> str:
    return cast("str", postgres.create_database("quality_room"))


@pytest.fixture
def batch(uri: str) -> Iterator[psycopg2.extensions.connection]:
    """A batch of four rows and one tombstone: row 1 is good in all respects, row 2 bad in all, row 3 all NULL."""
    with closing(psycopg2.connect(uri)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("set client_min_messages = warning")
            cursor.execute(CREATE)
        yield connection


def rule(rule_id: str, rule_type: str, kwargs: Mapping[str, Any], on_fail: OnFail = OnFail.QUARANTINE) -> Rule:
    return Rule(
        id=rule_id,
        type=rule_type,
        kwargs=kwargs,
        severity=Severity.CRITICAL,
        dimension=Dimension.ACCURACY,
        on_fail=on_fail,
        reason=Reason(vi="Sai", en="Wrong"),
        origin=Origin.TEXT,
        source="assumption: wrong",
        path=Path("expectations/batch/education/hoc_sinh.yaml"),
    )


ROW_RULES = [
    (rule("null", "expect_column_values_to_not_be_null", {"column": "hoTen"}), {3}),
    (rule("no-null", "expect_column_values_to_be_null", {"column": '100%: "ghi" chú'}), {1, 2, 4}),
    (rule("regex", "expect_column_values_to_match_regex", {"column": "sodinhdanh", "regex": r"^\d{12}$"}), {2}),
    (rule("no-regex", "expect_column_values_to_not_match_regex", {"column": "sodinhdanh", "regex": "[A-Z]"}), {2}),
    (
        rule("percent", "expect_column_values_to_match_regex", {"column": '100%: "ghi" chú', "regex": "^a:b%[a-z]$"}),
        {2},
    ),
    (rule("set", "expect_column_values_to_be_in_set", {"column": "GIOI_TINH", "value_set": ["1", "2", "3"]}), {2}),
    (rule("set-numbers", "expect_column_values_to_be_in_set", {"column": "lop", "value_set": [5, 12]}), {2}),
    (rule("no-set", "expect_column_values_to_not_be_in_set", {"column": "GIOI_TINH", "value_set": ["9"]}), {2}),
    (rule("between", "expect_column_values_to_be_between", {"column": "lop", "min_value": 1, "max_value": 12}), {2}),
    (
        rule(
            "between-strict",
            "expect_column_values_to_be_between",
            {"column": "điểm", "max_value": 10, "strict_max": True},
        ),
        {2, 4},
    ),
    (
        rule("between-dates", "expect_column_values_to_be_between", {"column": "ngaysinh", "max_value": "2020-12-31"}),
        {2},
    ),
    (
        rule("min-strict", "expect_column_values_to_be_between", {"column": "lop", "min_value": 5, "strict_min": True}),
        {1},
    ),
    (
        rule(
            "length", "expect_column_value_lengths_to_be_between", {"column": "hoTen", "min_value": 6, "max_value": 12}
        ),
        {2, 4},
    ),
    (
        rule(
            "pair",
            "expect_column_pair_values_a_to_be_greater_than_b",
            {"column_A": "ngaynhaphoc", "column_B": "ngaysinh"},
        ),
        {2},
    ),
    (
        rule(
            "pair-or-equal",
            "expect_column_pair_values_a_to_be_greater_than_b",
            {"column_A": "ngaynhaphoc", "column_B": "ngaysinh", "or_equal": True},
        ),
        set(),
    ),
    (
        rule(
            "condition",
            "pdic_expect_row_condition",
            {"condition": """lop <= 12 or "điểm" < 10 -- lớp cuối %s: '""", "columns": ["lop", "điểm"]},
        ),
        {2},
    ),
]
"""Every kind of row rule, and the rows (1 to 4, by position) that break it."""


def check(uri: str, *rules: Rule, table: str = TABLE) -> BatchVerdict:
    return check_batch(uri, CONTRACT, 1, table, rules)


def only(verdict: BatchVerdict) -> RuleResult:
    (result,) = verdict.results
    return result


def test_every_row_rule_counts_its_rows_and_no_null(uri: str, batch: object) -> None:
    verdict = check(uri, *(each for each, _ in ROW_RULES))
    assert {r.rule.id: r.failed for r in verdict.results} == {each.id: len(rows) for each, rows in ROW_RULES}
    assert all(r.checked == 4 and r.raised is None and r.success == (r.failed == 0) for r in verdict.results)
    assert (verdict.halted, verdict.rows) == (False, 4)


def test_the_quarantine_predicate_picks_the_rows_that_great_expectations_counts(
    batch: psycopg2.extensions.connection,
) -> None:
    rules = [each for each, _ in ROW_RULES]
    with batch.cursor() as cursor:
        statement = "select row_number() over (order by ctid), {} from {} where _op = 'U'"
        table = sql.Identifier(*TABLE.split("."))
        cursor.execute(sql.SQL(statement).format(quarantine_sql(rules), table))
        reasons = dict(cursor.fetchall())
        assert {each.id: {row for row, ids in reasons.items() if each.id in ids} for each in rules} == {
            each.id: rows for each, rows in ROW_RULES
        }
        for rule_id, predicate in quarantine_predicates(rules):
            cursor.execute(sql.SQL("select count(*) filter (where {0} is null) from {1}").format(predicate, table))
            assert cursor.fetchone() == (0,), rule_id


def test_no_quarantine_rule_gives_no_reason(batch: psycopg2.extensions.connection) -> None:
    rules = [rule("warned", "expect_column_values_to_not_be_null", {"column": "id"}, OnFail.WARN)]
    with batch.cursor() as cursor:
        cursor.execute(sql.SQL("select {}").format(quarantine_sql(rules)))
        assert cursor.fetchone() == ([],)


def test_all_row_rules_of_a_table_share_one_scan(uri: str, batch: object) -> None:
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "hoc_sinh__1" in statement:
            statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        check(uri, *(each for each, _ in ROW_RULES))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert len(statements) == 1
    assert statements[0].count("filter (where") == len(ROW_RULES)


AGENCIES = """
drop schema if exists raw_batch cascade;
create schema raw_batch;
create table raw_batch.education__hoc_sinh__1 (ma_truong text, gioi_tinh char(2), lop int, _op "char" not null default 'U');
insert into raw_batch.education__hoc_sinh__1 values
    ('T.01-a_b', '1', 5), ('T.01-a_b', '2', 99), ('T.01-a_b', null, 99), ('T2', '9', 1), ('T2', '1', null),
    (null, '1', 99), ('079300000001', '1', 1), ('Trường Bí Mật', '1', 1), (repeat('x', 36), '1', 1), ('', '1', 1);
insert into raw_batch.education__hoc_sinh__1 (ma_truong, _op) values ('T2', 'D');
"""


def test_the_scan_counts_by_agency_and_takes_a_census_that_names_no_person(
    uri: str, batch: psycopg2.extensions.connection
) -> None:
    with batch.cursor() as cursor:
        cursor.execute(AGENCIES)
    columns = [
        SimpleNamespace(source_name=name, cleaning=None, enum=enum)
        for name, enum in (("ma_truong", ()), ("gioi_tinh", ("1", "2", "3")), ("lop", ()), ("gone", ("x",)))
    ]
    named = {"sector": "education", "dataset": "hoc_sinh", "key": ("id",), "key_guessed": False}
    rules = [
        rule("lop", "expect_column_values_to_be_between", {"column": "lop", "max_value": 12}),
        rule("school", "expect_column_values_to_not_be_null", {"column": "ma_truong"}),
        rule("none", "expect_column_values_to_be_between", {"column": "lop", "max_value": 100}),
        rule("count", "expect_table_row_count_to_be_between", {"min_value": 1}, OnFail.HALT),
    ]
    contract = cast("Contract", SimpleNamespace(**named, columns=columns, agency_column="ma_truong"))
    verdict = check_batch(uri, contract, 1, TABLE, rules)
    assert [(r.failed, dict(r.by_agency)) for r in verdict.results] == [
        (3, {"T.01-a_b": 2, "?": 1}),
        (1, {"?": 1}),
        (0, {}),
        (0, {}),
    ]
    census = verdict.census
    assert census is not None
    assert census.agencies == {"T.01-a_b": 3, "T2": 2, "?": 5}
    assert (census.rows, census.missing) == (10, {"ma_truong": 1, "gioi_tinh": 1, "lop": 1})
    assert census.codes == {"gioi_tinh": {"1": 7, "2": 1, "3": 0, "(other)": 1}}

    whole = cast("Contract", SimpleNamespace(**named, columns=columns, agency_column=None))
    without = check_batch(uri, whole, 1, TABLE, rules)
    assert without.census == dataclasses.replace(census, agencies={})
    assert [(r.failed, dict(r.by_agency)) for r in without.results] == [(3, {}), (1, {}), (0, {}), (0, {})]

    with batch.cursor() as cursor:
        cursor.execute("delete from raw_batch.education__hoc_sinh__1")
    empty = check_batch(uri, contract, 1, TABLE, rules[:3])
    assert [(r.checked, r.failed, r.success) for r in empty.results] == [(0, 0, True)] * 3
    assert empty.census is not None
    assert (empty.rows, empty.census.agencies) == (0, {})


def test_a_share_of_bad_rows_may_be_allowed(uri: str, batch: object) -> None:
    """One of four rows is no more than chance where every fourth may fail; where one of 10,000 may, it is."""
    kwargs = {"column": "hoTen"}
    three_of_four = rule("most", "expect_column_values_to_not_be_null", {**kwargs, "mostly": 0.75}, OnFail.HALT)
    more = rule("nearly-all", "expect_column_values_to_not_be_null", {**kwargs, "mostly": 0.9999}, OnFail.HALT)
    verdict = check(uri, three_of_four, more)
    assert [(r.success, r.failed) for r in verdict.results] == [(True, 1), (False, 1)]
    assert verdict.halted


@pytest.mark.parametrize(
    ("rule_type", "kwargs", "success", "checked", "failed"),
    [
        ("expect_column_values_to_be_unique", {"column": "id"}, False, 4, 2),
        ("expect_column_values_to_be_unique", {"column": "hoTen"}, True, 3, 0),
        ("expect_compound_columns_to_be_unique", {"column_list": ["id", "điểm"]}, True, 4, 0),
        ("expect_compound_columns_to_be_unique", {"column_list": ["lop", "hoTen"]}, True, 3, 0),
        (
            "expect_compound_columns_to_be_unique",
            {"column_list": ["lop", "hoTen"], "ignore_row_if": "never"},
            True,
            4,
            0,
        ),
        ("expect_table_row_count_to_be_between", {"min_value": 1}, True, 1, 0),
        ("expect_table_row_count_to_be_between", {"min_value": 5}, False, 1, 1),
        ("expect_table_row_count_to_equal", {"value": 4}, True, 1, 0),
        ("expect_column_to_exist", {"column": "GIOI_TINH"}, True, 1, 0),
        ("expect_column_to_exist", {"column": "gioi_tinh_x"}, False, 1, 1),
        ("expect_column_max_to_be_between", {"column": "ngaysinh", "max_value": "2026-10-31"}, True, 1, 0),
        ("expect_column_max_to_be_between", {"column": "ngaysinh", "max_value": "2020-10-31"}, False, 1, 1),
        ("expect_column_mean_to_be_between", {"column": "điểm", "min_value": 9.7}, False, 1, 1),
        ("expect_column_distinct_values_to_contain_set", {"column": "lop", "value_set": [5, 12]}, True, 1, 0),
        (
            "pdic_expect_query_to_return_no_rows",
            {"query": "select lop from {table} as t where t.lop > 12 and '%:x' <> '{2}' -- %"},
            False,
            4,
            1,
        ),
        (
            "pdic_expect_query_to_return_no_rows",
            {"query": "select 1 from {schema}.education__hoc_sinh__1 where false"},
            True,
            4,
            0,
        ),
    ],
)
def test_table_rules(
    uri: str, batch: object, rule_type: str, kwargs: dict[str, Any], success: bool, checked: int, failed: int
) -> None:
    result = only(check(uri, rule("table", rule_type, kwargs, OnFail.HALT)))
    assert (result.success, result.checked, result.failed, result.raised) == (success, checked, failed, None)


def test_a_column_called_like_any_keyword_is_that_column_to_a_table_rule(
    uri: str, batch: psycopg2.extensions.connection
) -> None:
    with batch.cursor() as cursor:
        cursor.execute("select word from pg_get_keywords() order by word")
        words = [word for (word,) in cursor.fetchall()]
        columns = sql.SQL(", ").join(sql.SQL("{} integer").format(sql.Identifier(word)) for word in words)
        cursor.execute(
            sql.SQL("drop table if exists raw_batch.words; create table raw_batch.words (_op text, {})").format(columns)
        )
        values = sql.SQL(", ").join(map(sql.Identifier, words))
        cursor.execute(
            sql.SQL("insert into raw_batch.words (_op, {}) select 'U', {} from generate_series(1, 3) as i").format(
                values, sql.SQL(", ").join([sql.SQL("i")] * len(words))
            )
        )
    rules = [rule(word, "expect_column_values_to_be_unique", {"column": word}, OnFail.HALT) for word in words]
    verdict = check(uri, *rules, table="raw_batch.words")
    assert [(result.rule.id, result.raised, result.failed) for result in verdict.results if not result.success] == []


def test_a_halting_rule_holds_the_batch_and_a_warning_one_does_not(uri: str, batch: object) -> None:
    empty = {"min_value": 5}
    warned = check(uri, rule("rows", "expect_table_row_count_to_be_between", empty, OnFail.WARN))
    held = check(uri, rule("rows", "expect_table_row_count_to_be_between", empty, OnFail.HALT))
    assert (warned.halted, held.halted) == (False, True)
    assert "1 warn: rows (4 rows)" in warned.message
    assert "education/hoc_sinh batch 1 is held by 1 of 1 rules: rows (4 rows)" in held.message
    assert "load the dataset again" in held.message


RAISING = [
    (
        "unknown-column",
        "pdic_expect_row_condition",
        {"condition": "nocolumn > 1", "columns": ["lop"]},
        'column "nocolumn" does not exist',
    ),
    (
        "wrong-type",
        "expect_column_values_to_be_in_set",
        {"column": "lop", "value_set": ["một"]},
        "invalid input syntax",
    ),
    (
        "wrong-regex",
        "expect_column_values_to_match_regex",
        {"column": "hoTen", "regex": "("},
        "invalid regular expression",
    ),
    ("syntax", "pdic_expect_row_condition", {"condition": "lop >", "columns": ["lop"]}, "syntax error"),
    ("bad-cast", "pdic_expect_row_condition", {"condition": '"hoTen"::int > 1', "columns": ["hoTen"]}, "is not shown"),
]


@pytest.mark.parametrize(("rule_id", "rule_type", "kwargs", "said"), RAISING)
@pytest.mark.parametrize("on_fail", [OnFail.QUARANTINE, OnFail.WARN])
def test_a_rule_that_raises_holds_the_batch_and_hides_no_other_rule(
    uri: str, batch: object, rule_id: str, rule_type: str, kwargs: dict[str, Any], said: str, on_fail: OnFail
) -> None:
    good = [rule for rule, _ in ROW_RULES[:3]]
    verdict = check(uri, good[0], rule(rule_id, rule_type, kwargs, on_fail), *good[1:])
    raised = verdict.results[1]
    assert raised.raised is not None
    assert said in raised.raised
    assert (raised.success, raised.checked, raised.failed, raised.halts) == (False, None, None, True)
    assert [r.failed for r in verdict.results if r is not raised] == [len(rows) for _, rows in ROW_RULES[:3]]
    assert verdict.halted
    assert f"{rule_id} (could not be evaluated: " in verdict.message
    assert not any(value in repr(verdict) for value in PLANTED)


@pytest.mark.parametrize(
    ("rule_type", "kwargs"),
    [
        ("pdic_expect_query_to_return_no_rows", {"query": 'select 1 from {table} where "hoTen"::int > 1'}),
        ("pdic_expect_query_to_return_no_rows", {"query": "select 1 from nowhere.nothing"}),
        ("pdic_expect_query_to_return_no_rows", {"query": "delete from {table} returning 1"}),
        ("expect_column_mean_to_be_between", {"column": "hoTen", "min_value": 1}),
        ("expect_column_max_to_be_between", {"column": "hoTen", "max_value": 5}),
    ],
)
def test_a_table_rule_that_raises_holds_the_batch(
    uri: str, batch: object, rule_type: str, kwargs: dict[str, Any]
) -> None:
    rows = rule("rows", "expect_table_row_count_to_be_between", {"min_value": 1}, OnFail.HALT)
    verdict = check(uri, ROW_RULES[0][0], rule("raising", rule_type, kwargs, OnFail.WARN), rows)
    assert [r.raised is None for r in verdict.results] == [True, False, True]
    assert verdict.results[0].failed == 1
    assert verdict.halted
    assert not any(value in repr(verdict) for value in PLANTED)


def test_rules_cannot_write(uri: str, batch: psycopg2.extensions.connection) -> None:
    sneaky = {"condition": "(select pg_notify('x', 'y')) is null and lop > 0", "columns": ["lop"]}
    writing = {"query": "select 1 from (select nextval('raw_batch.counter')) as x"}
    with batch.cursor() as cursor:
        cursor.execute("create sequence raw_batch.counter")
    verdict = check(
        uri,
        rule("writing", "pdic_expect_query_to_return_no_rows", writing, OnFail.WARN),
        rule("sneaky", "pdic_expect_row_condition", sneaky),
    )
    assert verdict.results[0].raised == "ReadOnlySqlTransaction: cannot execute nextval() in a read-only transaction"


def test_a_missing_column_fails_its_rules_and_no_other(uri: str, batch: object) -> None:
    absent = [
        rule("absent", "expect_column_values_to_not_be_null", {"column": "hoten"}),
        rule("absent-unique", "expect_compound_columns_to_be_unique", {"column_list": ["id", "nha"]}, OnFail.WARN),
        rule("absent-max", "expect_column_max_to_be_between", {"column": "diem", "max_value": 1}, OnFail.WARN),
    ]
    verdict = check(uri, *absent, ROW_RULES[0][0])
    assert [r.raised and r.raised.partition(":")[0] for r in verdict.results] == [
        f"{TABLE} has no column hoten",
        f"{TABLE} has no column nha",
        f"{TABLE} has no column diem",
        None,
    ]
    assert verdict.results[3].failed == 1
    assert verdict.halted


@pytest.mark.parametrize("count", [0, 2])
def test_a_vanished_table_is_a_failure_even_without_rules(uri: str, batch: object, count: int) -> None:
    verdict = check(uri, *(each for each, _ in ROW_RULES[:count]), table="raw_batch.education__hoc_sinh__2")
    assert verdict.halted
    assert "raw_batch.education__hoc_sinh__2 does not exist" in verdict.message
    assert [r.raised for r in verdict.results] == ["raw_batch.education__hoc_sinh__2 does not exist"] * count


def test_a_database_that_is_gone_judges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDIC_WAREHOUSE_WAIT", "0")
    with pytest.raises(WarehouseUnavailable) as said:
        check("postgresql://nobody:secret@127.0.0.1:1/nothing", ROW_RULES[0][0])
    assert "secret" not in str(said.value)


def test_a_rule_for_which_there_was_no_room_has_not_failed(
    uri: str, batch: psycopg2.extensions.connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = safe_class("sqlalchemy.exc.OperationalError: (psycopg2.errors.DiskFull) could not write to file")
    raised = RuleResult(ROW_RULES[0][0], success=False, checked=None, failed=None, raised=text)
    monkeypatch.setattr(Gate, "_evaluate", lambda *_: iter([raised]))
    with pytest.raises(DiskFull, match="the disk of the warehouse's server is full"):
        check(uri, ROW_RULES[0][0])


def test_a_batch_the_auditor_may_not_read_is_a_failure(uri: str, batch: psycopg2.extensions.connection) -> None:
    with batch.cursor() as cursor:
        cursor.execute("revoke all on raw_batch.education__hoc_sinh__1 from current_user")
    rows = rule("rows", "expect_table_row_count_to_be_between", {"min_value": 0}, OnFail.WARN)
    verdict = check(uri, ROW_RULES[0][0], rows)
    assert verdict.halted
    assert verdict.results[0].raised == "InsufficientPrivilege: permission denied for table education__hoc_sinh__1"
    assert verdict.results[1].raised is not None


def test_an_empty_batch_passes_row_rules_and_fails_a_row_count(uri: str, batch: psycopg2.extensions.connection) -> None:
    with batch.cursor() as cursor:
        cursor.execute("delete from raw_batch.education__hoc_sinh__1 where _op = 'U'")  # a tombstone is no row
    rows = rule("rows", "expect_table_row_count_to_be_between", {"min_value": 1}, OnFail.HALT)
    unique = rule("unique", "expect_column_values_to_be_unique", {"column": "id"}, OnFail.HALT)
    row_rules = [each for each, _ in ROW_RULES]
    assert not check(uri, unique, *row_rules).halted
    verdict = check(uri, rows, unique, *row_rules)
    assert [(r.success, r.failed) for r in verdict.results[1:]] == [(True, 0)] * (len(row_rules) + 1)
    assert (verdict.results[0].success, verdict.results[0].observed) == (False, 0)
    assert verdict.halted


def test_no_value_of_a_row_reaches_results_or_any_log(uri: str, batch: object, tmp_path: Path) -> None:
    """The fault: rules that fail on, and raise over, rows with planted personal values. The step: a check with every
    log line written out. The invariant: none of the values is in the verdict, the messages or the log."""
    rules = [*(each for each, _ in ROW_RULES), *(rule(i, t, k, OnFail.WARN) for i, t, k, _ in RAISING)]
    rules += [
        rule("max", "expect_column_max_to_be_between", {"column": "hoTen", "max_value": "A"}, OnFail.WARN),
        rule("unique", "expect_column_values_to_be_unique", {"column": "id"}, OnFail.WARN),
        rule("query", "pdic_expect_query_to_return_no_rows", {"query": 'select "hoTen" from {table}'}, OnFail.WARN),
        rule(
            "cast",
            "pdic_expect_query_to_return_no_rows",
            {"query": 'select 1 from {table} where "hoTen"::int > 1'},
            OnFail.WARN,
        ),
        rule(
            "set",
            "expect_column_distinct_values_to_contain_set",
            {"column": "hoTen", "value_set": ["Không Ai"]},
            OnFail.WARN,
        ),
        rule("mean", "expect_column_mean_to_be_between", {"column": "hoTen", "min_value": 1}, OnFail.WARN),
    ]
    saved = tmp_path / "rules.json"
    saved.write_text(json.dumps([[r.id, r.type, dict(r.kwargs), r.on_fail] for r in rules]), encoding="utf-8")
    code = f"""
import json, logging, sys, warnings
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
logging.getLogger("sqlalchemy").setLevel(logging.DEBUG)
warnings.simplefilter("always")
from pathlib import Path
from types import SimpleNamespace
from pdic.quality import *
from pdic.quality import gate
rules = [
    Rule(id=i, type=t, kwargs=k, severity=Severity.INFO, dimension=Dimension.ACCURACY, on_fail=OnFail(f),
         reason=Reason("s", "w"), origin=Origin.TEXT, source="assumption: s")
    for i, t, k, f in json.loads(Path({str(saved)!r}).read_text(encoding="utf-8"))
]
whole, seen = gate.Gate._validate, []
gate.Gate._validate = lambda self, *a: seen.append(whole(self, *a)) or seen[-1]
contract = SimpleNamespace(sector="education", dataset="hoc_sinh", key_guessed=False, columns=(), agency_column=None)
verdict = check_batch({uri!r}, contract, 1, {TABLE!r}, rules)
print(verdict)
print([[answer.to_json_dict() for answer in answers if not answer.exception_info.get("raised_exception", True)] for answers in seen])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    everything = done.stdout + done.stderr
    assert "RuleResult" in everything
    assert "'unexpected_count': 1" in everything
    assert [value for value in PLANTED if value in everything] == []
    assert "partial_unexpected" not in everything


def test_results_are_recorded_as_counts(uri: str, batch: psycopg2.extensions.connection) -> None:
    with batch.cursor() as cursor:
        cursor.execute(
            """
            drop schema if exists control cascade;
            create schema control;
            create table control.expectation_result (
                id bigint generated always as identity primary key, run_kind text not null, batch_id bigint,
                release_id bigint, sector text not null, dataset text not null, rule_id text not null,
                expectation_type text not null, column_name text, severity text not null, on_fail text not null,
                dimension text not null, success boolean not null, checked bigint, failed bigint, raised text,
                seconds double precision, by_agency boolean not null,
                created_at timestamptz not null default clock_timestamp()
            )
            """
        )
    rows = rule("rows", "expect_table_row_count_to_be_between", {"min_value": 1}, OnFail.HALT)
    verdict = check(uri, *(each for each, _ in ROW_RULES), rows, rule(*RAISING[0][:3]))
    written = record(batch, verdict.results, "batch", 1, "education", "hoc_sinh")
    assert written == len(verdict.results)
    assert record(batch, verdict.results[:1], "release", 7, "shared", "dim_citizen") == 1
    assert record(batch, (), "release", 7, "shared", "dim_citizen") == 0
    with batch.cursor() as cursor:
        cursor.execute(
            "select batch_id, rule_id, success, checked, failed, column_name "
            "from control.expectation_result where run_kind = 'batch' order by id"
        )
        assert cursor.fetchall() == [
            (1, r.rule.id, r.success, r.checked, r.failed, r.rule.column_name) for r in verdict.results
        ]
        cursor.execute(
            "select batch_id, release_id, sector, dataset from control.expectation_result where run_kind = 'release'"
        )
        assert cursor.fetchall() == [(None, 7, "shared", "dim_citizen")]


def test_a_sector_is_checked_at_once_each_dataset_by_its_own_rules(uri: str, batch: object, tmp_path: Path) -> None:
    def entry(each: Rule) -> dict[str, Any]:
        fields = {
            name: getattr(each, name) for name in ("id", "type", "severity", "dimension", "on_fail", "origin", "source")
        }
        texts = {name: str(value) for name, value in fields.items()}
        return {**texts, "kwargs": dict(each.kwargs), "reason": {"vi": "Sai", "en": "Wrong"}}

    shape = tmp_path / "expectations" / "shape" / "education"
    shape.mkdir(parents=True)
    for dataset, rules in (("hoc_sinh", ROW_RULES[:2]), ("truong", ROW_RULES[2:4])):
        text = yaml.safe_dump({"rules": [entry(each) for each, _ in rules]}, allow_unicode=True)
        (shape / f"{dataset}.yaml").write_text(text, encoding="utf-8")
    schools = cast(
        "Contract",
        SimpleNamespace(
            sector="education", dataset="truong", key=("ma",), key_guessed=False, columns=(), agency_column=None
        ),
    )
    verdicts = check_sector(uri, [(CONTRACT, 1, TABLE), (schools, 2, "education__truong__2")], root=tmp_path)
    assert list(verdicts) == ["hoc_sinh", "truong"]
    assert [r.failed for r in verdicts["hoc_sinh"].results] == [1, 3]
    assert not verdicts["hoc_sinh"].halted
    assert verdicts["truong"].halted
    assert (
        "education/truong batch 2 could not be checked: raw_batch.education__truong__2 does not exist"
        in verdicts["truong"].message
    )


def test_no_connection_stays_open(uri: str, batch: psycopg2.extensions.connection) -> None:
    check(uri, ROW_RULES[0][0])
    last = time.monotonic() + 300  # a server process ends a moment after its client has gone
    with batch.cursor() as cursor:
        while True:
            cursor.execute(
                "select count(*) from pg_stat_activity "
                "where application_name = 'pdic quality' and datname = current_database()"
            )
            if cursor.fetchone() == (0,):
                break
            assert time.monotonic() < last


@pytest.fixture
def candidate(uri: str, batch: psycopg2.extensions.connection, tmp_path: Path) -> Path:
    """A candidate of two tables, one with a tombstone that breaks every rule; returns a root with their rules."""
    with batch.cursor() as cursor:
        cursor.execute(
            """
            drop schema if exists candidate cascade;
            create schema candidate;
            create table candidate.dim_citizen (citizen_key text, "birthYear" int);
            insert into candidate.dim_citizen values
                ('a', 1990), ('b', 1991), ('b', null);
            create table candidate.fct_enrolment (citizen_key text, note text);
            insert into candidate.fct_enrolment values ('a', 'Nguyễn Thị Bí Mật'), ('z', 'Hẻm Không Tên');
            """
        )
    rules: dict[str, list[tuple[str, str, dict[str, Any], str]]] = {
        "dim_citizen": [
            ("key", "expect_column_values_to_not_be_null", {"column": "citizen_key"}, "halt"),
            (
                "year",
                "expect_column_values_to_be_between",
                {"column": "birthYear", "min_value": 1900, "max_value": 2026},
                "halt",
            ),
            ("rows", "expect_table_row_count_to_equal", {"value": 3}, "halt"),
            ("max", "expect_column_max_to_be_between", {"column": "birthYear", "max_value": 2026}, "halt"),
            ("grain", "expect_column_values_to_be_unique", {"column": "citizen_key"}, "warn"),
        ],
        "fct_enrolment": [
            (
                "citizen",
                "pdic_expect_query_to_return_no_rows",
                {
                    "query": "select 1 from {table} as f left join {schema}.dim_citizen as d using (citizen_key) "
                    "where d.\"birthYear\" is null and f.citizen_key <> 'b'"
                },
                "halt",
            ),
            ("note", "expect_column_values_to_match_regex", {"column": "note", "regex": "^Học"}, "warn"),
        ],
        "mart_empty": [],
    }
    folder = tmp_path / "expectations" / "release"
    folder.mkdir(parents=True)
    for table, entries in rules.items():
        common = {
            "severity": "critical",
            "dimension": "consistency",
            "reason": {"vi": "Sai", "en": "Wrong"},
            "origin": "text",
            "source": "assumption: wrong",
        }
        content = {"rules": [{"id": i, "type": t, "kwargs": k, "on_fail": f, **common} for i, t, k, f in entries]}
        (folder / f"{table}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return tmp_path


def test_an_audit_sees_living_rows_and_names_table_rule_and_count(uri: str, candidate: Path) -> None:
    verdict = audit_release(uri, 7, ["dim_citizen", "fct_enrolment"], root=candidate)
    assert [(r.rule.id, r.success, r.failed) for r in verdict.tables["dim_citizen"]] == [
        ("key", True, 0),
        ("year", True, 0),
        ("rows", True, 0),
        ("max", True, 0),
        ("grain", False, 2),
    ]
    assert not verdict.passed
    assert (
        "release 7 fails its audit in candidate: fct_enrolment: citizen (1 of 2 rows). Readers keep" in verdict.message
    )
    assert len(verdict.results) == 7
    assert not any(value in repr(verdict) for value in PLANTED)


def test_warnings_do_not_stop_a_release_and_are_named(uri: str, candidate: Path) -> None:
    verdict = audit_release(uri, 7, ["dim_citizen"], root=candidate)
    assert verdict.passed
    assert (
        verdict.message
        == "release 7: 5 rules on 1 tables of candidate hold; warnings: dim_citizen: grain (2 of 3 rows)"
    )


@pytest.mark.parametrize("table", ["dim_citizen", "mart_empty"])
def test_a_missing_table_fails_the_release_even_without_rules(
    uri: str, candidate: Path, batch: psycopg2.extensions.connection, table: str
) -> None:
    with batch.cursor() as cursor:
        cursor.execute("drop table candidate.dim_citizen")
    verdict = audit_release(uri, 7, [table], root=candidate)
    assert not verdict.passed
    assert f"candidate.{table} does not exist" in verdict.message
    assert all(r.raised for r in verdict.results)
