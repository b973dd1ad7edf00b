"""A rule is tried on batches that came before, and nothing of it is in force until it is switched on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdic.quality.rules import RuleError
from pdic.quality.trial import trials
from tests.conftest import Postgres
from tests.integration.sectors import Sector, own_sector


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("nhap", postgres, tmp_path_factory.mktemp("project")) as made:
        yield made


def entry(name: str, condition: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{name}.own",
        "type": "pdic_expect_row_condition",
        "kwargs": {"columns": ["Nhãn X"], "condition": condition},
        "severity": "warning",
        "dimension": "accuracy",
        "on_fail": "quarantine",
        "reason": {"vi": "Nhãn sai", "en": "Wrong label"},
        "origin": "text",
        "source": "a test",
        **more,
    }


def write(path: Path, *entries: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"rules": list(entries)}, allow_unicode=True), encoding="utf-8")
    return path


def test_a_draft_is_tried_on_the_last_batches_and_refuses_nothing_until_it_is_switched_on(sector: Sector) -> None:
    name = "draft"
    sector.add(name)
    for batch in range(3):
        sector.source(
            f"insert into {name} values ({batch * 10}, 'good'), ({batch * 10 + 1}, 'bad'), ({batch * 10 + 2}, null)"
        )
        sector.load(name)
    rules = sector.root / "expectations" / "batch" / "nhap" / f"{name}.yaml"
    write(rules, entry(name, "\"Nhãn X\" <> 'bad'", active=False))
    found = trials("nhap", name, batches=2, connect_to=sector.connect_to)
    assert [trial.rule.id for trial in found] == [f"{name}.own"] * 2
    for trial, key in zip(found, ("21", "11"), strict=True):  # (a load reads rows of the seam once more)
        assert key in trial.keys
        assert (trial.failed, trial.held) == (len(trial.keys), 0)
        assert (trial.checked or 0) >= 3
    assert found[0].batch_id > found[1].batch_id

    sector.source(f"insert into {name} values (50, 'bad')")
    sector.load(name)
    assert (50, "bad") in sector.raw(name)
    write(rules, entry(name, "\"Nhãn X\" <> 'bad'"))
    tried = trials("nhap", name, connect_to=sector.connect_to)
    assert {trial.rule.id for trial in tried} == {f"{name}.own"}, "a rule that no batch met is tried by itself"
    sector.source(f"insert into {name} values (51, 'bad')")
    sector.load(name)
    assert (51, "bad") not in sector.raw(name)
    newest = trials("nhap", name, rule_ids=[f"{name}.own"], batches=1, connect_to=sector.connect_to)[0]
    assert newest.held == newest.failed, "what it finds there is held already"


def test_a_file_is_tried_wherever_it_lies_and_a_rule_that_raises_says_so(sector: Sector, tmp_path: Path) -> None:
    name = "file"
    sector.add(name)
    sector.source(f"insert into {name} values (1, 'Trần Thị Mật'), (2, 'Trần Thị Mật'), (3, 'b')")
    sector.load(name)
    file = write(
        tmp_path / "mine.yaml",
        {**entry(name, "true"), "id": "a.raises", "kwargs": {"columns": ["Nhãn X"], "condition": '"Nhãn X"::int > 1'}},
        {**entry(name, "true"), "id": "b.unique", "type": "expect_column_values_to_be_unique",
         "kwargs": {"column": "Nhãn X"}, "on_fail": "warn"},
    )  # fmt: skip
    raises, unique = trials("nhap", name, file=file, connect_to=sector.connect_to)
    assert raises.failed is None
    assert raises.raised
    assert "Mật" not in repr([raises.report(), unique.report()])
    assert (unique.checked, unique.failed) == (3, 2)


def test_what_cannot_be_tried_is_refused_by_name(sector: Sector) -> None:
    name = "refused"
    sector.add(name)
    with pytest.raises(RuleError, match=r"nhap\.refused has no accepted batch"):
        trials("nhap", name, connect_to=sector.connect_to)
    with pytest.raises(RuleError, match="has no rule nowhere"):
        trials("nhap", name, rule_ids=["nowhere"], connect_to=sector.connect_to)
