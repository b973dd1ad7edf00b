"""Fault: `kill -9` at any step of a reconcile, or of a feed's load. Invariant: the same command again leaves the source's own state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pdic import connections, load, reconcile, warehouse
from pdic.quality.results import BatchVerdict
from tests.conftest import Postgres
from tests.faults.killing import killed_and_gone, killed_at, spread, steps_of
from tests.integration.feeds import FeedSector
from tests.integration.test_reconcile import SECTOR, Sector

KILLS = 16


@pytest.fixture(scope="module")
def project(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The folder of a project without contracts yet, and a database."""
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    uri = postgres.create_database("kills_of_sweeps")
    with psycopg.connect(postgres.uri("kills_of_sweeps"), autocommit=True) as admin:
        admin.execute("grant pg_monitor to kills_of_sweeps_owner")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield root, uri


def test_killed_while_it_reconciles(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def passed(_uri: str, batches: list[tuple[Any, int, str]], **_: object) -> dict[str, BatchVerdict]:
        return {
            contract.dataset: BatchVerdict(contract.sector, contract.dataset, batch_id, (), halted=False, message="")
            for contract, batch_id, _ in batches
        }

    monkeypatch.setattr(load.quality, "check_sector", passed)  # (that rules hold is another test's matter)
    root, uri = project
    sector, dataset = Sector(root, uri), "swept"
    sector.filled(dataset, rows=200)

    def action() -> None:
        reconcile.one_dataset(SECTOR, dataset, sector.connect_to)

    def harm(turn: int) -> None:
        """What no load by cursor would find: rows deleted for good, changed without their stamp, and late."""
        sector.source(f"delete from {dataset} where id % 67 = {turn}")
        sector.source(f"update {dataset} set label = 'changed {turn}' where id % 41 = {turn}")
        sector.source(f"insert into {dataset} values ({1000 + turn}, 'late', now() - interval '1 day')")

    harm(0)
    killed = 0
    for turn, step in enumerate(spread(steps_of(action), KILLS), start=1):
        harm(turn)
        before = sector.known(dataset)
        killed += killed_and_gone(step, action)
        assert sector.known(dataset) in (before, sector.standing(dataset)), f"killed at step {step}: half of it shows"
        action()
        assert sector.known(dataset) == sector.standing(dataset), f"killed at step {step}"
        assert sector.batch_tables(dataset) == 0
    assert killed >= KILLS - 2


def test_killed_while_it_reads_a_feed(project: Any) -> None:
    root, _ = project
    sector, dataset = FeedSector(root), "read"
    sector.add(dataset)
    try:

        def action() -> None:
            assert "rows_accepted" in sector.load(dataset)

        def news(turn: int) -> None:
            for number in range(50):
                sector.feed.put(f"{turn:02}{number:03}")
            for key in sorted(sector.feed.records)[turn::17]:
                sector.feed.put(key, SoTien=turn, SuKien="CANCEL" if turn % 3 == 0 else "UPDATE")

        news(0)
        killed = 0
        for turn, step in enumerate(spread(steps_of(action), KILLS), start=1):
            news(turn)
            killed += killed_at(step, action)
            action()
            assert sector.held(dataset) == sector.sent(), f"killed at step {step}"
        assert killed >= KILLS - 2
    finally:
        sector.service.stop()
        sector.forget(dataset)
