"""Load one dataset: extract a batch, check it, accept it.

Each step is a function over the ledger, so that it runs the same from the command line and from Airflow, in one process
or three, and so that a step that died is simply begun again:

    extract   source → `raw_batch.<sector>__<dataset>__<batch>`, rows and digest in the ledger
    check     the dataset's rules, in one process for all batches of a sector
    accept    one transaction: bad rows to quarantine, the batch becomes a partition of `raw`, the watermark moves
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from psycopg2 import sql
from psycopg2.extras import Json

from pdic import connections, contracts, feed, ledger, memory, quality, quarantine, raw, settings, sweep
from pdic.arrival import Arrival
from pdic.errors import BatchRejected, LoadError, PdicError
from pdic.sources import cdc, postgres, rest
from pdic.warehouse import Connect, connect, one, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

SECTORS_AT_ONCE = 2

Captures = Callable[[contracts.Contract, ledger.Batch, Connect], Arrival]

CAPTURES: dict[str, Captures] = {
    "cursor": partial(postgres.capture, whole=sweep.capture_whole),
    "snapshot": sweep.capture_snapshot,
    "feed": rest.capture,
    "cdc": partial(cdc.capture, whole=sweep.capture_whole),
}
"""How a dataset's news comes into a batch table, by the contract's capture mode."""

Report = dict[str, Any]
"""What became of one dataset: batch id, status, counts, bytes, digest, seconds by step, message."""


def extract(sector: str, dataset: str, connect_to: Connect = connections.uri) -> Report:
    """Bring the dataset's news into a batch table of its own. Accepted data is not touched.

    Raises `SourceUnavailable`, `DriftError`, `Busy`, `SweepHeld` where too much is gone, or `LoadError` where source and
    warehouse disagree on the rows.
    """
    contract = contracts.get(sector, dataset)
    return bring(contract, CAPTURES[contract.capture], connect_to)


def bring(contract: contracts.Contract, capture: Captures, connect_to: Connect, called: str | None = None) -> Report:
    """Let `capture` fill a new batch of a dataset, which it has for itself meanwhile. The ledger calls the way `called`."""
    loader = connect(connect_to("pdic_warehouse_loader"), f"load {contract.id}")
    try:
        with ledger.dataset_lock(loader, contract):
            batch = ledger.begin(loader, contract, called)
            with loader:
                raw.ensure_tables(loader, contract)
            try:
                began = time.monotonic()
                arrival = capture(contract, batch, connect_to)
                with loader:
                    ledger.arrived(loader, batch.batch_id, arrival, time.monotonic() - began)
            except BaseException as error:
                loader.rollback()
                status = "rejected" if isinstance(error, BatchRejected) else "abandoned"
                with loader:
                    kind = type(error).__name__
                    ledger.update(loader, batch.batch_id, status=status, message=_safe_message(error), error_kind=kind)
                raise
            return ledger.report(loader, batch.batch_id)
    finally:
        loader.close()


def check(sector: str, batches: dict[str, int], connect_to: Connect = connections.uri) -> dict[str, Report]:
    """Judge extracted batches (dataset → batch id) by their rules. A halting rule that fails rejects its batch only."""
    auditor_uri = connect_to("pdic_warehouse_auditor")
    loader = connect(connect_to("pdic_warehouse_loader"), f"check {sector}")
    try:
        pending = []
        differences = {}
        retried = set()  # what was refused before is unlike other batches, as it should be
        for dataset, batch_id in sorted(batches.items()):
            contract = contracts.get(sector, dataset)
            batch = ledger.get(loader, contract, batch_id)
            ledger.require(batch, contract, "extracted", "checked")
            pending.append((contract, batch_id, raw.batch_name(contract, batch_id)))
            rows = batch.rows_extracted or 0
            if batch.capture == quarantine.AGAIN:
                differences[dataset] = quality.Difference(source_rows=None, landed=rows)
                retried.add(dataset)
            elif batch.rows_unchanged is not None:
                differences[dataset] = quality.Difference(source_rows=rows, landed=rows - batch.rows_unchanged)
        loader.commit()
        verdicts = quality.check_sector(auditor_uri, pending, differences=differences)
        reports = {}
        for contract, batch_id, _ in pending:
            verdict = verdicts[contract.dataset]
            if verdict.rows == 0 and not verdict.halted:
                # A batch in which nothing came has passed no rule; how long that has been so is asked all the same.
                verdict = replace(verdict, results=(), census=None)
            if contract.dataset not in retried or verdict.results:
                with transaction(auditor_uri, "record check") as auditor:
                    if contract.dataset not in retried:
                        table, root = raw.batch_table(contract, batch_id), settings.project_root()
                        verdict = quality.complete(auditor, contract, verdict, table, root)
                        verdict = quality.judge_freshness(auditor, contract, verdict, table, root)
                    quality.record(auditor, verdict.results, "batch", batch_id, contract.sector, contract.dataset)
                    if verdict.census is not None:
                        failed = {result.rule.id: result.by_agency for result in verdict.results}
                        quality.record_census(auditor, batch_id, verdict.census, failed)
            with loader:
                batch = ledger.get(loader, contract, batch_id, lock=True)
                ledger.require(batch, contract, "extracted", "checked")
                held = verdict.message if verdict.halted else _rows_lost(contract, batch, verdict)
                held = held or _never_a_row(loader, contract, batch)
                status = "rejected" if held else "checked"
                known = Json(dict(verdict.known_up_to))
                ledger.update(
                    loader, batch_id, {"check": verdict.seconds}, status=status, message=held, known_up_to=known
                )
                if verdict.warning:
                    ledger.warn(loader, batch_id, verdict.warning)
                reports[contract.dataset] = ledger.report(loader, batch_id)
        return reports
    finally:
        loader.close()


def accept(sector: str, dataset: str, batch_id: int, connect_to: Connect = connections.uri) -> Report:
    """Make a checked batch part of `raw`, in one transaction with its quarantine, ledger and watermark.

    Accepting an accepted batch again changes nothing. Raises `BatchRejected`, `BatchFenced`, `LoadError`.
    """
    contract = contracts.get(sector, dataset)
    with transaction(connect_to("pdic_warehouse_loader"), f"accept {contract.id}") as loader:
        batch = ledger.get(loader, contract, batch_id, lock=True)
        if batch.status == "accepted":
            return ledger.report(loader, batch_id)
        if batch.status == "rejected":
            raise BatchRejected(f"{contract.id}: batch {batch_id} was rejected: {batch.message}")
        ledger.require(batch, contract, "checked")
        began = time.monotonic()
        unchanged, deleted = batch.rows_unchanged or 0, batch.rows_deleted
        again = batch.capture == quarantine.AGAIN
        if contract.capture == "feed" and not again:
            unchanged = feed.keep_newer(loader, contract, batch_id)
        quarantined = _to_quarantine(loader, contract, batch, again=again)
        accepted = (batch.rows_extracted or 0) - quarantined - unchanged
        if accepted + deleted > 0:
            raw.attach(loader, contract, batch_id)
        else:
            raw.drop_batch_table(loader, contract, batch_id)
        ledger.update(
            loader,
            batch_id,
            {"accept": time.monotonic() - began},
            status="accepted",
            rows_accepted=accepted,
            rows_quarantined=quarantined,
            rows_unchanged=unchanged,
            rows_deleted=deleted,
            accepted_at=_clock(loader),
        )
        ledger.move_watermark(loader, contract, batch, has_news=accepted + deleted + quarantined > 0)
        return ledger.report(loader, batch_id)


def _to_quarantine(loader: Connection, contract: contracts.Contract, batch: ledger.Batch, *, again: bool) -> int:
    """Move the rows that may not be accepted out of a batch, and bring the register of such rows up to it. Returns how many."""
    batch_id, quarantined, fails = batch.batch_id, 0, None
    if contract.capture == "feed" and not again:
        quarantined = feed.quarantine_unreadable(loader, contract, batch_id)
    rules = cache(partial(quality.rules_for_batch, settings.project_root(), contract.sector, contract.dataset))
    if broken := _broken_rules(loader, batch_id):
        judging = [rule for rule in rules() if rule.id in broken]
        found = _lookups(loader, contract, batch, judging)
        fails = sql.SQL(" or ").join(predicate for _, predicate in quality.quarantine_predicates(judging, found))
        reasons, spare = quality.quarantine_sql(judging, found), quarantine.spared(contract)
        read = {name for rule in judging for name in rule.needed_columns}
        quarantined += raw.quarantine_failing(loader, contract, batch_id, reasons, spare, read)
    refusals = quarantine.Refusals(quarantined, lambda: {rule.id: rule.severity for rule in rules()}, fails, again)
    quarantine.settle(loader, contract, batch_id, refusals)
    return quarantined


def _lookups(
    loader: Connection, contract: contracts.Contract, batch: ledger.Batch, rules: Sequence[quality.Rule]
) -> Mapping[str, sql.Composable]:
    """By rule id: the query that finds the rows that a lookup rule's check found, other batches accepted since or not."""
    table, known_up_to = raw.batch_table(contract, batch.batch_id), batch.known_up_to
    root = settings.project_root()
    found = quality.prepare_lookups(loader, contract, table, rules, root=root, known_up_to=known_up_to).queries
    if found:
        with loader.cursor() as cursor:
            cursor.execute(quality.LOOKUP_PLANNING)
    return found


