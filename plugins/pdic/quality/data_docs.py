"""Data Docs: what the rules found, as pages that open without a network and can hold nothing but counts.

Great Expectations renders them; its results are made again from `control.expectation_result`, which has counts only, and
the rule files. Its page shell loads scripts from elsewhere, so the shell is ours (`pages/`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from pdic import connections, contracts, settings
from pdic.errors import ReleaseError
from pdic.quality import freshness, history
from pdic.quality.gate import import_great_expectations
from pdic.quality.rules import Rule, RuleError, rules_for_batch, rules_for_release
from pdic.warehouse import Connect, records, transaction

PAGES: Final = Path(__file__).parent / "pages"
SHELL: Final = "data_docs.html.j2"
UNFINISHED: Final = ".{}.new"
"""The name of a folder of pages while they are written."""
MADE_HERE: Final = 'content="PDIC Data Docs"'
"""What every page says of itself: only a folder of such pages is replaced."""
SHOWN_OF_A_RULE: Final = {
    "Rule": "shown.rule",
    "Severity": "shown.severity",
    "Dimension": "shown.dimension",
    "On failure": "shown.on_fail",
    "Lý do": "shown.reason_vi",
    "Reason": "shown.reason_en",
    "Căn cứ": "shown.source",
}


@dataclass(frozen=True)
class Page:
    """One page: the results (rows of `control.expectation_result`) of a dataset's batch or of a shared table's audit."""

    sector: str
    dataset: str
    run: int | None
    """Batch id, or the release's id for a shared table; None where nothing was ever checked."""
    results: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """What the page is about, and its file name without ending."""
        return f"{self.sector}.{self.dataset}"


def folder_of(release_id: int, home: Path | None = None) -> Path:
    """Where the pages of a release lie unless told otherwise."""
    return (home or settings.home()) / "data_docs" / f"release-{release_id}"


def build(release_id: int | None = None, folder: Path | None = None, connect_to: Connect = connections.uri) -> Path:
    """Write the pages of a release (None: the live one); pages already there are replaced. Returns the index page.

    A dataset's page is about its newest batch in the release that brought rows, and how fresh it was found to be last, be it by a
    batch without rows. Raises ReleaseError where there is no such
    release, or the folder holds something else.
    """
    release_id, pages = _read(release_id, connect_to)
    target = folder or folder_of(release_id)
    if target.exists() and any(target.iterdir()) and not _is_ours(target):
        raise ReleaseError(
            f"{target} holds something else than Data Docs: name an empty or a new folder. Nothing was written."
        )
    with settings.locked(settings.home(), "data_docs"):
        for left in folder_of(release_id).parent.glob(UNFINISHED.format("release-*")):  # by builds that were killed
            shutil.rmtree(left)
        _write(target, release_id, pages)
    return target / "index.html"


