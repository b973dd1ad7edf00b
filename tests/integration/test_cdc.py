"""Capture from the source's log: whatever is done to a table, and wherever a load dies, raw ends equal to the source."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pdic import approval, connections, held, load, transfer, warehouse
from pdic.errors import BatchFenced, Busy, DriftError, SourceUnavailable
from pdic.quality.results import BatchVerdict
from pdic.sources.cdc import NotGranted, SlotLost, landing, retire, walsender, watch
from pdic.warehouse import silence
from tests.conftest import Postgres
from tests.integration.logs import KEY_AND_TEXT, Source, log_sector, warehouse_rows

SECTOR = "nhatky"


@pytest.fixture(scope="module")
def source(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield log_sector(SECTOR, root, postgres)


@pytest.fixture(autouse=True)
def no_slot_left(source: Source) -> Iterator[None]:
    """A server has ten slots: each test gives its own back."""
    yield
    source.drop_slots()


@pytest.fixture
def rules() -> None:
    """Asked for by the tests that want batches really checked."""


@pytest.fixture(autouse=True)
def without_rules(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch passes: Great Expectations takes half of a small load's time, and few tests here are about it."""
    if "rules" in request.fixturenames:
        return

    def passed(_uri: str, batches: list[tuple[Any, int, str]], **_: object) -> dict[str, BatchVerdict]:
        return {
            contract.dataset: BatchVerdict(contract.sector, contract.dataset, batch_id, (), halted=False, message="")
            for contract, batch_id, _ in batches
        }

    monkeypatch.setattr(load.quality, "check_sector", passed)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).removeprefix("test_")[:30].rstrip("_")


@pytest.mark.usefixtures("rules")
def test_first_load_copies_then_changes_follow(source: Source, name: str) -> None:
    source.table(name)
    source.run(f"insert into {name} select i, 'nhãn ' || i from generate_series(1, 1000) as i")
    first = source.accepted(name)
    assert (first["rows_extracted"], first["rows_accepted"], first["rows_deleted"]) == (1000, 1000, 0)
    source.run(
        f"""insert into {name} values (1001, ''), (1002, null); update {name} set "Nhãn X" = 'b' where id = 7;"""
        f"delete from {name} where id in (8, 9); update {name} set id = 2000 where id = 10"
    )
    second = source.accepted(name)
    assert (second["rows_extracted"], second["rows_accepted"], second["rows_deleted"]) == (4, 4, 3)
    source.assert_equal(name)
    idle = source.accepted(name)
    assert (idle["rows_extracted"], idle["rows_deleted"]) == (0, 0)
    source.assert_equal(name)


@pytest.mark.parametrize("statement", ["delete from {} where id <= 66", "truncate {}"])
def test_a_log_that_deletes_too_many_rows_is_held_until_a_person_approves(
    source: Source, name: str, statement: str
) -> None:
    name = f"{name[:20]}{len(statement)}"
    source.table(name)
    source.contract(name, KEY_AND_TEXT, max_deleted=0.05)
    source.run(f"insert into {name} select i, 'a' from generate_series(1, 133) as i")
    source.accepted(name)
    source.run(f"delete from {name} where id between 100 and 103")
    assert source.accepted(name)["rows_deleted"] == 4, "an ordinary day"
    source.run(statement.format(name))
    report = source.load(name)
    assert report["status"] == "rejected"
    deleted = 66 if "delete" in statement else 129
    assert f"{deleted} of 129 living rows" in report["message"]
    assert f"`pdic quality approve {SECTOR}.{name} --reason WHY`" in report["message"]
    assert source.load(name)["status"] == "rejected", "neither stuck nor silent"
    consent = approval.Approval("lan", "Nguyễn Thị Lan", "the agency closed them")
    assert held.approve(SECTOR, name, consent, source.connect_to)["rows_deleted"] == deleted
    source.assert_equal(name)
    assert source.accepted(name)["rows_deleted"] == 0


AWKWARD: dict[str, tuple[str, list[str]]] = {
    "big": ("text", ["repeat(md5(random()::text), 200)", "repeat(md5(random()::text), 100)", "''", "null", "'Đ'"]),
    "Wide": ("jsonb", ["""'{"a": 1e400}'""", "'null'", "null", "jsonb_build_array(repeat(md5(random()::text), 150))"]),
    "number": ("numeric", ["'NaN'", "'-Infinity'", "-1.50", "12345678901234567890.0123456789", "null", "0"]),
    "at": ("timestamp with time zone", ["'infinity'", "'0044-03-15 00:00 BC'", "'epoch'", "now()", "null"]),
    "day": ("date", ["'-infinity'", "'4713-01-01 BC'", "'2026-11-25'"]),
    "list": ("text[]", ["array[null, '', '{x}', 'ạ']", "'{}'", "'[2:3]={a,b}'", "null"]),
    "raw": ("bytea", [r"'\x00ff'", "''", "null"]),
    "span": ("interval", ["'2 years 3 days'", "'-1 mon'", "null"]),
    "ratio": ("double precision", ["'NaN'", "'-0'", "'1e-320'", "null"]),
    "note": ("character(5)", ["'ab'", "''", "null"]),
    "reach": ("int4range", ["'[1,5)'", "'empty'", "null"]),
}


