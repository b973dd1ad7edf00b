"""Names and texts that hold `%`, `%s` and `%(a)s`: they go every way that rows go, and are taken for nothing else."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from pdic import connections, quarantine, reconcile, retry, warehouse
from pdic.contracts import yaml_text
from pdic.quarantine import correction, desk
from pdic.warehouse.statements import Rendered, execute_values
from tests.conftest import Postgres
from tests.integration.strange_sources import StrangeSector, warehouse_rows

NAME = "phan_tram"
KEY, SHARE, AGENCY, AT = "mã %s", "tỷ lệ %", "đơn vị %(a)s", "lúc %%"
COLUMNS = {KEY: "bigint", SHARE: "text", AGENCY: "text", AT: "timestamp with time zone"}


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrangeSector]:
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    uri = postgres.create_database(NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield StrangeSector(NAME, root, uri, uri)


def rule(sector: StrangeSector, dataset: str) -> None:
    path = sector.root / "expectations" / "batch" / NAME / f"{dataset}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "id": f"{dataset}.share",
        "type": "pdic_expect_row_condition",
        "kwargs": {"columns": [SHARE], "condition": f"\"{SHARE}\" like '%\\%' escape '\\'"},
        "severity": "critical",
        "dimension": "accuracy",
        "on_fail": "quarantine",
        "reason": {"vi": "không có dấu %", "en": "no % sign"},
        "origin": "text",
        "source": "assumption: asked for by this test",
    }
    path.write_text(yaml_text.dump({"rules": [entry]}), encoding="utf-8")


@pytest.mark.parametrize("capture", ["cursor", "snapshot"])
def test_held_rows_go_all_their_ways(sector: StrangeSector, capture: str, tmp_path: Path) -> None:
    table = f"bang_{capture}"
    sector.run(
        f'create table {table} ("{KEY}" bigint primary key, "{SHARE}" text, "{AGENCY}" text, '
        f'"{AT}" timestamptz not null default clock_timestamp());'
        f"insert into {table} values (1, '5%', 'A1'), (2, 'năm', 'A1'), (3, 'sáu', 'A1'), (4, '7%', 'A1'), (5, 'x', 'A1')"
    )
    more = {"cursorColumn": AT, "deletes": "reconcile"} if capture == "cursor" else {}
    sector.contract(table, COLUMNS, key=(KEY,), capture=capture, agencyColumn=AGENCY, **more)
    rule(sector, table)
    first = sector.accepted(table)
    assert (first["rows_accepted"], first["rows_quarantined"]) == (2, 3)

    def standing() -> dict[str, str]:
        wanted = desk.Wanted([f"{NAME}.{table}"], standings=desk.STANDINGS)
        return {record["key"]: record["standing"] for record in desk.listed(wanted, None, sector.connect_to)}

    assert standing() == {"2": "open", "3": "open", "5": "open"}
    (filed,) = correction.hand_back(
        desk.Wanted([f"{NAME}.{table}"]), who="Lan", folder=tmp_path, connect_to=sector.connect_to
    )
    assert (filed["agency"], filed["records"], filed["rows"]) == ("A1", 3, 3)
    text = next(Path(name) for name in filed["files"] if name.endswith(".csv")).read_text(encoding="utf-8-sig")
    assert SHARE in text
    assert "năm" in text

    numbers = {
        record["key"]: record["record_id"]
        for record in desk.listed(desk.Wanted([f"{NAME}.{table}"]), None, sector.connect_to)
    }
    until = quarantine.today() + dt.timedelta(days=9)
    desk.waive([numbers["3"]], who="Lan", why="agreed", until=until, connect_to=sector.connect_to)
    (judged,) = retry.retry([f"{NAME}.{table}"], connect_to=sector.connect_to)
    assert (judged["status"], judged["rows_accepted"]) == ("accepted", 1)
    assert standing() == {"2": "returned", "3": "waived", "5": "returned"}

    sector.run(f"""update {table} set "{SHARE}" = '8%', "{AT}" = clock_timestamp() where "{KEY}" = 2""")
    assert sector.accepted(table)["rows_accepted"] == 1
    assert standing()["2"] == "corrected"
    sector.run(
        f"""update {table} set "{SHARE}" = '9%' where "{KEY}" = 1; delete from {table} where "{KEY}" in (4, 5)"""
    )
    assert reconcile.one_dataset(NAME, table, sector.connect_to)["held"]  # two of five keys are gone
    found = reconcile.one_dataset(NAME, table, sector.connect_to, approve=True)
    # (Whether the update counts as late, changed or news hangs on when the last load began.)
    assert (found["status"], found["rows_accepted"], found["deleted"]) == ("accepted", 1, 2), found
    assert standing()["5"] == "corrected"
    newest = warehouse_rows(
        f'select "{KEY}", "{SHARE}" from (select distinct on ("{KEY}") * from raw.{NAME}__{table} '
        f"order by \"{KEY}\", _batch_id desc) as newest where _op = 'U' order by 1"
    )
    assert newest == [(1, "9%"), (2, "8%"), (3, "sáu")]


def test_what_is_not_the_statements_own_text_is_no_place_of_a_parameter(postgres: Postgres) -> None:
    connection = warehouse.open_once(postgres.uri("postgres"), "test")
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("select {} as {}, {}, '%%', {}").format(
                    sql.Literal("50%"), sql.Identifier("a %s"), Rendered("'%(x)s' like '%'"), sql.Placeholder("x")
                ),
                {"x": json.dumps("%")},
            )
            assert cursor.fetchone() == ("50%", True, "%", '"%"')
            assert cursor.description is not None
            assert cursor.description[0].name == "a %s"
            cursor.execute(sql.SQL("select {}, '%'").format(sql.Literal("50%")))
            assert cursor.fetchone() == ("50%", "%")
        with connection.cursor("named") as cursor, pytest.raises(psycopg2.errors.UndefinedColumn, match="b %s"):
            cursor.execute(sql.SQL("select {} where true = %s").format(sql.Identifier("b %s")), (True,))
    finally:
        connection.close()


def test_every_way_to_a_statement_takes_a_percent_for_a_letter(postgres: Postgres) -> None:
    """One row, many rows by the driver's two ways, and the text that would be sent: names, values and literals hold %."""
    uri = postgres.uri("postgres")
    table, columns = sql.Identifier("bảng %s"), sql.SQL(", ").join(map(sql.Identifier, (KEY, SHARE, "_ %% %(a)s")))
    into = sql.SQL("insert into {} ({}) values ").format(table, columns)
    rows = [(1, "%s", "%"), (2, "5%", "%(a)s"), (3, "%%", None)]
    with closing(warehouse.connect(uri, "test")) as connection, connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("create temporary table {} ({} int, {} text, {} text)").format(
                table, *map(sql.Identifier, (KEY, SHARE, "_ %% %(a)s"))
            )
        )
        one_by_one = into + sql.SQL("(%s, %s, %s)")
        cursor.execute(one_by_one, rows[0])
        cursor.executemany(one_by_one, rows[1:])
        execute_values(cursor, into + sql.SQL("%s"), rows)
        cursor.execute(cursor.mogrify(one_by_one, (4, "x%", sql.Literal("%s").as_string(cursor))))
        cursor.execute(sql.SQL("select * from {} order by 1, 2").format(table))
        found = cursor.fetchall()
    assert found == sorted([*rows, *rows, (4, "x%", "'%s'")], key=lambda row: row[0])
