"""The project's own rules, each on a table of the types its contract names: none may fail to be evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, cast

import psycopg2
import pytest
from psycopg2 import sql

from pdic import contracts, settings
from pdic.contracts.model import Column
from pdic.quality import RuleResult, audit_release, check_sector, rules_for_batch
from pdic.warehouse.migrate import replace_functions

ROOT = settings.project_root()


EMPTY_LEDGER = """
create table control.batch (
    batch_id bigint, sector text, dataset text, status text,
    rows_accepted bigint, rows_quarantined bigint, rows_deleted bigint
)
"""
"""What the gate asks of the ledger: where every dataset is being checked, nothing has to be in it."""


@pytest.fixture(scope="module")
def uri(postgres: Any) -> str:
    made = cast("str", postgres.create_database("quality_project"))
    replace_functions(made)
    return made


def create(cursor: Any, schema: str, table: str, columns: Iterable[tuple[str, str]]) -> None:
    fields = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns)
    cursor.execute(sql.SQL("create table {} ({})").format(sql.Identifier(schema, table), fields))


def typed(columns: Iterable[Column], at_source: bool) -> list[tuple[str, str]]:
    return [(column.source_name if at_source else column.name, column.physical_type) for column in columns]


def raised(results: Iterable[RuleResult]) -> list[tuple[str, str]]:
    return [(str(result.rule.path), f"{result.rule.id}: {result.raised}") for result in results if result.raised]


def test_every_batch_rule_can_be_evaluated(uri: str) -> None:
    """One row of NULLs: conditions are run, and only the rules that a value must be there may be broken by it."""
    batches = [(contract, 1, f"raw_batch.{contract.raw_table}__1") for contract in contracts.load_all(ROOT).values()]
    with closing(psycopg2.connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("create schema raw_batch; create schema control")
        cursor.execute(EMPTY_LEDGER)
        for contract, _, table in batches:
            columns = [
                *typed(contract.columns, at_source=True),
                ("_batch_id", "bigint"),
                ("_op", "\"char\" default 'U'"),
            ]
            create(cursor, "raw_batch", f"{contract.raw_table}__1", columns)
            cursor.execute(sql.SQL("insert into {} default values").format(sql.Identifier(*table.split("."))))
            for rule in rules_for_batch(ROOT, contract.sector, contract.dataset):
                if "regex" in rule.kwargs:
                    cursor.execute(
                        "select '' ~ %s", (rule.kwargs["regex"],)
                    )  # raises where PostgreSQL does not take it
    verdicts = check_sector(uri, batches, root=ROOT)
    assert len(verdicts) == len(batches)
    assert [wrong for verdict in verdicts.values() for wrong in raised(verdict.results)] == []
    broken = [
        result.rule.id
        for verdict in verdicts.values()
        for result in verdict.results
        if result.rule.is_row_rule and not result.success
    ]
    assert broken
    required = {
        rule.id
        for contract, _, _ in batches
        for rule in rules_for_batch(ROOT, contract.sector, contract.dataset)
        if rule.type in ("expect_column_values_to_not_be_null", "pdic_expect_row_condition")
    }
    assert set(broken) <= required


def test_every_shape_rule_of_a_release_can_be_evaluated(uri: str) -> None:
    shared = contracts.load_shared(ROOT)
    if not shared:
        pytest.skip("no contract of a shared table yet")
    with closing(psycopg2.connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("create schema candidate")
        for table, contract in shared.items():
            create(cursor, "candidate", table, typed(contract.columns, at_source=False))
    verdict = audit_release(uri, 1, list(shared), root=ROOT)
    shape = ROOT / "expectations" / "shape"
    assert raised(r for r in verdict.results if r.rule.path is not None and r.rule.path.is_relative_to(shape)) == []
