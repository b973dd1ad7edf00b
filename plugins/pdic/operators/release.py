"""The four steps of a release, and what it announces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from pdic.errors import ReleaseFenced, ReleaseHeld
from pdic.operators.assets import announce_tables
from pdic.operators.base import PdicOperator, connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context

    from pdic.release.announced import News


class OpenOperator(PdicOperator):
    """Waits until no load is under way, then pins the newest accepted batches; returns release_id.

    Skips the run where readers already see everything, or where a rollback keeps back a release that has everything. The run's
    conf may say `full_refresh`.
    """

    def __init__(self, *, settle_seconds: float = 300, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settle_seconds = settle_seconds

    def run(self, context: Context) -> dict[str, Any]:
        """Raises what `pdic.release.open_release` raises: `Busy` where another release is being built for long.

        And `ReleaseHeld` where all that is new is in a release that waits for a person: readers do not have it.
        """
        from pdic import release

        waited = release.settle(self.settle_seconds, connect_to)
        full_refresh = bool(context["params"].get("full_refresh"))
        report = release.open_release(full_refresh=full_refresh, connect_to=connect_to, wait=self.settle_seconds)
        if report["status"] == "held":
            raise ReleaseHeld(report["message"])
        if report["status"] == "unchanged":
            raise AirflowSkipException(f"release {report['release_id']} already shows everything")
        if report["status"] == "ready":
            raise AirflowSkipException(report["message"])
        self.log.info("release %s is open (waited %.0f s for loads)", report["release_id"], waited)
        return {"release_id": report["release_id"]}


class ReleaseStepOperator(PdicOperator):
    """A later step of the release that the task `opened` began. Subclasses name the function of `pdic.release`."""

    step: str

    def __init__(self, *, opened: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opened = opened

    def run(self, context: Context) -> dict[str, Any]:
        """Skips where a newer release brings the same news. Raises ReleaseFenced where it does not, ReleaseError where the step says no.

        ReleaseHeld where it is too unlike the live one: the run fails, so that a person sees it. What an approval publishes is announced by
        the next run of `catch_up`, or at once where the task `publish` is cleared.
        """
        from pdic import release

        release_id = context["ti"].xcom_pull(task_ids=self.opened)["release_id"]
        try:
            report = getattr(release, self.step)(release_id, connect_to)
        except ReleaseFenced:
            newer = release.overtaken_by(release_id, connect_to)
            if newer is None:
                raise
            raise AirflowSkipException(
                f"release {newer} overtook release {release_id} and brings the same news"
            ) from None
        if report["status"] == "held":
            raise ReleaseHeld(report["message"])
        self.log.info("release %s: %s", release_id, report["status"])
        said = {"message": report["message"]} if report.get("message") else {}
        return {"release_id": release_id, "status": report["status"], **said}


class ConformOperator(ReleaseStepOperator):
    """Builds the candidate."""

    step = "conform"


class AuditOperator(ReleaseStepOperator):
    """Judges the candidate."""

    step = "audit"


class PublishOperator(ReleaseStepOperator):
    """Shows the candidate to readers, and announces each shared table that changed: its outlet is `changed_tables`."""

    step = "publish"

    def run(self, context: Context) -> dict[str, Any]:
        """Skips also where a rollback keeps releases from going out. Raises what `ReleaseStepOperator` raises."""
        result = super().run(context)
        if result["status"] == "ready":
            raise AirflowSkipException(result["message"])
        announce_tables(context, _take_news(context))
        return result


class AnnounceOperator(PdicOperator):
    """Announces the shared tables that changed by a command (`pdic release`, `rollback`): its outlet is `changed_tables`."""

    def run(self, context: Context) -> dict[str, Any]:
        """Skips where nothing changed since the last announcement."""
        news = _take_news(context)
        if not news.tables:
            raise AirflowSkipException("every change of a shared table was announced")
        announce_tables(context, news)
        self.log.info("release %s: %s", news.release_id, ", ".join(news.tables))
        return {"release_id": news.release_id, "tables": list(news.tables)}


def _take_news(context: Context) -> News:
    from pdic.release import announced

    return announced.take(f"{context['ti'].dag_id} {context['ti'].run_id}", connect_to)
