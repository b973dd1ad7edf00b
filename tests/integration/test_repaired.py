"""`_repaired` over real rows: 120 cleaned columns, names that hold commas, quotes, braces."""

from __future__ import annotations

import psycopg
from psycopg import sql

from tests.conftest import Postgres
from tests.unit.test_staging_macro import newest_versions, repaired_of

AWKWARD = ["a,b", "a", "b", 'c"d', "e{f}", "it's", "NULL", "g\\h", "một hai"]


def test_each_changed_column_is_one_name(postgres: Postgres) -> None:
    names = [*AWKWARD, *(f"c{number}" for number in range(111))]
    assert len(names) == 120
    repaired = repaired_of(newest_versions(names))
    changed = {"a,b", 'c"d', "e{f}", "it's", "NULL", "g\\h", "một hai", "c110"}
    columns = [
        part
        for number, name in enumerate(names, start=1)
        for part in (
            sql.SQL("{} as {}").format(sql.Literal("sạch"), sql.Identifier(name)),
            sql.SQL("{} as {}").format(
                sql.Literal("bẩn" if name in changed else "sạch"), sql.Identifier(f"_pdic_sent_{number}")
            ),
        )
    ]
    rows = sql.SQL("select {} from (select {}) as sent").format(sql.SQL(repaired), sql.SQL(", ").join(columns))  # type: ignore[arg-type]
    with psycopg.connect(postgres.uri("postgres")) as connection:
        found = connection.execute(sql.SQL("select found::text[] from ({}) as cleaned (found)").format(rows)).fetchone()
        assert found is not None
        assert set(found[0]) == changed
        nothing = sql.SQL(repaired.replace("is distinct from", "is null and null = "))  # type: ignore[arg-type]
        none = connection.execute(
            sql.SQL("select {} from (select {}) as sent").format(nothing, sql.SQL(", ").join(columns))
        ).fetchone()
        assert none == (None,)
