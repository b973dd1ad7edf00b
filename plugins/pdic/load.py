"""Load one dataset: extract a batch, check it, accept it.

Each step is a function over the ledger, so that it runs the same from the command line and from Airflow, in one process
or three, and so that a step that died is simply begun again:

    extract   source → `raw_batch.<sector>__<dataset>__<batch>`, rows and digest in the ledger
    check     the dataset's rules, in one process for all batches of a sector
    accept    one transaction: bad rows to quarantine, the batch becomes a partition of `raw`, the watermark moves

Whoever works on a batch holds its dataset's lock (`pdic.warehouse.locks`): Airflow from step to step, `load` from the first to
the last. What goes wrong with one dataset, foreseen or not, is that dataset's report; the others go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import psycopg2
from psycopg2 import sql
from psycopg2.extras import Json

from pdic import (
    connections,
    contracts,
    failures,
    feed,
    ledger,
    memory,
    quality,
    quarantine,
    raw,
    settings,
    stopping,
    sweep,
)
from pdic.arrival import Arrival
from pdic.errors import BatchFenced, BatchRejected, Busy, LoadError, PdicError
from pdic.sources import cdc, postgres, rest
from pdic.warehouse import Connect, connect, locks, one, readers, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

SECTORS_AT_ONCE = 2
LOAD_WAIT_S: Final = 600.0
"""How long a load waits for another process that is at work on the same dataset."""
STEP_WAIT_S: Final = 60.0
"""How long one step of a load does: a scheduler tries it again later, and has few places to wait in."""

Captures = Callable[[contracts.Contract, ledger.Batch, Connect], Arrival]

CAPTURES: dict[str, Captures] = {
    "cursor": partial(postgres.capture, whole=sweep.capture_whole),
    "snapshot": sweep.capture_snapshot,
    "feed": rest.capture,
    "cdc": partial(cdc.capture, whole=sweep.capture_whole),
}
"""How a dataset's news comes into a batch table, by the contract's capture mode."""

FULL: dict[str, Captures] = {
    "cursor": partial(postgres.capture, whole=sweep.capture_whole, full=True),
    "snapshot": sweep.capture_snapshot,
    "feed": sweep.capture_feed,
    "cdc": CAPTURES["cdc"],
}
"""How everything that the source holds is read anew and compared with what is known; of a log, once its position is forgotten."""

Report = dict[str, Any]
"""What became of one dataset: batch id, status, counts, bytes, digest, seconds by step, message.

The status is the batch's (`accepted`, `rejected`, …), `failed` where a step ended in an error, or `superseded` where another
load took over: that one brings what this one would have brought.
"""

WELL: Final = frozenset({"accepted", "superseded"})
"""How a dataset's load ends where nobody has to do anything."""

_log = logging.getLogger(__name__)


def extract(
    sector: str, dataset: str, connect_to: Connect = connections.uri, *, full: bool = False, held: bool = False
) -> Report:
    """Bring the dataset's news into a batch table of its own. Accepted data is not touched.

    `full` reads everything at the source: what differs from what is known lands, deletions included, and the next load goes on
    from there. `held`: the caller holds the dataset's lock, and will until the batch is accepted. Raises `SourceUnavailable`,
    `DriftError`, `Busy`, `SweepHeld` where too much is gone, or `LoadError` where source and warehouse disagree on the rows.
    """
    contract = contracts.get(sector, dataset)
    capture = (FULL if full else CAPTURES)[contract.capture]
    return bring(contract, capture, connect_to, held=held, full=full)