class Writers:
    """Two sessions that change one table at random, each its own half of the keys, their transactions interleaved."""

    def __init__(self, uri: str, table: str, seed: int, *, truncates: bool) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._sessions = [psycopg.connect(uri), psycopg.connect(uri)]
        self._table, self._truncates = table, truncates

    def step(self) -> None:
        half = self._random.randrange(2)
        session = self._sessions[half]
        for _ in range(self._random.randrange(1, 6)):
            if self._truncates and self._random.random() < 0.02:
                self.settle()
                self._run(session, f"truncate {self._table}")
                session.commit()  # its lock would stop the other session, and with it this thread
            nested = self._random.random() < 0.3
            if nested:
                session.execute("savepoint s")
            self._change(session, half)
            if nested:
                session.execute(self._random.choice(["rollback to savepoint s", "release savepoint s"]))
        ending = self._random.random()
        if ending < 0.6:
            session.commit()
        elif ending < 0.75:
            session.rollback()
        # else the transaction goes on in another step: loads pass by while it is open

    def settle(self) -> None:
        for session in self._sessions:
            session.commit()

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def _change(self, session: psycopg.Connection[Any], half: int) -> None:
        key, other = (2 * self._random.randrange(25) + half for _ in range(2))
        names = self._random.sample(list(AWKWARD), self._random.randrange(1, 4))
        some = ", ".join(f'"{name}" = {self._random.choice(AWKWARD[name][1])}' for name in names)
        values = ", ".join(self._random.choice(choices) for _, choices in AWKWARD.values())
        kind = self._random.random()
        if kind < 0.4:
            self._run(session, f"insert into {self._table} values ({key}, {values}) on conflict do nothing")
        elif kind < 0.75:
            self._run(session, f"update {self._table} set {some} where id = {key}")
        elif kind < 0.87:
            free = f"not exists (select 1 from {self._table} where id = {other})"
            self._run(session, f"update {self._table} set id = {other}, {some} where id = {key} and {free}")
        else:
            self._run(session, f"delete from {self._table} where id = {key}")

    def _run(self, session: psycopg.Connection[Any], statement: str) -> None:
        session.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize(("seed", "identity"), [(1, "default"), (2, "full"), (3, "default"), (4, "full")])
def test_random_histories_end_equal(source: Source, seed: int, identity: str) -> None:
    """Faults: loads die after extract, or after check; writers are caught in the middle. Invariant: raw ends equal."""
    name, columns = f"history_{seed}", {"id": "bigint"} | {column: kind for column, (kind, _) in AWKWARD.items()}
    source.table(name, columns)
    source.run(
        f"alter table {name} replica identity {identity}; alter table {name} alter column big set storage external"
    )
    chance = random.Random(seed)  # noqa: S311
    writers = Writers(source.owner, name, seed, truncates=seed % 2 == 1)
    try:
        for _ in range(5):
            for _ in range(40):
                writers.step()
            if not warehouse_rows(f"select 1 from control.dataset where dataset = '{name}' and position is not null"):
                writers.settle()  # making a slot waits for open transactions
            if chance.random() < 0.5:
                abandoned = source.extract(name)
                if chance.random() < 0.5:
                    load.check(SECTOR, {name: abandoned}, source.connect_to)
            source.accepted(name)
        writers.settle()
        source.accepted(name)
        source.assert_equal(name, columns)
    finally:
        writers.close()


def test_each_load_is_exact_under_identity_full(source: Source, name: str) -> None:
    """With every old value in the log no row is read again: raw is the source as it stood when the load began."""
    source.table(name, {"id": "bigint", "a": "text", "b": "integer"})
    source.run(f"alter table {name} replica identity full; alter table {name} alter column a set storage external")
    source.run(f"insert into {name} select i, repeat(md5(i::text), 300), 0 from generate_series(1, 20) as i")
    source.accepted(name)
    source.run(f"update {name} set b = 1; update {name} set id = id + 100 where id <= 10")
    stood = source.at_source(name, {"id": "", "a": "", "b": ""})
    batch = source.extract(name)
    source.run(f"update {name} set b = 2, a = 'later'; delete from {name} where id = 11")
    load.check(SECTOR, {name: batch}, source.connect_to)
    load.accept(SECTOR, name, batch, source.connect_to)
    assert source.in_raw(name, {"id": "", "a": "", "b": ""}) == stood
    source.accepted(name)
    source.assert_equal(name, {"id": "", "a": "", "b": ""})


