"""What reading through a view of `shared` costs, against the partition that it leads to, and against a bare table.

    python -m benchmarks.slot_views [--rows 1000000] [--times 15] [--json]

Makes a warehouse of its own, with two published tables of so many rows in each of the three slots, each row its own content. Every
query is asked in turn of the view, of the live slot's partition, and of a bare table: one without the columns that no reader sees, and
with an index of its key alone. By one session; what counts is the median, with the planning of the query and
the transfer of its rows. Prints each ratio, and the plans. Ends with exit code 1 where the view costs more than 1.15 of the partition.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from pdic import connections, embedded, warehouse
from pdic.release import slots, views
from pdic.release.views import View

MOST = 1.15
WHERE = ("view", "partition", "bare")
NAMES = ("visit", "person")
COLUMNS = {"code": "text", "number": "integer", "person_code": "text", "happened_on": "date", "amount": "numeric(15,2)"}
SHOWN = tuple(View(name, COLUMNS, {}, ("code",), name, {}) for name in NAMES)
# A kind of question, its query, and how often it is asked for one measurement.
QUERIES = {
    "point": ("select * from {visit} where code = %(code)s", 300),
    "point, prepared": ("execute point_{where}(%(code)s)", 300),
    "range of the key": ("select code, amount from {visit} where code between %(code)s and %(until)s", 30),
    "range without an index": (
        "select count(*), sum(amount) from {visit} where happened_on between '2025-03-01' and '2025-03-31'",
        1,
    ),
    "join of all rows": (
        "select count(*), sum(visit.amount) from {visit} as visit inner join {person} as person on visit.person_code = person.code",
        1,
    ),
    "join of a few rows": (
        "select visit.amount, person.amount from {visit} as visit inner join {person} as person on visit.person_code = person.code"
        " where visit.code between %(code)s and %(until)s",
        30,
    ),
    "ordered by the key, first 100": ("select * from {visit} order by code limit 100", 100),
    "ordered by another column": ("select code, amount from {visit} order by amount desc limit 100", 1),
    "grouped": ("select date_trunc('month', happened_on) as month, count(*), sum(amount) from {visit} group by 1", 1),
    "count of all rows": ("select count(*) from {visit}", 1),
}


def fill(rows: int) -> None:
    """Two tables of so many rows in each slot, the last of them published."""
    views.views = lambda: SHOWN  # type: ignore[assignment]
    warehouse.migrate(connections.warehouse("admin"))
    with closing(psycopg2.connect(connections.warehouse("publisher"))) as publisher, publisher:
        slots.ensure_tables(publisher, SHOWN)
    for release_id, _ in enumerate(slots.NAMES, 1):
        with closing(psycopg2.connect(connections.warehouse("publisher"))) as publisher, publisher:
            slot = slots.read(publisher, lock=True).building
            slots.open_for_building(publisher, slot)
        with closing(psycopg2.connect(connections.warehouse("transformer"))) as transformer:
            with transformer, transformer.cursor() as cursor:
                for name in NAMES:
                    cursor.execute(
                        sql.SQL(
                            "insert into {} (code, number, person_code, happened_on, amount, _row_hash, _release_id)"
                            " select md5(n::text), n, md5((n * 7 %% %s + 1)::text), date '2024-01-01' + n %% 700, (n * %s) %% 100000, n, %s"
                            " from generate_series(1, %s) as given (n)"
                        ).format(sql.Identifier(slots.schema_of(slot), name)),
                        [rows, release_id * 37, release_id, rows],
                    )
            with transformer, transformer.cursor() as cursor:
                for name in NAMES:
                    cursor.execute("select published.sample_where_it_grew(%s)", [name])
        with closing(psycopg2.connect(connections.warehouse("publisher"))) as publisher, publisher:
            slots.close(publisher)
        with (
            closing(psycopg2.connect(connections.warehouse("publisher"))) as publisher,
            publisher,
            publisher.cursor() as cursor,
        ):
            views.bring_up(publisher)
            slots.publish(cursor, release_id, slots.read(publisher, lock=True))
    with closing(psycopg2.connect(connections.warehouse("admin"))) as owner:
        owner.autocommit = True
        with owner.cursor() as cursor:
            for name in NAMES:
                table, view = sql.Identifier("bare", name), sql.Identifier("shared", name)
                cursor.execute("create schema if not exists bare")
                cursor.execute(sql.SQL("create table {} as select * from {}").format(table, view))
                cursor.execute(sql.SQL("alter table {} add primary key (code)").format(table))
                cursor.execute("create schema if not exists partition")
                cursor.execute(
                    sql.SQL("create view {} as select {} from {} where _slot = {}").format(
                        sql.Identifier("partition", name),
                        sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
                        sql.Identifier(slots.schema_of(slot), name),
                        sql.Literal(slot),
                    )
                )
        with owner.cursor() as cursor:
            cursor.execute("vacuum analyze")


def text_of(query: str, where: str) -> str:
    """The query as it is asked of the readers' views, of the partitions or of the bare tables."""
    tables = {name: f"{'shared' if where == 'view' else where}.{name}" for name in NAMES}
    return query.format(**tables, where=where)


