"""What the samples come to: a summary, tables for the terminal, a chart."""

from __future__ import annotations

from statistics import median
from typing import Any

import altair
from rich.table import Table

LOADS = {"full": "Full load", "incremental": "Incremental load (1 % changed, 0.5 % new)"}
WAYS = {"pipe": "psql pipe, bare heap", "extract": "PDIC extract", "extract_accept": "PDIC extract + accept"}


def summarise(results: dict[str, Any]) -> dict[str, Any]:
    """Median and range per load and way. A ratio is of medians; its range is of the ratios within one turn."""
    return {load: _summary(results[load]) for load in LOADS}


def _summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    pipe = _seconds(samples, "pipe")
    ways = {
        way: _spread(taken)
        | {"ratio": round(median(taken) / median(pipe), 2)}
        | {"ratio_range": _spread([mine / its for mine, its in zip(taken, pipe, strict=True)])["range"]}
        for way, taken in ((way, _seconds(samples, way)) for way in WAYS)
    }
    names = ("start", "cpu", "memory_at_start", "memory_above_start", "rows", "bytes")
    return {"seconds": ways, **{name: _spread([sample["pdic"][name] for sample in samples]) for name in names}}


def _seconds(samples: list[dict[str, Any]], way: str) -> list[float]:
    return [sample["pipe"]["seconds"] if way == "pipe" else sample["pdic"][way] for sample in samples]


def _spread(values: list[float]) -> dict[str, Any]:
    return {"median": round(median(values), 3), "range": [round(min(values), 3), round(max(values), 3)]}


def table(load: str, results: dict[str, Any], summary: dict[str, Any]) -> Table:
    """One kind of load, for the terminal."""
    own = summary[load]
    rows, sent = own["rows"]["median"], own["bytes"]["median"] / 1e6
    shown = Table(title=f"{LOADS[load]}: {rows:,.0f} rows, {sent:,.1f} MB as sent, {len(results[load])} runs")
    for heading in ("", "median s", "min–max", "rows/s", "ratio", "by turn"):
        shown.add_column(heading, justify="right" if heading else "left")
    for way, label in WAYS.items():
        taken = own["seconds"][way]
        spreads = ["–".join(f"{end:.2f}" for end in taken[name]) for name in ("range", "ratio_range")]
        speed = f"{rows / taken['median']:,.0f}"
        shown.add_row(label, f"{taken['median']:.2f}", spreads[0], speed, f"{taken['ratio']:.2f}", spreads[1])
    shown.caption = (
        f"PDIC's process: peak memory {own['memory_above_start']['median']:.1f} MB above the "
        f"{own['memory_at_start']['median']:.0f} MB it starts with; CPU {own['cpu']['median']:.2f} s; start (Python, imports, "
        f"contract; not counted above) {own['start']['median']:.2f} s. No rule is checked."
    )
    return shown


def chart(results: dict[str, Any]) -> Any:
    """Every run as a dot, the median as a bar: an Altair chart."""
    points = [
        {"load": title, "way": label, "seconds": seconds}
        for load, title in LOADS.items()
        for way, label in WAYS.items()
        for seconds in _seconds(results[load], way)
    ]
    way = altair.Y("way:N", sort=list(WAYS.values()), title=None)
    base = altair.Chart(altair.Data(values=points)).encode(y=way)
    bars = base.mark_bar(opacity=0.4).encode(x=altair.X("median(seconds):Q", title="seconds"))
    both = altair.layer(bars, base.mark_circle(size=40).encode(x="seconds:Q")).properties(width=420)
    return both.facet(row=altair.Row("load:N", sort=list(LOADS.values()), title=None)).resolve_scale(x="independent")