def test_a_log_in_which_nothing_happens_becomes_stale(source: Source, name: str) -> None:
    """Without a column that says when rows were written, the log itself does."""
    source.table(name)
    source.run(f"insert into {name} values (1, 'a')")
    assert source.accepted(name)["warning"] is None
    with psycopg.connect(connections.warehouse("admin")) as admin:
        admin.execute(
            "update control.batch_freshness set read_at = read_at - interval '5 days', quiet_since = quiet_since - interval '5 days'"
        )
    quiet = source.accepted(name)
    assert (
        f"{SECTOR}.{name} batch {quiet['batch_id']}: nothing had changed for 5 d when it was read" in quiet["warning"]
    )
    source.run(f"delete from {name}")
    assert source.accepted(name)["warning"] is None
    found = "select success from control.expectation_result where dataset = %s and dimension = 'freshness' order by id"
    with psycopg.connect(connections.warehouse("loader")) as loader:
        assert loader.execute(found, (name,)).fetchall() == [(False,), (True,)]


def test_large_values_left_alone_arrive(source: Source, name: str) -> None:
    """An update that does not touch a TOASTed value does not repeat it; keys of awkward types, and moved ones, included."""
    columns = {"id": "numeric", "Khóa 2": "character(4)", "a": "text", "b": "integer"}
    source.contract(name, columns, key=("id", "Khóa 2"))
    source.run(
        f'create table {name} (id numeric, "Khóa 2" character(4), a text, b integer, primary key ("Khóa 2", id));'
        f"alter table {name} alter column a set storage external;"
        f"create publication pdic_{SECTOR}__{name} for table {name};"
        f"insert into {name} select i + 0.10, 'x''%', repeat(md5(i::text), 300), 0 from generate_series(1, 2500) as i"
    )
    source.accepted(name)
    source.run(
        f"update {name} set b = 1; update {name} set id = id + 10000 where id < 9; delete from {name} where id between 20 and 30"
    )
    batch = source.extract(name)
    source.run(f"delete from {name} where id between 40 and 50")  # gone before anybody could read them again
    load.check(SECTOR, {name: batch}, source.connect_to)
    load.accept(SECTOR, name, batch, source.connect_to)
    source.accepted(name)
    source.assert_equal(name, columns, key='id, "Khóa 2"')


def test_a_key_written_another_way_stays_one(source: Source, name: str) -> None:
    """Whole in the log, and read again at the source by the key's text; with names that are PDIC's own."""
    columns = {"id": "numeric", "span": "interval year to month", "_op": "text", "_pdic_seq": "text", "a": "text"}
    source.contract(name, columns, key=("id", "span"))
    source.run(
        f"create table {name} (id numeric, span interval year to month, _op text, _pdic_seq text, a text, primary key (id, span));"
        f"alter table {name} alter column a set storage external; create publication pdic_{SECTOR}__{name} for table {name};"
        f"insert into {name} select i + 0.5, '1 year', 'o', 's', repeat(md5(i::text), 300) from generate_series(1, 40) as i"
    )
    source.accepted(name)
    source.run(
        f"update {name} set id = id + 0.000, _op = 'p' where id < 20; update {name} set _pdic_seq = 't' where id > 30"
    )
    report = source.accepted(name)
    assert (report["rows_accepted"], report["rows_deleted"]) == (30, 0)
    in_raw = dict(zip(columns, ("id", "span", "source_op", "source_pdic_seq", "a"), strict=True))
    known = source.in_raw(name, {in_raw[column]: kind for column, kind in columns.items()}, key="id, span")
    assert known == source.at_source(name, columns, "id, span")
    assert len(known) == 40


def test_a_truncated_table_is_empty(source: Source, name: str) -> None:
    source.table(name)
    source.run(f"insert into {name} select i, 'a' from generate_series(1, 50) as i")
    source.accepted(name)
    source.run(
        f"insert into {name} values (51, 'a'); truncate {name}; insert into {name} values (3, 'new'), (60, 'new')"
    )
    report = source.accepted(name)
    assert (report["rows_accepted"], report["rows_deleted"]) == (2, 50)
    source.assert_equal(name)
    source.run(f"truncate {name}")
    source.accepted(name)
    assert source.in_raw(name, KEY_AND_TEXT) == []