def measure(session: Connection, rows: int, times: int) -> list[dict[str, Any]]:
    """By kind of question: the medians of all three in ms, and the view's ratios to the other two."""
    with session.cursor() as cursor:
        for where in WHERE:
            cursor.execute(text_of("prepare point_{where}(text) as select * from {visit} where code = $1", where))
    found = []
    for kind, (query, repeats) in QUERIES.items():
        seconds: dict[str, list[float]] = {where: [] for where in WHERE}
        for turn in range(times + 1):
            for where in WHERE if turn % 2 else WHERE[::-1]:
                text = text_of(query, where)
                began = time.perf_counter()
                with session.cursor() as cursor:
                    for number in range(repeats):
                        start = f"{(turn * repeats + number) * 2654435761 % 2**32:08x}"
                        code = start if "between" in query else _md5(1 + (turn * repeats + number) * 7919 % rows)
                        cursor.execute(text, {"code": code, "until": start[:3] + "z"})
                        cursor.fetchall()
                if turn:
                    seconds[where].append((time.perf_counter() - began) / repeats)
        view, partition, bare = (1000 * statistics.median(seconds[where]) for where in WHERE)
        plan = _plan(session, text_of(query, "view")) if "prepared" not in kind else []
        found.append(
            {
                "kind": kind,
                "view_ms": view,
                "partition_ms": partition,
                "bare_ms": bare,
                "of_partition": round(view / partition, 3),
                "of_bare": round(view / bare, 3),
                "plan": plan,
            }
        )
        print(
            f"{kind:30} {view:8.3f} ms {partition:8.3f} ms {bare:8.3f} ms  {view / partition:6.3f} {view / bare:6.3f}",
            file=sys.stderr,
        )
    return found


def _md5(number: int) -> str:
    return hashlib.md5(str(number).encode()).hexdigest()  # noqa: S324 (a made-up code)


def _plan(session: Connection, text: str) -> list[str]:
    with session.cursor() as cursor:
        cursor.execute(
            "explain (analyze, costs off, timing off, summary off) " + text, {"code": "3a7", "until": "3a7z"}
        )
        return [line for (line,) in cursor.fetchall()]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.slot_views", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="with the plans, for a machine")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="pdic-slot-views-")) / "home"
    os.environ["PDIC_HOME"] = str(home)
    embedded.start(home)
    try:
        fill(options.rows)
        with closing(psycopg2.connect(connections.warehouse("admin"))) as session:
            session.autocommit = True
            found = measure(session, options.rows, options.times)
    finally:
        embedded.stop(home)
        shutil.rmtree(home.parent, ignore_errors=True)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for each in found:
            print(
                f"\n{each['kind']}: {each['of_partition']} of the partition, {each['of_bare']} of the bare table\n  "
                + "\n  ".join(each["plan"])
            )
    return int(any(each["of_partition"] > MOST for each in found))


if __name__ == "__main__":
    sys.exit(main())
