"""`tick`: lets days pass in the sources. Each day is planned first (the plan is kept in the truth), then applied: once in every database.

A tick that was killed goes on where it was: a database that has the day already says so in `demo_meta.clock`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from demo import people, store, units
from demo.day import Plan, Planner
from demo.errors import DemoError
from demo.profile import on_day, to_date, to_days
from demo.table import SECTORS, STAMP, World
from pdic.warehouse import locks

Connection = psycopg.Connection[Any]
Progress = Callable[[str, int, int], None]


def tick(
    uris: dict[str, str], days: int, hard_deletes: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Lets `days` business days pass; three days at once equal three times one day.

    Returns `day` and `business_date` reached and, under `changes`, by `sector.table` how many records were new, late (new, about an
    earlier time), resent, changed, corrected, soft_deleted, hard_deleted. Records are stamped with the real clock.
    Raises DemoError where there is no finished seed.
    """
    if days < 0:
        raise DemoError(f"{days} days cannot pass")
    changes: dict[str, dict[str, int]] = {}
    with ExitStack() as stack:
        db = {name: stack.enter_context(store.connect(uris[name])) for name in store.DATABASES}
        for connection in db.values():
            connection.autocommit = True
        truth = db["truth"]
        truth.execute("select pg_advisory_lock(%s, %s)", locks.DEMO.key)
        if truth.execute("select to_regclass('public.seed_run')").fetchone() == (None,):
            raise DemoError("there is no demo province yet: make one with `pdic demo seed`")
        run = truth.cursor(row_factory=dict_row).execute("select * from seed_run").fetchone()
        if run is None:
            raise DemoError("the seed was interrupted: make it again with `pdic demo seed`")
        known = units.load()
        facilities = people.facilities(known)
        as_of = to_days(run["as_of"])
        day = _day(truth)
        for passed in range(days):
            if progress:
                progress(to_date(as_of + day + 1).isoformat(), passed, days)
            day += 1
            if truth.execute("select count(*) from day_plan where day = %s", (day,)).fetchone() == (0,):
                world = World(int(run["seed"]), on_day(run["profile"], as_of + day), known, facilities)
                plan, counters = Planner(db, world, int(run["citizens"]), day, hard_deletes).make()
                _keep(truth, day, plan, counters)
            for sector in SECTORS:
                _apply(db[sector], truth, sector, day, changes)
            with truth.transaction():
                truth.execute("update clock set day = %s, business_date = %s", (day, to_date(as_of + day)))
                truth.execute("delete from day_plan where day = %s", (day,))
        if progress:
            progress("done", days, days)
    return {"day": day, "business_date": to_date(as_of + day).isoformat(), "changes": dict(sorted(changes.items()))}


def _day(truth: Connection) -> int:
    row = truth.execute("select day from clock").fetchone()
    if row is None:
        raise DemoError("the truth has no clock: seed anew with `pdic demo seed --force`")
    return int(row[0])


def _keep(truth: Connection, day: int, plan: Plan, counters: dict[str, int]) -> None:
    """Writes the truth of the day and what the sources are still to be told, in one transaction."""
    with truth.transaction():
        for step in plan.steps["truth"]:
            _do(truth, "truth", step)
        with truth.cursor() as cursor:
            cursor.executemany(
                "insert into counter (name, next_value) values (%s, %s) on conflict (name) do update set next_value = excluded.next_value",
                sorted(counters.items()),
            )
            for sector in SECTORS:
                for seq, step in enumerate([*plan.steps[sector], {"do": "end"}]):
                    cursor.execute("insert into day_plan values (%s, %s, %s, %s)", (day, sector, seq, Jsonb(step)))


def _apply(source: Connection, truth: Connection, sector: str, day: int, changes: dict[str, dict[str, int]]) -> None:
    """Applies the day's steps of one sector in one transaction, unless it has them."""
    steps = [
        row[0]
        for row in truth.execute(
            "select step from day_plan where day = %s and database = %s order by seq", (day, sector)
        )
    ]
    with source.transaction():
        row = source.execute("select day from demo_meta.clock for update").fetchone()
        reached = -1 if row is None else int(row[0])
        if reached not in (day - 1, day):
            raise DemoError(
                f"database {sector} is at day {reached}, the truth at day {day - 1}: seed anew with `pdic demo seed --force`"
            )
        if reached == day - 1:
            for step in steps:
                _do(source, sector, step)
            source.execute("update demo_meta.clock set day = %s", (day,))
    for step in steps:
        for name, n in step.get("counts", {}).items():
            table = changes.setdefault(f"{sector}.{step['table']}", {})
            table[name] = table.get(name, 0) + n


def _do(connection: Connection, database: str, step: dict[str, Any]) -> None:
    what = step["do"]
    if what == "copy":
        with connection.cursor().copy(store.copy_statement(step["table"], step["columns"])) as copy:
            copy.write(step["csv"])
    elif what == "update":
        stamp = STAMP.get(database)
        assignments = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in step["columns"]]
        if stamp is not None:
            assignments.append(sql.SQL("{} = clock_timestamp()").format(sql.Identifier(stamp)))
        statement = sql.SQL("update {} set {} where {} = %s").format(
            sql.Identifier("public", step["table"]), sql.SQL(", ").join(assignments), sql.Identifier(step["key"])
        )
        with connection.cursor() as cursor:
            cursor.executemany(statement, step["rows"])
    elif what == "delete":
        names = sql.Identifier("public", step["table"]), sql.Identifier(step["key"])
        statement = sql.SQL("delete from {} where {} = any(%s)").format(*names)
        connection.execute(statement, (step["keys"],))
    elif what == "repaired":
        connection.execute(
            "update defect set repaired_on = %s where sector = %s and dataset = %s and key = %s and kind = %s",
            (step["on"], step["sector"], step["dataset"], step["key"], step["kind"]),
        )
    elif what == "forget":
        for table in ("mention", "defect"):
            connection.execute(
                sql.SQL("delete from {} where sector = %s and dataset = %s and key = any(%s)").format(
                    sql.Identifier(table)
                ),
                (step["sector"], step["dataset"], step["keys"]),
            )