def load(
    targets: Iterable[str],
    connect_to: Connect = connections.uri,
    progress: Callable[[str, str], None] | None = None,
) -> list[Report]:
    """Extract, check and accept what `targets` name (`SECTOR` or `SECTOR.DATASET`).

    Two sectors are read at a time, each over one connection. A dataset that fails stops alone: its report has status
    `failed` or `rejected` and a message, the others go on.
    """
    tell = progress or (lambda _dataset, _step: None)

    def attempt(sector: str, dataset: str, step: str, action: Callable[[], Report]) -> Report:
        tell(f"{sector}.{dataset}", step)
        try:
            return action()
        except PdicError as error:
            status = "rejected" if isinstance(error, BatchRejected) else "failed"
            return {"sector": sector, "dataset": dataset, "status": status, "message": str(error)}

    def extracting(sector: str, datasets: list[str]) -> list[Report]:
        return [
            attempt(sector, dataset, "extract", partial(extract, sector, dataset, connect_to)) for dataset in datasets
        ]

    def accepting(report: Report) -> Report:
        if report["status"] != "checked":
            return report
        sector, dataset = report["sector"], report["dataset"]
        return attempt(sector, dataset, "accept", partial(accept, sector, dataset, report["batch_id"], connect_to))

    def finishing(sector: str, extracted: list[Report]) -> list[Report]:
        ready = {report["dataset"]: report["batch_id"] for report in extracted if report["status"] == "extracted"}
        tell(sector, "check")
        checked = check(sector, ready, connect_to) if ready else {}
        return [accepting(checked.get(report["dataset"], report)) for report in extracted]

    chosen = resolve_targets(targets)
    memory.forget_peak()
    with ThreadPoolExecutor(SECTORS_AT_ONCE) as pool:
        extracted = list(pool.map(extracting, chosen.keys(), chosen.values()))
    reports = [report for sector, batch in zip(chosen, extracted, strict=True) for report in finishing(sector, batch)]
    # The process's peak while it loaded all of these: datasets of two sectors share it at any moment.
    return [report | {"peak_memory_bytes": memory.peak()} for report in reports]


