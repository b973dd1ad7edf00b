"""Publishes and rollbacks under readers: who waits, who sees a mixture, who gets an error.

    python -m benchmarks.readers [--publishes 200] [--rollbacks 100] [--tables 60] [--rows 2000] [--seed 1]

Makes a warehouse of its own, with so many published tables of so many rows. Every row of a release says its number, so that a reader
can tell one release from a mixture. Between two publishes the slot that no reader sees is rewritten by the transformer, and closed as a
release closes it. Publishes and rollbacks are those of `pdic release` and `pdic rollback`, with notes and ledger; without the Data Docs,
which are written when readers see the release already. What is timed of a publish is the transaction in which readers' release
changes, from its beginning to its commit; of a rollback, its statements. Readers, each a process of its own, all the while:

    join         READ COMMITTED: joins of three tables, in random order within one transaction
    repeatable   REPEATABLE READ: all tables again and again, for longer than a slot takes to be rebuilt
    cursor       a cursor that stays open over several publishes, fetched in pieces
    view         a view of his own, and a materialised view that he refreshes
    idle         psycopg2's default: a transaction that stays open after one query on each table
    dump         pg_dump of what is shared, again and again
    copy         REPEATABLE READ: `copy (select …)` of every table, as a dump with data takes them
    long         one query that takes half a minute

Then the publisher is killed (SIGKILL) at random moments: before, in and after the transaction that shows a release. Where it was, and
which release readers then see, is counted; status, notes and ledger must say the same. Ends with exit code 1 where a promise was
broken: an error, a deadlock, a mixed or empty read, a wait of a reader of more than 100 ms beyond what the same query takes when
nothing is published, a median publish above 10 ms, or a kill after which readers see no whole release.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from pdic import connections, embedded, settings, warehouse
from pdic.release import code, going_back, ledger, publishing, slots, state, views
from pdic.release.views import View
from pdic.warehouse import locks

FORK = multiprocessing.get_context("fork")
KILLS = 20
LONGEST_WAIT_S = 0.1
MEDIAN_PUBLISH_S = 0.01
LIFTED = "-c default_transaction_read_only=off -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
"""What a reader's session can lift: the trial is about publishing, and an analyst with a schema of his own writes there."""
SHOWING, SHOWN = b"(", b")"
"""What a publisher tells by a pipe: that its next statement is the first of the transaction that shows a release; that it is committed."""
HOW_FAR = {b"": "before it", SHOWING: "in it", SHOWING + SHOWN: "after it"}
"""By what it told, where a publisher was killed: before, in or after that transaction."""
COLUMNS = {"code": "text", "number": "integer", "release": "bigint", "amount": "numeric(15,2)"}


@dataclass
class Seen:
    """What one reader met."""

    reads: int = 0
    errors: list[str] = field(default_factory=list)
    mixed: int = 0
    empty: int = 0
    releases: set[int] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)


@dataclass
class Kills:
    """What became of the publishes that were killed: how many ended in which way, and what was broken."""

    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


