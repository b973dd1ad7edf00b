"""Tables whose columns are called like whatever the queries over them use, and whose keys are written in several ways.

They go onboard, are loaded and released; every change of every column reaches staging, and a key written another way stays one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pdic import connections, contracts, embedded, load, reconcile, release, warehouse
from pdic.contracts import Contract, reserved
from pdic.onboard import onboard
from tests.conftest import Postgres

OURS = Path(__file__).parents[2]
SECTOR = "awkward"
pytestmark = pytest.mark.timeout(300)


def words_of_queries() -> list[str]:
    """What our own SQL calls relations and columns, and some words that it does not."""
    macros = "\n".join(path.read_text(encoding="utf-8") for path in (OURS / "dbt_project/macros").glob("*.sql"))
    code = [path for path in (OURS / "plugins/pdic").rglob("*.py") if "generated" not in path.parts]
    text = "\n".join([macros, *(path.read_text(encoding="utf-8") for path in code)])
    words = {*re.findall(r"\bas (\"?[a-z_]+)\b", text), *re.findall(r"\b([a-z_]+) as \(", text), *reserved.OF_PDIC}
    words |= {
        *re.findall(r"\b_[a-z]+(?:_[a-z]+)*\b", macros),
        "_here",
        "_living",
        "_line",
        "_sent_1",
        "_pdic_sent_1",
        "_pdic_sound_1",
    }
    words |= {"DBT_INTERNAL_SOURCE", "DBT_INTERNAL_DEST", "100%", "source_op", "_pdic_x"}
    assert {"typed", "hashed", "known", "version", "versions", "sent", "judged", "_key", "_pdic_here"} < words
    return sorted(words - reserved.OF_POSTGRESQL - {"id", "updated_at"})


WORDS = words_of_queries()
KEYS: dict[str, tuple[str, str, str]] = {
    # Table: its key's type, a value, the same value written another way.
    "key_numeric": ("numeric", "2.5", "2.5000"),
    "key_domain": ("amount", "7", "7.0"),
    "key_float": ("double precision", "'0'", "'-0'"),
    "key_interval": ("interval", "'1 day'", "'24:00'"),
    "key_range": ("numrange", "'[1,2.5)'", "'[1.0,2.50)'"),
    "key_composite": ("spot", "row(2.5)::spot", "row(2.50)::spot"),  # carried as text, which tells the two apart
}
BY_CURSOR = ("key_numeric_by_cursor", "key_interval_by_cursor")


def source_script() -> sql.Composed:
    columns = sql.SQL(", ").join(sql.SQL("{} text default 'old'").format(sql.Identifier(word)) for word in WORDS)
    stamp = sql.SQL("updated_at timestamptz not null default clock_timestamp()")
    parts = [
        sql.SQL("create table words (id bigint primary key, {})").format(columns),
        sql.SQL("create table words_by_cursor (id bigint primary key, {}, {})").format(columns, stamp),
        sql.SQL("create index on words_by_cursor (updated_at)"),
        sql.SQL("create table of_system (id bigint, a text, b text, c text, d text, e text, f text)"),
        sql.SQL(
            "create view system_words as select id, a as ctid, b as xmin, c as xmax, d as cmin, e as cmax, f as tableoid from of_system"
        ),
        sql.SQL("create domain amount as numeric"),
        sql.SQL("create type spot as (x numeric)"),
        sql.SQL("create table key_json (ma jsonb primary key, ten text)"),
        sql.SQL("create table key_pair (ma numeric, hai character(4), ten text, primary key (ma, hai))"),
        sql.SQL("insert into key_pair values (2.5, 'a|b', 'old'), (3, 'a|b', 'old')"),
        sql.SQL("insert into words (id) select generate_series(1, {})").format(len(WORDS) + 5),
        sql.SQL("insert into words_by_cursor (id) select generate_series(1, {})").format(len(WORDS) + 5),
        sql.SQL(
            "insert into of_system select i, 'old', 'old', 'old', 'old', 'old', 'old' from generate_series(1, 9) as i"
        ),
        *(
            sql.SQL("create table wide ({})").format(
                sql.SQL(", ").join(sql.SQL(f"c{i} int{' primary key' * (i == 0)}") for i in range(1595))
            ),
        ),
    ]
    for name, (kind, value, _) in KEYS.items():
        parts.append(
            sql.SQL("create table {} (ma {} primary key, ten text)").format(sql.Identifier(name), sql.SQL(kind))
        )  # type: ignore[arg-type]
        parts.append(sql.SQL("insert into {} values ({}, 'old')").format(sql.Identifier(name), sql.SQL(value)))  # type: ignore[arg-type]
    for name in BY_CURSOR:
        kind, value, _ = KEYS[name.removesuffix("_by_cursor")]
        parts.append(
            sql.SQL("create table {0} (ma {1} primary key, ten text, {2}); create index on {0} (updated_at)").format(
                sql.Identifier(name),
                sql.SQL(kind),
                stamp,  # type: ignore[arg-type]
            )
        )
        parts.append(sql.SQL("insert into {} values ({}, 'old')").format(sql.Identifier(name), sql.SQL(value)))  # type: ignore[arg-type]
    return sql.SQL("; ").join(parts)


class Awkward:
    """A home and a project of its own, and the one source database."""

    def __init__(self, root: Path, uri: str) -> None:
        self.root, self.uri = root, uri
        self.report = onboard("pdic_source_awkward", uri, schema="public", agency="Sở Thử nghiệm")
        onboard("pdic_source_awkward", uri, table=("public", "system_words"))
        self.contracts = {dataset: contract for (_, dataset), contract in contracts.load_all(root).items()}

    def connect_to(self, conn_id: str) -> str:
        return self.uri if conn_id == "pdic_source_awkward" else connections.uri(conn_id)

    def load_and_release(self) -> None:
        reports = load.load([SECTOR], self.connect_to)
        assert {report["status"] for report in reports} == {"accepted"}, reports
        self.release()

    def release(self) -> None:
        assert release.release(connect_to=self.connect_to)["status"] == "published"

    def source(self, statement: sql.Composable | str) -> None:
        with psycopg.connect(self.uri) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def at_source(self, contract: Contract) -> list[str]:
        columns = [sql.SQL("{}::text").format(sql.Identifier(column.name_at_source)) for column in contract.columns]
        return self._rows(self.uri, columns, sql.Identifier("public", contract.table_name), "true")

    def in_staging(self, contract: Contract) -> list[str]:
        columns = [sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in contract.columns]
        table = sql.Identifier("staging", f"stg_{contract.raw_table}")
        return self._rows(connections.warehouse("transformer"), columns, table, "not _deleted and not _held")

    def _rows(self, uri: str, columns: list[sql.Composed], table: sql.Identifier, where: str) -> list[str]:
        query = sql.SQL("select array[{}]::text from {} where {}").format(
            sql.SQL(", ").join(columns), table, sql.SQL(where)
        )  # type: ignore[arg-type]
        with psycopg.connect(uri) as connection:
            connection.execute("set timezone = 'UTC'")
            return sorted(row for (row,) in connection.execute(query).fetchall())

    def check(self, *datasets: str) -> None:
        for dataset in datasets or self.contracts:
            contract = self.contracts[dataset]
            rows = self.at_source(contract)
            assert rows
            assert self.in_staging(contract) == rows, dataset


@pytest.fixture(scope="module")
def awkward(new_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Awkward]:
    """Onboarded, loaded and released once."""
    home, root = new_home(), tmp_path_factory.mktemp("project")
    for part in ("dbt_project/macros", "dbt_project/tests/generic"):
        shutil.copytree(OURS / part, root / part)
    shutil.rmtree(root / "dbt_project/macros/cleaned")
    for part in ("dbt_project/dbt_project.yml", "dbt_project/profiles.yml", "pyproject.toml"):
        shutil.copy(OURS / part, root / part)
    (root / "dbt_project" / "models").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_HOME", str(home))
        patch.setenv("PDIC_ROOT", str(root))
        embedded.start(home)
        warehouse.migrate(connections.warehouse("admin"))
        server = embedded.status(home)
        assert server is not None
        uri = Postgres(home, server.port).create_database(SECTOR)
        with psycopg.connect(uri) as source:
            source.execute(source_script())
        found = Awkward(root, uri)
        found.load_and_release()
        yield found


def test_what_cannot_be_taken_on_is_refused_alone(awkward: Awkward) -> None:
    refused = {entry["table"]: entry["why"] for entry in awkward.report["refused"]}
    assert set(refused) == {"public.key_json", "public.wide"}
    assert "key column ma is jsonb" in refused["public.key_json"]
    assert "1595 columns" in refused["public.wide"]
    assert set(awkward.contracts) == {
        "words",
        "words_by_cursor",
        "of_system",
        "system_words",
        "key_pair",
        *KEYS,
        *BY_CURSOR,
    }
    assert {awkward.contracts[name].capture for name in ("words_by_cursor", *BY_CURSOR)} == {"cursor"}


def test_every_table_is_in_staging_whatever_its_columns_are_called(awkward: Awkward) -> None:
    awkward.check()
    in_raw = {column.name_at_source: column.source_name for column in awkward.contracts["words"].columns}
    assert (in_raw["_op"], in_raw["_key"], in_raw["_living"]) == ("source_op_2", "_key", "_living")


def test_a_change_of_any_column_reaches_staging_and_keys_written_otherwise_stay_one(awkward: Awkward) -> None:
    for name in ("words", "words_by_cursor"):
        stamp = sql.SQL(", updated_at = clock_timestamp()" if name == "words_by_cursor" else "")
        for number, word in enumerate(WORDS, 1):
            awkward.source(
                sql.SQL("update {} set {} = 'new'{} where id = {}").format(
                    sql.Identifier(name), sql.Identifier(word), stamp, number
                )
            )
        awkward.source(sql.SQL("delete from {} where id > {}").format(sql.Identifier(name), len(WORDS) + 3))
    for number, column in enumerate("abcdef", 1):
        awkward.source(f"update of_system set {column} = 'new' where id = {number}")
    for name, (_, _, otherwise) in KEYS.items():
        awkward.source(sql.SQL("update {} set ma = {}").format(sql.Identifier(name), sql.SQL(otherwise)))  # type: ignore[arg-type]
    awkward.source("update key_pair set ma = 2.5000, hai = 'a|b ' where ma = 2.5")
    for name in BY_CURSOR:
        otherwise = KEYS[name.removesuffix("_by_cursor")][2]
        awkward.source(f"update {name} set ma = {otherwise}, updated_at = clock_timestamp()")
    awkward.load_and_release()
    awkward.check(*(name for name in awkward.contracts if name != "words_by_cursor"))


def test_reconcile_finds_what_no_stamp_told(awkward: Awkward) -> None:
    """The rows deleted above, a column changed in secret, and a key written another way in secret."""
    awkward.source("""update words_by_cursor set typed = 'secret', "_op" = 'secret' where id = 1""")
    awkward.source("update key_numeric_by_cursor set ma = 2.50")
    reports = reconcile.reconcile([SECTOR], connect_to=awkward.connect_to)
    found = {report["dataset"]: report for report in reports}
    assert {report["status"] for report in reports} == {"accepted"}, reports
    counts = {
        name: (report["late"], report["changed"] + report["news"], report["deleted"]) for name, report in found.items()
    }
    assert counts["words_by_cursor"] == (0, 1, 2)
    assert counts["key_numeric_by_cursor"] == (0, 1, 0)
    awkward.release()
    awkward.check()
