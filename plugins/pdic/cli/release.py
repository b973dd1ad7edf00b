"""`pdic release` and `pdic rollback`: build, audit and publish; and what a person asks and decides of a release.

Without a word after it, `pdic release` makes a release.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from pdic.cli.names import Json
from pdic.cli.output import console, give, moment, print_items, print_json, print_table, say
from pdic.cli.stack import ensure_warehouse

Report = dict[str, Any]

release_app = typer.Typer(
    help="Build the candidate, audit it, publish it. Readers see it whole or not at all.", no_args_is_help=False
)

Number = Annotated[int, typer.Argument(metavar="N", help="Number of the release.")]
Reason = Annotated[str, typer.Option("--reason", help="Why it is right as it is; kept for good, and readers see it.")]
WhyNot = Annotated[
    str | None,
    typer.Option("--reason", help="Why, in a sentence: `pdic status` and the ledger say it, readers do not see it."),
]
By = Annotated[
    str | None,
    typer.Option("--by", help="Who decides it; readers see it (default: the account that runs the command)."),
]
FOUND = ("what", "holds", "message", "vi")
LARGEST = 5
"""So many communes or agencies of a table are shown: those that changed most. --json has all."""


@release_app.callback(invoke_without_command=True)
def release(
    context: typer.Context,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Build everything anew from raw.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Build and publish although nothing is new.")] = False,
    as_json: Json = False,
) -> None:
    """Build the candidate, audit it, publish it. Readers see it whole or not at all.

    One that is too unlike what readers see is held for a person to look at: exit code 1, and the reason.
    After a rollback it is built and audited, and not published until `pdic release resume`.
    """
    if context.invoked_subcommand is not None:
        return
    from pdic import release as releasing

    ensure_warehouse()
    with console.status("release") as line:
        report = releasing.release(full_refresh=full_refresh, force=force, progress=line.update)
    _told(report, as_json)
    if report["status"] == "held":
        raise typer.Exit(1)


@release_app.command()
def show(
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="Number of the release (default: the newest).")
    ] = None,
    as_json: Json = False,
) -> None:
    """One release: how it stands, what differed, who approved it.

    And the batches that are new in it.
    """
    from pdic.release import comparison

    ensure_warehouse()
    found = comparison.shown(number)
    if as_json:
        print_json(found)
        return
    about = found | {
        "what": f"release {found['release_id']} of {moment(found['started_at'])}",
        "seconds": _total(found["seconds"]),
    }
    about |= {name: found[name] or None for name in ("live", "full_refresh")}
    print_items(
        [about], ["what", "status", "live", "full_refresh", "seconds", "published_at", "taken_back_at", "reason"]
    )
    _show_findings(found["findings"], still=found["status"] == "held")
    if found["approvals"]:
        say("Approved:")
    for each in found["approvals"]:
        say(
            f"- {moment(each['approved_at'])} by {each['said_by']} (account {each['os_user']}, role {each['db_role']}): {each['reason']}",
            "  ",
        )
    if found["batches"]:
        print_table(
            "New batches",
            found["batches"],
            ["sector", "dataset", "batch_id", "rows_accepted", "rows_quarantined", "rows_deleted"],
        )


@release_app.command()
def diff(
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="Number of the release (default: the one that is held).")
    ] = None,
    as_json: Json = False,
) -> None:
    """How a release differs from the live one.

    Rows, keys, sums and empty values by table, and by commune or agency. Tables that hold the same are left out.
    """
    from pdic.release import comparison

    ensure_warehouse()
    found = comparison.difference(number)
    if as_json:
        print_json(found)
        return
    if found["release_id"] == found["live"]:
        say(
            f"release {found['live']} is the live one, and differs from itself in nothing: `pdic release notes` says what it changed, "
            "`pdic releases` lists the others"
        )
        return
    say(f"release {found['release_id']} ({found['status']}) against the live release {found['live']}")
    this = f"release_{found['release_id']}"
    differing = [table for table in found["tables"] if not table["same"]]
    rows = [
        {
            "table": table["table"],
            "live": table["rows_live"],
            this: table["rows"],
            "gone": table["keys_gone"],
            "new": table["keys_new"],
        }
        for table in differing
    ]
    print_table("Rows, and keys that are gone and new", rows, ["table", "live", this, "gone", "new"])
    sums = [
        {"table": f"{table['table']}.{column}", "live": _amount(pair["live"]), this: _amount(pair["now"])}
        for table in differing
        for column, pair in table["sums"].items()
        if pair["live"] != pair["now"]
    ]
    if sums:
        print_table("Sums", sums, ["table", "live", this])
    nulls = [
        {"table": f"{table['table']}.{column}", "live_%": pair["live"], f"{this}_%": pair["now"]}
        for table in differing
        for column, pair in table["nulls"].items()
    ]
    if nulls:
        print_table("Rows without a value", nulls, ["table", "live_%", f"{this}_%"])
    groups = [
        {"table": table["table"], "group": each["group"], "live": each["rows_live"], this: each["rows"]}
        for table in differing
        for each in table["groups"][:LARGEST]
    ]
    if groups:
        print_table("Communes and agencies that changed most, in rows", groups, ["table", "group", "live", this])
    _show_findings(found["findings"], still=found["status"] == "held")
    if found["status"] == "held":
        say(f"approve it: `pdic release approve {found['release_id']} --reason WHY`")


@release_app.command()
def approve(number: Number, reason: Reason, by: By = None, as_json: Json = False) -> None:
    """Publish a release that is held; who decided and why is kept."""
    from pdic import approval
    from pdic import release as releasing

    consent = approval.given(reason, by)
    ensure_warehouse()
    with console.status("publish"):
        report = releasing.approve(number, consent)
    _told(report, as_json)


@release_app.command()
def resume(reason: WhyNot = None, as_json: Json = False) -> None:
    """Let releases go out again after a rollback.

    The newest one that was built and audited meanwhile is published at once; where there is none, the next one is.
    """
    from pdic import release as releasing

    why = _why(reason)
    ensure_warehouse()
    _answered(releasing.resume(why), as_json)


@release_app.command()
def notes(
    release_id: Annotated[
        int | None, typer.Argument(metavar="RELEASE", help="Its number; nothing means the live one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a release changed: tables, batches, quality, who approved it. In Vietnamese and English."""
    from pdic.release import notes as written

    ensure_warehouse()
    found = written.of_release(release_id)
    if as_json:
        print_json(found)
        return
    say(f"release {found['release_id']}, published {moment(datetime.fromisoformat(found['published_at']))}")
    for line in found["notes"]:
        say(line["table"] or line["topic"])
        say(f"  {line['vi']}")
        say(f"  {line['en']}")