def bring(
    contract: contracts.Contract,
    capture: Captures,
    connect_to: Connect,
    called: str | None = None,
    *,
    held: bool = False,
    full: bool = False,
) -> Report:
    """Let `capture` fill a new batch of a dataset, which it has for itself meanwhile. The ledger calls the way `called`.

    `full`: everything is read. Columns of accepted rows then take on the contract's types, and of a log the position is
    forgotten first: where this load dies, the next one begins from nothing. Raises `BatchFenced` where another load has begun
    meanwhile.
    """
    loader = connect(connect_to("pdic_warehouse_loader"), f"load {contract.id}")
    try:
        if not held:
            locks.take(loader, locks.dataset(contract.id), STEP_WAIT_S)
        if full and contract.capture == "cdc":
            with loader:
                ledger.forget_position(loader, contract.sector, contract.dataset)
        with _free_tables(contract, connect_to):
            batch = ledger.begin(loader, contract, called)
        try:
            began = time.monotonic()
            with _free_tables(contract, connect_to):
                with loader:
                    raw.ensure_tables(loader, contract, rewrite=full)
                arrival = capture(contract, batch, connect_to)
            with loader:
                # Whoever holds the lock in another session may have lost it, and another load begun: this one is over then.
                found = ledger.get(loader, contract, batch.batch_id, lock=True)
                ledger.require(loader, found, contract, "extracting")
                ledger.arrived(loader, batch.batch_id, arrival, time.monotonic() - began)
                if not held:
                    ledger.let_go(loader, batch.batch_id)
        except BaseException as error:
            _give_up(contract.id, batch.batch_id, "extract", error, connect_to)
            raise
        return ledger.report(loader, batch.batch_id)
    finally:
        locks.end(loader)


def _free_tables(contract: contracts.Contract, connect_to: Connect) -> AbstractContextManager[None]:
    """Says who holds the dataset's tables, where a step waits for them in vain (`TableHeld`)."""
    return locks.held_up(connect_to("pdic_warehouse_loader"), contract.id, raw.tables(contract))


def check(
    sector: str,
    batches: Mapping[str, int],
    connect_to: Connect = connections.uri,
    *,
    held: bool = False,
    final: bool = True,
) -> dict[str, Report]:
    """Judge extracted batches (dataset → batch id) by their rules: one report each, whatever becomes of the others.

    A halting rule that fails rejects its batch only; a batch that cannot be judged has `failed`, and is given up where no other
    try follows (`final`) or none can help; one that another load took over from is `superseded`. `held`: the caller holds the
    datasets' locks.
    """
    if held:
        return _check(sector, batches, connect_to, final=final, held=True)
    taken: dict[str, int] = {}
    with locks.Session(connect_to, "pdic_warehouse_loader", f"check {sector}") as session:
        for dataset, batch_id in sorted(batches.items()):
            with suppress(Busy):
                session.take(locks.dataset(f"{sector}.{dataset}"))
                taken[dataset] = batch_id
        reports = _check(sector, taken, connect_to, final=final, held=False) if taken else {}
        for dataset in taken:
            session.let_go(locks.dataset(f"{sector}.{dataset}"))
        for dataset in sorted(batches.keys() - taken.keys()):
            # Somebody else is at work on it: a newer load, which has superseded this batch, or another try of this step.
            one_batch = {dataset: batches[dataset]}
            try:
                with transaction(connect_to("pdic_warehouse_loader"), f"check {sector}") as loader:
                    _Pending.read(loader, contracts.get(sector, dataset), batches[dataset])
                session.take(locks.dataset(f"{sector}.{dataset}"), STEP_WAIT_S)
            except Exception as error:
                reports[dataset] = failed(sector, dataset, "check", error, batches[dataset])
            else:
                reports |= _check(sector, one_batch, connect_to, final=final, held=False)
                session.let_go(locks.dataset(f"{sector}.{dataset}"))  # who waits for one dataset holds no other
    return reports


