"""`pdic quarantine …`: what is held back, and what is done about it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pdic.cli.names import Json, Targets
from pdic.cli.output import console, give, print_json, print_table, say, tell
from pdic.cli.stack import ensure_warehouse

quarantine_app = typer.Typer(help="Rows that were held back, and what is done about them.", no_args_is_help=True)

Agency = Annotated[str | None, typer.Option("--agency", help="Code of the agency that owns the rows.")]
Who = Annotated[str | None, typer.Option("--by", help="Who does this (default: the account that runs the command).")]
COLUMNS = ("record_id", "sector", "dataset", "agency", "key", "severity", "standing", "due_on", "times", "reasons")


@quarantine_app.command("list")
def list_(
    targets: Targets = None,
    agency: Agency = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", help="open, returned, expired, waived, corrected; again for several (default: not settled)."
        ),
    ] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Only records that break this rule.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """Records, those due first. Keys that may be personal are not shown; correction files have them."""
    from pdic.quarantine import desk

    ensure_warehouse()
    found = desk.listed(desk.Wanted(targets or (), agency, state or desk.UNSETTLED, rule), limit)
    if as_json:
        print_json(found)
        return
    print_table("Quarantine", [row | {"reasons": ", ".join(row["reasons"])} for row in found], list(COLUMNS))
    if len(found) == limit:
        tell(f"only the first {limit}: say --limit, or `pdic quarantine summary` for counts")


@quarantine_app.command()
def show(record_id: Annotated[int, typer.Argument(help="Number of the record.")], as_json: Json = False) -> None:
    """One record and everything that became of it."""
    from pdic.quarantine import desk

    ensure_warehouse()
    record = desk.shown(record_id)
    if as_json:
        print_json(record)
        return
    for name, value in record.items():
        if name != "events" and value is not None:
            say(f"{name.replace('_', ' ')}: {', '.join(value) if isinstance(value, list) else value}", "  ")
    print_table("Events", record["events"], ["happened_at", "what", "batch_id", "who", "note"])


@quarantine_app.command()
def summary(targets: Targets = None, agency: Agency = None, as_json: Json = False) -> None:
    """Counts by dataset and agency.

    With the first day due, and the share that was closed; and whole batches that wait for a person.
    """
    from pdic import held
    from pdic.quarantine import desk

    ensure_warehouse()
    found = desk.summary(desk.Wanted(targets or (), agency, desk.STANDINGS))
    if as_json:
        print_json(found)
    else:
        print_table(
            "Quarantine", found, ["sector", "dataset", "agency", *desk.STANDINGS, "first_due", "closed_percent"]
        )
        for batch in held.waiting():
            tell(batch["message"], "yellow")


@quarantine_app.command("return")
def return_(
    targets: Targets = None,
    agency: Agency = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Where to write the files (default: corrections in the home).")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was returned before and is not corrected.")] = False,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Write correction files for agencies.

    One (XLSX and CSV) for each agency and dataset. The records are marked returned.
    """
    from pdic import approval
    from pdic.quarantine import correction, desk

    ensure_warehouse()
    wanted = desk.Wanted(targets or (), agency, desk.UNSETTLED, unreturned_only=not again)
    with console.status("return"):
        found = correction.hand_back(wanted, who=who or approval.person(), folder=folder)
    if as_json:
        print_json(found)
        return
    print_table("Returned", found, ["sector", "dataset", "agency", "records", "personal_columns"])
    for each in found:
        for path in each["files"]:
            give(path)
    if not found:
        say("nothing to return: no record is open")


@quarantine_app.command()
def waive(
    record_ids: Annotated[list[int], typer.Argument(help="Numbers of the records.")],
    why: Annotated[str, typer.Option("--why", help="Why the rows may pass although they break rules.")],
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day the waiver stands.")],
    who: Annotated[str, typer.Option("--by", help="Who decides it.")],
    retry: Annotated[bool, typer.Option(help="Judge the rows again at once, so that they are accepted.")] = True,
    as_json: Json = False,
) -> None:
    """Let rows pass although they break rules.

    Who decided it, why, and until when are kept.
    """
    from pdic.quarantine import desk
    from pdic.retry import retry as judge_again

    ensure_warehouse()
    waived = desk.waive(record_ids, who=who, why=why, until=until.date())
    reports: list[dict[str, Any]] = []
    if retry:
        targets = sorted({f"{record['sector']}.{record['dataset']}" for record in waived})
        reports = judge_again(targets, record_ids=[record["record_id"] for record in waived])
    if as_json:
        print_json({"waived": waived, "batches": reports})
    else:
        rows = [row | {"reasons": ", ".join(row["reasons"])} for row in waived]
        print_table("Waived", rows, ["record_id", "sector", "dataset", "agency", "waived_until", "reasons"])
        _show_batches(reports)
    _exit(reports)


@quarantine_app.command()
def retry(targets: Targets = None, as_json: Json = False) -> None:
    """Judge held rows once more, and accept the good ones.

    Today's rules and waivers count. Exit code 1 where a dataset failed.
    """
    from pdic.retry import retry as judge_again

    ensure_warehouse()
    with console.status("retry"):
        reports = judge_again(targets or [])
    if as_json:
        print_json(reports)
    else:
        _show_batches(reports)
    _exit(reports)


def _show_batches(reports: list[dict[str, Any]]) -> None:
    from pdic.load import WELL

    columns = ["sector", "dataset", "batch_id", "status", "rows_extracted", "rows_accepted", "rows_quarantined"]
    print_table("Judged again", reports, columns)
    for report in reports:
        if report.get("message"):
            tell(report["message"], "yellow" if report["status"] in WELL else "red")


def _exit(reports: list[dict[str, Any]]) -> None:
    from pdic.load import WELL

    if any(report["status"] not in WELL for report in reports):
        raise typer.Exit(1)
