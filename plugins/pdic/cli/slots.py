"""`pdic slot`: the replication slots that cdc datasets hold at their sources."""

from __future__ import annotations

from typing import Any

import typer

from pdic.cli.names import Dataset, Json
from pdic.cli.output import print_json, print_table, say, tell
from pdic.cli.stack import ensure_warehouse

slot_app = typer.Typer(help="Replication slots of cdc datasets (docs/cdc.md).", no_args_is_help=True)


@slot_app.command("list")
def list_(as_json: Json = False) -> None:
    """Every slot of this installation, and how far it lags.

    Also how much log its source keeps for it, and what to see to.
    """
    from pdic import connections
    from pdic.sources.cdc import watch

    ensure_warehouse()
    reports = watch.slots(connections.uri)
    if as_json:
        print_json(reports)
    else:
        print_slots(reports)


@slot_app.command()
def drop(dataset: Dataset, as_json: Json = False) -> None:
    """Retire a dataset's slot.

    The source no longer keeps its log. A later load of the dataset starts with a whole copy.
    """
    _end(dataset, as_json, "Dropped")


@slot_app.command()
def renew(dataset: Dataset, as_json: Json = False) -> None:
    """Let the next load copy the whole table anew.

    It compares the copy with what was accepted, and goes on from there with a new slot.
    """
    _end(dataset, as_json, f"The next load of {dataset} copies the whole table")


def print_slots(reports: list[dict[str, Any]], *, warnings: bool = True) -> None:
    """A table of slots, and each warning after it."""
    columns = ["sector", "dataset", "slot", "active", "lag", "retained", "wal_status", "safe"]
    print_table("Replication slots (bytes)", reports, columns)
    for report in reports:
        if warnings and report["warning"]:
            tell(f"{report['sector']}.{report['dataset']}: {report['warning']}", "yellow")


def _end(dataset: str, as_json: bool, done: str) -> None:
    from pdic import connections
    from pdic.sources.cdc import retire

    ensure_warehouse()
    report = retire.end(dataset, connections.uri)
    if as_json:
        print_json(report)
    else:
        state = "is dropped" if report["dropped"] else "was not there"
        say(f"{done}: slot {report['slot']} {state} at the source")