def _check(
    sector: str, batches: Mapping[str, int], connect_to: Connect, *, final: bool, held: bool
) -> dict[str, Report]:
    auditor_uri = connect_to("pdic_warehouse_auditor")
    loader = connect(connect_to("pdic_warehouse_loader"), f"check {sector}")
    reports: dict[str, Report] = {}

    def fails(dataset: str, error: Exception) -> None:
        batch_id = batches[dataset]
        if (final or not failures.may_pass(error)) and not isinstance(error, BatchFenced):
            _give_up(f"{sector}.{dataset}", batch_id, "check", error, connect_to)
        reports[dataset] = failed(sector, dataset, "check", error, batch_id)

    try:
        pending = []
        for dataset, batch_id in sorted(batches.items()):
            try:
                with loader:
                    pending.append(_Pending.read(loader, contracts.get(sector, dataset), batch_id))
            except Exception as error:
                fails(dataset, error)
        verdicts: Mapping[str, quality.BatchVerdict | Exception]
        try:
            verdicts = quality.check_sector(
                auditor_uri,
                [(each.contract, each.batch_id, raw.batch_name(each.contract, each.batch_id)) for each in pending],
                differences={each.contract.dataset: each.difference for each in pending if each.difference},
            )
        except Exception as error:
            verdicts = {each.contract.dataset: error for each in pending}
        for each in pending:
            dataset = each.contract.dataset
            verdict = verdicts[dataset]
            try:
                if isinstance(verdict, Exception):
                    raise verdict
                with _free_tables(each.contract, connect_to):
                    reports[dataset] = _record(loader, auditor_uri, each, verdict, held=held)
            except Exception as error:
                fails(dataset, error)
        return reports
    finally:
        loader.close()


@dataclass(frozen=True)
class _Pending:
    """A batch that waits for its verdict."""

    contract: contracts.Contract
    batch_id: int
    again: bool
    """Its rows were refused before: it is unlike other batches, as it should be."""
    difference: quality.Difference | None

    @classmethod
    def read(cls, loader: Connection, contract: contracts.Contract, batch_id: int) -> _Pending:
        batch = ledger.get(loader, contract, batch_id)
        ledger.require(loader, batch, contract, "extracted", "checked")
        again = batch.capture == quarantine.AGAIN
        rows = batch.rows_extracted or 0
        difference = None
        if again:
            difference = quality.Difference(source_rows=None, landed=rows)
        elif batch.rows_unchanged is not None:
            difference = quality.Difference(source_rows=rows, landed=rows - batch.rows_unchanged)
        return cls(contract, batch_id, again, difference)


def _record(
    loader: Connection, auditor_uri: str, pending: _Pending, verdict: quality.BatchVerdict, *, held: bool
) -> Report:
    """Keep what the rules said of a batch: its results, and that it was checked or rejected."""
    contract, batch_id = pending.contract, pending.batch_id
    if verdict.rows == 0 and not verdict.halted:
        # A batch in which nothing came has passed no rule; how long that has been so is asked all the same.
        verdict = replace(verdict, results=(), census=None)
    if not pending.again or verdict.results:
        with transaction(auditor_uri, "record check") as auditor:
            if not pending.again:
                table, root = raw.batch_table(contract, batch_id), settings.project_root()
                verdict = quality.complete(auditor, contract, verdict, table, root)
                verdict = quality.judge_freshness(auditor, contract, verdict, table, root)
            quality.record(auditor, verdict.results, "batch", batch_id, contract.sector, contract.dataset)
            if verdict.census is not None:
                failures_by_agency = {result.rule.id: result.by_agency for result in verdict.results}
                quality.record_census(auditor, batch_id, verdict.census, failures_by_agency)
    with loader:
        batch = ledger.get(loader, contract, batch_id, lock=True)
        ledger.require(loader, batch, contract, "extracted", "checked")
        refused = rows_lost(contract, batch, verdict.rows)  # first: what rules say is then said of other rows
        refused = refused or (verdict.message if verdict.halted else _never_a_row(loader, contract, batch))
        status = "rejected" if refused else "checked"
        known = Json(dict(verdict.known_up_to))
        ledger.update(
            loader,
            batch_id,
            {"check": verdict.seconds},
            status=status,
            message=refused,
            known_up_to=known,
            rows_marked_deleted=verdict.marked_deleted,
            living_before=verdict.living_before,
        )
        if verdict.warning:
            ledger.warn(loader, batch_id, verdict.warning)
        if not held:
            ledger.let_go(loader, batch_id)
        return ledger.report(loader, batch_id)


