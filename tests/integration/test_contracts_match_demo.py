"""The contracts describe the demo's databases exactly, and the raw tables made from them hold what those databases hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from psycopg import sql

from pdic import logins, settings
from pdic.contracts import Contract, load_all
from pdic.contracts.raw_tables import raw_tables

CONTRACTS = load_all(settings.project_root())
SECTORS = sorted({sector for sector, _ in CONTRACTS} & set(logins.SECTORS))  # a province's own have no demo


class Server(Protocol):
    """What this module needs of the session's server."""

    def create_database(self, name: str) -> str: ...


@dataclass(frozen=True)
class Table:
    """A table as the catalogue has it: (name, type, not null) of each column, and the key in its order."""

    columns: list[tuple[str, str, bool]]
    key: tuple[str, ...]


def tables_of(connection: psycopg.Connection, schema: str) -> dict[str, Table]:
    rows = connection.execute(
        """
        select
            relname, attname, format_type(atttypid, atttypmod), attnotnull,
            coalesce(array_position(conkey, attnum), 0)
        from pg_class
        join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
        left join pg_constraint on conrelid = pg_class.oid and contype = 'p'
        where relnamespace = %s::regnamespace and relkind in ('r', 'p') and not relispartition
        order by relname, attnum
        """,
        (schema,),
    ).fetchall()
    found = {}
    for name in {row[0] for row in rows}:
        columns = [row[1:] for row in rows if row[0] == name]
        key = sorted((position, column) for column, _, _, position in columns if position)
        found[name] = Table([column[:3] for column in columns], tuple(column for _, column in key))
    return found


@pytest.fixture(scope="module", params=SECTORS)
def sector(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def source(sector: str, postgres: Server) -> dict[str, Table]:
    """The tables that the demo makes for a sector."""
    script = settings.project_root() / "demo" / "schema" / f"{sector}.sql"
    with psycopg.connect(postgres.create_database(f"contracts_{sector}")) as connection:
        connection.execute(script.read_text(encoding="utf-8"))
        return tables_of(connection, "public")


def table_behind(contract: Contract) -> str:
    """The table a dataset is read from, be it by us or by the service that shares it as a resource of the same name."""
    return contract.table.rpartition("/")[2] if contract.feed else contract.table_name


def test_every_table_has_a_contract_and_every_contract_a_table(sector: str, source: dict[str, Table]) -> None:
    assert set(source) == {table_behind(contract) for contract in CONTRACTS.values() if contract.sector == sector}


def test_columns_types_and_keys_are_those_of_the_source(sector: str, source: dict[str, Table]) -> None:
    for contract in CONTRACTS.values():
        if contract.sector == sector:
            table = source[table_behind(contract)]
            described = [(column.source_name, column.physical_type) for column in contract.columns]
            assert described == [column[:2] for column in table.columns], contract.id
            assert contract.key == table.key, contract.id


def test_what_the_source_never_leaves_empty_is_required(sector: str, source: dict[str, Table]) -> None:
    for contract in CONTRACTS.values():
        if contract.sector == sector:
            required = {column.source_name for column in contract.columns if column.required}
            assert required == {name for name, _, filled in source[table_behind(contract)].columns if filled}, (
                contract.id
            )


@pytest.fixture(scope="module")
def warehouse(postgres: Server) -> str:
    """The URI of a database with the schemas that the scripts write to."""
    uri = postgres.create_database("contracts_warehouse")
    with psycopg.connect(uri) as connection:
        connection.execute("create schema raw; create schema quarantine; create schema raw_batch")
    return uri


def run(connection: psycopg.Connection, contract: Contract) -> None:
    connection.execute(raw_tables(contract).text)


def test_raw_and_quarantine_take_what_the_sources_have(warehouse: str) -> None:
    with psycopg.connect(warehouse) as connection:
        for contract in CONTRACTS.values():
            run(connection, contract)
        raw, quarantine = (tables_of(connection, schema) for schema in ("raw", "quarantine"))
    own = [("_batch_id", "bigint", True), ("_op", '"char"', True)]
    more = [("_reasons", "text[]", False), ("_quarantined_at", "timestamp with time zone", False)]
    for contract in CONTRACTS.values():
        columns = [(column.source_name, column.physical_type, False) for column in contract.columns]
        assert raw[contract.raw_table].columns == columns + own
        assert quarantine[contract.raw_table].columns == columns + own + more


@pytest.fixture
def lesson() -> Contract:
    """A dataset of its own, with names and texts that want quoting."""
    contract = CONTRACTS["civil_registry", "noi_dang_ky"]
    first, *others = contract.columns
    first = replace(first, source_name='ma"DVHC', description_vi="Mã 'đơn vị' \\ $ddl$ 100%")
    key = ('ma"DVHC', *contract.key[1:])
    return replace(contract, dataset="noi_thu", columns=(first, *others), key=key, path=Path("contracts/thu.odcs.yaml"))


def test_a_script_that_has_run_waits_for_nobody(warehouse: str, lesson: Contract) -> None:
    """A reader's open transaction would block ALTER TABLE; the second run must not need it."""
    with psycopg.connect(warehouse, autocommit=True) as loader, psycopg.connect(warehouse) as reader:
        run(loader, lesson)
        reader.execute(f"select 1 from raw.{lesson.raw_table}")  # noqa: S608 (a name of this test)
        loader.execute("set lock_timeout = '500ms'")
        run(loader, lesson)
        gained = replace(lesson.columns[-1], name="note", source_name="ghiChu", physical_type="text")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run(loader, replace(lesson, columns=(*lesson.columns, gained)))


def test_a_column_that_the_contract_gains_reaches_accepted_batches(warehouse: str, lesson: Contract) -> None:
    with psycopg.connect(warehouse) as connection:
        run(connection, lesson)
        connection.execute(
            sql.SQL(
                "create table {batch} (like {parent} including defaults, check (_batch_id = 7));"
                "alter table {parent} attach partition {batch} for values in (7)"
            ).format(
                parent=sql.Identifier("raw", lesson.raw_table),
                batch=sql.Identifier("raw_batch", f"{lesson.raw_table}__7"),
            )
        )
        gained = replace(lesson.columns[-1], name="note", source_name="ghiChu", physical_type="text")
        run(connection, replace(lesson, columns=(*lesson.columns, gained)))
        for schema, table in (("raw_batch", f"{lesson.raw_table}__7"), ("quarantine", lesson.raw_table)):
            (found,) = connection.execute(
                "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass and attname = 'ghiChu'",
                (f"{schema}.{table}",),
            ).fetchall()
            assert found == ("text",)
        connection.rollback()


def test_comments_carry_both_languages(warehouse: str, lesson: Contract) -> None:
    with psycopg.connect(warehouse) as connection:
        run(connection, lesson)
        (comment,) = connection.execute(
            "select col_description(%s::regclass, 1)", (f"raw.{lesson.raw_table}",)
        ).fetchall()
    assert comment == ("Mã 'đơn vị' \\ $ddl$ 100% | Administrative unit of the office",)
