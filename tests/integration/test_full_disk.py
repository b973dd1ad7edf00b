"""A full disk, of the warehouse's server, of a source's, of this machine: said as such, nothing lost, and it goes on afterwards.

The servers' refusals are real ones, raised where a full disk would raise them: SQLSTATE 53100.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import psycopg2
import pytest

from pdic import contracts, embedded, failures, processes
from pdic.errors import DiskFull, PdicError, SourceUnavailable
from pdic.sources.cdc.walsender import Walsender
from pdic.warehouse import outages
from pdic.warehouse.connect import no_room
from tests.conftest import Postgres
from tests.integration.sectors import SNAPSHOT, Sector, own_sector

SECTOR = "dia_day"
SAID = 'could not extend file "base/16391/16974": No space left on device'


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector(SECTOR, postgres, tmp_path_factory.mktemp("full_disk")) as made:
        yield made


@contextmanager
def no_room_for_batches(postgres: Postgres) -> Iterator[None]:
    """The warehouse refuses to make a batch's table as a server does whose disk is full."""
    with psycopg.connect(postgres.uri("warehouse"), autocommit=True) as admin:
        admin.execute(
            f"""
            create function public.no_room() returns event_trigger language plpgsql as $$
            begin
                if exists (select from pg_event_trigger_ddl_commands() where schema_name = 'raw_batch') then
                    raise exception '{SAID}' using errcode = '53100';
                end if;
            end $$
            """  # type: ignore[arg-type]
        )
        admin.execute("create event trigger no_room on ddl_command_end execute function public.no_room()")
        try:
            yield
        finally:
            admin.execute("drop event trigger no_room; drop function public.no_room()")


def test_a_load_says_whose_disk_is_full_and_goes_on_when_there_is_room(sector: Sector, postgres: Postgres) -> None:
    sector.add("rong", capture=SNAPSHOT)
    sector.source("insert into rong values (1, 'một')")
    with no_room_for_batches(postgres):
        report = sector.load("rong")
    assert (report["status"], report["retryable"]) == ("failed", True)
    assert "the disk of the warehouse's server is full" in report["message"]
    assert "base/16391/16974" in report["message"]
    assert "source" not in report["message"]
    assert sector.warehouse("select error_kind from control.batch where dataset = 'rong'") == [("DiskFull",)]
    assert sector.load("rong")["rows_accepted"] == 1


def test_what_is_remembered_of_a_source_does_not_fit_either(sector: Sector, postgres: Postgres) -> None:
    """It is written down while the source is looked at, and is the warehouse's trouble all the same."""
    sector.add("nho", capture=SNAPSHOT)
    sector.source("insert into nho values (1, 'một')")
    with psycopg.connect(postgres.uri("warehouse"), autocommit=True) as admin:
        admin.execute(
            f"""
            create function control.no_room() returns trigger language plpgsql as
            $$ begin raise exception '{SAID}' using errcode = '53100'; end $$
            """  # type: ignore[arg-type]
        )
        admin.execute(
            "create trigger no_room before insert on control.source_shape for each row execute function control.no_room()"
        )
        try:
            report = sector.load("nho")
        finally:
            admin.execute("drop function control.no_room() cascade")
    assert "the disk of the warehouse's server is full" in report["message"]
    assert "broke off" not in report["message"]
    assert sector.load("nho")["rows_accepted"] == 1


def test_a_sources_disk_that_is_full_is_not_ours(sector: Sector) -> None:
    sector.add("xa", capture=SNAPSHOT)
    sector.source(
        """
        create function full_up() returns text language plpgsql as
        $$ begin raise exception 'could not write to file "base/pgsql_tmp/1.0": No space left' using errcode = '53100'; end $$;
        drop table xa; create view xa as select 1::bigint as id, full_up() as "Nhãn X"
        """
    )
    report = sector.load("xa")
    assert (report["status"], report["retryable"]) == ("failed", True)
    assert "the disk of the source's server is full (sector dia_day)" in report["message"]
    assert "Sở Thử nghiệm" in report["message"]


def test_a_log_that_cannot_be_spilled_is_a_full_disk(sector: Sector) -> None:
    sector.add("log", capture=SNAPSHOT)
    walsender = Walsender.__new__(Walsender)
    walsender._contract = contracts.get(SECTOR, "log")
    said = walsender._error(b"53100")
    assert isinstance(said, SourceUnavailable)
    assert "the disk of the source's server is full" in str(said)


@pytest.mark.parametrize(
    "text",
    [
        f"Database Error in model stg_health__x (models/staging/health/x.sql)\n  {SAID}\n  HINT:  Check free disk space.",
        "DiskFull (SQLSTATE 53100): the database's message may hold a row's value and is not shown",
    ],
)
def test_libraries_that_keep_the_text_only_are_understood(text: str) -> None:
    assert outages.says_disk_full(text)
    assert not outages.says_lost(text)
    assert ("base/16391/16974" in str(no_room(text))) == (SAID in text)


@pytest.mark.parametrize("value", ["53100", "x53100", "57P01"])
def test_a_value_that_looks_like_a_code_is_no_full_disk_and_no_outage(value: str) -> None:
    text = f'Database Error in model stg_health__x (x.sql)\n  invalid input syntax for type integer: "{value}"'
    assert not outages.says_disk_full(text)
    assert not outages.says_lost(text)


def test_this_machines_disk_is_named() -> None:
    with pytest.raises(OSError, match="No space") as full, open("/dev/full", "w", buffering=1) as file:  # noqa: PTH123
        file.write("a line\n")
    refusal = failures.in_words(full.value)
    assert isinstance(refusal, DiskFull)
    assert failures.may_pass(full.value)
    assert "the disk of /" in str(refusal)
    assert "\n" not in str(refusal)


def test_a_server_that_could_not_be_started_again_for_a_full_disk_is_told_by_the_disk() -> None:
    """What is raised while a lost session is mended says more than that it was lost."""
    try:
        try:
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        except psycopg2.OperationalError:
            raise OSError(errno.ENOSPC, "No space left on device", "/a/home/pgdata/postgresql.conf")  # noqa: B904
    except OSError as error:
        assert str(failures.in_words(error)).startswith("the disk of /a/home/pgdata/postgresql.conf is full")


def test_a_server_that_finds_no_room_to_start_says_so(fresh_home: Path, tmp_path: Path) -> None:
    """Killed with its disk full, it cannot recover. What is said is one sentence, and it starts once there is room."""
    embedded.start(fresh_home)
    killed = processes.working_in(str(fresh_home / "pgdata"), "postgres")
    processes.send(killed, signal.SIGKILL)
    assert processes.wait_gone(killed, 60) == []
    program = tmp_path / "bin" / "postgres"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'FATAL:  {SAID}'\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    (program.parent / "initdb").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(embedded.BINARIES, str(tmp_path))
        with pytest.raises(DiskFull, match=f"the disk of {fresh_home / 'pgdata'} is full") as refusal:
            embedded.revive(fresh_home)
        assert "\n" not in str(refusal.value)
        program.write_text("#!/bin/sh\necho 'FATAL:  another reason'\nexit 1\n", encoding="utf-8")
        with pytest.raises(PdicError, match="another reason") as other:
            embedded.revive(fresh_home)
        assert not isinstance(other.value, DiskFull)  # what the log said of a former start is over
    assert embedded.revive(fresh_home) is not None
