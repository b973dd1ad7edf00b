"""`pdic reconcile`: compare sources and warehouse, and heal what differs."""

from __future__ import annotations

from typing import Annotated

import typer

from pdic.cli.app import app
from pdic.cli.names import Json, Targets
from pdic.cli.output import console, print_json, print_table, tell
from pdic.cli.stack import ensure_warehouse

COLUMNS = ("sector", "dataset", "batch_id", "status", "source_rows", "late", "changed", "news", "deleted")


@app.command()
def reconcile(
    targets: Targets = None,
    approve: Annotated[
        bool, typer.Option("--approve", help="Apply the deletions that the guard held; not more of them than it saw.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", help="With --approve: why the deletions are right; kept for good.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", help="With --approve: who decides it (default: the account that runs the command)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare sources and warehouse, and heal what differs.

    Finds rows that loads missed, that changed unseen or that were deleted at the source. Exit code 1 where a dataset was held
    or failed.
    """
    from pdic import approval
    from pdic import reconcile as reconciling
    from pdic.load import WELL

    consent = approval.given(reason or "", by) if approve else None
    ensure_warehouse()
    with console.status("reconcile") as line:
        reports = reconciling.reconcile(
            targets or [], approve=approve, consent=consent, progress=lambda name: line.update(name)
        )
    if as_json:
        print_json(reports)
    else:
        rows = [row | {"seconds": row.get("seconds", {}).get("total")} for row in reports]
        print_table("Reconcile", rows, [*COLUMNS, "rows_quarantined", "seconds"])
        for row in reports:
            if row.get("message"):
                tell(row["message"], "yellow" if row["status"] in WELL else "red")
            if row.get("warning"):
                tell(f"{row['sector']}.{row['dataset']}: {row['warning']}", "yellow")
    if any(row["status"] not in WELL for row in reports):
        raise typer.Exit(1)