def accept(
    sector: str,
    dataset: str,
    batch_id: int,
    connect_to: Connect = connections.uri,
    *,
    held: bool = False,
    final: bool = True,
) -> Report:
    """Make a checked batch part of `raw`, in one transaction with its quarantine, ledger and watermark.

    Accepting an accepted batch again changes nothing. `held`: the caller holds the dataset's lock. A batch that cannot be
    accepted is given up where no other try follows (`final`) or none can help. Raises `BatchRejected`, `BatchFenced`, `LoadError`, `Busy`.
    """
    contract = contracts.get(sector, dataset)
    loader = connect(connect_to("pdic_warehouse_loader"), f"accept {contract.id}")
    try:
        with loader:
            _acceptable(loader, contract, batch_id)  # what is superseded waits for nobody
        if not held:
            locks.take(loader, locks.dataset(contract.id), STEP_WAIT_S)
        with _free_tables(contract, connect_to), loader:
            return accept_here(loader, contract, batch_id)
    except (BatchFenced, BatchRejected, Busy):
        raise
    except Exception as error:
        if final or not failures.may_pass(error):
            _give_up(contract.id, batch_id, "accept", error, connect_to)
        raise
    finally:
        locks.end(loader)


def _acceptable(loader: Connection, contract: contracts.Contract, batch_id: int, *, lock: bool = False) -> ledger.Batch:
    """The batch, checked or accepted. Raises `BatchRejected`, `BatchFenced`, `LoadError`."""
    batch = ledger.get(loader, contract, batch_id, lock=lock)
    if batch.status == "rejected":
        raise BatchRejected(f"{contract.id}: batch {batch_id} was rejected: {batch.message}")
    ledger.require(loader, batch, contract, "checked", "accepted")
    return batch


def accept_here(loader: Connection, contract: contracts.Contract, batch_id: int) -> Report:
    """Accept a checked batch in the caller's transaction, who holds the dataset's lock. Raises as `accept` does."""
    batch = _acceptable(loader, contract, batch_id, lock=True)
    if batch.status == "accepted":
        return ledger.report(loader, batch_id)
    began = time.monotonic()
    unchanged, deleted = batch.rows_unchanged or 0, batch.rows_deleted
    again = batch.capture == quarantine.AGAIN
    if contract.capture == "feed" and not again and batch.rows_unchanged is None:  # else it was compared as it came
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


def failed(sector: str, dataset: str, step: str, error: Exception, batch_id: int | None = None) -> Report:
    """The report of a dataset of which `step` ended in an error. `retryable`: to try the step again can help."""
    if isinstance(error, BatchFenced) and error.newer is not None:
        return _report(sector, dataset, batch_id, "superseded", str(error)) | {"newer": error.newer}
    failures.log(_log, f"{step} of {sector}.{dataset}", error)
    status = "rejected" if isinstance(error, BatchRejected) else "failed"
    report = _report(sector, dataset, batch_id, status, _why(f"{sector}.{dataset}", step, error))
    return report | {"retryable": failures.may_pass(error)}


def _report(sector: str, dataset: str, batch_id: int | None, status: str, message: str) -> Report:
    return {"sector": sector, "dataset": dataset, "batch_id": batch_id, "status": status, "message": message}


def _why(dataset_id: str, step: str, error: BaseException) -> str:
    """Why a step of a dataset failed: a refusal's own words, or the kind of any other error, which could quote a row."""
    if (refusal := failures.in_words(error)) is not None:
        return str(refusal)
    return (
        f"{dataset_id}: {step} ended with {failures.kind(error)}. Nothing of this batch was accepted. Load it again; if it "
        "fails again, the log says where"
    )


def _give_up(dataset_id: str, batch_id: int, step: str, error: BaseException, connect_to: Connect) -> None:
    """End a batch in the ledger, over a connection of its own: the error may have broken the other."""
    try:
        with transaction(connect_to("pdic_warehouse_loader"), f"give up {dataset_id}") as loader:
            why = _why(dataset_id, step, error)
            ledger.give_up(loader, batch_id, why, failures.in_words(error) or error)
    except (psycopg2.Error, PdicError) as second:
        _log.warning(
            "%s: batch %s stays open in the ledger (%s); the next load or release ends it",
            dataset_id,
            batch_id,
            failures.kind(second),
        )


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


