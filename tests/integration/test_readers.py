"""What a person with a reader's login can try: what it is refused with, what is put back, and what goes on as before."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from typer.testing import CliRunner

from pdic import accounts, clients, connections, embedded, logins, problems, settings, status, warehouse
from pdic.cli.app import app
from pdic.errors import PdicError
from pdic.warehouse import readers
from tests.conftest import Postgres

Session = psycopg.Connection[Any]
LIFTED = (
    "set default_transaction_read_only = off; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0;"
)
MARK = "dau_vet_cua_nguoi_khac"
"""What nobody else may see of a session."""

SIMPLE = (
    "create table published.simple (a int)",
    "create view shared.simple as select a from published.simple",
    "grant select on shared.simple to pdic_reader",
)
"""A view that anybody could write through who had the right to."""


@pytest.fixture(scope="module")
def small_limits(pdic_home: Path) -> Iterator[Path]:
    """The session's server with a warehouse, and limits that are reached at once."""
    warehouse.migrate(connections.warehouse("admin"))
    small = {readers.STATEMENT: "1", readers.IDLE: "1", readers.TRANSACTION: "600", readers.TEMPORARY: "8"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small.items():
            patch.setenv(name, value)
        provide(pdic_home)
        as_superuser(pdic_home, "update readers.limits set grace_seconds = 0", *SIMPLE)
        yield pdic_home
    as_superuser(
        pdic_home,
        "delete from readers.limits",
        "drop view shared.simple",
        "drop table published.simple",
    )
    provide(pdic_home)


def provide(home: Path, database: str = "warehouse") -> list[str]:
    return readers.provide(embedded.superuser_uri(home), connections.entry(logins.READER.conn_id)["password"], database)


def as_superuser(home: Path, *statements: str) -> list[Any]:
    with psycopg.connect(embedded.superuser_uri(home, "warehouse"), autocommit=True) as server:
        return [server.execute(statement) for statement in statements]  # type: ignore[call-overload]


@pytest.fixture
def an(small_limits: Path) -> Iterator[str]:
    """The address of a reader of one test's own."""
    readers.add(connections.warehouse("admin"), small_limits, "an")
    yield connections.to_uri(readers.address(small_limits, "an"))
    readers.remove(connections.warehouse("admin"), small_limits, "an")


@contextmanager
def session(uri: str) -> Iterator[Session]:
    """A session that lifted every limit that it can lift."""
    with closing(psycopg.connect(uri, autocommit=True)) as opened:
        opened.execute(LIFTED)
        yield opened


def scalar(uri: str, query: str) -> Any:
    with psycopg.connect(uri) as opened:
        row = opened.execute(query).fetchone()  # type: ignore[call-overload]
    assert row is not None
    return row[0]


class TestFunctions:
    """Of the server's functions, those that take locks, write, or reach files and other sessions are closed."""

    CLOSED = r"""
        prosrc ~ '^(pg_(try_)?advisory_(xact_)?lock|be_lo_|be_loread|be_lowrite|pg_logical_emit_message|pg_notify|pg_export_snapshot)'
        or prosrc ~ '^pg_(read_(binary_)?file|ls_|stat_file|current_logfile|rotate_logfile|reload_conf|promote|switch_wal)'
        or prosrc ~ '^pg_(create_restore_point|backup_st|wal_replay_|log_backend|stat_reset|hba_file|show_all_file)'
    """
    """By what they are called inside the server: the product finds them by their names."""

    def test_each_refuses_a_reader_who_calls_it(self, an: str) -> None:
        with session(an) as reader:
            found = reader.execute(
                "select oid::regprocedure::text, proname, proargtypes::regtype[]::text[] from pg_proc"  # type: ignore[arg-type]
                f" where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and ({self.CLOSED})"
                # (PostgreSQL 15 has some for a module of its own, which look for the superuser themselves)
                " and proname !~ '_old$' order by 1"
            ).fetchall()
            names = {name for _, name, _ in found}
            assert {
                "pg_advisory_lock",
                "pg_try_advisory_xact_lock_shared",
                "lo_create",
                "lo_import",
                "lowrite",
            } <= names
            assert {
                "pg_logical_emit_message",
                "pg_notify",
                "pg_export_snapshot",
                "pg_read_file",
                "pg_ls_dir",
                "pg_reload_conf",
            } <= names
            assert len(found) > 70
            for called, name, types in found:
                nothing = sql.SQL(", ").join(sql.SQL("(select null::{})").format(sql.SQL(each)) for each in types)
                call = sql.SQL("select 1 from pg_catalog.{}({})").format(sql.Identifier(name), nothing)
                with pytest.raises(errors.InsufficientPrivilege, match=f"permission denied for function {name}"):
                    reader.execute(call)
                assert called

    @pytest.mark.parametrize(
        "call", ["pg_advisory_lock(4402)", "pg_advisory_lock(44002, 0)", "pg_try_advisory_lock(1)"]
    )
    def test_a_release_finds_its_lock_free(self, an: str, call: str) -> None:
        with session(an) as reader, pytest.raises(errors.InsufficientPrivilege, match="permission denied for function"):
            reader.execute(f"select {call}")  # type: ignore[arg-type]
        with psycopg.connect(connections.warehouse("publisher")) as publisher:
            assert publisher.execute("select pg_try_advisory_lock(44002, 0)").fetchone() == (True,)

    def test_another_persons_session_cannot_be_ended(self, an: str) -> None:
        with psycopg.connect(connections.warehouse("loader")) as loader, session(an) as reader:
            for call in ("pg_terminate_backend", "pg_cancel_backend"):
                with pytest.raises(
                    errors.InsufficientPrivilege,
                    match="denied to (terminate|cancel)|must be a member of the role",
                ):
                    reader.execute(sql.SQL("select {}({})").format(sql.Identifier(call), loader.info.backend_pid))
            assert loader.execute("select 1").fetchone() == (1,)

    def test_what_drivers_call_when_they_clean_up_stays(self, an: str) -> None:
        with session(an) as reader:
            reader.execute("select pg_advisory_unlock_all()")
            reader.execute("discard all")


TRICKS = {
    "create temporary table t (a int)": "permission denied to create temporary tables",
    "create table shared.t (a int)": "permission denied for schema shared",
    "create table public.t (a int)": "permission denied for schema public",
    "create schema s": "permission denied for database",
    "create function shared.f() returns int language sql as 'select 1'": "permission denied for schema shared",
    "insert into shared.simple values (1)": "permission denied for view simple",
    "update shared.simple set a = 1": "permission denied for view simple",
    "delete from shared.simple": "permission denied for view simple",
    "truncate published.simple": "permission denied for schema published",
    "begin; lock table shared.simple in access exclusive mode": "permission denied for view simple",
    "select * from shared.release for update": "permission denied for view release",
    "select * from control.slot": "permission denied for schema control",
    "select * from readers.login": "permission denied for schema readers",
    "select * from pg_authid": "permission denied for table pg_authid",
    "select * from pg_largeobject": "permission denied for table pg_largeobject",
    "copy (select 1) to '/tmp/x'": "permission denied to COPY to a file|must be superuser or have privileges",
    "copy (select 1) to program 'true'": "permission denied to COPY to or from an external program|must be superuser or have privileges",
    "set temp_file_limit = -1": 'permission denied to set parameter "temp_file_limit"',
    "alter role current_user set temp_file_limit = -1": 'permission denied to set parameter "temp_file_limit"',
    "set log_min_messages = debug5": 'permission denied to set parameter "log_min_messages"',
    "alter role current_user set log_min_messages = log": 'permission denied to set parameter "log_min_messages"',
    "alter role current_user in database warehouse set log_min_messages = log": 'permission denied to set parameter "log_min_messages"',
    "alter role current_user connection limit -1": "permission denied",
    "alter role current_user createrole": "permission denied",
    "alter role reader_analyst password 'x'": "permission denied",
    "alter role pdic_reader password 'x'": "permission denied",
    "grant pdic_reader to reader_analyst": "permission denied|must have admin option",
    "alter database warehouse set work_mem = '1MB'": "must be owner of database warehouse",
    "set session authorization pdic_admin": "permission denied to set session authorization",
    "set role pdic_publisher": "permission denied to set role",
    "create role x": "permission denied to create role",
    "alter system set work_mem = '1MB'": "permission denied to set parameter",
    "load 'auto_explain'": "access to library|could not access file|permission denied",
    "begin; prepare transaction 'x'": "prepared transactions are disabled",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_refused(an: str, trick: str) -> None:
    with session(an) as reader, pytest.raises(psycopg.Error, match=TRICKS[trick]):
        reader.execute(trick)  # type: ignore[call-overload]


def test_a_session_that_lifts_nothing_writes_nothing_and_is_in_the_schema_shared(an: str) -> None:
    with psycopg.connect(an, autocommit=True) as reader:
        with pytest.raises(errors.ReadOnlySqlTransaction):
            reader.execute("alter role current_user password 'x'")
        assert reader.execute("select count(*) from release").fetchone() == (1,)


def test_dropping_what_the_role_of_rights_owns_takes_no_right_away(an: str) -> None:
    with session(an) as reader:
        reader.execute("drop owned by pdic_reader")
        reader.execute("drop owned by current_user")
        assert reader.execute("select count(*) from shared.release").fetchone() == (1,)


def test_a_login_gets_so_many_connections_and_no_more(an: str) -> None:
    with ExitStack() as opened:
        for _ in range(10):
            opened.enter_context(psycopg.connect(an))
        with pytest.raises(psycopg.OperationalError, match='too many connections for role "reader_an"'):
            psycopg.connect(an)
        assert status.releases()["live"] is None or status.shared_tables()  # the others go on


def test_temporary_files_end_at_the_limit(an: str) -> None:
    with session(an) as reader:
        reader.execute("set work_mem = '64kB'")
        with pytest.raises(errors.ConfigurationLimitExceeded, match='temporary file size exceeds "?temp_file_limit'):
            reader.execute("select md5(n::text) from generate_series(1, 1000000) as n order by 1 offset 999999")


LOUD = {
    "raise log": f"do $$ begin for n in 1..50 loop raise log '{MARK}'; end loop; end $$",
    "raise exception": f"do $$ begin raise exception '{MARK}'; end $$",
    "an error": f'select "{MARK}"',
    "a printed plan": f"set debug_print_plan = on; set debug_print_parse = on; select 1 as {MARK}",
    "a division": "select 1/0",
    "a trace of sorts": "set trace_sort = on; select n from generate_series(1, 100000) as n order by 1",
}


@pytest.mark.parametrize("loud", LOUD)
@pytest.mark.parametrize("before", ["", "alter role current_user reset all"], ids=["as it is", "without its defaults"])
def test_nothing_that_a_reader_does_makes_the_servers_log_grow(
    small_limits: Path, an: str, loud: str, before: str
) -> None:
    if before:
        with session(an) as reader:
            reader.execute(before)  # type: ignore[call-overload]
    log = small_limits / "log" / "postgres.log"
    with session(an) as reader:
        pid = f"[{reader.info.backend_pid}]"
        for _ in range(5):
            with suppress(psycopg.Error):
                reader.execute(LOUD[loud])  # type: ignore[call-overload]
    own = f"own_{MARK}"
    as_superuser(small_limits, f"do $$ begin raise log '{own}'; end $$")
    lines = log.read_text(encoding="utf-8").splitlines()
    assert any(own in line for line in lines), "this is the server's log"
    assert [line for line in lines if pid in line or (MARK in line and own not in line)] == []
    readers.watch(connections.uri)


def test_the_queue_of_notices_stays_small(small_limits: Path, an: str) -> None:
    """A reader that listens in an open transaction keeps every notice on the disk."""
    if int(scalar(an, "show server_version_num")) < 170000:
        pytest.skip("until PostgreSQL 16 nobody can limit the queue: docs/readers.md")
    with session(an) as listening, session(an) as loud:
        listening.execute("listen x")
        listening.execute("begin; select 1")
        with pytest.raises(errors.OperationalError, match="too many notifications"):
            for _ in range(20):
                loud.execute(
                    "do $$ begin for n in 1..500 loop execute format('notify x, %L', n || repeat('x', 7000)); end loop; end $$"
                )
        as_superuser(small_limits, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader_an'")
    readers.watch(connections.uri)


class TestOwnLogin:
    """PostgreSQL lets a role change its own password and defaults: the record puts them back, and says so."""

    def test_a_changed_password_is_put_back_and_told(self, an: str) -> None:
        with session(an) as reader:
            reader.execute("alter role current_user password 'mine'")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(an)
        (said,) = readers.watch(connections.uri)
        assert said.startswith("reader an: the password of the login was changed and is put back")
        assert scalar(an, "select current_user") == "reader_an"
        assert said in readers.status(connections.uri)["problems"]
        assert readers.watch(connections.uri) == []

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ("set statement_timeout = 0", "statement_timeout"),
            ("set search_path = public", "search_path"),
            ("in database warehouse set work_mem = '4GB'", "work_mem"),
            ("reset all", "default_transaction_read_only"),
        ],
    )
    def test_changed_defaults_are_put_back_and_told(self, an: str, change: str, named: str) -> None:
        before = self.defaults(an)
        with session(an) as reader:
            reader.execute(f"alter role current_user {change}")  # type: ignore[arg-type]
        assert self.defaults(an) != before
        (said,) = readers.watch(connections.uri)
        assert said.startswith("reader an: settings of the login (")
        assert named in said
        assert self.defaults(an) == before

    def test_no_password_and_no_default_removes_the_limit_of_files(self, an: str) -> None:
        with session(an) as reader:
            reader.execute("alter role current_user reset all")
        assert scalar(an, "show temp_file_limit") == "8MB"
        readers.watch(connections.uri)

    @pytest.mark.parametrize(
        ("done", "said"),
        [
            ("alter role reader_an createrole", "rights of the login (attributes of the role)"),
            ("revoke pdic_reader from reader_an", "rights of the login (membership in pdic_reader)"),
            ("alter role reader_an connection limit -1", "the limit of connections was -1"),
            ("alter role reader_an nologin", "rights of the login (attributes of the role)"),
            ("drop role reader_an", "the login was missing"),
            ("alter role pdic_reader login password 'x'", "reader pdic_reader: rights of the login"),
        ],
    )
    def test_what_a_superuser_changed_is_put_back_too(self, small_limits: Path, an: str, done: str, said: str) -> None:
        as_superuser(small_limits, done)
        (sentence,) = readers.watch(connections.uri)
        assert said in sentence
        assert scalar(an, "select count(*) from shared.release") == 1
        assert readers.watch(connections.uri) == []

    @staticmethod
    def defaults(uri: str) -> Any:
        return scalar(
            uri,
            "select array_agg(name || '=' || setting order by name) from pg_settings"
            " where name in ('statement_timeout', 'search_path', 'work_mem', 'default_transaction_read_only')",
        )


WRITES = [
    "alter role current_user set work_mem = '1MB'",
    "alter role current_user in database warehouse set work_mem = '1MB'",
    "alter role current_user password 'mine'",
    "alter role current_user reset all",
    "drop owned by pdic_reader",
]


class TestOpenTransaction:
    """Who changes the own login and does not commit holds up nobody: not the watch, not `pdic up`, not the end of the login."""

    @pytest.fixture(params=WRITES)
    def held(self, an: str, request: pytest.FixtureRequest) -> Iterator[Session]:
        """A reader with one change that is to be put right, and one in a transaction that stays open."""
        with session(an) as reader:
            reader.execute("alter role current_user set statement_timeout = 0")
            reader.execute("begin")
            reader.execute(request.param)
            yield reader

    def test_a_watch_ends_it_and_puts_right(self, an: str, held: Session) -> None:
        said = readers.watch(connections.uri)
        assert [each.split(" (")[0] for each in said] == ["a session of reader an", "reader an: settings of the login"]
        assert "had written, and a reader can write nothing but its own login" in said[0]
        assert not alive(held)
        assert scalar(an, "show statement_timeout") == "1s"
        assert readers.watch(connections.uri) == []

    def test_up_and_the_end_of_the_login_go_on(self, small_limits: Path, an: str, held: Session) -> None:
        assert any("settings of the login" in said for said in provide(small_limits))
        with session(an) as again:
            again.execute("begin; alter role current_user password 'mine'")
            readers.remove(connections.warehouse("admin"), small_limits, "an")
            assert not alive(again)
        assert "an" not in {each["reader"] for each in readers.listed(connections.uri)}
        readers.add(connections.warehouse("admin"), small_limits, "an")

    def test_a_watch_that_a_superuser_holds_up_says_so_and_lets_its_caller_go_on(
        self, small_limits: Path, an: str
    ) -> None:
        with session(an) as reader:
            reader.execute("alter role current_user set statement_timeout = 0")
        with psycopg.connect(embedded.superuser_uri(small_limits, "warehouse")) as server:
            server.execute("alter role reader_an set work_mem = '1MB'")
            (said,) = readers.watch(connections.uri)
            assert said.startswith("a reader's login is being changed by another session")
            assert alive(server)
            server.rollback()
        (said,) = readers.watch(connections.uri)
        assert "settings of the login (statement_timeout)" in said


LOOPS = [
    ("alter role current_user set work_mem = '1MB'", "alter role current_user reset all"),
    (
        "alter role current_user in database warehouse set work_mem = '1MB'",
        "alter role current_user in database warehouse reset all",
    ),
    ("alter role current_user password 'mine'", "alter role current_user set statement_timeout = 0"),
    ("begin; alter role current_user set work_mem = '2MB'", "alter role current_user password 'mine'", "commit"),
    ("begin; alter role current_user in database postgres reset all", "select pg_sleep(1)", "commit"),
    ("drop owned by pdic_reader", "alter role current_user set work_mem = '1MB'"),
]


class TestLoop:
    """A reader changes its login without end, in several sessions, and comes back when it is ended."""

    @contextmanager
    def looping(self, uri: str, loops: list[tuple[str, ...]]) -> Iterator[Callable[[], int]]:
        """Six sessions that go round; how many statements they have run."""
        stop = threading.Event()
        done = [0] * 6

        def loop(at: int) -> None:
            while not stop.is_set():
                for password in (psycopg.conninfo.conninfo_to_dict(uri)["password"], "mine"):
                    try:
                        with closing(psycopg.connect(uri, password=password, autocommit=True)) as reader:
                            reader.execute(LIFTED)
                            while not stop.is_set():
                                for statement in loops[at % len(loops)]:
                                    reader.execute(statement)  # type: ignore[arg-type]
                                    done[at] += 1
                    except psycopg.Error:
                        continue

        threads = [threading.Thread(target=loop, args=(at,)) for at in range(6)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: all(done))
            yield lambda: sum(done)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    @pytest.mark.parametrize("loops", [*([loop] for loop in LOOPS), LOOPS], ids=lambda loops: loops[-1][0])
    def test_a_watch_wins(self, an: str, loops: list[tuple[str, ...]]) -> None:
        with self.looping(an, loops) as looped:
            before = looped()
            for _ in range(3):
                assert not [
                    said for said in readers.watch(connections.uri) if "being changed by another session" in said
                ]
            until(lambda: looped() > before)
        readers.watch(connections.uri)
        assert readers.watch(connections.uri) == []
        assert scalar(an, "show statement_timeout") == "1s"

    def test_up_and_the_end_of_the_login_go_on(self, small_limits: Path, an: str) -> None:
        with self.looping(an, LOOPS):
            for _ in range(3):
                embedded.start(small_limits)
            readers.remove(connections.warehouse("admin"), small_limits, "an")
            for password in (psycopg.conninfo.conninfo_to_dict(an)["password"], "mine"):
                with pytest.raises(psycopg.OperationalError):
                    psycopg.connect(an, password=password)
        readers.add(connections.warehouse("admin"), small_limits, "an")


def until(happened: Callable[[], bool]) -> None:
    """Wait for what other threads do."""
    while not happened():
        threading.Event().wait(0.01)


def until_watched(ended: Callable[[], bool]) -> list[str]:
    """Watch until it happened; what was said."""
    said: list[str] = []
    while not ended():
        said += readers.watch(connections.uri)
    return said


class TestLimits:
    """Time limits hold whether or not a session keeps to them."""

    def test_a_statement_is_told_why_it_ends(self, an: str) -> None:
        with psycopg.connect(an) as reader, pytest.raises(errors.QueryCanceled, match="statement timeout"):
            reader.execute("select pg_sleep(60)")

    def test_a_statement_that_lifted_the_limit_is_ended(self, an: str) -> None:
        broken: list[psycopg.Error] = []

        def sleep() -> None:
            with pytest.raises(errors.AdminShutdown) as caught, session(an) as reader:
                reader.execute("select pg_sleep(60)")
            broken.append(caught.value)

        thread = threading.Thread(target=sleep)
        thread.start()
        (said,) = until_watched(lambda: not thread.is_alive())
        thread.join()
        assert "terminating connection" in str(broken[0])
        assert "a session of reader an (database process" in said
        assert "its statement ran for 1 s (PDIC_READER_STATEMENT)" in said
        assert said in readers.status(connections.uri)["ended"]

    def test_a_transaction_that_is_left_open_is_ended(self, an: str) -> None:
        with session(an) as reader:
            reader.execute("begin; select * from shared.release")
            (said,) = until_watched(lambda: not alive(reader))
            assert "its transaction was open and idle for 1 s (PDIC_READER_IDLE)" in said

    def test_a_transaction_that_is_never_idle_is_ended(self, small_limits: Path, an: str) -> None:
        as_superuser(small_limits, "update readers.limits set transaction_seconds = 1")
        try:
            with session(an) as reader:
                reader.execute("begin isolation level repeatable read")
                said: list[str] = []
                with pytest.raises(psycopg.OperationalError):
                    while True:
                        reader.execute("select * from shared.release")
                        said += readers.watch(connections.uri)
                assert any("its transaction was open for 1 s (PDIC_READER_TRANSACTION)" in each for each in said)
        finally:
            as_superuser(small_limits, "update readers.limits set transaction_seconds = 600")
            readers.watch(connections.uri)

    def test_readers_within_the_limits_and_steps_are_left_alone(self, an: str) -> None:
        """A REPEATABLE READ transaction works on; a step's transaction may be idle for as long as it likes."""
        with session(an) as reader, psycopg.connect(connections.warehouse("loader")) as loader, session(an) as other:
            loader.execute("select 1")
            reader.execute("begin isolation level repeatable read")
            other.execute("begin; select 1")
            first = reader.execute("select * from shared.release").fetchall()
            while alive(other):  # which is idle all the while
                readers.watch(connections.uri)
                assert reader.execute("select * from shared.release").fetchall() == first
            assert alive(loader)
            assert alive(reader)


def alive(opened: Session) -> bool:
    with psycopg.connect(connections.warehouse("loader")) as loader:
        return (
            loader.execute("select from pg_stat_activity where pid = %s", (opened.info.backend_pid,)).fetchone()
            is not None
        )


def test_no_view_shows_what_another_session_says(small_limits: Path, an: str) -> None:
    """Every view and table of the catalogue is read, with another reader and a step at work beside."""
    analyst = connections.warehouse("reader")
    with session(analyst) as other, psycopg.connect(connections.warehouse("loader")) as step, session(an) as reader:
        for at, each in enumerate((other, step)):
            each.execute(f"prepare {MARK}_{at} as select '{MARK}'")  # type: ignore[arg-type]
            each.execute("begin") if at == 0 else None
            each.execute(f"declare {MARK}_{at} cursor for select '{MARK}'")  # type: ignore[arg-type]
            each.execute(f"select '{MARK}'")  # type: ignore[arg-type]
        seen = 0
        views = reader.execute(
            "select format('%I.%I', nspname, relname) from pg_class join pg_namespace as n on n.oid = relnamespace"
            " where nspname in ('pg_catalog', 'information_schema') and relkind in ('v', 'r')"
            " and has_table_privilege(pg_class.oid, 'select') order by 1"
        ).fetchall()
        for (view,) in views:
            try:
                row = reader.execute(
                    f"select count(*) from {view} as t where t::text like '%%' || %s || %s || '%%'",
                    (MARK[:5], MARK[5:]),  # type: ignore[arg-type]
                ).fetchone()
            except errors.InsufficientPrivilege:
                continue
            assert row == (0,), view
            seen += 1
        assert seen > 150
        assert reader.execute(
            "select count(*), count(nullif(query, '<insufficient privilege>')) from pg_stat_activity"
            " where pid in (%s, %s)",
            (other.info.backend_pid, step.info.backend_pid),
        ).fetchone() == (2, 0)


class TestSettings:
    """What `pdic up` says of limits holds until it says something else."""

    def test_who_says_nothing_changes_nothing(
        self, small_limits: Path, an: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in (readers.STATEMENT, readers.IDLE, readers.TRANSACTION, readers.TEMPORARY):
            monkeypatch.delenv(name)
        monkeypatch.setenv(readers.IDLE, "0.2")
        provide(small_limits)
        assert scalar(an, "show statement_timeout") == "1s"
        assert scalar(an, "show temp_file_limit") == "8MB"
        assert scalar(an, "show idle_in_transaction_session_timeout") == "1s", "less than a second is not: no limit"

    def test_the_usual_readers_connections_are_what_the_setting_says(
        self, small_limits: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for many in (7, 10):
            monkeypatch.setenv(readers.CONNECTIONS, str(many))
            provide(small_limits)
            (usual,) = [each for each in readers.listed(connections.uri) if each["reader"] == "analyst"]
            assert usual["connections"] == many
        assert readers.watch(connections.uri) == []


def test_members_that_are_no_readers_are_left_alone(small_limits: Path) -> None:
    """The owner of the database was a member once; somebody may have made another login one."""
    as_superuser(
        small_limits,
        "create role of_somebody login password 'x' in role pdic_reader",
        "grant pdic_reader to pdic_admin",
    )
    try:
        uri = connections.to_uri(connections.entry(logins.READER.conn_id) | {"login": "of_somebody", "password": "x"})
        with session(uri) as theirs, session(connections.warehouse("reader")) as a_readers:
            for each in (theirs, a_readers):
                each.execute("begin; select 1")
            (said,) = until_watched(lambda: not alive(a_readers))
            assert "a session of reader analyst" in said
            assert alive(theirs)
        provide(small_limits)
        assert scalar(connections.warehouse("admin"), "select count(*) from pg_auth_members where member = 'pdic_admin'::regrole"
            " and roleid = 'pdic_reader'::regrole") == 0  # fmt: skip
    finally:
        as_superuser(small_limits, "drop role of_somebody")


class TestOpenAgain:
    """What a restore opens is told, and closed by the next `pdic up`."""

    def test_status_tells_and_up_closes(self, small_limits: Path, an: str) -> None:
        as_superuser(
            small_limits,
            "grant execute on function pg_advisory_lock(bigint) to public",
            "grant execute on function lo_create(oid) to pdic_reader",
            "grant temporary on database warehouse to public",
        )
        (said,) = [each for each in readers.status(connections.uri)["problems"] if "readers may" in each]
        assert said == (
            "readers may call lo_create(oid) and 2 more, which was taken from them (a restore gives it back): run `pdic up`, or in "
            "containers `docker-compose up -d`"
        )
        embedded.start(small_limits)
        assert not [each for each in readers.status(connections.uri)["problems"] if "readers may" in each]
        with session(an) as reader, pytest.raises(errors.InsufficientPrivilege):
            reader.execute("select pg_advisory_lock(1)")

    def test_a_dump_of_the_warehouse_keeps_it_closed(
        self, postgres: Postgres, small_limits: Path, tmp_path: Path
    ) -> None:
        """As docs/deploy.md restores it; without the rights (`--no-privileges`) it is open until `pdic up`."""
        dump = tmp_path / "warehouse.dump"
        tool("pg_dump", "-Fc", "-f", str(dump), uri=embedded.superuser_uri(small_limits, "warehouse"))
        for name, more, is_open in (("restored", (), False), ("bare", ("--no-privileges",), True)):
            postgres.create_database(name)
            tool("pg_restore", "--no-comments", *more, "-d", "{uri}", str(dump), uri=postgres.uri(name))
            with psycopg.connect(postgres.uri(name)) as server:
                found = server.execute(
                    "select count(*) from pg_proc where proname ~ %s and has_function_privilege('pdic_reader', oid, 'execute')",
                    (readers.TAKEN,),
                ).fetchone()
                assert found is not None
                assert (found[0] > 0) is is_open
            provide(small_limits, name)
            with psycopg.connect(postgres.uri(name)) as server:
                assert server.execute(
                    "select count(*) from pg_proc where proname ~ %s and has_function_privilege('pdic_reader', oid, 'execute')",
                    (readers.TAKEN,),
                ).fetchone() == (0,)

    @pytest.mark.parametrize(
        ("name", "statement"),
        [
            ("planted_schema", "create schema readers authorization pdic_admin"),
            ("planted_table", "create schema readers create table login (a int); alter table readers.login owner to pdic_admin"),
            ("planted_function", "create schema readers; create function readers.settings() returns int language sql as 'select 1';"
             "alter function readers.settings() owner to pdic_admin"),
        ],
    )  # fmt: skip
    def test_what_somebody_else_made_is_not_run_by_the_superuser(
        self, postgres: Postgres, small_limits: Path, name: str, statement: str
    ) -> None:
        postgres.create_database(name)
        with psycopg.connect(postgres.uri(name), autocommit=True) as server:
            server.execute(statement)  # type: ignore[call-overload]
        with pytest.raises(PdicError, match="the schema readers of the warehouse, .* belongs to pdic_admin and not"):
            provide(small_limits, name)

    def test_a_reader_dumps_what_it_reads(self, small_limits: Path, an: str, tmp_path: Path) -> None:
        tool("pg_dump", "--schema", "shared", "-f", str(tmp_path / "shared.sql"), uri=an)
        assert "CREATE VIEW shared.release" in (tmp_path / "shared.sql").read_text(encoding="utf-8")


def tool(name: str, *words: str, uri: str, **environment: str) -> str:
    """A program of PostgreSQL with a database's address; what it prints."""
    command = [str(embedded.binaries() / "bin" / name), *(word.format(uri=uri) for word in words)]
    done = subprocess.run(
        command if any("{uri}" in word for word in words) or not uri else [*command, "-d", uri],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestCommands:
    """`pdic reader` and `pdic dsn`."""

    def run(self, *words: str) -> Any:
        done = CliRunner().invoke(app, [*words, "--json"])
        assert done.exception is None, done.exception
        return json.loads(done.output)

    def refused(self, *words: str) -> str:
        found = CliRunner().invoke(app, [*words])
        assert isinstance(found.exception, PdicError), found
        return str(found.exception)

    def test_a_reader_comes_reads_and_goes(self, small_limits: Path) -> None:
        made = self.run("reader", "add", "bao_cao", "--connections", "2")
        assert made == {"reader": "bao_cao", "login": "reader_bao_cao", "connections": 2}
        uri = self.run("dsn", "warehouse", "--reader", "bao_cao")["uri"]
        with closing(psycopg.connect(uri, autocommit=True)) as reader:
            assert reader.execute("select count(*) from shared.release").fetchone() == (1,)
            (listed,) = [each for each in self.run("reader", "list") if each["reader"] == "bao_cao"]
            assert (listed["connections"], listed["open"]) == (2, 1)
            assert "there is a reader bao_cao already" in self.refused("reader", "add", "bao_cao")
            assert self.run("reader", "remove", "bao_cao")["sessions_ended"] == 1
            with pytest.raises(psycopg.OperationalError):
                reader.execute("select 1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(uri)
        assert "no password of a reader bao_cao" in self.refused("dsn", "warehouse", "--reader", "bao_cao")
        assert "there is no reader bao_cao" in self.refused("reader", "remove", "bao_cao")

    @pytest.mark.parametrize(
        "own",
        [
            "alter default privileges grant select on tables to pdic_admin",
            "alter default privileges grant execute on functions to public",
            "alter role current_user set work_mem = '1MB'",
        ],
    )
    def test_nothing_that_a_reader_did_keeps_the_login(self, small_limits: Path, own: str) -> None:
        self.run("reader", "add", "o_lai")
        uri = self.run("dsn", "warehouse", "--reader", "o_lai")["uri"]
        with session(uri) as reader:
            reader.execute(own)  # type: ignore[arg-type]
            removed = self.run("reader", "remove", "o_lai")
            assert (removed["sessions_ended"], removed["waits"]) == (1, None)
            assert not alive(reader)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(uri)
        (count,) = as_superuser(small_limits, "select count(*) from pg_roles where rolname = 'reader_o_lai'")[
            0
        ].fetchone()
        assert count == 0
        self.run("reader", "add", "o_lai")
        self.run("reader", "remove", "o_lai")

    def test_rights_of_its_own_go_too(self, small_limits: Path, an: str) -> None:
        as_superuser(
            small_limits,
            "grant update on shared.simple to reader_an with grant option",
            "set role reader_an; grant update on shared.simple to pdic_reader; reset role",
        )
        assert self.run("reader", "remove", "an")["waits"] is None
        (found,) = as_superuser(small_limits, "select has_table_privilege('pdic_reader', 'shared.simple', 'update')")
        assert found.fetchone() == (False,)
        self.run("reader", "add", "an")

    def test_who_owns_objects_is_out_and_they_stay_until_somebody_takes_them(self, small_limits: Path) -> None:
        self.run("reader", "add", "chu")
        uri = self.run("dsn", "warehouse", "--reader", "chu")["uri"]
        as_superuser(
            small_limits,
            "create table public.cua_chu as select 1 as a",
            "alter table public.cua_chu owner to reader_chu",
        )
        with session(uri) as reader:
            removed = self.run("reader", "remove", "chu")
            assert not alive(reader)
        assert removed["sessions_ended"] == 1
        assert "still there because it owns table public.cua_chu" in removed["waits"].replace(
            "table cua_chu", "table public.cua_chu"
        )
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(uri)
        (listed,) = [each for each in self.run("reader", "list") if each["reader"] == "chu"]
        assert listed["waits"] == removed["waits"]
        assert removed["waits"] in readers.status(connections.uri)["problems"]
        assert removed["waits"] == self.refused("reader", "add", "chu")
        assert readers.watch(connections.uri) == [], "nothing gives the login back"
        assert provide(small_limits) == []
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(uri)
        as_superuser(small_limits, "drop table public.cua_chu")
        assert self.run("reader", "remove", "chu")["waits"] is None
        assert "chu" not in {each["reader"] for each in self.run("reader", "list")}
        assert "there is no reader chu" in self.refused("reader", "remove", "chu")

    def test_a_reader_whose_password_is_lost_is_made_anew(self, small_limits: Path, an: str) -> None:
        file = small_limits / "secrets" / readers.FILE
        file.unlink()
        assert f"its password is not kept in {file}; run `pdic reader remove an`" in self.refused("reader", "add", "an")
        self.run("reader", "remove", "an")
        self.run("reader", "add", "an")
        assert scalar(self.run("dsn", "warehouse", "--reader", "an")["uri"], "select current_user") == "reader_an"

    @pytest.mark.parametrize("name", ["An", "an nguyen", "1an", "ân", "an;drop role x", "a" * 41, "an-b"])
    def test_a_name_that_is_none_is_refused(self, small_limits: Path, name: str) -> None:
        assert "cannot be a reader's name" in self.refused("reader", "add", name)

    def test_the_usual_reader_stays(self, small_limits: Path) -> None:
        assert "the reader analyst stays" in self.refused("reader", "remove", "analyst")

    def test_readers_get_half_of_the_servers_connections(self, small_limits: Path) -> None:
        assert "may have 100 connections" in self.refused("reader", "add", "lon", "--connections", "95")

    def test_an_add_that_was_killed_is_done_again(self, small_limits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It keeps the password before the server hears of it."""
        with monkeypatch.context() as patch:
            patch.setattr(readers, "verifier", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                readers.add(connections.warehouse("admin"), small_limits, "dut_quang")
        self.run("reader", "add", "dut_quang")
        assert scalar(self.run("dsn", "warehouse", "--reader", "dut_quang")["uri"], "select 1") == 1
        self.run("reader", "remove", "dut_quang")

    @pytest.mark.parametrize("left_by", ["a remove that was killed", "an older copy of the file", "a lost warehouse"])
    def test_a_password_that_is_still_kept_is_not_given_to_the_next_of_that_name(
        self, small_limits: Path, monkeypatch: pytest.MonkeyPatch, left_by: str
    ) -> None:
        self.run("reader", "add", "cu")
        known = self.run("dsn", "warehouse", "--reader", "cu")["uri"]
        file = small_limits / "secrets" / readers.FILE
        before = file.read_text(encoding="utf-8")
        if left_by == "a remove that was killed":
            with monkeypatch.context() as patch:
                patch.setattr(readers, "_save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
                with pytest.raises(KeyboardInterrupt):
                    readers.remove(connections.warehouse("admin"), small_limits, "cu")
        elif left_by == "an older copy of the file":
            self.run("reader", "remove", "cu")
            settings.write_private(file, before)
        else:
            as_superuser(small_limits, "delete from readers.login where login = 'reader_cu'", "drop role reader_cu")
        assert json.loads(file.read_text(encoding="utf-8"))["reader_cu"] in known
        self.run("reader", "add", "cu")
        try:
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(known)
            assert scalar(self.run("dsn", "warehouse", "--reader", "cu")["uri"], "select current_user") == "reader_cu"
        finally:
            self.run("reader", "remove", "cu")

    def test_no_password_stands_on_a_command_line(self, small_limits: Path, an: str) -> None:
        password = readers.address(small_limits, "an")["password"]
        found = self.run("dsn", "warehouse", "--reader", "an", "--pgpass")
        assert password not in found["uri"]
        assert scalar(found["uri"], "select current_user") == "reader_an"
        assert tool("psql", "-Atc", "select current_user", uri=found["uri"]) == "reader_an\n"
        named = {"PGSERVICEFILE": found["service_file"], "PGSERVICE": found["service"]}
        assert tool("psql", "-Atc", "select current_user", uri="", **named) == "reader_an\n"
        for file in (found["pgpass"], found["service_file"]):
            assert Path(file).is_relative_to(small_limits)
            assert Path(file).stat().st_mode & 0o077 == 0
        assert password not in Path(found["service_file"]).read_text(encoding="utf-8")

    def test_a_step_and_a_source_have_such_files_too_and_a_service_has_not(self, small_limits: Path) -> None:
        assert (
            scalar(self.run("dsn", "warehouse", "--role", "loader", "--pgpass")["uri"], "select current_user")
            == "pdic_loader"
        )
        assert (
            scalar(self.run("dsn", "source", "health", "--pgpass")["uri"], "select current_user")
            == "pdic_reader_health"
        )
        service = logins.one_stop_entry("key", "127.0.0.1", 1)
        connections.save(small_limits, {"pdic_source_dich_vu": service})
        assert "this source is a service" in self.refused("dsn", "source", "dich_vu", "--pgpass")


@pytest.mark.parametrize(
    ("name", "file", "refused"),
    [
        ("pdic_warehouse_admin", "connections_admin.json", True),
        ("pdic_demo_health", "connections_demo.json", True),
        ("pdic_demo_truth", "connections_demo.json", True),
        ("pdic_warehouse_loader", "connections_loader.json", False),
        ("pdic_source_health", "connections.json", False),
    ],
)
def test_in_containers_no_owners_password_gets_into_the_home_which_the_worker_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str, refused: bool
) -> None:
    home, secrets = tmp_path / "home", tmp_path / "secrets"
    secrets.mkdir()
    monkeypatch.setenv("PDIC_HOME", str(home))
    monkeypatch.setenv("PDIC_SECRETS", str(secrets))
    entry = {"conn_type": "postgres", "host": "a", "port": 5432, "login": "x", "password": "mat_khau", "schema": "w"}
    (secrets / "connections.json").write_text("{}", encoding="utf-8")
    (secrets / file).write_text(json.dumps({name: entry}), encoding="utf-8")
    prefix, _, word = name.rpartition("_")
    words = ["warehouse", "--role", word] if "warehouse" in prefix else ["source", word]
    owner = ["--role", "owner"] if "demo" in prefix else []
    for option in ("--pgpass", "--service-file"):
        done = CliRunner().invoke(app, ["dsn", *words, *owner, option])
        written = [each for each in home.rglob("*") if each.is_file() and "mat_khau" in each.read_text("utf-8")]
        assert bool(written) is not refused
        assert isinstance(done.exception, PdicError) is refused, done
        if refused:
            assert "x is an owner's login, which no step may know: run the same command without --pgpass" in str(
                done.exception
            )
    assert "x:mat_khau@" in CliRunner().invoke(app, ["dsn", *words, *owner]).output


def test_a_password_file_escapes_what_libpq_reads_otherwise(tmp_path: Path) -> None:
    entry = {"conn_type": "postgres", "host": "a,b", "port": 5432, "login": "x", "password": "a:b\\c", "schema": "w"}
    files = clients.write(tmp_path, "x", entry)
    assert files.pgpass.read_text(encoding="utf-8") == "a:5432:w:x:a\\:b\\\\c\nb:5432:w:x:a\\:b\\\\c\n"


def test_the_former_login_of_readers_becomes_the_role_of_their_rights(small_limits: Path) -> None:
    """Until now everybody logged in as pdic_reader: a standing home keeps its password, for another login."""
    as_superuser(small_limits, "alter role pdic_reader login password 'former'")
    entry = connections.entry(logins.READER.conn_id)
    connections.save(small_limits, {logins.READER.conn_id: {**entry, "login": "pdic_reader"}})
    embedded.start(small_limits)
    assert connections.entry(logins.READER.conn_id) == entry
    assert scalar(connections.warehouse("reader"), "select current_user") == "reader_analyst"
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in|password authentication failed"):
        psycopg.connect(connections.to_uri({**entry, "login": "pdic_reader", "password": "former"}))


def test_containers_are_told_to_correct_the_former_login(small_limits: Path) -> None:
    known = connections.load(small_limits)
    known[logins.READER.conn_id]["login"] = "pdic_reader"
    with pytest.raises(PdicError, match="run `make init`, which corrects"):
        accounts.provide_warehouse(embedded.superuser_uri(small_limits), known)


def test_a_problem_of_readers_is_one_of_status(small_limits: Path) -> None:
    report = {"datasets": [], "unreadable": [], "slots": [], "release": {"newest": [], "live": None}}
    (found,) = problems.problems(report | {"readers": {"problems": ["they may."], "ended": []}})
    assert found == {"where": "readers", "what": "they may."}