def _write(target: Path, release_id: int, pages: Sequence[Page]) -> None:
    fresh = target.with_name(UNFINISHED.format(target.name))
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    root = settings.project_root()
    for page in pages:
        (fresh / f"{page.name}.html").write_text(render(page, _rules(root, page)), encoding="utf-8")
    (fresh / "index.html").write_text(_index(release_id, pages), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def _is_ours(folder: Path) -> bool:
    index = folder / "index.html"
    return index.is_file() and MADE_HERE in index.read_text(encoding="utf-8", errors="replace")


def render(page: Page, rules: Mapping[str, Rule]) -> str:
    """One page as HTML. A rule that is in no file any more is shown by its id and type."""
    import_great_expectations()
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    from pdic.quality import shown_rule  # noqa: F401 (registers it)

    answers = [_answer(row, rules.get(row["rule_id"])) for row in page.results]
    held = sum(answer.success for answer in answers)
    evaluated = len(answers)
    suite = ExpectationSuiteValidationResult(
        success=held == evaluated,
        results=answers,
        suite_name=page.name,
        statistics={
            "evaluated_expectations": evaluated,
            "successful_expectations": held,
            "unsuccessful_expectations": evaluated - held,
            "success_percent": 100.0 * held / evaluated if evaluated else None,
        },
        meta={"run_id": {"run_name": f"{'release' if page.sector == 'shared' else 'batch'} {page.run}"}},
    )
    notes = {"notes": {"content": SHOWN_OF_A_RULE, "format": "renderer.diagnostic.meta_properties"}}
    context = SimpleNamespace(suites=SimpleNamespace(get=lambda _name: SimpleNamespace(meta=notes)))
    document = ValidationResultsPageRenderer(run_info_at_end=True, data_context=context).render(suite)
    document.page_title = f"{page.name} · {'release' if page.sector == 'shared' else 'lô / batch'} {page.run}"
    return str(_view().render(document))


@cache
def _view() -> Any:
    """Great Expectations' view in our shell; one for all pages, for it compiles its templates once."""
    import_great_expectations()
    from great_expectations.render.view.view import DefaultJinjaPageView

    class OurShell(DefaultJinjaPageView):
        _template = SHELL

    return OurShell(custom_views_directory=str(PAGES))


def _answer(row: Mapping[str, Any], rule: Rule | None) -> Any:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    checked, failed, raised = row["checked"], row["failed"], row["raised"]
    result: dict[str, Any] = {}
    if raised is None and checked is not None:
        share = 100.0 * failed / checked if checked else 0.0
        result = {
            "element_count": checked,
            "unexpected_count": failed,
            "unexpected_percent": share,
            "missing_count": 0,
            "missing_percent": 0.0,
            "unexpected_percent_total": share,
            "unexpected_percent_nonmissing": share,
            "partial_unexpected_list": [],
        }
    column = rule.column_name if rule else row.get("column_name")
    kwargs = {"column": column} if column else {}
    arguments = ", ".join(f"{name}: {value}" for name, value in rule.kwargs.items()) if rule else ""
    reason = rule.reason if rule else history.REASONS.get(row["expectation_type"])
    shown = {
        "rule": row["rule_id"],
        "severity": row["severity"],
        "dimension": row["dimension"],
        "on_fail": row["on_fail"],
        "reason_vi": reason.vi if reason else "",
        "reason_en": reason.en if reason else "(in no rule file any more)",
        "source": rule.source if rule else "expectations/history.yaml" if reason else "",
    }
    return ExpectationValidationResult(
        success=bool(row["success"]),
        expectation_config=ExpectationConfiguration(
            type="pdic_shown_rule",
            kwargs=kwargs,
            meta={"attributes": {"shown": shown}},
            description=f"{row['expectation_type']} · {arguments}".rstrip(" ·").replace("$", "$$"),
        ),
        result=result,
        exception_info={
            "raised_exception": raised is not None,
            "exception_message": raised or "",
            "exception_traceback": "",
        },
    )


def _index(release_id: int, pages: Iterable[Page]) -> str:
    from great_expectations.render.components import RenderedDocumentContent

    rows = [
        {
            "href": f"{page.name}.html",
            "name": page.name,
            "run": page.run or "",
            "rules": len(page.results),
            "failed": sum(not row["success"] for row in page.results),
            "raised": sum(row["raised"] is not None for row in page.results),
        }
        for page in pages
    ]
    document = RenderedDocumentContent(sections=[], page_title=f"Chất lượng dữ liệu · Quality: release {release_id}")
    note = (
        "Mỗi trang: lô gần nhất của một bộ dữ liệu, hoặc một bảng dùng chung. Chỉ có số đếm. · "
        "A page per dataset's newest batch and per shared table. Counts only."
    )
    return str(_view().render(document, index=rows, note=note))


def _rules(root: Path, page: Page) -> dict[str, Rule]:
    try:
        if page.sector == "shared":
            return {rule.id: rule for rule in rules_for_release(root, page.dataset)}
        return {rule.id: rule for rule in rules_for_batch(root, page.sector, page.dataset)}
    except RuleError:  # the files have moved on since the release: results are still shown
        return {}


def _read(release_id: int | None, connect_to: Connect) -> tuple[int, list[Page]]:
    with transaction(connect_to("pdic_warehouse_publisher"), "data docs") as publisher, publisher.cursor() as cursor:
        if release_id is None:
            cursor.execute("select live_release_id from control.slot where live_release_id is not null")
        else:
            cursor.execute("select release_id from control.release where release_id = %s", (release_id,))
        known = cursor.fetchone()
        if known is None:
            raise ReleaseError(
                f"there is no release {release_id or ''}: `pdic releases` lists the newest".replace(" :", ":")
            )
        (release_id,) = known
        cursor.execute(
            """
            select pinned.sector, pinned.dataset, newest.batch_id, judged.batch_id
            from control.release_batch as pinned
            inner join control.release using (release_id)
            left join lateral (
                select batch.batch_id
                from control.batch
                where
                    batch.sector = pinned.sector
                    and batch.dataset = pinned.dataset
                    and batch.batch_id <= pinned.batch_id
                    and exists (select 1 from control.expectation_result as result where result.batch_id = batch.batch_id)
                order by batch.rows_extracted > coalesce(batch.rows_unchanged, 0) desc nulls last, batch.batch_id desc
                limit 1
            ) as newest on true
            left join lateral (
                select batch.batch_id
                from control.batch
                inner join control.expectation_result as result using (batch_id)
                where
                    batch.sector = pinned.sector
                    and batch.dataset = pinned.dataset
                    and result.expectation_type = %s
                    and result.created_at <= release.started_at
                order by batch.batch_id desc
                limit 1
            ) as judged on true
            where pinned.release_id = %s
            order by 1, 2
            """,
            (freshness.TYPE, release_id),
        )
        found = cursor.fetchall()
        runs = [(sector, dataset, batch_id) for sector, dataset, batch_id, _ in found]
        cursor.execute(
            "select distinct dataset from control.expectation_result where release_id = %s order by 1", (release_id,)
        )
        tables = [table for (table,) in cursor.fetchall()]
        cursor.execute(
            """
            select distinct on (sector, dataset, rule_id)
                sector, dataset, rule_id, expectation_type, column_name, severity, on_fail, dimension, success, checked, failed,
                raised
            from control.expectation_result
            where
                batch_id = any(%(batches)s)
                or release_id = %(release)s
                or (expectation_type = %(freshness)s and batch_id = any(%(judged)s))
            order by sector, dataset, rule_id, id desc
            """,
            {
                "batches": [batch_id for *_, batch_id in runs if batch_id is not None],
                "judged": [judged for *_, judged in found if judged is not None],
                "release": release_id,
                "freshness": freshness.TYPE,
            },
        )
        results: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in records(cursor):
            results.setdefault((row["sector"], row["dataset"]), []).append(row)
    named = [*runs, *(("shared", table, release_id) for table in tables)]
    missing = sorted(set(contracts.names()) - {(sector, dataset) for sector, dataset, _ in named})
    return release_id, [
        Page(sector, dataset, run, results.get((sector, dataset), []))
        for sector, dataset, run in [*named, *((*name, None) for name in missing)]
    ]