@pytest.mark.usefixtures("rules")
def test_bad_rows_of_a_change_go_to_quarantine(source: Source, name: str) -> None:
    source.table(name)
    rules = source.root / "expectations" / "batch" / SECTOR / f"{name}.yaml"
    rules.parent.mkdir(parents=True, exist_ok=True)
    rules.write_text(
        'rules:\n- id: named\n  type: expect_column_values_to_not_be_null\n  kwargs: {column: "Nhãn X"}\n  severity: critical\n'
        "  dimension: completeness\n  on_fail: quarantine\n  reason: {vi: Thiếu, en: Missing}\n  origin: text\n"
        "  source: 'assumption: asked for by this test'\n",
        encoding="utf-8",
    )
    source.run(f"insert into {name} values (1, 'a'), (2, 'a')")
    source.accepted(name)
    source.run(f"""update {name} set "Nhãn X" = null where id = 1; delete from {name} where id = 2""")
    report = source.accepted(name)
    assert (report["rows_quarantined"], report["rows_accepted"], report["rows_deleted"]) == (1, 0, 1)
    assert warehouse_rows(f"select id from quarantine.{SECTOR}__{name}") == [(1,)]
    source.run(f"truncate {name}")
    assert source.accepted(name)["rows_deleted"] == 1  # the key in quarantine is known, too


def test_a_first_load_that_died_is_begun_again(source: Source, name: str) -> None:
    """Fault: the process dies between the copy and its acceptance. Invariant: the orphan's slot goes, nothing is missed."""
    source.table(name)
    source.run(f"insert into {name} values (1, 'a')")
    orphan = source.extract(name)
    source.run(f"insert into {name} values (2, 'b')")
    source.accepted(name)
    with pytest.raises(BatchFenced):
        load.accept(SECTOR, name, orphan, source.connect_to)
    source.run(f"insert into {name} values (3, 'c')")
    source.accepted(name)
    source.assert_equal(name)
    assert len([slot for slot in watch.slots(source.connect_to, SECTOR) if slot["dataset"] == name]) == 1


def test_the_slot_follows_acceptance_only(source: Source, name: str, postgres: Postgres) -> None:
    """Fault: a load dies after extract. Invariant: the slot has not moved past what the warehouse has on record."""
    source.table(name)
    source.accepted(name)

    def confirmed() -> int:
        with psycopg.connect(postgres.uri(SECTOR)) as admin:
            row = admin.execute(
                "select confirmed_flush_lsn - '0/0' from pg_replication_slots where slot_name = %s",
                (source.slot(name)["slot"],),
            ).fetchone()
        return int(row[0]) if row else 0

    begins = confirmed()
    source.run(f"insert into {name} values (1, 'a')")
    for _ in range(3):
        source.extract(name)
    assert confirmed() == begins
    source.accepted(name)
    source.assert_equal(name)
    assert confirmed() == begins
    source.accepted(name)
    assert confirmed() > begins


def test_a_killed_loader_is_followed_at_once(source: Source, name: str) -> None:
    """Fault: a reader of the slot is killed while it reads. Invariant: the next load waits for the slot and goes on."""
    source.table(name)
    source.accepted(name)
    source.run(f"insert into {name} select i, repeat('x', 200) from generate_series(1, 20000) as i")
    contract = load.contracts.get(SECTOR, name)
    reader = walsender.Walsender(source.reader, contract)
    slot = source.slot(name)["slot"]
    stream = reader.messages(slot, f"pdic_{SECTOR}__{name}", 0, 1 << 62)
    next(stream)
    assert source.slot(name)["active"]
    reader._session.finish()  # as the kernel does it for a dead process
    source.accepted(name)
    source.assert_equal(name)


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def extract_and_die(source: Source, name: str, where: Any, attribute: str) -> None:
    """Run an extract in a process of its own, which is killed where `where.attribute` is called."""
    child = os.fork()
    if child == 0:
        setattr(where, attribute, die)
        try:
            source.extract(name)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize(
    ("where", "attribute"),
    [(transfer, "copy_snapshot"), (landing.Block, "close"), (landing.Landing, "keep_newest"), (load.ledger, "arrived")],
    ids=["copy", "stream", "collapse", "ledger"],
)  # fmt: skip
def test_kill_9_anywhere_is_as_if_it_had_not_been(source: Source, where: Any, attribute: str) -> None:
    """Fault: kill -9 in the first copy, in the stream, before and after the batch is whole. Invariant: the next load is exact."""
    name = f"kill_{attribute}"
    source.table(name)
    source.run(f"insert into {name} select i, 'a' from generate_series(1, 100) as i")
    if attribute != "copy_snapshot":
        source.accepted(name)
        source.run(f"""update {name} set "Nhãn X" = 'b' where id < 50; delete from {name} where id > 90""")
    for _ in range(2):
        extract_and_die(source, name, where, attribute)
    source.accepted(name)
    source.assert_equal(name)
    source.run(f"delete from {name} where id < 10")
    source.accepted(name)
    source.assert_equal(name)
    assert (
        warehouse_rows(f"select 1 from pg_tables where schemaname = 'raw_batch' and tablename ~ '^{SECTOR}__{name}__'")
        == []
    )