def resolve_targets(targets: Iterable[str]) -> dict[str, list[str]]:
    """Which datasets the words `SECTOR` and `SECTOR.DATASET` name; no word means all. Raises `LoadError` for unknown ones."""
    known = sorted(contracts.load_all())
    chosen: dict[str, list[str]] = {}
    wanted = list(targets) or sorted({sector for sector, _ in known})
    for word in wanted:
        sector, _, dataset = word.partition(".")
        matches = [name for of, name in known if of == sector and dataset in ("", name)]
        if not matches:
            names = ", ".join(
                sorted({of for of, _ in known}) if not dataset else [n for of, n in known if of == sector]
            )
            raise LoadError(
                f"nothing is called {word}; known: {names or 'no such sector'}. Write SECTOR or SECTOR.DATASET."
            )
        chosen.setdefault(sector, [])
        chosen[sector] += [name for name in matches if name not in chosen[sector]]
    return chosen


def _rows_lost(contract: contracts.Contract, batch: ledger.Batch, verdict: quality.BatchVerdict) -> str | None:
    """What is wrong where the check saw other rows than extract wrote: rules say nothing of rows that are not there."""
    landed = (batch.rows_extracted or 0) - (batch.rows_unchanged or 0)
    if verdict.rows is None or verdict.rows == landed:
        return None
    return (
        f"{contract.id}: batch {batch.batch_id} held {landed} rows after extract and {verdict.rows} when it was checked. "
        "Accepted data is untouched: find out who else writes to raw_batch, then load the dataset again"
    )


def _never_a_row(loader: Connection, contract: contracts.Contract, batch: ledger.Batch) -> str | None:
    """What is wrong where a dataset's first read brings nothing: no rule can say so of rows that are not there."""
    if contract.may_be_empty or batch.rows_extracted or batch.rows_deleted:
        return None
    with loader.cursor() as cursor:
        cursor.execute(
            """
            select exists (
                select from control.batch where sector = %s and dataset = %s and status = 'accepted' and rows_extracted > 0
            )
            """,
            (contract.sector, contract.dataset),
        )
        if one(cursor)[0]:
            return None
    return (
        f"{contract.id}: batch {batch.batch_id} brought no row, and none came before: {contract.table} at the source is empty, or is "
        f"not what {contract.path} takes it for. Nothing was accepted: look at the source, or write minRows: 0 into the contract "
        "where the dataset may be empty, then load it again"
    )


def _broken_rules(connection: Connection, batch_id: int) -> set[str]:
    """The quarantine rules that the check found broken in this batch: only their predicates need to be looked at again."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct rule_id from control.expectation_result
            where batch_id = %s and on_fail = 'quarantine' and failed > 0
            """,
            (batch_id,),
        )
        return {rule_id for (rule_id,) in cursor.fetchall()}


def _clock(connection: Connection) -> Any:
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        return one(cursor)[0]


def _safe_message(error: BaseException) -> str:
    """What the ledger may keep: our own words, or only the kind of a foreign error, which could quote a row."""
    return str(error) if isinstance(error, PdicError) else type(error).__name__
