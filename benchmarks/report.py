"""What the samples come to: a summary, tables for the terminal and for documents, a chart."""

from __future__ import annotations

from statistics import median
from typing import Any

import altair
from rich.table import Table

WAYS = {
    "pipe": "psql pipe, bare heap",
    "pdic": "PDIC",
    "pdic_ranges": "PDIC, two ranges",
    "sling": "sling",
    "dlt": "dlt (connectorx, CSV)",
    "insert_rows": "Airflow insert_rows",
}
LOADS = {
    "full": "Full load",
    "incremental": "Incremental load (1 % changed, 0.5 % new)",
    "peers_full": "Full load beside the peers, each with the start of its process",
    "peers_incremental": "Incremental load beside the peers, likewise",
}
FACTS = ("extract", "start", "cpu", "memory_at_start", "rows", "bytes")
HEADINGS = ("", "median s", "min–max", "ratio", "by turn", "peak MB", "differs from the source in")


def summarise(results: dict[str, Any]) -> dict[str, Any]:
    """Per load and way: median and range of seconds, peak memory. A ratio is of medians; its range is of those within one turn."""
    return {load: _summary(samples) for load, samples in results["loads"].items()}


def _summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    pipe = [sample["pipe"]["seconds"] for sample in samples]
    found: dict[str, Any] = {}
    for way in (way for way in WAYS if way in samples[0]):
        taken = [sample[way]["seconds"] for sample in samples]
        found[way] = _spread(taken) | {
            "ratio": round(median(taken) / median(pipe), 3),
            "ratio_range": _spread([mine / its for mine, its in zip(taken, pipe, strict=True)])["range"],
        }
        if "memory" in samples[0][way]:
            found[way]["memory"] = max(sample[way]["memory"] for sample in samples)
        found[way] |= {
            fact: _spread([s[way][fact] for s in samples])["median"] for fact in FACTS if fact in samples[0][way]
        }
    return found


def _spread(values: list[float]) -> dict[str, Any]:
    return {"median": round(median(values), 3), "range": [round(min(values), 3), round(max(values), 3)]}


def rows(load: str, results: dict[str, Any], summary: dict[str, Any]) -> list[list[str]]:
    """One kind of load as rows of text, under HEADINGS."""
    losses = results["losses"].get(load, {})
    shown = []
    for way, taken in summary[load].items():
        compared = losses.get(way)
        shown.append(
            [
                WAYS[way],
                f"{taken['median']:.2f}",
                "–".join(f"{end:.2f}" for end in taken["range"]),
                f"{taken['ratio']:.2f}",
                "–".join(f"{end:.2f}" for end in taken["ratio_range"]),
                f"{taken['memory']:.0f}" if "memory" in taken else "",
                "" if compared is None else ", ".join(compared) or "nothing",
            ]
        )
    return shown


def title(load: str, results: dict[str, Any], summary: dict[str, Any]) -> str:
    """What a table shows: the load, its rows, how often."""
    plan = results["plan"]
    size = plan["peer_rows" if load.startswith("peers") else "rows"]
    brought = summary[load]["pdic"]["rows"]
    return f"{LOADS[load]}: {brought:,.0f} rows of {size:,}, {len(results['loads'][load])} runs"


def table(load: str, results: dict[str, Any], summary: dict[str, Any]) -> Table:
    """One kind of load, for the terminal."""
    shown = Table(title=title(load, results, summary))
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading in (HEADINGS[0], HEADINGS[-1]) else "right")
    for row in rows(load, results, summary):
        shown.add_row(*row)
    return shown


def markdown(results: dict[str, Any], summary: dict[str, Any]) -> str:
    """Every table, for documents."""
    lines = [machine(results), ""]
    for load in (load for load in LOADS if load in summary):
        lines += [
            f"**{title(load, results, summary)}**",
            "",
            f"| {' | '.join(HEADINGS)} |",
            "|---" * len(HEADINGS) + "|",
        ]
        lines += [f"| {' | '.join(row)} |" for row in rows(load, results, summary)] + [""]
    lines += [f"- {remark}" for remark in results["remarks"]]
    return "\n".join(lines).rstrip() + "\n"


def machine(results: dict[str, Any]) -> str:
    """Where and how the runs were made, in a sentence."""
    found = results["machine"]
    own = max(load["pdic"]["memory_at_start"] for load in summarise(results).values())
    return (
        f"Measured on {results['measured_on']}: {found['cores']} cores, {found['memory_gb']} GB, PostgreSQL "
        f"{found['postgresql']['server_version']}, {results['bytes_per_row']} bytes of table a row; load average "
        f"{found['load_average_at_start']} at the start, {found['load_average_at_end']} at the end. Peak MB of PDIC are above the "
        f"{own:.0f} that Python and the imports hold; of a peer, all it holds. Every run is in load.json."
    )


def chart(results: dict[str, Any]) -> Any:
    """Every run as a dot, the median as a bar: an Altair chart, one row per kind of load."""
    points = [
        {"load": LOADS[load], "way": label, "seconds": sample[way]["seconds"]}
        for load, samples in results["loads"].items()
        for sample in samples
        for way, label in WAYS.items()
        if way in sample
    ]
    way = altair.Y("way:N", sort=list(WAYS.values()), title=None)
    base = altair.Chart(altair.Data(values=points)).encode(y=way)
    bars = base.mark_bar(opacity=0.4).encode(x=altair.X("median(seconds):Q", title="seconds"))
    both = altair.layer(bars, base.mark_circle(size=40).encode(x="seconds:Q")).properties(width=420)
    order = [LOADS[load] for load in LOADS if load in results["loads"]]
    above = altair.Header(labelOrient="top", labelAnchor="start", labelFontWeight="bold")
    return both.facet(row=altair.Row("load:N", sort=order, title=None, header=above)).resolve_scale(
        x="independent", y="independent"
    )