def test_loads_beside_busy_writers_end_equal(source: Source, name: str) -> None:
    """Loads run while the table is being written to without a pause."""
    columns = {"id": "bigint"} | {column: kind for column, (kind, _) in AWKWARD.items()}
    source.table(name, columns)
    writers = Writers(source.owner, name, 11, truncates=False)
    enough = threading.Event()

    def write() -> None:
        while not enough.is_set():
            writers.step()
        writers.settle()

    source.accepted(name)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        moved = [source.accepted(name)["rows_accepted"] for _ in range(6)]
    finally:
        enough.set()
        thread.join()
        writers.close()
    assert sum(moved) > 0
    source.accepted(name)
    source.assert_equal(name, columns)


def test_a_source_that_breaks_off_loses_nothing(source: Source, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the source ends the session in the middle of the stream. Invariant: an error, no batch; the next load is whole."""
    source.table(name)
    source.accepted(name)
    source.run(f"insert into {name} select i, repeat('x', 1000) from generate_series(1, 20000) as i")
    take, taken = landing.Block.add, []

    def add(block: landing.Block, row: bytes) -> None:
        taken.append(len(row))
        if len(taken) == 100:
            source.as_admin(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where active and database = 'nhatky'"
            )
        take(block, row)

    monkeypatch.setattr(landing.Block, "add", add)
    with pytest.raises(SourceUnavailable, match="broke off"):
        source.extract(name)
    assert 100 <= len(taken) < 20_000
    assert warehouse_rows(f"select 1 from pg_tables where tablename like '{SECTOR}\\_\\_{name}\\_\\_%'") == []
    source.accepted(name)
    source.assert_equal(name)


def test_a_slot_in_use_is_busy(source: Source, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source.table(name)
    source.accepted(name)
    contract = load.contracts.get(SECTOR, name)
    slot = source.slot(name)["slot"]
    with walsender.Walsender(source.reader, contract) as reader, monkeypatch.context() as patch:
        patch.setattr(walsender, "PATIENCE", 0.1)
        source.run(f"insert into {name} values (1, 'a')")
        next(reader.messages(slot, f"pdic_{SECTOR}__{name}", 0, 1 << 62))
        with pytest.raises(Busy, match="is being read by another session"):
            source.extract(name)
    source.accepted(name)
    source.assert_equal(name)


def test_a_slot_waits_for_writers_only_so_long(source: Source, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source.table(name)
    with psycopg.connect(source.owner) as slow, monkeypatch.context() as patch:
        patch.setattr(walsender, "WAIT_FOR_WRITERS", "50ms")
        slow.execute(f"insert into {name} values (1, 'slow')")
        with pytest.raises(Busy, match="has not ended within 50ms"):
            source.extract(name)
        slow.commit()
    source.accepted(name)
    source.assert_equal(name)


def test_a_session_for_the_log_is_waited_for_only_while_it_works(source: Source, name: str) -> None:
    """It stands idle while a new table is copied, which takes hours: a quiet then is no silence."""
    source.table(name)
    contract = load.contracts.get(SECTOR, name)
    with walsender.Walsender(source.reader, contract) as reader:
        assert reader._watched is not None
        reader._execute("CREATE_REPLICATION_SLOT only_here TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
        assert not reader._watched.is_waiting()
        assert reader._watched.longest is None  # (making a slot waits for writers as long as it takes)


def test_a_session_for_the_log_that_fails_at_once_leaves_nothing(
    source: Source, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.table(name)
    monkeypatch.setattr(walsender, "unlimited", lambda _: "set no_such_setting = 0")
    before = silence.sessions()
    with pytest.raises(Exception, match=name):
        walsender.Walsender(source.reader, load.contracts.get(SECTOR, name))
    assert silence.sessions() == before


def test_a_lost_slot_stops_the_load_until_it_is_renewed(source: Source, name: str) -> None:
    """Fault: the slot vanishes, as in a failover. Invariant: an error with the way out; after it raw is equal, ghosts gone."""
    source.table(name)
    source.run(f"insert into {name} select i, 'a' from generate_series(1, 10) as i")
    source.accepted(name)
    source.as_admin(f"select pg_drop_replication_slot('{source.slot(name)['slot']}')")
    source.run(
        f"delete from {name} where id = 1; update {name} set \"Nhãn X\" = 'b' where id = 2; insert into {name} values (11, 'c')"
    )
    assert "--full" in source.slot(name)["warning"]
    with pytest.raises(SlotLost, match=f"pdic load {SECTOR}.{name} --full"):
        source.extract(name)
    (report,) = load.load([f"{SECTOR}.{name}"], source.connect_to, full=True)
    assert (report["rows_accepted"], report["rows_unchanged"], report["rows_deleted"]) == (2, 8, 1)
    source.assert_equal(name)
    source.run(f"insert into {name} values (12, 'sau')")
    assert source.accepted(name)["rows_accepted"] == 1
    source.assert_equal(name)


@pytest.mark.parametrize("first", [True, False])
def test_a_batch_from_before_the_renewal_is_fenced(source: Source, first: bool) -> None:
    name = f"fenced_{first}".lower()
    source.table(name)
    if not first:
        source.accepted(name)
    source.run(f"insert into {name} values (1, 'a')")
    batch = source.extract(name)
    load.check(SECTOR, {name: batch}, source.connect_to)
    retire.end(f"{SECTOR}.{name}", source.connect_to)
    with pytest.raises(BatchFenced):
        load.accept(SECTOR, name, batch, source.connect_to)
    source.accepted(name)
    source.assert_equal(name)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("select pg_replication_slot_advance('{slot}', pg_current_wal_flush_lsn())", "somebody else has read"),
        ("alter publication {publication} drop table {name}; alter publication {publication} add table {name}", "was altered or made anew"),
        ("drop publication {publication}; create publication {publication} for table {name}", "was altered or made anew"),
        ("alter table {name} rename to {name}_old; create table {name} (like {name}_old including all); "
         "insert into {name} values (1, 'b'); alter publication {publication} add table {name}", "is another table"),
    ],
)  # fmt: skip
def test_a_gap_in_the_log_is_noticed(source: Source, fault: str, message: str, request: pytest.FixtureRequest) -> None:
    name = f"gap_{request.node.callspec.indices['fault']}"
    source.table(name)
    source.run(f"insert into {name} values (1, 'a')")
    source.accepted(name)
    words = {"slot": source.slot(name)["slot"], "publication": f"pdic_{SECTOR}__{name}", "name": name}
    source.run(f"insert into {name} values (2, 'unseen')")
    for statement in fault.format(**words).split("; "):
        (source.as_admin if "slot" in statement else source.run)(statement)
    with pytest.raises(SlotLost, match=message):
        source.extract(name)
    retire.end(f"{SECTOR}.{name}", source.connect_to)
    source.accepted(name)
    source.assert_equal(name)


def test_drift_in_the_stream_stops_before_anything_is_accepted(source: Source, name: str) -> None:
    """Fault: the table was retyped and back between two loads. Invariant: named, nothing accepted, the slot stands."""
    source.table(name, {"id": "bigint", "a": "integer"})
    source.accepted(name)
    source.run(f"insert into {name} values (1, 1)")
    source.run(f"alter table {name} alter a type text; insert into {name} values (2, '2')")
    source.run(f"alter table {name} alter a type integer using a::integer")
    for _ in range(2):
        with pytest.raises(DriftError, match="column a is text .contract: integer"):
            source.extract(name)
    assert warehouse_rows(f"select count(*) from pg_tables where tablename like '{SECTOR}\\_\\_{name}\\_\\_%'") == [
        (0,)
    ]
    retire.end(f"{SECTOR}.{name}", source.connect_to)
    source.accepted(name)
    source.assert_equal(name, {"id": "", "a": ""})


def test_columns_the_contract_does_not_know_are_passed_over(source: Source, name: str) -> None:
    source.table(name)
    source.accepted(name)
    source.run(f"insert into {name} values (1, 'a'); alter table {name} add column moi text default 'x'")
    source.run(
        f"insert into {name} values (2, 'b', 'y'); alter table {name} drop column moi; insert into {name} values (3, 'c')"
    )
    source.run(f"alter table {name} add column nua text; insert into {name} values (4, 'd', 'z')")
    assert source.accepted(name)["drift"].startswith("columns not in the contract: nua (")
    source.assert_equal(name)


def test_a_column_that_the_login_may_not_read_is_said_once(source: Source, name: str) -> None:
    source.table(name)
    columns = ", ".join(f'"{column}"' for column in KEY_AND_TEXT)
    source.run(
        f"alter table {name} add column kin text; revoke select on {name} from {source.sector}_reader;"
        f"grant select ({columns}) on {name} to {source.sector}_reader"
    )
    assert source.accepted(name)["drift"].startswith("the login may not read kin: ")
    source.run(f"insert into {name} values (1, 'a')")
    assert source.accepted(name)["drift"] is None, "once is enough"
    source.run(f"alter table {name} add column sau text")
    assert source.accepted(name)["drift"].startswith("the login may not read kin, sau: "), "what is new is said"
    source.assert_equal(name)


def test_a_contract_that_gains_a_column_needs_a_new_copy(source: Source, name: str) -> None:
    source.table(name)
    source.run(f"insert into {name} values (1, 'a')")
    source.accepted(name)
    source.run(f"alter table {name} add column moi text default 'x'")
    source.contract(name, KEY_AND_TEXT | {"moi": "text"})
    with pytest.raises(SlotLost, match="moi joined the contract"):
        source.extract(name)
    retire.end(f"{SECTOR}.{name}", source.connect_to)
    source.accepted(name)
    source.assert_equal(name, KEY_AND_TEXT | {"moi": "text"})


def test_a_column_made_anew_needs_a_new_copy(source: Source, name: str) -> None:
    """Dropped and added under its name, a column is empty in rows of which the log says nothing."""
    source.table(name, {"id": "bigint", "a": "text"})
    source.run(f"insert into {name} values (1, 'a')")
    source.accepted(name)
    source.run(f"alter table {name} drop column a; alter table {name} add column a text default 'new'")
    with pytest.raises(SlotLost, match="a joined the contract, or was made anew"):
        source.extract(name)
    retire.end(f"{SECTOR}.{name}", source.connect_to)
    source.accepted(name)
    source.assert_equal(name, {"id": "", "a": ""})


REFUSALS = {
    "no_publication": ("drop publication {publication}", "create publication \"{publication}\" for table \"public\".\"{name}\""),
    "part_of_changes": ("alter publication {publication} set (publish = 'insert')", "set (publish = 'insert, update, delete, truncate')"),
    "not_in_publication": ("alter publication {publication} drop table {name}", 'add table "public"'),
    "some_columns": ("alter publication {publication} set table {name} (id)", "leaves out columns Nhãn X"),
    "some_rows": ("alter publication {publication} set table {name} where (id > 1)", "leaves out some rows"),
    "no_select": ("revoke select on {name} from nhatky_reader", "grant select on \"public\""),
    "no_identity": ("alter table {name} replica identity nothing", "replica identity full"),
    "no_key": ("alter table {name} drop constraint {name}_pkey", 'add primary key ("id")'),
    "deferrable_key": ("alter table {name} drop constraint {name}_pkey; "
                       "alter table {name} add primary key (id) deferrable", "not deferrable"),
    "row_security": ("alter table {name} enable row level security", "bypassrls"),
    "child": ("create table {name}_child () inherits ({name})", "other tables inherit from it"),
    "view": ("alter table {name} rename to {name}_behind; create view {name} as select * from {name}_behind", "it is no table"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSALS)
def test_what_is_missing_is_named_with_the_statement_to_run(source: Source, fault: str) -> None:
    name = f"refused_{fault}"
    source.table(name)
    statements, remedy = REFUSALS[fault]
    words = {"publication": f"pdic_{SECTOR}__{name}", "name": name}
    for statement in statements.format(**words).split("; "):
        source.run(statement)
    with pytest.raises(NotGranted) as refusal:
        source.extract(name)
    assert remedy.format(**words) in str(refusal.value)
    assert source.slot(name)["slot"] is None


COMPUTED = {"id": "bigint", "a": "integer", "twice": "bigint"}


def computed_table(source: Source, name: str, how: str) -> None:
    source.contract(name, COMPUTED)
    source.run(
        f"create table {name} (id bigint primary key, a integer, twice bigint generated always as (a * 2) {how});"
        f"insert into {name} values (1, 1)"
    )


@pytest.mark.usefixtures("since_18")
def test_computed_columns_follow_where_the_publication_gives_them_out(source: Source, name: str) -> None:
    """PostgreSQL 18 logs what it computes and stores, if it is asked to; the refusal asks for it in words that work."""
    computed_table(source, name, "stored")
    source.run(f"create publication pdic_{SECTOR}__{name} for table {name}")
    with pytest.raises(NotGranted, match="leaves out what the source computes: twice") as refusal:
        source.extract(name)
    (statement,) = re.findall(r"run: (alter publication .*?\))\.", str(refusal.value))
    source.run(statement)
    source.accepted(name)
    source.run(f"insert into {name} values (2, 21); update {name} set a = 5 where id = 1")
    source.accepted(name)
    source.assert_equal(name, COMPUTED)


@pytest.mark.usefixtures("since_18")
def test_the_statement_for_a_missing_publication_asks_for_computed_columns(source: Source, name: str) -> None:
    computed_table(source, name, "stored")
    with pytest.raises(NotGranted) as refusal:
        source.extract(name)
    (statement,) = re.findall(r"run: (create publication .*?\))\.", str(refusal.value))
    source.run(statement)
    source.accepted(name)
    source.assert_equal(name, COMPUTED)


@pytest.mark.usefixtures("since_18")
def test_a_column_that_no_log_holds_is_refused_with_its_reason(source: Source, name: str) -> None:
    computed_table(source, name, "virtual")
    source.run(f"create publication pdic_{SECTOR}__{name} for table {name}")
    with pytest.raises(NotGranted, match=r"computes twice, and its log never holds them.*take them out of contracts/"):
        source.extract(name)


def test_a_role_without_replication_is_refused(source: Source, name: str) -> None:
    source.table(name)
    source.as_admin("alter role nhatky_reader noreplication")
    try:
        with pytest.raises(NotGranted, match='alter role "nhatky_reader" replication'):
            source.extract(name)
    finally:
        source.as_admin("alter role nhatky_reader replication")


def test_a_role_that_owns_the_table_makes_the_publication(source: Source, name: str, postgres: Postgres) -> None:
    source.contract(name, KEY_AND_TEXT)
    source.run(f'create table {name} (id bigint primary key, "Nhãn X" text); insert into {name} values (1, $$a$$)')
    source.as_admin(f"alter role {SECTOR}_owner replication")
    owned = Source(SECTOR, source.root, source.owner, source.owner, source.owner)
    owned.accepted(name)
    source.run(f"insert into {name} values (2, 'b')")
    owned.accepted(name)
    source.assert_equal(name)


def test_lag_and_warning_are_shown_and_retired(source: Source, name: str) -> None:
    source.table(name)
    source.contract(name, KEY_AND_TEXT, more="  - {property: maxRetainedBytes, value: 1000000}\n")
    assert source.accepted(name)["warning"] is None
    source.run(f"insert into {name} select i, repeat(md5(i::text), 10) from generate_series(1, 5000) as i")
    slot = source.slot(name)
    assert slot["lag"] > 1_000_000
    assert slot["retained"] >= slot["lag"]
    assert (slot["active"], slot["wal_status"], slot["safe"]) == (False, "reserved", None)
    assert f"pdic slot drop {SECTOR}.{name}" in slot["warning"]
    assert slot["warning"].split(" of its log")[0].rpartition(" keep ")[0] in " ".join(
        watch.warnings(source.connect_to, SECTOR)
    )
    assert name in source.accepted(name)["warning"]
    source.accepted(name)
    assert source.slot(name)["lag"] < 100_000
    (source.root / "contracts" / SECTOR / f"{name}.odcs.yaml").unlink()
    assert "no contract reads slot" in source.slot(name)["warning"]
    report = retire.end(f"{SECTOR}.{name}", source.connect_to)
    assert (report["dropped"], report["forgotten"]) == (True, True)
    assert all(slot["dataset"] != name for slot in watch.slots(source.connect_to, SECTOR))
    assert retire.end(f"{SECTOR}.{name}", source.connect_to)["dropped"] is False


def test_a_publication_of_several_tables_serves_each(source: Source) -> None:
    source.table("many_one")
    source.contract("many_one", KEY_AND_TEXT, more="  - {property: publication, value: \"Cả Tỉnh, '1'\"}\n")
    source.table("many_two")
    source.run("""create publication "Cả Tỉnh, '1'" for table many_one, many_two""")
    source.accepted("many_one")
    source.run("insert into many_two values (1, 'other'); insert into many_one values (1, 'mine'); truncate many_two")
    assert source.accepted("many_one")["rows_accepted"] == 1
    source.assert_equal("many_one")


def test_a_load_ends_although_the_source_goes_on(source: Source, name: str) -> None:
    """What is committed after a load began is the next load's, however long the first one reads."""
    source.table(name)
    source.accepted(name)
    source.run(f"insert into {name} select i, 'a' from generate_series(1, 10) as i")
    contract = load.contracts.get(SECTOR, name)
    with psycopg.connect(source.owner) as connection:
        now = connection.execute("select pg_current_wal_flush_lsn() - '0/0'").fetchone()
    assert now is not None
    source.run(f"insert into {name} select i, 'later' from generate_series(11, 20) as i")
    with walsender.Walsender(source.reader, contract) as reader:
        messages = list(reader.messages(source.slot(name)["slot"], f"pdic_{SECTOR}__{name}", 0, int(now[0])))
    assert sum(message[0] == ord("I") for message in messages) == 10
    source.accepted(name)
    source.assert_equal(name)


def test_a_source_that_is_away_is_said_so(source: Source, name: str) -> None:
    source.table(name)
    nowhere = re.sub(r":\d+/", ":1/", source.reader)  # nobody listens on port 1
    away = Source(SECTOR, source.root, source.owner, nowhere, source.owner)
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        away.extract(name)
