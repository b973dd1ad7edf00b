"""`pdic quality coverage | docs | score | try`: what people read about quality."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pdic import settings
from pdic.cli.names import Dataset, Json, complete_sector, require_sector, split
from pdic.cli.output import console, give, print_json, print_table, say
from pdic.cli.stack import ensure_warehouse
from pdic.errors import PdicError


def add_reports(app: typer.Typer) -> None:
    """Add the commands of this module to the group `pdic quality`."""
    app.command("approve")(approve)
    app.command("coverage")(coverage)
    app.command("docs")(docs)
    app.command("score")(score)
    app.command("try")(try_)


def approve(
    dataset: Dataset,
    reason: Annotated[str, typer.Option("--reason", help="Why the batch is right as it is; kept for good.")],
    by: Annotated[
        str | None, typer.Option("--by", help="Who decides it (default: the account that runs the command).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Accept a batch that is held because it is unlike those before it.

    Its bad rows go to quarantine, the others are accepted. Who decided it and why are kept.
    """
    from pdic import approval, held

    consent = approval.given(reason, by)
    sector, name = split(dataset)
    ensure_warehouse()
    with console.status(f"approve {dataset}"):
        report = held.approve(sector, name, consent)
    if as_json:
        print_json(report)
        return
    rows = f"{report['rows_accepted'] or 0:,} rows accepted, {report['rows_quarantined'] or 0:,} in quarantine"
    say(
        f"{dataset}: batch {report['batch_id']} is {report['status']}: {rows}; run `pdic release` to bring the accepted ones to readers"
    )


def coverage(as_json: Json = False) -> None:
    """Which columns no rule looks at, by dataset.

    And what a dataset's freshness is judged by. Reads contracts and rule files, no database.
    """
    from pdic.quality.coverage import coverage as measure
    from pdic.quality.freshness import OWN_HISTORY

    measured = measure(settings.project_root())
    rows: list[dict[str, Any]] = [
        {
            "sector": found.sector,
            "dataset": found.dataset,
            "rules": found.rules,
            "columns": found.columns,
            "without_rule": list(found.without_rule),
            "covered_percent": found.percent,
            "freshness": found.freshness or None,
        }
        for found in measured
    ]
    if as_json:
        print_json(rows)
        return
    shown = [row | {"without_rule": ", ".join(map(str, row["without_rule"]))} for row in rows]
    columns = ["sector", "dataset", "rules", "columns", "covered_percent", "without_rule", "freshness"]
    print_table("Columns and rules", shown, columns)
    later, never = (sum(found.freshness == kind for found in measured) for kind in (OWN_HISTORY, ""))
    say(
        f"freshness: {len(measured) - later - never} of {len(measured)} datasets are judged from their second load on, {later} once "
        f"their own history is long enough, {never} never (docs/quality.md)"
    )


def docs(
    release: Annotated[int | None, typer.Option("--release", help="The release; nothing means the live one.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Where to write the pages.")] = None,
    as_json: Json = False,
) -> None:
    """Write the Data Docs of a release: pages of counts.

    A page for each dataset's last batch and for each shared table.
    """
    from pdic.quality.data_docs import build

    ensure_warehouse()
    index = build(release, folder)
    if as_json:
        print_json({"index": index})
    else:
        give(index)


def score(
    sector: Annotated[
        str | None,
        typer.Argument(metavar="SECTOR", help="A sector; nothing means all.", autocompletion=complete_sector),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option("--scope", help="province, sector, dataset, agency or agency_dataset (default: the first three)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Scores from 0 to 100 in the live release.

    Five dimensions and one index (docs/score.md). Empty: not measured.
    """
    from pdic.quality.score import MEASURES, SCOPES, scores

    if scope is not None and scope not in SCOPES:
        raise PdicError(f"no scope is called {scope}: say one of {', '.join(SCOPES)}")
    require_sector(sector)
    ensure_warehouse()
    found = scores(scope, sector)
    if as_json:
        print_json(found)
    else:
        print_table(
            "Quality score",
            found,
            ["scope", "sector", "dataset", "agency_code", "agency_name", *MEASURES, "rows_checked"],
        )


def try_(
    dataset: Dataset,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            help="A rule's id; again for several (default: what is new, drafts and rules no batch met yet; else all).",
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A rule file to try, wherever it lies.")] = None,
    batches: Annotated[int, typer.Option("--batches", min=1, help="On so many of the newest batches.")] = 5,
    as_json: Json = False,
) -> None:
    """Show what rules would catch in the last batches.

    Before they are switched on: nothing is written. Exit code 1 where one raises.
    """
    from pdic.quality.trial import trials

    sector, name = split(dataset)
    ensure_warehouse()
    with console.status(f"try {dataset}"):
        found = trials(sector, name, rule_ids=rule or (), file=file, batches=batches)
    if as_json:
        print_json([trial.report() for trial in found])
    else:
        columns = ["rule", "batch_id", "on_fail", "checked", "failed", "percent", "held", "agencies", "keys", "raised"]
        print_table(f"What rules find in {dataset}", [_shown(trial.report()) for trial in found], columns)
    if any(trial.raised for trial in found):
        raise typer.Exit(1)


def _shown(report: dict[str, Any]) -> dict[str, Any]:
    agencies = ", ".join(f"{code} {rows}" for code, rows in report["agencies"].items())
    return report | {"agencies": agencies, "keys": ", ".join(report["keys"])}
