"""`python -m demo.evaluate`: which planted defects the gate catches, cleans or lets by, and which sound rows it refuses or changes.

A province is seeded into a home of its own, loaded by the real load, and every record is looked up in the truth:

    quarantined   the row is in quarantine
    warned        a rule that only warns finds it
    repaired      cleaning the cell gives back what stood there before the defect
    none, merged, mapped   not the rules' business: what became of them is shown, nothing is asked

A batch of which most rows are bad would be held as a whole (expectations/history.yaml): that is lifted here, where single rows are
measured. A planted record that is neither accepted nor in quarantine counts as missed.

Rules are asked anew over everything that was accepted or quarantined, and what they find is held against what the gate counted.

The pipeline cannot read the truth; this module, a part of the demo, can.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import yaml
from psycopg2 import sql
from rich.console import Console
from rich.table import Table

from demo import profile as profiles
from demo import seed as seeding
from demo.defects import EVENT_KINDS, KINDS
from demo.errors import DemoError
from pdic import cleaning, connections, contracts, load, quality, raw, settings
from pdic.cli.demo import seed_databases
from pdic.cli.stack import ensure_warehouse
from pdic.errors import PdicError
from pdic.quality import lookups

CAUGHT_AT_LEAST = 0.99
SOUND_AT_MOST = 0.001
ASKED = ("quarantined", "warned", "repaired")


@dataclass
class Kind:
    """What became of one kind's records. `by` counts the rules that found them, `missed` the datasets where none did."""

    fate: str
    planted: int = 0
    good: int = 0
    quarantined: int = 0
    by: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float | None:
        """Share of the records that met their fate; None where none is asked or none was planted."""
        return self.good / self.planted if self.planted and self.fate in ASKED else None


@dataclass
class Found:
    """What a rule finds in a dataset: rows, and how many of them carry a defect. `counted` is the gate's number of rows."""

    rows: int = 0
    defective: int = 0
    counted: int | None = None
    """None where the gate had nothing to look things up in."""

    @property
    def precision(self) -> float | None:
        """Share of the rows found that carry a defect; None where none was found."""
        return self.defective / self.rows if self.rows else None


@dataclass
class Sound:
    """The rows of a dataset that carry no defect."""

    rows: int = 0
    quarantined: int = 0
    renamed: int = 0
    """Rows of which cleaning changed a name."""
    by: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Share of the sound rows that are refused."""
        return self.quarantined / self.rows if self.rows else 0.0


@dataclass
class Evaluation:
    """Kinds of defect by name, sound rows by dataset, rules that judge rows by id."""

    kinds: dict[str, Kind]
    sound: dict[str, Sound] = field(default_factory=dict)
    rules: dict[str, Found] = field(default_factory=dict)


def evaluate() -> Evaluation:
    """Looks up what is loaded in the home's warehouse."""
    found = Evaluation({name: Kind(str(kind.fate)) for name, kind in {**KINDS, **EVENT_KINDS}.items()})
    defects = _truth()
    with closing(psycopg2.connect(connections.warehouse("admin"))) as warehouse:
        for contract in contracts.load_all().values():
            planted = defects.get((contract.sector, contract.dataset), {})
            found.sound[contract.id] = _look(warehouse, contract, planted, found)
            for rule_id, failed in _counted(warehouse, contract).items():
                found.rules[rule_id].counted = failed
    return found


def _counted(warehouse: Any, contract: contracts.Contract) -> dict[str, int]:
    """What the gate counted, over all of a dataset's batches, by rule that judges rows and had what it needs."""
    judging = [rule.id for rule in _rules(contract)]
    with warehouse.cursor() as cursor:
        cursor.execute(
            """
            select rule_id, sum(failed) from control.expectation_result
            where run_kind = 'batch' and sector = %s and dataset = %s and rule_id = any(%s)
            group by rule_id having bool_and(checked > 0)
            """,
            (contract.sector, contract.dataset, judging),
        )
        return {rule_id: int(failed) for rule_id, failed in cursor.fetchall()}


def _rules(contract: contracts.Contract) -> list[quality.Rule]:
    rules = quality.rules_for_batch(settings.project_root(), contract.sector, contract.dataset)
    return [rule for rule in rules if rule.judges_rows]


