"""Fault: `kill -9` at any step of a load. Invariant: the same load again ends where it would have ended, had nobody killed it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pdic import connections, ledger, load, warehouse
from tests.conftest import Postgres
from tests.faults.killing import killed_and_gone, killed_at, spread, steps_of
from tests.integration.sectors import CURSOR, SNAPSHOT, Sector, own_sector

KILLS = 24
"""Kills per action, spread evenly over its steps, the first and the last among them."""


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("kills", postgres, tmp_path_factory.mktemp("project")) as made:
        yield made


def change(sector: Sector, dataset: str, turn: int, *, deletes: bool) -> None:
    """New, changed and, where the capture sees them, deleted rows; one row of each turn breaks the rule of its label."""
    sector.source(f"insert into {dataset} select i + {turn * 100}, 'mới {turn}' from generate_series(1, 20) as i")
    sector.source(f"insert into {dataset} values ({turn * 100 + 50}, null)")
    stamp = "" if deletes else ', "sửa" = clock_timestamp()'
    sector.source(f"""update {dataset} set "Nhãn X" = "Nhãn X" || '!'{stamp} where id % 7 = {turn % 7}""")
    if deletes:
        sector.source(f"delete from {dataset} where id % 47 = {turn % 47}")


def standing(sector: Sector, dataset: str) -> dict[int, Any]:
    """Source key → label, of the rows whose newest version is neither a tombstone nor in quarantine."""
    newest = sector.warehouse(
        f"""
        select distinct on (id) id, "Nhãn X", fate
        from (
            select id, "Nhãn X", _batch_id, _op as fate from raw.{sector.name}__{dataset}
            union all
            select id, "Nhãn X", _batch_id, 'Q' from quarantine.{sector.name}__{dataset}
        ) as version
        order by id, _batch_id desc
        """
    )
    return {key: label for key, label, fate in newest if fate == "U"}


def held(sector: Sector, dataset: str) -> set[int]:
    """Source keys whose row at the source breaks the rule of its label."""
    with psycopg.connect(sector.source_uri) as source:
        rows = source.execute(f'select id from {dataset} where "Nhãn X" is null').fetchall()
    return {key for (key,) in rows}


def at_source(sector: Sector, dataset: str) -> dict[int, Any]:
    with psycopg.connect(sector.source_uri) as source:
        rows = source.execute(f'select id, "Nhãn X" from {dataset} where "Nhãn X" is not null').fetchall()
    return dict(rows)


def whole(sector: Sector, dataset: str) -> None:
    """The load as `pdic load` does it, without the rules' own process: extract, check, accept."""
    batch = load.extract(sector.name, dataset, sector.connect_to)["batch_id"]
    load.check(sector.name, {dataset: batch}, sector.connect_to)
    load.accept(sector.name, dataset, batch, sector.connect_to)


def moved(sector: Sector, dataset: str) -> None:
    """The same, with every row taken for good: the steps that move data, again and again in little time."""
    batch = load.extract(sector.name, dataset, sector.connect_to)["batch_id"]
    with warehouse.transaction(connections.warehouse("loader"), "test") as loader:
        ledger.update(loader, batch, status="checked")
    load.accept(sector.name, dataset, batch, sector.connect_to)


@pytest.mark.parametrize("capture", [CURSOR, SNAPSHOT], ids=["cursor", "snapshot"])
def test_killed_while_rows_move(sector: Sector, capture: str) -> None:
    dataset = f"moves_{'c' if capture == CURSOR else 's'}"
    sector.add(dataset, capture=capture, required=False)
    deletes = capture == SNAPSHOT
    change(sector, dataset, 1, deletes=deletes)
    at = spread(steps_of(lambda: moved(sector, dataset)), KILLS)
    killed = 0
    for turn, step in enumerate(at, start=2):
        change(sector, dataset, turn, deletes=deletes)
        # A batch's table that a dying session still holds is left to the load after the next one: the last kill waits for its end.
        kill = killed_and_gone if step == at[-1] else killed_at
        killed += kill(step, lambda: moved(sector, dataset))
        moved(sector, dataset)
        expected = at_source(sector, dataset)
        found = {key: label for key, label in standing(sector, dataset).items() if label is not None}
        assert found == expected, f"killed at step {step}"
    assert killed >= len(at) - 2, "the kills must hit"
    orphans = f"select tablename from pg_tables where schemaname = 'raw_batch' and tablename like '{sector.name}\\_\\_{dataset}%'"
    assert sector.warehouse(orphans) == []


def test_killed_with_rules_and_a_quarantine(sector: Sector) -> None:
    dataset = "ruled"
    sector.add(dataset)
    change(sector, dataset, 1, deletes=False)
    at = spread(steps_of(lambda: whole(sector, dataset)), KILLS // 4)
    for turn, step in enumerate(at, start=2):
        change(sector, dataset, turn, deletes=False)
        killed_at(step, lambda: whole(sector, dataset))
        whole(sector, dataset)
        assert standing(sector, dataset) == at_source(sector, dataset), f"killed at step {step}"
    doubled = sector.warehouse(
        f"select id from quarantine.{sector.name}__{dataset} group by id, _batch_id having count(*) > 1"
    )
    assert doubled == []
    registered = sector.warehouse(
        f"""
        select key, last_batch_id from quarantine.record where dataset = '{dataset}' and state = 'open'
        except
        select id::text, _batch_id from quarantine.{sector.name}__{dataset}
        """
    )
    open_keys = sector.warehouse(
        f"select key::bigint from quarantine.record where dataset = '{dataset}' and state = 'open'"
    )
    assert registered == []
    assert {key for (key,) in open_keys} == held(sector, dataset)
    balanced = sector.warehouse(
        """
        select batch_id from control.batch
        where status = 'accepted' and rows_extracted <> rows_accepted + rows_quarantined + rows_unchanged
        """
    )
    assert balanced == []