@dataclass(frozen=True)
class Standing:
    """How a dataset stands after a run, by the ledger. One of the two is None: `trouble` says why it was not loaded, `note` by
    whom it was, where that was another load (empty: by this one)."""

    trouble: str | None
    note: str | None


def standing(
    sector: str, batches: Mapping[str, int | None], since: datetime | None, connect_to: Connect = connections.uri
) -> dict[str, Standing]:
    """How the datasets of a run stand. `batches` are those it extracted (None: none), `since` is when it began."""
    with transaction(connect_to("pdic_warehouse_loader"), f"report {sector}") as loader:
        holders = locks.holders(loader, locks.Kind.DATASET)
        return {
            dataset: _standing(
                ledger.since(loader, sector, dataset, batch_id, since),
                batch_id,
                holders.get(locks.dataset(f"{sector}.{dataset}").objid),
            )
            for dataset, batch_id in sorted(batches.items())
        }


def _standing(found: Sequence[ledger.Batch], mine: int | None, holder: locks.Holder | None) -> Standing:
    """`found` are the batches from `mine` on, the oldest first."""
    loaded = [batch for batch in found if batch.status == "accepted" and batch.capture != quarantine.AGAIN]
    if loaded:
        other = f"was loaded by batch {loaded[0].batch_id} of another load"
        return Standing(None, "" if loaded[0].batch_id == mine else other)
    if not found:
        return Standing("was not extracted: its task ended without a word, see its log", None)
    last = found[-1]
    if last.status in ledger.OPEN_STATES and holder is not None:
        return Standing(None, f"is being loaded by {holder} (batch {last.batch_id})")
    why = last.message or "see the log of its task"
    match last.status:
        case "rejected":
            what = "was rejected"
        case "extracted":
            what = "was not checked"
        case "accepted":
            what, why = "was not accepted", "a retry of held rows took over; load it again"
        case _:
            what = "was not extracted" if mine is None else "was not accepted"
    return Standing(f"{what} (batch {last.batch_id}): {why}", None)


def load(
    targets: Iterable[str],
    connect_to: Connect = connections.uri,
    progress: Callable[[str, str], None] | None = None,
    *,
    full: bool = False,
) -> list[Report]:
    """Extract, check and accept what `targets` name (`SECTOR` or `SECTOR.DATASET`); `full` as for `extract`.

    Two sectors are read at a time, each over one connection. A dataset that fails stops alone: its report has status
    `failed` or `rejected` and a message, the others go on. A dataset that another load is at work on comes last: that load
    is waited for, and what is new since is read.
    """
    tell = progress or (lambda _dataset, _step: None)
    chosen = resolve_targets(targets)
    readers.watch(connect_to)
    memory.forget_peak()
    sectors = [_SectorLoad(sector, datasets, connect_to, tell, full=full) for sector, datasets in chosen.items()]
    try:
        with ThreadPoolExecutor(SECTORS_AT_ONCE) as pool:
            list(pool.map(_SectorLoad.extract, sectors))
        for each in sectors:
            each.finish()
        for each in sectors:  # no lock is held any more, so that two loads cannot wait for each other
            each.load_busy()
    except BaseException as error:
        for each in sectors:
            each.abandon(error)
        raise
    finally:
        for each in sectors:
            each.close()
    # The process's peak while it loaded all of these: datasets of two sectors share it at any moment.
    return [
        each.reports[dataset] | {"peak_memory_bytes": memory.peak()} for each in sectors for dataset in each.datasets
    ]