Cell = tuple[str | None, str | None]
Defects = dict[str, tuple[str, Cell]]


def _truth() -> dict[tuple[str, str], Defects]:
    """By dataset: key → (kind, (column, what stood there))."""
    found: dict[tuple[str, str], Defects] = defaultdict(dict)
    with closing(psycopg2.connect(connections.uri("pdic_demo_truth"))) as truth, truth.cursor() as cursor:
        cursor.execute("select sector, dataset, key, kind, column_name, original from defect where repaired_on is null")
        for sector, dataset, key, kind, column, original in cursor:
            found[sector, dataset][key] = (kind, (column, original))
    return found


ROW = "tableoid::text || ctid::text"
"""What names a row in all partitions of a table."""


def _look(warehouse: Any, contract: contracts.Contract, defects: Defects, evaluation: Evaluation) -> Sound:
    kinds = evaluation.kinds
    rules = _rules(contract)
    evaluation.rules.update({rule.id: Found() for rule in rules})
    broken = sql.SQL(", ").join(
        sql.SQL("case when {} then {} end").format(quality.predicate(rule), sql.Literal(rule.id))
        for rule in rules
        if rule.is_row_rule
    )
    touched = sorted({column for kind, (column, _) in defects.values() if column and kinds[kind].fate == "repaired"})
    cells = sql.SQL(", ").join(
        [sql.SQL("judged.{}::text").format(sql.Identifier(column)) for column in touched] or [sql.SQL("null")]
    )
    people = [sql.Identifier(column.source_name) for column in contract.columns if column.cleaning == "name"]
    renamed = sql.SQL(" or ").join(
        [sql.SQL("judged.{0} is distinct from sent.{0}").format(name) for name in people] or [sql.SQL("false")]
    )
    names = ["_batch_id", *(column.source_name for column in contract.columns)]
    sound = Sound()
    arrived: set[str] = set()
    for table, held in ((raw.parent(contract), False), (raw.quarantine(contract), True)):
        query = sql.SQL(
            "select sent.{key}::text, {row}, {reasons}, judged.broken, {renamed}, {cells} from {table} as sent inner join"
            " (select cleaned.*, array_remove(array[{broken}]::text[], null) as broken from ({cleaned}) as cleaned) as judged"
            " on judged._row = sent.ctid and judged._batch_id = sent._batch_id"
        ).format(
            row=sql.SQL("sent.tableoid::text || sent.ctid::text"),
            key=sql.Identifier(contract.key[0]),
            reasons=sql.SQL("sent._reasons") if held else sql.SQL("null::text[]"),
            broken=broken,
            cells=cells,
            renamed=renamed,
            cleaned=cleaning.relation(contract, table, names),
            table=table,
        )
        looked_up = _looked_up(warehouse, contract, table, rules, held)
        with warehouse.cursor() as cursor:
            cursor.execute(query)
            for key, row, reasons, by_itself, changed, *values in cursor:
                found = by_itself + looked_up.get(row, [])
                for rule_id in found:
                    evaluation.rules[rule_id].rows += 1
                    evaluation.rules[rule_id].defective += key in defects
                kind_name, (column, original) = defects.get(key, (None, (None, None)))
                if kind_name is None:
                    sound.rows += 1
                    sound.quarantined += held
                    sound.renamed += changed
                    sound.by.update(reasons or [])
                    continue
                kind = kinds[kind_name]
                kind.planted += 1
                kind.quarantined += held
                kind.by.update(reasons or found)
                good = {
                    "quarantined": held,
                    "warned": bool(found) or held,
                    "repaired": not held and column in touched and values[touched.index(column)] == original,
                }.get(kind.fate, True)
                kind.good += good
                if not good:
                    kind.missed[f"{contract.id}.{column}" if column else contract.id] += 1
                arrived.add(key)
    for key in defects.keys() - arrived:
        kind = kinds[defects[key][0]]
        kind.planted += 1
        kind.missed[f"{contract.id} (not loaded)"] += 1
    return sound


