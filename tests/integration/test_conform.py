"""Whatever sources do, and however the slots turn, what readers see is a function of the sources as they stand.

The same random history reaches three ends, which must agree in every published table: release by release, built anew from
raw, and in a warehouse that has only ever seen the end of it.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pdic import connections, contracts, embedded, raw, release, settings, status, warehouse
from pdic.contracts import Contract
from tests.integration.histories import Kind, Row, Sources, datasets

pytestmark = [pytest.mark.histories, pytest.mark.timeout(900)]
SEEDS = (1,)
RELEASES = 3


class Warehouse:
    """A home's warehouse, filled without loads: batches are written as a load would leave them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with self._here():
            warehouse.migrate(connections.warehouse("admin"))
        with self._here(), warehouse.transaction(connections.warehouse("loader"), "test") as loader:
            for contract in contracts.load_all().values():
                raw.ensure_tables(loader, contract)
        for contract in contracts.load_all().values():
            self.accept(contract, [])

    def accept(self, contract: Contract, states: list[tuple[Row, Kind]]) -> None:
        """One batch of a dataset: good rows to raw, bad ones to quarantine, tombstones for those that are gone."""
        names = [column.source_name for column in contract.columns]
        with self._here(), psycopg.connect(connections.warehouse("loader")) as loader:
            (batch,) = loader.execute(
                "insert into control.batch (sector, dataset, capture, status, rows_extracted, rows_accepted, rows_quarantined, "
                "rows_unchanged) values (%s, %s, 'cursor', 'accepted', 0, 0, 0, 0) returning batch_id",
                (contract.sector, contract.dataset),
            ).fetchone() or (0,)
            loader.execute(
                "insert into control.dataset (sector, dataset, accepted_batch_id) values (%s, %s, %s) "
                "on conflict (sector, dataset) do update set accepted_batch_id = excluded.accepted_batch_id",
                (contract.sector, contract.dataset, batch),
            )
            loader.execute(
                sql.SQL("create table {} partition of {} for values in ({})").format(
                    sql.Identifier("raw", f"{contract.raw_table}__{batch}"),
                    sql.Identifier("raw", contract.raw_table),
                    batch,
                )
            )
            for row, kind in states:
                held = kind == "bad"
                values = [row[name] if kind != "gone" or name in contract.key else None for name in names]
                extra = {"_batch_id": batch} | (
                    {"_reasons": ["test"]} if held else {"_op": "D" if kind == "gone" else "U"}
                )
                loader.execute(
                    sql.SQL("insert into {} ({}) values ({})").format(
                        sql.Identifier("quarantine" if held else "raw", contract.raw_table),
                        sql.SQL(", ").join(map(sql.Identifier, [*names, *extra])),
                        sql.SQL(", ").join([sql.Placeholder()] * (len(names) + len(extra))),
                    ),
                    [*values, *extra.values()],
                )

    def release(self, *, full_refresh: bool = False, publish: bool = True) -> None:
        """Build the candidate and, without an audit (the rows are nonsense), show it."""
        with self._here():
            # `held`: as one process does it, so that a release which is not shown counts as dead for the next.
            release_id = release.open_release(full_refresh=full_refresh, force=True, held=True)["release_id"]
            release.conform(release_id, held=True)
            if publish:
                with psycopg.connect(connections.warehouse("publisher")) as publisher:
                    publisher.execute(
                        "update control.release set status = 'audited' where release_id = %s", (release_id,)
                    )
                release.publish(release_id, held=True)

    def checksums(self) -> dict[str, tuple[int, str]]:
        """Published table → rows and checksum, as readers see them; not of the tables that tell of the loads."""
        found = {}
        with self._here(), psycopg.connect(connections.warehouse("reader")) as reader:
            for table in contracts.load_shared():
                if table.startswith(status.ABOUT_LOADS):
                    continue
                statement = sql.SQL(
                    "select count(*), coalesce(sum(hashtextextended((t.*)::text, 0)::numeric), 0)::text from {} as t"
                ).format(sql.Identifier("shared", table))
                rows, checksum = reader.execute(statement).fetchone() or (0, "")
                found[table] = (rows, checksum)
        return found

    @contextmanager
    def _here(self) -> Iterator[None]:
        """PDIC_HOME names this home for a while."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PDIC_HOME", str(self.home))
            yield


@pytest.mark.parametrize("seed", SEEDS)
def test_step_by_step_equals_built_anew_equals_fresh(seed: int, new_home: Callable[[], Path]) -> None:
    rng = random.Random(seed)  # noqa: S311
    sources = Sources(rng)
    homes = [new_home(), new_home()]
    for home in homes:
        embedded.start(home)
    first = Warehouse(homes[0])
    for contract in datasets():
        first.accept(contract, sources.change(contract, 30))
    first.release()
    for _ in range(RELEASES):
        for contract in datasets():
            # None, one or several batches of a dataset may wait for a release.
            for _ in range(rng.choice([0, 1, 1, 2])):
                first.accept(contract, sources.change(contract, rng.randint(1, 12)))
        # A release that was built and never shown must leave no trace in the next.
        first.release(publish=rng.random() < 0.75)
    first.release()
    step_by_step = first.checksums()
    assert all(step_by_step[table][0] > 0 for table in step_by_step if table.startswith(("fct_", "dim_", "bridge_")))

    first.release(full_refresh=True)
    assert first.checksums() == step_by_step

    shutil.copy(settings.secret_path("identity_key", homes[0]), settings.secret_path("identity_key", homes[1]))
    fresh = Warehouse(homes[1])
    for contract in datasets():
        fresh.accept(contract, sources.standing(contract))
    fresh.release()
    assert fresh.checksums() == step_by_step
