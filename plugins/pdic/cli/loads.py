"""What `pdic load` says of its datasets: a line each where they are few, a line a sector where they are many."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from pdic.cli.output import FEW, FEW_PROBLEMS, print_table, say, tell

Report = dict[str, Any]

COUNTS: Final = {
    "extracted": "rows_extracted",
    "accepted": "rows_accepted",
    "held_back": "rows_quarantined",
    "deleted": "rows_deleted",
    "marked_deleted": "rows_marked_deleted",
}
"""What a column of numbers is called here, and in a report. The rest of what was extracted had not changed.

`marked_deleted` rows are among those that were extracted; `deleted` are keys that the source no longer has."""


def show(reports: Sequence[Report], well: Collection[str]) -> None:
    """Print what became of each dataset; ``well`` are the statuses with which nobody has to do anything."""
    rows = [_row(report) for report in reports]
    if len(rows) <= FEW:
        print_table("Load", list(_under_sectors(rows)), ["dataset", "status", *_told(rows), "seconds"])
    else:
        sectors = [_sum(sector, list(group), well) for sector, group in groupby(rows, lambda row: row["sector"])]
        columns = ["sector", "datasets", "failed", "with_news", *_told(sectors), "seconds"]
        print_table("Load", sectors, columns)
        say("each dataset of a sector: `pdic status --sector SECTOR`; all that was loaded: --json")
    _tell_some(
        [report["message"] for report in reports if report.get("message")], "red", "`pdic status --problems`, or --json"
    )
    # Every remark is printed: most are said by one load only, and `pdic status` does not repeat them.
    for remark in _named(reports, "drift"):
        tell(remark, "yellow")
    _tell_some(_named(reports, "warning"), "yellow", "`pdic status --json` has the newest of each dataset")


def _row(report: Report) -> Report:
    counts = {name: report.get(of) for name, of in COUNTS.items()}
    seconds = round(sum(report.get("seconds", {}).values()), 2)
    return {name: report[name] for name in ("sector", "dataset", "status")} | counts | {"seconds": seconds}


def _under_sectors(rows: Sequence[Report]) -> Iterator[Report]:
    """Each sector's rows after a row for the sector: both names in one would not fit."""
    for sector, group in groupby(rows, lambda row: row["sector"]):
        yield {"dataset": sector}
        for row in group:
            yield {name: value for name, value in row.items() if name != "sector"} | {"dataset": f"  {row['dataset']}"}


def _sum(sector: str, rows: Sequence[Report], well: Collection[str]) -> Report:
    return {
        "sector": sector,
        "datasets": len(rows),
        "failed": sum(row["status"] not in well for row in rows),
        "with_news": sum(bool(row["accepted"] or row["deleted"] or row["held_back"]) for row in rows),
        **{name: sum(row[name] or 0 for row in rows) for name in COUNTS},
        "seconds": round(sum(row["seconds"] for row in rows), 1),
    }


def _told(rows: Sequence[Report]) -> list[str]:
    """The counts that are not nothing in every row: a column of zeros says nothing and takes the room of others."""
    return [name for name in COUNTS if name == "extracted" or any(row.get(name) for row in rows)]


def _named(reports: Sequence[Report], what: str) -> list[str]:
    """What is said of datasets under ``what``, each after its dataset's name."""
    return [f"{report['sector']}.{report['dataset']}: {report[what]}" for report in reports if report.get(what)]


def _tell_some(sentences: Sequence[str], style: str, rest: str) -> None:
    """Print the first sentences, and where to find the ``rest``."""
    for sentence in sentences[:FEW_PROBLEMS]:
        tell(sentence, style)
    if len(sentences) > FEW_PROBLEMS:
        tell(f"and {len(sentences) - FEW_PROBLEMS:,} more: {rest}", style)
