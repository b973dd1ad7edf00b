"""`pdic status`: what is wrong first, then every dataset's rows and loads, then what readers see."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from pdic.cli import names
from pdic.cli.app import app
from pdic.cli.output import FEW, FEW_PROBLEMS, console, give, moment, print_json, print_table, say
from pdic.cli.slots import print_slots
from pdic.cli.stack import describe, ensure_warehouse, is_embedded
from pdic.problems import ago, in_words, problems

Report = dict[str, Any]

ROWS = ("dataset", "source_rows", "accepted", "quarantined", "%", "deleted", "balanced")
LOADS = ("dataset", "last_good_load", "promised", "in_live_release", "reconciled")
SECTORS = ("sector", "datasets", "problems", "late", "accepted", "quarantined", "%", "not_in_live_release")


@app.command()
def status(
    sector: names.Sector = None,
    only_problems: Annotated[
        bool, typer.Option("--problems", help="Only what somebody has to see to, all of it.")
    ] = False,
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Add a checksum per shared table (reads them whole).")
    ] = False,
    recount: Annotated[
        bool, typer.Option("--recount", help="Count all keys anew, also of datasets without news since the last count.")
    ] = False,
    sources: Annotated[bool, typer.Option(help="Ask the sources how many rows they hold now.")] = True,
    as_json: names.Json = False,
) -> None:
    """What is wrong, and how every dataset stands.

    Then the live release and the shared tables. Every row is accounted for. Exit code 1 where something is wrong.
    """
    from pdic import status as standing

    names.require_sector(sector)
    home = ensure_warehouse()
    with console.status("status"):
        report = describe(home) | standing.status(checksums=checksums, sector=sector, recount=recount, sources=sources)
    report["problems"] = problems(report)
    if as_json:
        print_json(report)
    else:
        _show(report, everything=not only_problems, sector=sector, checksums=checksums)
    if report["problems"]:
        raise typer.Exit(1)


def _show(report: Report, *, everything: bool, sector: str | None, checksums: bool) -> None:
    if is_embedded(Path(report["home"])):  # others' servers are whoever's who gave the connections
        say(f"PostgreSQL: {_part(report['postgres'])}; Airflow: {_part(report['airflow'])}")
    _show_release(report["release"])
    _show_problems(report["problems"], None if not everything else FEW_PROBLEMS)
    if not everything:
        return
    if len(report["datasets"]) > FEW and sector is None:
        print_table("Sectors", by_sector(report), SECTORS)
        say("each dataset of a sector: `pdic status --sector SECTOR`")
    else:
        rows = _rows(report["datasets"])
        print_table("Rows", rows, ROWS)
        print_table("Loads", rows, LOADS)
    if report["slots"]:
        print_slots(report["slots"], warnings=False)
    if sector is None:
        print_table("Shared tables", report["shared"], ["table", "rows"] + (["checksum"] if checksums else []))
        for sentence in report["readers"]["ended"]:
            say(sentence)
        say("quarantine: " + ", ".join(f"{count:,} {state}" for state, count in report["quarantine"].items()))


def _part(part: Report) -> str:
    """How one part of this home's stack is: running and where, not whole, or not running."""
    if part["running"]:
        return f"running, {part.get('url') or 'port {}'.format(part['port'])}"
    return "not whole" if {*part.get("components", {}).values()} - {"down"} else "not running"


def _show_release(live: Report) -> None:
    from pdic.release import broken_rules

    since = f" since {moment(datetime.fromisoformat(live['live_since']))}" if live["live_since"] else ""
    say(f"live release: {live['live'] or 'none'}{since}; a rollback would bring back: {live['former'] or 'none'}")
    if live["warnings"]:
        say(broken_rules.sentence(live["warnings"]))
    if docs := live["data_docs"]:
        if docs.startswith("not written"):
            say(f"its Data Docs: {docs}")
        else:
            give(docs, "its Data Docs:")


def _show_problems(found: list[dict[str, str]], limit: int | None) -> None:
    if not found:
        say("nothing is wrong")
        return
    say(f"{len(found)} problem{'s' if len(found) > 1 else ''}:")
    for problem in found[:limit]:
        say(f"- {problem['where']}: {problem['what']}", "  ")
    if limit is not None and len(found) > limit:
        say(f"and {len(found) - limit} more: `pdic status --problems`")


def by_sector(report: Report) -> list[Report]:
    """A row a sector, those with problems first."""
    troubled = {problem["where"] for problem in report["problems"]}
    sectors: dict[str, list[Report]] = {}
    for dataset in report["datasets"]:
        sectors.setdefault(dataset["sector"], []).append(dataset)
    rows = []
    for sector, datasets in sectors.items():
        accepted, quarantined = (sum(dataset[name] for dataset in datasets) for name in ("accepted", "quarantined"))
        rows.append(
            {
                "sector": sector,
                "datasets": len(datasets),
                "problems": sum(f"{sector}.{dataset['dataset']}" in troubled for dataset in datasets),
                "late": sum(dataset["late"] for dataset in datasets),
                "accepted": accepted,
                "quarantined": quarantined,
                "%": round(100 * quarantined / (accepted + quarantined), 1) if accepted + quarantined else None,
                "not_in_live_release": sum(dataset["in_live_release"] == "no" for dataset in datasets),
            }
        )
    return sorted(rows, key=lambda row: (-row["problems"], row["sector"]))


def _rows(datasets: list[Report]) -> list[Report]:
    """A row a dataset, as the two tables name its values, after a row for its sector: both names in one do not fit."""
    rows: list[Report] = []
    for sector, group in groupby(datasets, lambda dataset: dataset["sector"]):
        rows += [{"dataset": sector}, *(_row(dataset) for dataset in group)]
    return rows


def _row(dataset: Report) -> Report:
    age = dataset["age_seconds"]
    values = {name: value for name, value in dataset.items() if name != "sector"}
    return values | {
        "dataset": f"  {dataset['dataset']}",
        "%": dataset["quarantined_percent"],
        "last_good_load": "never" if age is None else f"{ago(age)}{', LATE' if dataset['late'] else ''}",
        "promised": in_words(dataset["promised_seconds"]),
        "reconciled": _reconciled(dataset["last_reconcile"]),
    }


def _reconciled(last: Report | None) -> str:
    """The last comparison of a dataset with its source, in a few words."""
    if last is None:
        return "never"
    wrong = last["late"] + last["changed"] + last["deleted"]
    fate = "held" if last["held"] else "rejected" if last["status"] == "rejected" else "healed"
    return f"{moment(last['reconciled_at']):.10}: {f'{wrong} {fate}' if wrong else 'nothing wrong'}"
