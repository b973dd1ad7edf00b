"""Fault: `kill -9` of a release while it copies a slot, or while a full refresh builds staging anew.

Invariant: readers keep what they see; the next release is whole, has what the sources have, and `pdic release verify` finds nothing wrong.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import connections, contracts, embedded, release
from pdic.onboard import draft as drafts
from pdic.onboard.share import share
from pdic.quality.gate import import_great_expectations
from pdic.release import slots
from pdic.release.dbt import import_runner
from tests.conftest import Postgres
from tests.faults.commands import Forked
from tests.faults.killing import killed_at, wait_for_the_end_of_others, warehouse_sessions
from tests.integration.sectors import Sector, own_sector

OURS = Path(__file__).parents[2]
SECTOR = "killed"
DATASETS = ("wards", "clinics", "schools", "roads")
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def sector(new_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    """A home and a project of their own, with a few shared tables, of which readers see the first release."""
    import_great_expectations()
    import_runner()
    home, root = new_home(), tmp_path_factory.mktemp("project")
    for part in ("dbt_project/macros", "dbt_project/tests/generic"):
        shutil.copytree(OURS / part, root / part, ignore=shutil.ignore_patterns("cleaned"))
    for part in ("dbt_project/dbt_project.yml", "dbt_project/profiles.yml"):
        shutil.copy(OURS / part, root / part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_HOME", str(home))
        embedded.start(home)
        server = embedded.status(home)
        assert server is not None
        with own_sector(SECTOR, Postgres(home, server.port), root) as made:
            for dataset in DATASETS:
                made.add(dataset)
                made.source(f"insert into {dataset} select i, 'nhãn' from generate_series(1, 50) as i")
                contract = contracts.get(SECTOR, dataset, root)
                model = root / drafts.staging_path(contract)
                model.parent.mkdir(parents=True, exist_ok=True)
                model.write_text(drafts.staging_text(contract), encoding="utf-8")
            for dataset in DATASETS:
                share(SECTOR, dataset, name=f"mart_{dataset}")
            load(made)
            assert release.release()["status"] == "published"
            yield made


def load(sector: Sector) -> None:
    assert {sector.load(dataset)["status"] for dataset in DATASETS} == {"accepted"}


def change(sector: Sector) -> None:
    """New and changed rows in every dataset, loaded."""
    for dataset in DATASETS:
        sector.source(f"insert into {dataset} select max(id) + 1, 'mới' from {dataset}")
        sector.source(
            f"""update {dataset} set "Nhãn X" = "Nhãn X" || '!', "sửa" = clock_timestamp() where id % 3 = 0"""
        )
    load(sector)


def at_source(sector: Sector) -> dict[str, dict[int, str]]:
    with psycopg.connect(sector.source_uri) as source:
        return {
            dataset: dict(source.execute(f'select id, "Nhãn X" from {dataset}').fetchall())  # type: ignore[call-overload]
            for dataset in DATASETS
        }


def seen() -> dict[str, dict[int, str]]:
    with psycopg.connect(connections.warehouse("reader")) as reader:
        return {
            dataset: dict(reader.execute(f"select source_id, label from shared.mart_{dataset}").fetchall())  # type: ignore[call-overload]
            for dataset in DATASETS
        }


def require_whole_after(sector: Sector, before: dict[str, dict[int, str]]) -> None:
    """Readers see what they saw before the kill; the next release brings what the sources have, and every hash is right."""
    assert seen() == before
    assert release.release()["status"] == "published"
    assert seen() == at_source(sector) != before
    assert release.verify()["wrong"] == []


def dies(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def once_filled(connection: Any, *words: Any) -> None:
    """A table is copied, and its transaction still open."""
    copy_table(connection, *words)
    dies()


def at_another(connection: Any, view: Any, release_id: int) -> None:
    """Some tables are copied, and the others are not."""
    if view.name == f"mart_{DATASETS[2]}":
        dies()
    copy_table(connection, view, release_id)


copy_table = slots.copy_table
ENDLESS = "select pg_sleep(3600)"


@pytest.mark.parametrize(
    ("at", "instead"),
    [("copy_table", once_filled), ("copy_table", at_another), ("copy_marks", dies)],
    ids=["in a table", "between tables", "before the marks"],
)
def test_a_release_killed_while_it_copies_a_slot(
    sector: Sector, monkeypatch: pytest.MonkeyPatch, at: str, instead: Callable[..., None]
) -> None:
    before = seen()
    change(sector)
    with psycopg.connect(
        connections.warehouse("admin")
    ) as admin:  # as if other logic had built it, and a model followed changes
        admin.execute(
            "update control.slot_content set logic_digest = null where slot = (select building from control.slot)"
        )
        admin.execute(
            "insert into published.applied_release (slot, model, release_id, generation)"
            " select live, 'mart_wards', live_release_id, 1 from control.slot on conflict do nothing"
        )
    there = warehouse_sessions()
    with monkeypatch.context() as patch:
        patch.setattr(slots, at, instead)
        assert killed_at(-1, release.release)
    wait_for_the_end_of_others(there)
    with psycopg.connect(connections.warehouse("admin")) as admin:
        trusted = admin.execute(
            """
            select slot_content.logic_digest, applied.model
            from control.slot
            inner join control.slot_content on slot_content.slot = slot.building
            left join published.applied_release as applied on applied.slot = slot.building
            """
        )
        assert trusted.fetchall() == [(None, None)], "nothing says that the slot is up to anything"
    require_whole_after(sector, before)


def never_ends(connection: Any, *words: Any) -> None:
    """A statement of the copy is at work for as long as anybody looks."""
    copy_table(connection, *words)
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS)


def test_the_copy_of_a_killed_release_does_not_go_on(
    sector: Sector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server notices by itself that nobody waits for the statement any more: the next release is not held up by its locks."""
    before = seen()
    change(sector)
    with psycopg.connect(connections.warehouse("publisher")) as publisher:
        publisher.execute(
            "update control.slot_content set logic_digest = null where slot = (select building from control.slot)"
        )
    with monkeypatch.context() as patch:
        patch.setattr(slots, "copy_table", never_ends)
        copying = Forked(release.release, {}, tmp_path / "copying")
    with psycopg.connect(connections.warehouse("publisher"), autocommit=True) as publisher:
        at_work = "select count(*) from pg_stat_activity where state = 'active' and query = %s"
        while publisher.execute(at_work, (ENDLESS,)).fetchone() == (0,):
            assert not copying.wait(0.05), copying
        os.kill(copying.pid, signal.SIGKILL)
        assert copying.wait(10)
        deadline = time.monotonic() + 60
        while publisher.execute(at_work, (ENDLESS,)).fetchone() != (0,):
            assert time.monotonic() < deadline, "the copy goes on without its release"
            time.sleep(0.1)
    require_whole_after(sector, before)


def test_a_release_killed_while_a_full_refresh_builds_staging(sector: Sector, tmp_path: Path) -> None:
    """Some tables of staging are new by then, and one waits for a session that reads it."""
    before = seen()
    change(sector)
    there = warehouse_sessions()
    with psycopg.connect(connections.warehouse("admin")) as admin:
        admin.execute(f"lock table staging.stg_{SECTOR}__{DATASETS[-1]} in access share mode")
        full = Forked(lambda: release.release(full_refresh=True), {}, tmp_path / "full")
        waiting = "select count(*) from pg_locks where not granted and relation = %s::regclass"
        while admin.execute(waiting, (f"staging.stg_{SECTOR}__{DATASETS[-1]}",)).fetchone() == (0,):
            assert not full.wait(0.05), full
        os.kill(full.pid, signal.SIGKILL)
        assert full.wait(10)
    wait_for_the_end_of_others(there)
    require_whole_after(sector, before)
    with psycopg.connect(connections.warehouse("publisher")) as publisher:
        found = publisher.execute(
            "select full_refresh, refreshed from control.release order by release_id desc limit 2"
        )
        assert found.fetchall() == [(False, True), (True, False)], "staging was built anew by the next one"