class Trial:
    """A warehouse with published tables, a release that is rebuilt and published, and readers."""

    def __init__(self, tables: int, rows: int, seed: int) -> None:
        self.names = [f"table_{number:02d}" for number in range(tables)]
        self.rows = rows
        self.rng = random.Random(seed)  # noqa: S311 (a trial that can be repeated)
        self.stop = FORK.Event()
        self.release_id = 0
        self.code_digest = code.digest(settings.project_root(), code.LOGIC + code.AROUND)
        shown = [View(name, COLUMNS, {}, ("code",), name, {}) for name in self.names]
        views.views = lambda: tuple(shown)
        publishing._write_docs = lambda *_: "not written"
        self.changing = self._timed(locks, "_in_transaction"), self._timed(going_back, "_take_back")
        warehouse.migrate(connections.warehouse("admin"))
        with closing(self.session("publisher")) as publisher, publisher:
            slots.ensure_tables(publisher, views.views())
        for _ in slots.NAMES:
            self.build()
            self.publish()

    @staticmethod
    def session(role: str, isolation: str | None = None) -> Connection:
        """A session as somebody's own program opens it."""
        connection = psycopg2.connect(
            connections.warehouse(role), application_name=f"trial {role}", options=LIFTED if role == "reader" else ""
        )
        if isolation:
            connection.set_session(isolation_level=isolation)
        return connection

    def build(self) -> None:
        """A release in the slot that no reader sees: every row of every table is other than it was."""
        with closing(self.session("publisher")) as publisher, publisher, publisher.cursor() as cursor:
            state.give_up_others(publisher, "a newer release began")  # one whose publish was killed
            cursor.execute(
                "insert into control.release (status, full_refresh, code_digest) values ('building', false, %s) returning release_id",
                (self.code_digest,),
            )
            (self.release_id,) = warehouse.one(cursor)
            slot = slots.read(publisher, lock=True).building
            slots.open_for_building(publisher, slot)
            cursor.execute("update control.slot_content set release_id = %s where slot = %s", (self.release_id, slot))
        with closing(self.session("transformer")) as transformer, transformer, transformer.cursor() as cursor:
            for name in self.names:
                table = sql.Identifier(slots.schema_of(slot), name)
                cursor.execute(sql.SQL("delete from {} where number % 7 = 0").format(table))
                cursor.execute(
                    sql.SQL(
                        "update {} set release = %s, _release_id = %s, _row_hash = hashtextextended(code || %s::text, 0)"
                    ).format(table),
                    [self.release_id] * 3,
                )
                cursor.execute(
                    sql.SQL(
                        "insert into {} (code, number, release, amount, _row_hash, _release_id)"
                        " select 'c' || given.n, given.n, %s, given.n / 7.0,"
                        " hashtextextended('c' || given.n || %s::text, 0), %s from generate_series(1, %s) as given (n)"
                        " where not exists (select from {} as standing where standing.code = 'c' || given.n)"
                    ).format(table, table),
                    [self.release_id, self.release_id, self.release_id, self.rows],
                )
            cursor.executemany(
                "select published.remember_columns(%s, %s)",
                [(name, list(COLUMNS)) for name in self.names],
            )
        with closing(self.session("publisher")) as publisher, publisher, publisher.cursor() as cursor:
            slots.close(publisher)
            cursor.execute("update control.release set status = 'audited' where release_id = %s", (self.release_id,))

    def publish(self) -> float:
        """Seconds that the transaction took in which readers' release changed."""
        publishing.publish(self.release_id, held=True)
        return self.changing[0].pop()

    def roll_back(self) -> float:
        """The same of a rollback. Releases go out again after it."""
        going_back.rollback("a trial")
        seconds = self.changing[1].pop()
        going_back.resume("a trial")
        return seconds

    @staticmethod
    def _timed(module: ModuleType, name: str) -> list[float]:
        """Where the seconds are kept that each call of a function took."""
        action: Callable[..., Any] = getattr(module, name)
        seconds: list[float] = []

        def timed(*words: Any) -> Any:
            began = time.perf_counter()
            done = action(*words)
            seconds.append(time.perf_counter() - began)
            return done

        setattr(module, name, timed)
        return seconds

    # Readers. Each gets what it has seen, and goes on until the trial stops.

    def table(self) -> sql.Identifier:
        return sql.Identifier("shared", self.rng.choice(self.names))

    def judge(self, seen: Seen, found: tuple[Any, ...], rows: int | None = None) -> None:
        """`found`: rows, then numbers of releases that must be one and the same."""
        seen.reads += 1
        numbers = {number for number in found[1:] if number is not None}
        seen.empty += found[0] == 0
        seen.mixed += len(numbers) > 1 or found[0] not in (0, rows or self.rows)
        seen.releases |= numbers

    def ask(self, seen: Seen, connection: Connection, query: sql.Composed, timed: bool = True) -> tuple[Any, ...]:
        with connection.cursor() as cursor:
            began = time.perf_counter()
            cursor.execute(query)
            found = warehouse.one(cursor)
            if timed:
                seen.seconds.append(time.perf_counter() - began)
            return found

    def whole(self, table: sql.Identifier) -> sql.Composed:
        return sql.SQL("select count(*), min(release), max(release) from {}").format(table)

    def join(self, seen: Seen) -> None:
        with closing(self.session("reader")) as connection:
            while not self.stop.is_set():
                for _ in range(4):
                    query = sql.SQL(
                        "select count(*), min(a.release), max(a.release), min(b.release), max(b.release), min(c.release), max(c.release)"
                        " from {} as a inner join {} as b on a.code = b.code inner join {} as c on b.code = c.code"
                    ).format(self.table(), self.table(), self.table())
                    self.judge(seen, self.ask(seen, connection, query))
                connection.commit()

    def repeatable(self, seen: Seen) -> None:
        while not self.stop.is_set():
            with closing(self.session("reader", "REPEATABLE READ")) as connection:
                first: tuple[Any, ...] = ()
                until = time.monotonic() + 10
                while time.monotonic() < until and not self.stop.is_set():
                    for name in self.names:
                        found = self.ask(seen, connection, self.whole(sql.Identifier("shared", name)))
                        first = first or found
                        self.judge(seen, (*found, *first[1:]))

    def cursor(self, seen: Seen) -> None:
        while not self.stop.is_set():
            with closing(self.session("reader")) as connection, connection.cursor("pieces") as cursor:
                cursor.itersize = max(1, self.rows // 20)
                cursor.execute(sql.SQL("select release from {}").format(self.table()))
                found = []
                while piece := cursor.fetchmany(cursor.itersize):
                    found += [number for (number,) in piece]
                    self.stop.wait(0.2)
                self.judge(seen, (len(found), *found))

    def view(self, seen: Seen) -> None:
        with closing(self.session("reader")) as connection:
            while not self.stop.is_set():
                self.judge(seen, self.ask(seen, connection, self.whole(sql.Identifier("own", "both"))))
                with connection.cursor() as cursor:
                    cursor.execute("refresh materialized view own.kept")
                self.judge(seen, self.ask(seen, connection, self.whole(sql.Identifier("own", "kept"))))
                connection.commit()

    def idle(self, seen: Seen) -> None:
        with closing(self.session("reader")) as connection:
            for name in self.names:
                self.judge(seen, self.ask(seen, connection, self.whole(sql.Identifier("shared", name))))
            self.stop.wait()

    def dump(self, seen: Seen) -> None:
        program = embedded.binaries() / "bin" / "pg_dump"
        while not self.stop.is_set():
            ended = subprocess.run(
                [program, "--schema=shared", connections.warehouse("reader")],
                capture_output=True,
                text=True,
                check=False,
            )
            seen.reads += 1
            if ended.returncode:
                seen.errors.append(ended.stderr.strip())
            seen.mixed += ended.stdout.count("CREATE VIEW shared.table_") != len(self.names)

    def copy(self, seen: Seen) -> None:
        while not self.stop.is_set():
            with closing(self.session("reader", "REPEATABLE READ")) as connection, connection.cursor() as cursor:
                numbers: list[int] = []
                for name in self.names:
                    with tempfile.TemporaryFile("w+") as out:
                        cursor.copy_expert(
                            sql.SQL("copy (select release from {}) to stdout").format(sql.Identifier("shared", name)),
                            out,
                        )
                        out.seek(0)
                        found = [int(line) for line in out]
                    numbers += found
                    self.judge(seen, (len(found), *found, *numbers[:1]))

    def long(self, seen: Seen) -> None:
        query = sql.SQL(
            "select count(*), min(release), max(release) from (select release, pg_sleep(30.0 / {}) from {} offset 0) as slow"
        ).format(sql.Literal(self.rows), self.table())
        with closing(self.session("reader")) as connection:
            while not self.stop.is_set():
                self.judge(seen, self.ask(seen, connection, query, timed=False))
                connection.commit()

    def readers(self) -> dict[str, Callable[[Seen], None]]:
        """By name, what each of them does."""
        return {
            each.__name__: each
            for each in (self.join, self.repeatable, self.cursor, self.view, self.idle, self.dump, self.copy, self.long)
        }

    @contextmanager
    def reading(self) -> Iterator[dict[str, Seen]]:
        """While the block runs, all readers read. What they saw is there when it has ended."""
        found: dict[str, Seen] = {}
        self.stop.clear()
        told = FORK.SimpleQueue()
        processes = [FORK.Process(target=self._read, args=(name, told)) for name in self.readers()]
        for process in processes:
            process.start()
        try:
            yield found
        finally:
            self.stop.set()
            found.update(told.get() for _ in processes)
            for process in processes:
                process.join()

    def _read(self, name: str, told: Any) -> None:
        """The process of one reader."""
        seen = Seen()
        self.rng.seed(name)
        while not self.stop.is_set():
            try:
                self.readers()[name](seen)
            except psycopg2.Error as error:
                seen.errors.append(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        told.put((name, seen))

    def let_analyst_make_views(self) -> None:
        """A person with a schema of his own, a view and a materialised view in it."""
        with closing(self.session("admin")) as admin, admin, admin.cursor() as cursor:
            cursor.execute("create schema own; grant usage, create on schema own to pdic_reader")
        with closing(self.session("reader")) as analyst, analyst, analyst.cursor() as cursor:
            both = "create view own.both as select a.release from {} as a inner join {} as b using (code, release)"
            tables = [sql.Identifier("shared", name) for name in self.names[:2]]
            cursor.execute(sql.SQL(both).format(*tables))
            cursor.execute(sql.SQL("create materialized view own.kept as select release from {}").format(tables[0]))

    def kill_publishers(self, times: int) -> Kills:
        """SIGKILL of a publisher: every fourth one before its publishing transaction, the others in it or just after it."""
        kills, began = Kills(), time.perf_counter()
        moments = [self.publish_elsewhere() for _ in range(3)]
        before_it, in_it = (min(each[at] for each in moments) for at in (0, 1))
        print(f"a publish elsewhere: {before_it * 1000:.0f} ms, then {in_it * 1000:.1f} ms to show it", file=sys.stderr)
        for number in range(times):
            was = self.live()
            self.build()
            if number % 4:
                child = self.kill_a_publish(self.rng.uniform(0, in_it), after=SHOWING)
            else:
                child = self.kill_a_publish(self.rng.uniform(0, before_it), after=b"")
            is_new = (now := self.live()) == self.release_id
            kills.outcomes[f"{child}, then the {'new' if is_new else 'old'} release"] += 1
            with closing(self.session("reader")) as connection:
                seen = Seen()
                for name in self.names:
                    self.judge(seen, self.ask(seen, connection, self.whole(sql.Identifier("shared", name))))
            if now not in (was, self.release_id) or seen.mixed or seen.empty or seen.releases != {now}:
                kills.broken.append(f"after a kill readers see {seen.releases}, live is {now}, it was {was}")
            kills.broken += self.said_otherwise(is_new)
        print(f"{times} kills in {time.perf_counter() - began:.0f} s: {dict(kills.outcomes)}", file=sys.stderr)
        return kills

    def said_otherwise(self, is_new: bool) -> list[str]:
        """Where the release's status, its notes or the ledger say another thing than what readers see."""
        with closing(self.session("publisher")) as publisher, publisher, publisher.cursor() as cursor:
            cursor.execute(
                """
                select
                    (select status = 'published' from control.release where release_id = %(release)s),
                    exists (select from control.release_note where release_id = %(release)s),
                    exists (select from control.publication where release_id = %(release)s),
                    exists (
                        select from control.ledger_entry
                        where kind = 'publish' and payload ->> 'release_id' = %(release)s::text
                    )
                """,
                {"release": self.release_id},
            )
            said = warehouse.one(cursor)
            wrong = ledger.check(publisher).wrong
        return wrong + [f"release {self.release_id} is shown: {is_new}, and is said to be: {said}"] * (
            said != (is_new,) * len(said)
        )

    def live(self) -> int:
        with closing(self.session("publisher")) as publisher:
            return int(slots.read(publisher).live_release_id or 0)

    def publish_elsewhere(self) -> tuple[float, float]:
        """Build, and publish in a forked process; returns the seconds until it begins to show the release, and until that is done."""
        self.build()
        began = time.perf_counter()
        child, told = self._fork_a_publish()
        moments = [began]
        while os.read(told, 1):
            moments.append(time.perf_counter())
        os.close(told)
        os.waitpid(child, 0)
        _, showing, shown = moments
        return showing - began, shown - showing

    def kill_a_publish(self, delay: float, *, after: bytes) -> str:
        """Publish in a forked process, which is killed so many seconds after it told `after`; returns how far it had come."""
        child, told = self._fork_a_publish()
        said = os.read(told, 1) if after else b""
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(told, 8):
            said += more
        os.close(told)
        self._wait_for_the_end_of_publishers()
        return HOW_FAR[said]

    def _fork_a_publish(self) -> tuple[int, int]:
        """A process that publishes what was built, and the end of a pipe by which it tells how far it came."""
        told, tells = os.pipe()
        child = os.fork()
        if child:
            os.close(tells)
            return child, told
        code = 1
        try:
            os.close(told)
            self._tell_of_showing(tells)
            self.publish()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    @staticmethod
    def _tell_of_showing(tells: int) -> None:
        """From now on, tell when a publish begins to show a release to readers, and when that is done. A rehearsal tells nothing."""
        rehearse, show, then = publishing._rehearse, publishing._show, slots.drop_retired
        rehearses = False

        def rehearsing(*words: Any) -> None:
            nonlocal rehearses
            rehearses = True
            rehearse(*words)
            rehearses = False

        def showing(*words: Any) -> Any:
            if not rehearses:
                os.write(tells, SHOWING)
            return show(*words)

        def shown(*words: Any) -> None:
            os.write(tells, SHOWN)
            then(*words)

        publishing._rehearse, publishing._show, slots.drop_retired = rehearsing, showing, shown

    def _wait_for_the_end_of_publishers(self) -> None:
        """The server may still be at the last statement of a session whose process is dead."""
        with closing(self.session("publisher")) as publisher, publisher.cursor() as cursor:
            others = "select count(*) from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()"
            while True:
                cursor.execute(others)
                if warehouse.one(cursor)[0] == 0:
                    return
                publisher.commit()  # the view is read once a transaction
                time.sleep(0.005)


def run(options: argparse.Namespace) -> dict[str, Any]:
    trial = Trial(options.tables, options.rows, options.seed)
    trial.let_analyst_make_views()
    print("readers alone …", file=sys.stderr)
    with trial.reading() as calm:
        time.sleep(options.calm)
    print("readers, publishes and rollbacks …", file=sys.stderr)
    publishes: list[float] = []
    rollbacks: list[float] = []
    with trial.reading() as found:
        while len(publishes) < options.publishes:
            trial.build()
            publishes.append(trial.publish())
            if len(rollbacks) * options.publishes < len(publishes) * options.rollbacks:
                rollbacks.append(trial.roll_back())
            if len(publishes) % 20 == 0:
                print(f"{len(publishes)} publishes, {len(rollbacks)} rollbacks", file=sys.stderr)
    kills = trial.kill_publishers(KILLS)
    broken = kills.broken
    for name, seen in found.items():
        broken += [f"{name}: {error}" for error in seen.errors[:3]]
        broken += [f"{name}: {seen.mixed} mixed reads"] * bool(seen.mixed) + [
            f"{name}: {seen.empty} empty reads"
        ] * bool(seen.empty)
    waits = {
        name: max(seen.seconds) - max(calm[name].seconds)
        for name, seen in found.items()
        if seen.seconds and calm[name].seconds
    }
    broken += [
        f"{name} waited {seconds:.3f} s longer than alone"
        for name, seconds in waits.items()
        if seconds > LONGEST_WAIT_S
    ]
    if statistics.median(publishes) > MEDIAN_PUBLISH_S:
        broken.append(f"a median publish took {statistics.median(publishes) * 1000:.1f} ms")
    return {
        "tables": options.tables,
        "rows": options.rows,
        "publishes": len(publishes),
        "publish_ms": [round(1000 * each, 2) for each in (statistics.median(publishes), max(publishes))],
        "rollbacks": len(rollbacks),
        "rollback_ms": [round(1000 * each, 2) for each in (statistics.median(rollbacks), max(rollbacks))],
        "readers": {
            name: {
                "reads": seen.reads,
                "releases": len(seen.releases),
                "errors": len(seen.errors),
                "mixed": seen.mixed,
                "empty": seen.empty,
                "median_ms": round(1000 * statistics.median(seen.seconds), 1) if seen.seconds else None,
                "longest_ms": round(1000 * max(seen.seconds), 1) if seen.seconds else None,
                "longest_alone_ms": round(1000 * max(calm[name].seconds), 1) if calm[name].seconds else None,
            }
            for name, seen in found.items()
        },
        "kills": dict(sorted(kills.outcomes.items())),
        "broken": broken,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.readers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--publishes", type=int, default=200)
    parser.add_argument("--rollbacks", type=int, default=100)
    parser.add_argument("--tables", type=int, default=60)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--calm", type=float, default=20.0, help="seconds for which the readers read alone")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="pdic-readers-")) / "home"
    os.environ["PDIC_HOME"] = str(home)
    embedded.start(home)
    try:
        found = run(options)
    finally:
        embedded.stop(home)
        shutil.rmtree(home.parent, ignore_errors=True)
    print(json.dumps(found, indent=2))
    return int(bool(found["broken"]))


if __name__ == "__main__":
    sys.exit(main())