@release_app.command()
def verify(
    expected: Annotated[
        str | None,
        typer.Option(
            "--expect", metavar="HASH", help="The hash of an entry that was noted elsewhere; the ledger must have it."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Whether readers see what was published.

    Row by row, and whether the ledger is whole. Exit code 1 where something is wrong.

    Note the last hash somewhere else: who owns the database could write the ledger anew, and `--expect` finds that.
    """
    from pdic import release as releasing

    ensure_warehouse()
    with console.status("verify"):
        report = releasing.verify(expected)
    if as_json:
        print_json(report)
    else:
        for sentence in report["wrong"]:
            say(sentence)
        if report["release_id"] is None:
            say("nothing is published yet")
        elif not report["wrong"]:
            say(
                f"release {report['release_id']} is what was published ({report['tables']} tables), and the ledger is whole "
                f"({report['entries']} {'entry' if report['entries'] == 1 else 'entries'})"
            )
        give(report["last_hash"], "the hash of its last entry:")
    if report["wrong"]:
        raise typer.Exit(1)


def rollback(reason: WhyNot = None, as_json: Json = False) -> None:
    """Bring the former release back before readers, and keep it there.

    Releases are built and audited from then on, and not published until `pdic release resume`. A second rollback changes nothing.
    """
    from pdic import release as releasing

    why = _why(reason)
    ensure_warehouse()
    _answered(releasing.rollback(why), as_json)


def _why(reason: str | None) -> str | None:
    from pdic import approval

    return None if reason is None else approval.words(reason)


def _answered(report: Report, as_json: bool) -> None:
    """Print what a person's word did."""
    if as_json:
        print_json(report)
    else:
        say(report["message"])


def _told(report: Report, as_json: bool) -> None:
    """Print what became of a release."""
    from pdic.release import broken_rules

    if as_json:
        print_json(report)
        return
    say(f"release {report['release_id']}: {report['status']}")
    if report.get("message"):
        say(report["message"])
    if report.get("warnings"):
        say(broken_rules.sentence(report["warnings"]))


def _show_findings(findings: list[Report], *, still: bool) -> None:
    """Print how a release differed by more than the limits. `still`: it is held."""
    for holds, title in ((True, "What holds it:" if still else "What had held it:"), (False, "Warnings:")):
        some = [each for each in findings if each["holds"] is holds]
        if some:
            say(title)
        for each in some:
            say(f"- {each['message']} | {each['message_vi']}", "  ")


def _total(seconds: dict[str, float]) -> float:
    return round(sum(seconds.values()), 1)


def _amount(value: Any) -> str | None:
    return None if value is None else f"{value:,.0f}"
