"""What loads, reconciles and releases announce to other DAGs: docs/airflow.md says how to follow it.

    sector_asset    any dataset of a sector has news; the release DAG waits for these
    dataset_asset   this dataset has news
    shared_asset    readers see this table changed: a release was published, or taken back

An event's `extra` says which batch or release, and how many rows. It holds ids, names and counts, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Asset, AssetAlias

from pdic import airflow_names

if TYPE_CHECKING:
    from airflow.sdk import Context

    from pdic.release.announced import News

NEWS: Final = ("rows_accepted", "rows_deleted", "rows_quarantined")
"""The counts of a batch that make it news."""


def sector_asset(sector: str) -> Asset:
    """The news of any dataset of a sector."""
    return Asset(*airflow_names.of_sector(sector))


def dataset_asset(sector: str, dataset: str) -> Asset:
    """The news of one dataset."""
    return Asset(*airflow_names.of_dataset(sector, dataset))


def shared_asset(table: str) -> Asset:
    """A shared table, as readers see it."""
    return Asset(*airflow_names.of_shared(table))


def datasets_with_news(sector: str) -> AssetAlias:
    """Stands for those datasets of a sector that had news: the task that accepts them all learns which only when it runs."""
    return AssetAlias(f"{sector_asset(sector).name}.datasets")


def changed_tables() -> AssetAlias:
    """Stands for those shared tables that a release changed: the task that publishes it learns which only when it runs."""
    return AssetAlias("shared.tables")


def has_news(report: Mapping[str, Any]) -> bool:
    """Did a batch bring anything?"""
    return any(report.get(name) for name in NEWS)


def announce_batches(context: Context, sector: str, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Say of the sector and of each dataset with news (dataset → batch_id and counts) which batch it is.

    For a task with the outlets `sector_asset` and `datasets_with_news`. A dataset without news gets no event.
    """
    news = {dataset: report for dataset, report in sorted(reports.items()) if has_news(report)}
    events = context["outlet_events"]
    alias = events[datasets_with_news(sector)]
    for dataset, report in news.items():
        alias.add(dataset_asset(sector, dataset), extra=_of_batch(report))
    events[sector_asset(sector)].extra = {
        "datasets": list(news),
        **{name: sum(report.get(name) or 0 for report in news.values()) for name in NEWS},
    }


def announce_batch(context: Context, sector: str, dataset: str, report: Mapping[str, Any]) -> None:
    """Say which batch brought a dataset's news. For a task with the outlets `sector_asset` and `dataset_asset`."""
    events = context["outlet_events"]
    events[dataset_asset(sector, dataset)].extra = _of_batch(report)
    events[sector_asset(sector)].extra = {"datasets": [dataset], **{name: report.get(name) or 0 for name in NEWS}}


def announce_tables(context: Context, news: News) -> None:
    """Say of each shared table that changed which release shows it. For a task with the outlet `changed_tables`."""
    alias = context["outlet_events"][changed_tables()]
    for table, holds in sorted(news.tables.items()):
        alias.add(shared_asset(table), extra={"release_id": news.release_id, **holds})


def _of_batch(report: Mapping[str, Any]) -> dict[str, Any]:
    return {"batch_id": report["batch_id"], **{name: report.get(name) or 0 for name in NEWS}}
