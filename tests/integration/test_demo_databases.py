"""Seed and tick in a real PostgreSQL: complete or not at all, once, and the same whether days pass alone or together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

from demo import day, seed, store, tick
from demo.errors import DemoError, SeedMismatchError
from demo.table import STAMP

CITIZENS = 2000
Uris = dict[str, str]


@pytest.fixture(scope="module")
def copies(postgres: Any) -> Callable[[str], Uris]:
    """Makes a set of the databases."""
    return lambda name: {database: postgres.create_database(f"demo_{name}_{database}") for database in store.DATABASES}


def contents(uris: Uris, but: tuple[str, ...] = ("seed_run",)) -> dict[str, tuple[int, str]]:
    """Rows and digest of every table, without the time stamps of capture."""
    result = {}
    for database, uri in uris.items():
        with store.connect(uri) as connection:
            for table in store.tables_of(connection):
                if table in but:
                    continue
                columns = connection.execute(
                    "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
                    (table,),
                )
                names = [sql.Identifier(row[0]) for row in columns if row[0] != STAMP.get(database)]
                query = sql.SQL(
                    "select count(*), md5(string_agg(md5(row({})::text), '' order by md5(row({})::text))) from {}"
                )
                listed = sql.SQL(", ").join(names)
                row = connection.execute(query.format(listed, listed, sql.Identifier(table))).fetchone()
                assert row is not None
                result[f"{database}.{table}"] = (row[0], row[1])
    return result


def one(uri: str, query: str) -> Any:
    with store.connect(uri) as connection:
        row = connection.execute(query.encode()).fetchone()
        return None if row is None else row[0]


@pytest.fixture(scope="module")
def seeded(copies: Callable[[str], Uris]) -> Uris:
    uris = copies("a")
    seed.seed(uris, CITIZENS, 5)
    return uris


def test_a_seed_fills_every_table_and_is_not_made_twice(seeded: Uris) -> None:
    rows = {name: n for name, (n, _) in contents(seeded).items()}
    assert {name for name, n in rows.items() if n == 0} <= {"truth.day_plan"}
    before = contents(seeded)
    again = seed.seed(seeded, CITIZENS, 5)
    assert again["already"] is True
    assert again["rows"]["health"]["xml1"] == rows["health.xml1"]
    assert contents(seeded) == before


def test_another_seed_is_refused(seeded: Uris) -> None:
    with pytest.raises(SeedMismatchError, match=r"pdic demo seed --force --citizens \d+ --seed \d+"):
        seed.seed(seeded, CITIZENS, 6)


def test_stamps_of_the_seed_lie_before_its_date(seeded: Uris) -> None:
    assert one(seeded["health"], """select max("THOI_GIAN_CAP_NHAT") < '2026-11-01 00:00+07' from xml1""") is True
    assert (
        one(seeded["civil_registry"], """select max("thoiGianCapNhat") < '2026-11-01 00:00+07' from khai_sinh""")
        is True
    )


def test_tables_that_are_not_the_demos_are_left_alone(copies: Callable[[str], Uris]) -> None:
    uris = copies("b")
    with psycopg.connect(uris["health"]) as connection:
        connection.execute("create table hospital (id integer)")
    with pytest.raises(DemoError, match="hospital"):
        seed.seed(uris, CITIZENS, 5)
    assert one(uris["education"], "select to_regclass('hocsinh')") is None


def test_an_interrupted_seed_is_made_again(
    seeded: Uris, copies: Callable[[str], Uris], monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = copies("c")

    def dies(self: Any, result: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(seed._Seeding, "_mark", dies)  # everything is committed but the mark
        seed.seed(uris, CITIZENS, 5)
    with pytest.raises(DemoError, match="interrupted"):
        tick.tick(uris, 1)
    assert seed.seed(uris, CITIZENS, 5)["already"] is False
    assert contents(uris) == contents(seeded)


def test_two_days_alone_equal_two_days_together_whatever_dies_between(
    copies: Callable[[str], Uris], monkeypatch: pytest.MonkeyPatch
) -> None:
    together, alone = copies("d"), copies("e")
    for uris in (together, alone):
        seed.seed(uris, CITIZENS, 5)
    both = tick.tick(together, 2, hard_deletes=True)
    apply = tick._apply
    broken = iter([False, False, True])

    def dies(source: Any, truth: Any, sector: str, number: int, changes: Any) -> None:
        if next(broken, False):
            raise KeyboardInterrupt
        apply(source, truth, sector, number, changes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tick, "_apply", dies)  # two sectors have the day, two do not
        tick.tick(alone, 1, hard_deletes=True)
    assert one(alone["truth"], "select day from clock") == 0
    assert tick.tick(alone, 1)["day"] == 1  # the day that was planned, deletions and all
    last = tick.tick(alone, 1, hard_deletes=True)
    assert (last["day"], last["business_date"]) == (both["day"], both["business_date"]) == (2, "2026-11-02")
    assert contents(alone) == contents(together)


def test_what_a_tick_touches_is_stamped_now_and_keeps_the_truth(copies: Callable[[str], Uris]) -> None:
    uris = copies("f")
    seed.seed(uris, CITIZENS, 5)
    began = one(uris["health"], "select clock_timestamp()")
    made = tick.tick(uris, 3)["changes"]["health.xml1"]
    stamped = one(uris["health"], f"""select count(*) from xml1 where "THOI_GIAN_CAP_NHAT" >= '{began}'""")
    assert 0 < made["new"] <= stamped <= sum(made.values())
    told = one(uris["truth"], "select count(*) from mention where dataset = 'xml1'")
    assert told == one(uris["health"], "select count(*) from xml1")
    assert one(uris["truth"], "select count(*) from day_plan") == 0


def test_months_of_days_bring_every_kind_of_change(seeded: Uris) -> None:
    seen: set[str] = set()
    changes = tick.tick(seeded, 95, hard_deletes=True)["changes"]
    for table in changes.values():
        seen |= table.keys()
    assert seen == {"new", "late", "resent", "changed", "corrected", "soft_deleted", "hard_deleted"}
    assert changes["education.ketquahoctap"]["new"] > 100  # the first term ended
    assert changes["investment.giai_ngan"]["new"] > 100  # three month ends and the closing of the budget year
    assert one(seeded["investment"], "select count(*) from giai_ngan where nam = 2026 and thang = 13") > 0
    assert one(seeded["truth"], "select count(*) - count(distinct personal_id) from person") == 0
    assert one(seeded["truth"], "select count(*) from person where died_on < born_on or married_on > died_on") == 0
    assert one(seeded["truth"], "select count(*) from defect where repaired_on is not null") > 0


def test_the_plan_of_a_day_is_the_same_twice(seeded: Uris) -> None:
    connections = {name: store.connect(uri) for name, uri in seeded.items()}
    try:
        run = seed.present(seeded["truth"])
        assert run is not None
        known = seed.units.load()
        world = seed.World(5, tick.on_day(run["profile"], 21_000), known, seed.people.facilities(known))
        plans = [day.Planner(connections, world, CITIZENS, 400, True).make() for _ in range(2)]
        assert plans[0][0].steps == plans[1][0].steps
        assert plans[0][1] == plans[1][1]
    finally:
        for connection in connections.values():
            connection.close()