def _looked_up(
    warehouse: Any, contract: contracts.Contract, table: sql.Identifier, rules: list[quality.Rule], held: bool
) -> dict[str, list[str]]:
    """By row (`ROW`): the lookup rules that it breaks by all that is known now."""
    judged = lookups.rows(contract, table, ROW, "true" if held else "_op = 'U'")
    ready = lookups.prepare(warehouse, contract, table, rules, root=settings.project_root(), judged=judged)
    found = defaultdict(list)
    with warehouse.cursor() as cursor:
        cursor.execute(lookups.PLANNING)
        for rule_id, query in ready.queries.items():
            cursor.execute(sql.SQL("select distinct failing._row from ({}) as failing").format(query))
            for (row,) in cursor.fetchall():
                found[row].append(rule_id)
    warehouse.rollback()
    return found


@contextmanager
def province(citizens: int, seed: int, profile: Path, share: float | None) -> Iterator[list[dict[str, Any]]]:
    """A home of its own with a loaded province; yields the loads' reports. `share`: rates are scaled so that that share of rows is bad."""
    folder = Path(tempfile.mkdtemp(prefix="pdic-quality-eval-"))
    former = {name: os.environ.get(name) for name in ("PDIC_HOME", "PDIC_ROOT")}
    try:
        os.environ["PDIC_ROOT"] = str(_unguarded(settings.project_root(), folder / "project"))
        os.environ["PDIC_HOME"] = str(folder / "home")
        ensure_warehouse()
        seed_databases(citizens, seed, _scaled(profile, share, folder))
        ensure_warehouse()
        yield load.load([])
    finally:
        from pdic import demo_service, embedded

        demo_service.stop(folder / "home")
        embedded.stop(folder / "home")
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _unguarded(root: Path, folder: Path) -> Path:
    """The project again, made of links, but for the guard against batches that are mostly bad."""
    (folder / "expectations").mkdir(parents=True)
    for at in ("", "expectations"):
        for path in (root / at).iterdir():
            if path.name not in ("expectations", "history.yaml"):
                (folder / at / path.name).symlink_to(path)
    limits = yaml.safe_load((root / "expectations" / "history.yaml").read_text(encoding="utf-8"))
    limits["defaults"] |= {"max_quarantined_share": 1, "quarantined_points": None}
    limits["datasets"] = {}
    (folder / "expectations" / "history.yaml").write_text(yaml.safe_dump(limits), encoding="utf-8")
    return folder


TYPICAL = 0.023
"""Share of the rows that carry a defect under the default profile (20,000 citizens, seed 7)."""


def _scaled(profile: Path, share: float | None, folder: Path) -> Path:
    if share is None:
        return profile
    data = yaml.safe_load(profile.read_text(encoding="utf-8"))
    rates = profiles.load(profile).data["defects"]
    data["defects"] = {name: min(0.5, rate * share / TYPICAL) for name, rate in rates.items()}
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return path


