"""Tables of datasets that were never loaded, as a release makes them: one that cannot be made keeps no other back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from pdic import connections, raw
from pdic.contracts.compile import compile_all
from pdic.errors import LoadError
from pdic.warehouse import transaction
from tests.conftest import Postgres
from tests.integration.sectors import Sector, own_sector, write_contract


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("chuaden", postgres, tmp_path_factory.mktemp("project")) as made:
        yield made


def make_tables() -> None:
    with transaction(connections.warehouse("loader"), "test") as loader:
        raw.ensure_unloaded(loader)


def tables(sector: Sector) -> set[str]:
    """The datasets that have both of their tables."""
    found = sector.warehouse(
        "select tablename, count(*) from pg_tables where schemaname in ('raw', 'quarantine')"
        f" and tablename like '{sector.name}\\_\\_%' group by 1 having count(*) = 2"
    )
    return {name.removeprefix(f"{sector.name}__") for name, _ in found}


def script(sector: Sector, dataset: str) -> Path:
    return sector.root / "plugins" / "pdic" / "generated" / "raw" / f"{sector.name}__{dataset}.sql"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("no_utf8", b"-- \xff\xfe"),
        ("no_sql", b"create tabel raw.x (id bigint)"),
        ("half_done", b"create table raw.chuaden__half_done (id bigint); select 1 / 0"),
    ],
)
def test_a_script_that_cannot_be_used_is_made_anew_from_its_contract(sector: Sector, name: str, content: bytes) -> None:
    write_contract(sector.root, sector.name, name)
    write_contract(sector.root, sector.name, f"{name}_after")
    compile_all(sector.root, check=False)
    whole = script(sector, name).read_bytes()
    script(sector, name).write_bytes(content)
    try:
        make_tables()
    finally:
        script(sector, name).write_bytes(whole)
    assert {name, f"{name}_after"} <= tables(sector)
    assert sector.raw(name) == []


def test_a_full_disk_is_not_taken_for_a_script_that_cannot_be_used(sector: Sector) -> None:
    write_contract(sector.root, sector.name, "no_room")
    compile_all(sector.root, check=False)
    whole = script(sector, "no_room").read_bytes()
    script(sector, "no_room").write_bytes(b"do $$ begin raise exception 'no room' using errcode = '53100'; end $$")
    try:
        with pytest.raises(psycopg2.errors.DiskFull):
            make_tables()
    finally:
        script(sector, "no_room").write_bytes(whole)
    assert "no_room" not in tables(sector)


def test_without_its_contract_too_it_is_left_out_and_logged(sector: Sector, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("lost", "lost_after"):
        write_contract(sector.root, sector.name, name)
    compile_all(sector.root, check=False)
    contract = sector.root / "contracts" / sector.name / "lost.odcs.yaml"
    whole = {path: path.read_bytes() for path in (contract, script(sector, "lost"))}
    contract.write_text("schema: [", encoding="utf-8")
    script(sector, "lost").write_bytes(b"\xff")
    try:
        make_tables()
    finally:
        for path, content in whole.items():
            path.write_bytes(content)
    assert "lost_after" in tables(sector)
    assert "lost" not in tables(sector)
    assert "raw.chuaden__lost was not made" in caplog.text


def test_a_table_that_was_dropped_with_its_rows_is_said_and_not_made_empty(sector: Sector) -> None:
    sector.add("roi")
    sector.source("insert into roi values (1, 'a')")
    assert sector.load("roi")["status"] == "accepted"
    with transaction(connections.warehouse("loader"), "test") as loader, loader.cursor() as cursor:
        cursor.execute(f"alter table raw.{sector.name}__roi rename to {sector.name}__elsewhere")
    try:
        with pytest.raises(LoadError, match=r"raw\.chuaden__roi is gone, with all rows"):
            make_tables()
        assert "roi" not in tables(sector)
    finally:
        with transaction(connections.warehouse("loader"), "test") as loader, loader.cursor() as cursor:
            cursor.execute(f"alter table raw.{sector.name}__elsewhere rename to {sector.name}__roi")
    make_tables()
    assert len(sector.raw("roi")) == 1
