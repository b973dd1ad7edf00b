"""Rules that judge rows by other rows: what they see of other datasets, and that the check counts what accept moves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql

from pdic import connections, load
from pdic.quality import RuleError, lookups, rules_for_batch
from pdic.quality.trial import trials
from tests.conftest import Postgres
from tests.integration.sectors import CURSOR, SNAPSHOT, Sector, own_sector


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("tra", postgres, tmp_path_factory.mktemp("tra")) as made:
        yield made


def family(
    sector: Sector, name: str, on_fail: str = "quarantine", rule: dict[str, Any] | None = None, capture: str = CURSOR
) -> tuple[str, str]:
    """A dataset of parents and one of children, each of which names its parent by the label."""
    parents, children = f"cha_{name}", f"con_{name}"
    sector.add(parents, capture=capture)
    sector.add(children)
    entry = {
        "id": "parent",
        "severity": "critical",
        "dimension": "consistency",
        "on_fail": on_fail,
        "reason": {"vi": "Không có cha", "en": "No parent"},
        "origin": "text",
        "source": "assumption: for a test",
        "type": "pdic_expect_reference_to_exist",
        "kwargs": {"columns": ["Nhãn X"], "dataset": f"tra.{parents}", "references": ["Nhãn X"]},
    } | (rule or {})
    path = sector.root / "expectations" / "batch" / "tra" / f"{children}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"rules": [entry]}, allow_unicode=True), encoding="utf-8")
    return parents, children


def put(sector: Sector, dataset: str, **labels: str) -> None:
    """Rows by key (`k1`), new or changed."""
    for key, label in labels.items():
        sector.source(
            f"insert into {dataset} values ({key[1:]}, '{label}') on conflict (id) do update"
            f' set "Nhãn X" = excluded."Nhãn X", "sửa" = clock_timestamp()'
        )


def counted(sector: Sector, dataset: str) -> list[tuple[Any, ...]]:
    """What the checks of the rule counted, oldest first: rows judged, rows that fail."""
    return sector.warehouse(
        f"select checked, failed from control.expectation_result where dataset = '{dataset}' and rule_id = 'parent' order by id"
    )


def held(sector: Sector, dataset: str) -> list[int]:
    found = sector.warehouse(f"select id from quarantine.tra__{dataset} where _reasons = array['parent'] order by id")
    return [key for (key,) in found]


def test_a_rule_whose_dataset_never_came_judges_nothing_and_says_so(sector: Sector) -> None:
    _, children = family(sector, "vang")
    put(sector, children, k1="A")
    report = sector.load(children)
    assert (report["status"], report["rows_accepted"]) == ("accepted", 1)
    assert counted(sector, children) == [(0, 0)]


@pytest.mark.parametrize("first", ["cha", "con"])
def test_batches_that_are_checked_together_see_each_other_whichever_is_accepted_first(
    sector: Sector, first: str
) -> None:
    parents, children = family(sector, f"cung_{first}")
    put(sector, parents, k1="A", k2="B")
    put(sector, children, k1="A", k2="B", k3="C", k4="D")
    batches = {dataset: sector.extract(dataset) for dataset in (parents, children)}
    load.check("tra", batches, sector.connect_to)
    for dataset in sorted(batches, key=lambda dataset: not dataset.startswith(first)):
        load.accept("tra", dataset, batches[dataset], sector.connect_to)
    assert counted(sector, children) == [(4, 2)]
    assert held(sector, children) == [3, 4]
    assert sector.raw(children) == [(1, "A"), (2, "B")]


def test_a_comparison_that_found_no_difference_is_looked_up_as_it_stands(sector: Sector) -> None:
    """Nothing landed of it, so it has no table of its own beside what was accepted before."""
    parents, children = "cha_nhu_cu", "con_nhu_cu"
    family(sector, "nhu_cu", capture=SNAPSHOT)
    sector.source(f"insert into {parents} values (1, 'A')")
    sector.load(parents)
    put(sector, children, k1="A", k2="C")
    batches = {dataset: sector.extract(dataset) for dataset in (parents, children)}
    reports = load.check("tra", batches, sector.connect_to)
    assert {report["status"] for report in reports.values()} == {"checked"}
    assert counted(sector, children) == [(2, 1)]


def test_what_comes_between_check_and_accept_moves_no_other_row_than_was_counted(sector: Sector) -> None:
    parents, children = family(sector, "giua")
    put(sector, parents, k1="A", k2="B")
    sector.load(parents)
    put(sector, children, k1="A", k2="B", k3="C")
    batch = sector.extract(children)
    load.check("tra", {children: batch}, sector.connect_to)
    put(sector, parents, k2="khác", k3="C")
    sector.load(parents)
    load.accept("tra", children, batch, sector.connect_to)
    assert (counted(sector, children), held(sector, children)) == ([(3, 1)], [3])


def test_only_the_newest_version_of_a_row_is_known(sector: Sector) -> None:
    parents, children = family(sector, "moi")
    put(sector, parents, k1="A", k2="B")
    sector.load(parents)
    put(sector, parents, k1="A2")
    sector.load(parents)
    put(sector, parents, k2="B2")
    put(sector, children, k1="A", k2="A2", k3="B", k4="B2")
    batches = {dataset: sector.extract(dataset) for dataset in (parents, children)}
    load.check("tra", batches, sector.connect_to)
    load.accept("tra", children, batches[children], sector.connect_to)
    assert held(sector, children) == [1, 3]


def test_a_row_in_quarantine_is_known(sector: Sector) -> None:
    parents, children = family(sector, "giu")
    put(sector, parents, k1="A")
    sector.load(parents)
    sector.warehouse(
        f'with gone as (delete from raw.tra__{parents} returning id, "Nhãn X", _batch_id) insert into quarantine.tra__{parents}'
        " (id, \"Nhãn X\", _batch_id, _reasons) select *, array['x'] from gone returning 1"
    )
    put(sector, children, k1="A")
    assert sector.load(children)["rows_accepted"] == 1


def test_a_dataset_that_came_and_whose_table_is_gone_holds_the_batch(sector: Sector) -> None:
    parents, children = family(sector, "mat", on_fail="warn")
    put(sector, parents, k1="A")
    sector.load(parents)
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute(sql.SQL("drop table raw.{}").format(sql.Identifier(f"tra__{parents}")))
    put(sector, children, k1="A")
    report = sector.load(children)
    assert report["status"] == "rejected"
    assert "parent (could not be evaluated: UndefinedTable" in report["message"]


@pytest.mark.parametrize(("on_fail", "status", "rows"), [("halt", "rejected", None), ("warn", "accepted", 2)])
def test_a_failing_lookup_halts_or_warns(sector: Sector, on_fail: str, status: str, rows: int | None) -> None:
    parents, children = family(sector, on_fail, on_fail=on_fail)
    put(sector, parents, k1="A")
    put(sector, children, k1="A", k2="B")
    sector.load(parents)
    report = sector.load(children)
    assert (report["status"], report["rows_accepted"]) == (status, rows)
    assert counted(sector, children) == [(2, 1)]


def test_a_query_of_ones_own_sends_its_rows_to_quarantine(sector: Sector) -> None:
    query = (
        "select child._row from {rows} as child inner join {tra.cha_rieng} as parent on parent.id = child.id"
        " where child.\"Nhãn X\" !~ '^[A-Z]{1}%:x$' -- 100 %"
    )
    rule = {
        "type": "pdic_expect_query_to_select_no_rows",
        "kwargs": {"columns": ["Nhãn X"], "query": query},
    }
    parents, children = family(sector, "rieng", rule=rule)
    put(sector, parents, k1="A", k2="B")
    put(sector, children, k1="A%:x", k2="b", k3="không có cha")
    sector.load(parents)
    assert sector.load(children)["rows_quarantined"] == 1
    assert (counted(sector, children), held(sector, children)) == ([(3, 1)], [2])


def test_a_lookup_can_be_tried_on_what_was_loaded(sector: Sector) -> None:
    parents, children = family(sector, "thu")
    put(sector, parents, k1="A")
    put(sector, children, k1="A", k2="B")
    sector.load(parents)
    sector.load(children)
    found = trials("tra", children, rule_ids=["parent"], connect_to=sector.connect_to)
    assert [(trial.checked, trial.failed, trial.held, trial.raised) for trial in found] == [(2, 1, 1, None)]


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"columns": ["Nhãn X"], "dataset": "tra.khong_co", "references": ["id"]}, "looks things up in tra.khong_co"),
        ({"columns": ["Nhãn X", "id"], "dataset": "tra.cha_sai", "references": ["id"]}, "must be as many"),
        ({"columns": ["Nhãn X"], "dataset": "cha_sai", "references": ["id"]}, "written as sector.dataset"),
        (
            {
                "columns": ["id"],
                "query": "select r._row from {rows} as r where r.id in (select id from {rows} where id > 1)",
            },
            "write {rows} as <a name>",
        ),
    ],
)
def test_a_rule_that_cannot_be_stops_before_anything_is_checked(
    sector: Sector, kwargs: dict[str, Any], said: str
) -> None:
    type_ = {"type": "pdic_expect_query_to_select_no_rows"} if "query" in kwargs else {}
    _, children = family(sector, said.split()[0], rule={"kwargs": kwargs, **type_})
    (rule,) = [rule for rule in rules_for_batch(sector.root, "tra", children) if rule.id == "parent"]
    with pytest.raises(RuleError, match=re.escape(said)):
        lookups.datasets(rule, sector.root)