def unbalanced(reports: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the loads: a failed one, or one whose rows do not add up."""
    wrong = []
    for report in reports:
        name = f"{report['sector']}.{report['dataset']}"
        if report["status"] != "accepted":
            wrong.append(f"{name}: {report['status']}: {report.get('message')}")
        elif report["rows_extracted"] != sum(
            report[f"rows_{part}"] or 0 for part in ("accepted", "quarantined", "unchanged")
        ):
            wrong.append(f"{name}: {report}")
    return wrong


def failing(found: Evaluation) -> list[str]:
    """What falls short: of 99 % caught, of 0.1 % of sound rows refused or with a changed name at most, of the gate's counts."""
    kinds, sound = found.kinds, found.sound
    short = [
        f"{name}: {kind.share:.2%} of {kind.planted} {kind.fate}; missed in {dict(kind.missed.most_common(5))}"
        for name, kind in kinds.items()
        if kind.share is not None and kind.share < CAUGHT_AT_LEAST
    ]
    return (
        short
        + [
            f"{name}: {rows.share:.2%} of {rows.rows} sound rows quarantined, by {dict(rows.by.most_common(5))}"
            for name, rows in sound.items()
            if rows.share > SOUND_AT_MOST
        ]
        + [
            f"{name}: cleaning changed a name in {rows.renamed} of {rows.rows} sound rows"
            for name, rows in sound.items()
            if rows.renamed > SOUND_AT_MOST * rows.rows
        ]
        + [
            f"{rule_id}: the gate counted {rule.counted} rows, afterwards there are {rule.rows}"
            for rule_id, rule in found.rules.items()
            if rule.counted is not None and rule.counted != rule.rows
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make quality-eval", description="Hold the gate against the truth.")
    parser.add_argument("--citizens", type=int, default=20_000, help="size of the population (default 20000)")
    parser.add_argument("--seed", type=int, default=44, help="seed of the province (default 44)")
    parser.add_argument(
        "--profile", type=Path, default=profiles.DEFAULT, help="names, lists and rates (default demo/profile.yaml)"
    )
    parser.add_argument(
        "--defects", type=float, help="scale all rates so that about this share of rows is bad, such as 0.1"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that its server ends with it
    try:
        return _evaluated(wanted)
    except PdicError as error:
        if wanted.json:
            print(json.dumps({"error": str(error)}, ensure_ascii=False))
        print(f"quality-eval: {error}", file=sys.stderr)
        return 2


def _evaluated(wanted: argparse.Namespace) -> int:
    wanted.profile = wanted.profile.expanduser()
    profiles.load(wanted.profile)  # before anything is started
    if wanted.citizens < seeding.LEAST_CITIZENS:
        raise DemoError(
            f"--citizens {wanted.citizens}: take {seeding.LEAST_CITIZENS} or more, for families and schools"
        )
    seeding.check_number(wanted.seed)
    if wanted.defects is not None and not 0 <= wanted.defects <= 1:
        raise DemoError(f"--defects {wanted.defects}: a share lies between 0 and 1")
    with province(wanted.citizens, wanted.seed, wanted.profile, wanted.defects) as reports:
        found = evaluate()
    short = [*unbalanced(reports), *failing(found)]
    if wanted.json:
        print(json.dumps(_plain(found, short), indent=2, ensure_ascii=False))
    else:
        _show(found, short)
    return 1 if short else 0


def _plain(found: Evaluation, short: list[str]) -> dict[str, Any]:
    return {
        "kinds": {name: vars(kind) | {"share": kind.share} for name, kind in found.kinds.items()},
        "sound": {name: vars(rows) | {"share": rows.share} for name, rows in found.sound.items()},
        "rules": {rule_id: vars(rule) | {"precision": rule.precision} for rule_id, rule in found.rules.items()},
        "falls_short": short,
    }


def _show(found: Evaluation, short: list[str]) -> None:
    kinds, sound = found.kinds, found.sound
    console = Console(width=None if sys.stdout.isatty() else 150)
    table = Table("kind", "fate", "planted", "met", "in quarantine", "found by", title="Planted defects")
    for name, kind in sorted(kinds.items(), key=lambda item: (item[1].fate, item[0])):
        share = f"{kind.share:.2%}" + (" (few)" if kind.planted < 30 else "") if kind.share is not None else "–"
        if kind.share is None and kind.fate in ASKED:
            share = "none planted"
        rules = ", ".join(rule for rule, _ in kind.by.most_common(3)) if kind.fate in ("quarantined", "warned") else ""
        table.add_row(name, kind.fate, f"{kind.planted}", share, f"{kind.quarantined}", rules)
    console.print(table)
    refused = Table("dataset", "sound rows", "in quarantine", "share", "renamed", "by", title="Sound rows")
    for name, rows in sound.items():
        refused.add_row(
            name,
            f"{rows.rows}",
            f"{rows.quarantined}",
            f"{rows.share:.3%}",
            f"{rows.renamed}",
            ", ".join(rule for rule, _ in rows.by.most_common(3)),
        )
    console.print(refused)
    rules = Table("rule", "rows found", "with a defect", "the gate counted", title="Rules that found rows")
    for rule_id, rule in sorted(found.rules.items()):
        if rule.precision is not None or rule.counted:
            share = "–" if rule.precision is None else f"{rule.precision:.1%}"
            rules.add_row(rule_id, f"{rule.rows}", share, "–" if rule.counted is None else f"{rule.counted}")
    console.print(rules)
    for line in short:
        console.print(f"falls short: {line}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
