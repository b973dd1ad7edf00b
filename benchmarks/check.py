"""`python -m benchmarks.check [--rows N] [--runs K] [--json]`: what the rules cost beside the load of the same batch.

Fifteen row rules over cleaned values and the key's uniqueness, on a whole batch and on increments of some hundredths of it, in
this process with Great Expectations imported: the time of `pdic load` without its start. Load is extract plus accept. The
increments lie beside the whole table: run it with two sizes of --rows to see that a check follows the batch, not the table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import sys
from pathlib import Path
from typing import Any

import yaml
from psycopg2 import sql

from benchmarks import citizen
from benchmarks.reconcile import OWNER, home
from pdic import connections, contracts, load, raw
from pdic.quality.gate import import_great_expectations
from pdic.warehouse import transaction

CLEANINGS = {"citizen_number": "personal_id", "commune_code": "digits 5", "phone": "phone"}
ROW_RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("expect_column_values_to_not_be_null", {"column": "citizen_number"}),
    ("expect_column_values_to_not_be_null", {"column": "full_name"}),
    ("expect_column_values_to_match_regex", {"column": "citizen_number", "regex": "^[0-9]{12}$"}),
    ("expect_column_values_to_match_regex", {"column": "commune_code", "regex": "^[0-9]{5}$"}),
    ("expect_column_values_to_match_regex", {"column": "phone", "regex": "^0[0-9]{9}$"}),
    ("expect_column_values_to_match_regex", {"column": "email", "regex": "^[^@ ]+@[^@ ]+$"}),
    ("expect_column_values_to_be_in_set", {"column": "sex", "value_set": ["F", "M"]}),
    ("expect_column_values_to_be_in_set", {"column": "ethnic_group", "value_set": ["Kinh", "Tày", "Thái", "Mường", "Hoa"]}),
    ("expect_column_values_to_be_between", {"column": "birth_date", "min_value": "1900-01-01", "max_value": "2026-12-31"}),
    ("expect_column_values_to_be_between", {"column": "income", "min_value": 0, "max_value": 100_000_000}),
    ("expect_column_value_lengths_to_be_between", {"column": "full_name", "min_value": 5, "max_value": 100}),
    ("expect_column_value_lengths_to_be_between", {"column": "address", "max_value": 200}),
    ("expect_column_values_to_not_match_regex", {"column": "full_name", "regex": "[0-9]"}),
    ("pdic_expect_row_condition", {"columns": ["birth_date", "death_date"], "condition": "death_date >= birth_date or sex in ('F', 'M')"}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "updated_at", "column_B": "registered_at", "or_equal": True}),
)  # fmt: skip


def measure(rows: int, runs: int) -> dict[str, Any]:
    """Loads the table anew `runs` times, each time with three increments after it."""
    whole, increments = [], []
    with home():
        _write_rules(Path(os.environ["PDIC_ROOT"]))
        contract = contracts.get(citizen.SECTOR, citizen.DATASET)
        import_great_expectations()
        for _ in range(runs):
            citizen.create(connections.uri(OWNER), rows)
            with transaction(connections.warehouse("admin"), "benchmark") as admin, admin.cursor() as cursor:
                cursor.execute("delete from control.dataset")
                cursor.execute(citizen.FORGET_BATCHES)
                for held in (raw.parent(contract), raw.quarantine(contract)):
                    cursor.execute(sql.SQL("drop table if exists {} cascade").format(held))
            whole.append(_load())
            for turn in range(3):
                citizen.change(connections.uri(OWNER), rows, turn)
                increments.append(_load())
    return {"rows": rows, "whole": _median(whole), "increments": _median(increments), "runs": [whole, increments]}


def _write_rules(root: Path) -> None:
    path = root / "contracts" / citizen.SECTOR / f"{citizen.DATASET}.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    for column, kind in CLEANINGS.items():
        found = re.search(rf"(- {{name: {column},.*\n.*customProperties: \[)", text)
        if found is None:
            raise RuntimeError(f"{path} does not give {column} custom properties in the line after its name")
        text = text.replace(found[1], f"{found[1]}{{property: cleaning, value: {kind}}}, ")
    path.write_text(text, encoding="utf-8")
    contracts.compile_all(root)
    rules = [
        {
            "id": f"citizen.rule_{number}", "type": kind, "kwargs": kwargs, "severity": "warning", "dimension": "accuracy",
            "on_fail": "quarantine", "reason": {"vi": "Sai", "en": "Wrong"}, "origin": "text",
            "source": "assumption: a rule of its kind",
        }
        for number, (kind, kwargs) in enumerate(ROW_RULES, 1)
    ]  # fmt: skip
    batch = root / "expectations" / "batch" / citizen.SECTOR / f"{citizen.DATASET}.yaml"
    batch.parent.mkdir(parents=True)
    batch.write_text(yaml.safe_dump({"rules": rules}, allow_unicode=True), encoding="utf-8")


def _load() -> dict[str, float]:
    """One load in this process: seconds of its check, of the rest, and their ratio."""
    sector, dataset = citizen.SECTOR, citizen.DATASET
    batch_id = load.extract(sector, dataset)["batch_id"]
    checked = load.check(sector, {dataset: batch_id})[dataset]
    if checked["status"] != "checked":
        raise RuntimeError(checked["message"])
    report = load.accept(sector, dataset, batch_id)
    if report["rows_extracted"] != report["rows_accepted"] + report["rows_quarantined"] + report["rows_unchanged"]:
        raise RuntimeError(f"not balanced: {report}")
    seconds = report["seconds"]
    rest = sum(value for step, value in seconds.items() if step != "check")
    return {"rows": report["rows_extracted"], "load": rest, "check": seconds["check"], "ratio": seconds["check"] / rest}


def _median(turns: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(turn[name] for turn in turns), 3) for name in turns[0]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description="Measure a check beside its load.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the whole batch (default 1000000)")
    parser.add_argument("--runs", type=int, default=3, help="runs, medians count (default 3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped then, too
    result = measure(wanted.rows, wanted.runs)
    if wanted.json:
        print(json.dumps(result, indent=2))
        return
    for name in ("whole", "increments"):
        found = result[name]
        print(
            f"{name}: {found['rows']:,.0f} rows, load {found['load']:.2f} s, check {found['check']:.2f} s, "
            f"ratio {found['ratio']:.2f} (load average {os.getloadavg()[0]:.1f})"
        )


if __name__ == "__main__":
    main()