class _SectorLoad:
    """The load of a sector's datasets, which holds each one's lock from its extract until it is accepted or has failed."""

    def __init__(
        self, sector: str, datasets: list[str], connect_to: Connect, tell: Callable[[str, str], None], *, full: bool
    ) -> None:
        self.sector = sector
        self.datasets = datasets
        self.reports: dict[str, Report] = {}
        self._connect_to = connect_to
        self._tell = tell
        self._full = full
        self._session: locks.Session | None = None
        self._busy: list[str] = []

    def extract(self) -> None:
        """Bring what is new in every dataset that nobody else is at work on."""
        for dataset in self.datasets:
            stopping.check()
            try:
                self._take(dataset, 0.0)
            except Busy:
                self._busy.append(dataset)
            except Exception as error:
                self.reports[dataset] = failed(self.sector, dataset, "extract", error)
            else:
                self._extract(dataset)

    def finish(self) -> None:
        """Check what was extracted, all at once, and accept what passed."""
        ready = {name: found["batch_id"] for name, found in self.reports.items() if found["status"] == "extracted"}
        if not ready:
            return
        self._tell(self.sector, "check")
        try:
            self.reports |= check(self.sector, ready, self._connect_to, held=True)
        except Exception as error:
            for dataset, batch_id in ready.items():
                _give_up(f"{self.sector}.{dataset}", batch_id, "check", error, self._connect_to)
                self.reports[dataset] = failed(self.sector, dataset, "check", error, batch_id)
        for dataset, batch_id in ready.items():
            if self.reports[dataset]["status"] == "checked":
                self._attempt(dataset, "accept", partial(accept, self.sector, dataset, batch_id), batch_id)
            self._let_go(dataset)

    def load_busy(self) -> None:
        """Load what another load was at work on, one dataset after the other, each when that load has ended."""
        for dataset in self._busy:
            self._tell(f"{self.sector}.{dataset}", "wait for")
            try:
                self._take(dataset, LOAD_WAIT_S)
            except Exception as error:
                self.reports[dataset] = failed(self.sector, dataset, "extract", error)
                continue
            self._extract(dataset)
            self.finish()

    def abandon(self, error: BaseException) -> None:
        """Give up every batch that waits for its next step: the load ends here."""
        for dataset, found in self.reports.items():
            if found["status"] in ("extracted", "checked"):
                _give_up(f"{self.sector}.{dataset}", found["batch_id"], "load", error, self._connect_to)

    def close(self) -> None:
        """End the session, and with it every lock that is still held."""
        if self._session is not None:
            self._session.close()

    def _extract(self, dataset: str) -> None:
        self._attempt(dataset, "extract", partial(extract, self.sector, dataset, full=self._full))
        if self.reports[dataset]["status"] != "extracted":
            self._let_go(dataset)

    def _attempt(self, dataset: str, step: str, action: Callable[..., Report], batch_id: int | None = None) -> None:
        self._tell(f"{self.sector}.{dataset}", step)
        try:
            self.reports[dataset] = action(connect_to=self._connect_to, held=True)
        except Exception as error:
            self.reports[dataset] = failed(self.sector, dataset, step, error, batch_id)

    def _take(self, dataset: str, wait: float) -> None:
        if self._session is None:
            self._session = locks.Session(self._connect_to, "pdic_warehouse_loader", f"load {self.sector}")
        try:
            self._session.take(locks.dataset(f"{self.sector}.{dataset}"), wait)
        except psycopg2.Error:
            self.close()  # it broke off: the next dataset gets another
            self._session = None
            raise

    def _let_go(self, dataset: str) -> None:
        if self._session is not None:
            self._session.let_go(locks.dataset(f"{self.sector}.{dataset}"))


def resolve_targets(targets: Iterable[str]) -> dict[str, list[str]]:
    """Which datasets the words `SECTOR` and `SECTOR.DATASET` name; no word means all. Raises `LoadError` for unknown ones.

    A dataset is known by its contract's file. No contract is read here: one that cannot be read fails alone.
    """
    known = contracts.names()
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


def rows_lost(
    contract: contracts.Contract, batch: ledger.Batch, rows: int | None, when: str = "it was checked"
) -> str | None:
    """What is wrong where a batch has other rows than extract wrote: rules say nothing of rows that are not there.

    None where all are there, and where nobody counted them.
    """
    landed = (batch.rows_extracted or 0) - (batch.rows_unchanged or 0)
    if rows is None or rows == landed:
        return None
    return (
        f"{contract.id}: batch {batch.batch_id} held {landed} rows after extract and {rows} when {when}. "
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
