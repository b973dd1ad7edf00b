"""`pdic history` and `pdic releases`: what became of a dataset's loads, and of the releases."""

from __future__ import annotations

from typing import Annotated

import typer

from pdic.cli import names
from pdic.cli.app import app
from pdic.cli.output import moment, print_items, print_json, say
from pdic.cli.stack import ensure_warehouse

Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many, newest first.")]

BATCH = (
    *(
        "what",
        "status",
        "capture",
        "rows_extracted",
        "rows_accepted",
        "rows_quarantined",
        "rows_unchanged",
        "rows_deleted",
    ),
    *("seconds", "error_kind", "reason", "warning"),
)
RELEASE = (
    "what",
    "status",
    "live",
    "full_refresh",
    "datasets",
    "rows",
    "seconds",
    "published_at",
    "rolled_back_at",
    "reason",
)


@app.command()
def history(dataset: names.Dataset, limit: Limit = 20, as_json: names.Json = False) -> None:
    """A dataset's loads, newest first, and what became of them.

    Of each batch: when, how, rows, seconds, what became of it and why.
    """
    from pdic import history as past

    sector, name = names.split(dataset)
    ensure_warehouse()
    batches = past.of_dataset(sector, name, limit=limit)
    if as_json:
        print_json(batches)
        return
    if not batches:
        say(f"{dataset} was never loaded: run `pdic load {dataset}`")
    shown = [row | {"what": f"batch {row['batch_id']} of {moment(row['started_at'])}"} for row in batches]
    print_items(shown, BATCH)


@app.command()
def releases(limit: Limit = 20, as_json: names.Json = False) -> None:
    """The releases, newest first, and what became of them.

    Of each: when, how far it came, what it brought, when readers saw it, and why it failed.
    """
    from pdic import history as past

    ensure_warehouse()
    found = past.releases(limit=limit)
    if as_json:
        print_json(found)
        return
    if not found:
        say("nothing was released yet: run `pdic release`")
    shown = [
        row
        | {"what": f"release {row['release_id']} of {moment(row['started_at'])}"}
        | {name: row[name] or None for name in ("live", "full_refresh")}
        for row in found
    ]
    print_items(shown, RELEASE)
