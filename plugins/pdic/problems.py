"""What is wrong now, in sentences that say what to do: read off the report of `pdic status`, nothing is asked again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from pdic.airflow_names import TIME_ZONE
from pdic.errors import SourceRefused, SourceUnavailable, SourceUnreachable
from pdic.quality.freshness import words

OF_SOURCES: Final = frozenset(kind.__name__ for kind in (SourceUnavailable, SourceUnreachable, SourceRefused))
"""Kinds of error with which a load ends where its source does not answer, or refuses."""

Report = Mapping[str, Any]
Problem = dict[str, str]
"""`where` (SECTOR.DATASET, release, readers, disk, rights, airflow) and `what`, a sentence."""


LITTLE_ROOM: Final = 256_000_000
"""Bytes that are free on a disk that is nearly full."""


def problems(report: Report) -> list[Problem]:
    """Everything in a status report that somebody has to see to; datasets in their order, the rest after them."""
    loaded = any(dataset["last_good_load"] or dataset["last_error"] for dataset in report["datasets"])
    found = [
        {"where": f"{dataset['sector']}.{dataset['dataset']}", "what": what}
        for dataset in report["datasets"]
        for what in of_dataset(dataset, province_is_loaded=loaded)
    ]
    found += [
        {"where": f"{contract['sector']}.{contract['dataset']}", "what": contract["message"]}
        for contract in report["unreadable"]
    ]
    found += [
        {"where": f"{slot['sector']}.{slot['dataset']}", "what": slot["warning"]}
        for slot in report["slots"]
        if slot["warning"]
    ]
    found += [{"where": "release", "what": what} for what in _of_releases(report["release"])]
    found += [{"where": "readers", "what": what} for what in (report.get("readers") or {}).get("problems", ())]
    found += [{"where": "disk", "what": what} for what in _of_disk(report.get("disk"))]
    found += [{"where": "rights", "what": what} for what in _of_rights(report.get("rights"))]
    return found + [{"where": "airflow", "what": what} for what in _of_airflow(report.get("airflow"))]


def of_dataset(dataset: Report, *, province_is_loaded: bool = True) -> Iterator[str]:
    """What is wrong with one dataset. Where nothing was ever loaded, that is no dataset's problem."""
    name = f"{dataset['sector']}.{dataset['dataset']}"
    error, uncounted = dataset["last_error"], dataset["source_problem"]
    if error:
        reason = (error["reason"] or "no reason is recorded").removeprefix(f"{name}: ")
        yield f"batch {error['batch_id']} came to nothing {ago(error['seconds_ago'])}: {reason}"
    elif dataset["last_good_load"] is None and province_is_loaded:
        also = (
            f", and its source gives no count of its rows ({uncounted}): see that it answers, then"
            if uncounted
            else ":"
        )
        yield f"it was never loaded{also} run `pdic load {name}`"
        uncounted = None
    if dataset["late"]:
        age, promised = in_words(dataset["age_seconds"]), in_words(dataset["promised_seconds"])
        yield f"its last good load is {age} old, and its contract promises {promised}: run `pdic load {name}`"
    if uncounted and not (error and error["kind"] in OF_SOURCES):  # a load that its source broke has said it
        yield f"its source gives no count of its rows ({uncounted}): see that it answers, then run `pdic load {name}`"
    compared = dataset["last_reconcile"]
    if compared and compared["held"] and not (error and error["batch_id"] == compared["batch_id"]):  # that has said it
        yield (
            f"{compared['deleted']:,} rows are gone at the source, and their deletion waits for an approval: look at the source, "
            f"then run `pdic reconcile {name} --approve --reason WHY`"
        )


def _of_releases(release: Report) -> Iterator[str]:
    newest = release["newest"][:1]
    if pinned := release.get("pin"):
        yield kept_back(pinned, newest)
    if (left := release.get("left_behind")) and not newest[0]["message"]:
        yield f"{left_behind(left)}, and readers see release {release['live'] or 'none'}: run `pdic release`"
    if not newest or not (why := newest[0]["message"]):
        return
    number, status, sees = newest[0]["release_id"], newest[0]["status"], release["live"] or "none"
    if status == "held":
        yield why
    elif status == "failed":
        yield f"release {number} failed, and readers see release {sees}: {why}"
    elif status == "audited":
        yield f"release {number} is built and audited, and readers see release {sees}: {why}; run `pdic release`"


def left_behind(release_id: int) -> str:
    """What is to be said of a release that is open and that no process works on."""
    return f"release {release_id} did not come to its end, and no process works on it any more"


def kept_back(pinned: Report, newest: Sequence[Report]) -> str:
    """Who keeps releases from going out, since when and why, and what to do."""
    at = datetime.fromisoformat(pinned["pinned_at"]).astimezone(ZoneInfo(TIME_ZONE))
    ready = newest[0]["release_id"] if newest and newest[0]["status"] == "ready" else None
    waits = (
        f"release {ready} is ready, and is not published"
        if ready
        else "releases are built and audited, and not published"
    )
    return (
        f"{waits}: {pinned['by_person']} took release {pinned['taken_back_release_id']} back on {at:%Y-%m-%d %H:%M} "
        f"({pinned['reason']}), and readers see release {pinned['shown_release_id']}. Once the cause is mended, run "
        "`pdic release resume --reason WHY`"
    )


def _of_airflow(airflow: Report | None) -> Iterator[str]:
    """Airflow that was started and is not whole. One that nobody started, or that was stopped, is none of our business."""
    if airflow is None or not airflow["wanted"]:
        return
    parts = airflow["components"]
    if unwell := sorted(name for name, state in parts.items() if state != "healthy"):
        yield f"it is not whole ({', '.join(f'{name}: {parts[name]}' for name in unwell)}): run `pdic up`, which mends it"


def _of_rights(rights: Report | None) -> Iterator[str]:
    """What keeps a step from running under another role (docs/rights.md) is gone: after a restore, or switched off."""
    if rights and not rights["in_force"]:
        yield (
            "what keeps one step's code from running as another role is not in force: run `pdic up` (in containers "
            "`docker-compose up init`), which puts it back"
        )
    for what in (rights or {}).get("unguarded", ()):
        yield (
            f"{what}, so a register that is only added to could have been changed: run `pdic up`, which guards it again, "
            "then `pdic release verify`, and ask who did it"
        )


def _of_disk(disk: Report | None) -> Iterator[str]:
    """A disk on which the embedded server, the next release or the logs soon find no room."""
    free = disk["free_bytes"] if disk else None
    if disk and free is not None and free < LITTLE_ROOM:
        yield f"the disk of {disk['of']} has {free // 1_000_000} MB left: make room before loads and releases need it"


def ago(seconds: float) -> str:
    """How long ago something was: `26 min ago`, `just now`."""
    return f"{in_words(seconds)} ago" if seconds >= 60 else "just now"


def in_words(seconds: float) -> str:
    """A length of time: `3 d 4 h`, `26 min`."""
    return words(timedelta(seconds=seconds)).en
