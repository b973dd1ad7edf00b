"""The register of held rows (`quarantine.record`): written in the transaction that accepts a batch, so it never disagrees with it.

A record begins when a version of a source row is refused and ends when a good one, or its deletion, is accepted. It names the
row by its key and says nothing of its values; these stand in `quarantine.<sector>__<dataset>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from pdic import agency, cleaning, raw
from pdic.quality.rules import Severity
from pdic.quarantine.terms import terms, today
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract


@dataclass(frozen=True)
class Refusals:
    """What decides about the rows of one batch.

    `rows` is how many were refused. `severities` gives the severity of each rule by id, a reason that is no rule's is critical; it
    is asked only where a record is written. `fails` is the condition, over the batch's cleaned columns, by which rows were refused
    (None: none was). `again` is true where the batch holds nothing new, only rows from the quarantine that are judged once more.
    """

    rows: int
    severities: Callable[[], Mapping[str, Severity]]
    fails: sql.Composable | None = None
    again: bool = False


def spared(contract: Contract) -> sql.Composable:
    """The condition by which a failing row stays in its batch: a waiver stands for its key and covers all that it breaks.

    Over `batch` and `judged._reasons`, as `raw.quarantine_failing` takes it.
    """
    return sql.SQL(
        "exists (select from quarantine.record as waiver where waiver.sector = {sector} and waiver.dataset = {dataset}"
        " and waiver.state = 'waived' and waiver.waived_until >= {today} and waiver.key = {key} and judged._reasons <@ waiver.reasons)"
    ).format(**_names(contract), today=_date(today()), key=raw.key_text(contract, "batch"))


def settle(connection: Connection, contract: Contract, batch_id: int, refusals: Refusals) -> None:
    """Bring the register up to a batch whose failing rows have just been moved out and which is not accepted yet.

    Part of the accepting transaction. A refused row opens a record or adds to the one that stands; a row that stayed, or a
    tombstone, closes the record of its key.
    """
    _catch_up(connection, contract, batch_id, refusals)
    if refusals.rows:
        _refused(
            connection, contract, refusals, sql.SQL("_batch_id = {}").format(sql.Literal(batch_id)), refusals.again
        )
    _came_good(connection, contract, batch_id, refusals.fails)


def _catch_up(connection: Connection, contract: Contract, batch_id: int, refusals: Refusals) -> None:
    """Rows that went to quarantine before there was a register: those whose newest version is held get their record."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "select exists (select from {quarantine} where _batch_id < {batch_id})"
                " and not exists (select from quarantine.record where sector = {sector} and dataset = {dataset})"
            ).format(quarantine=raw.quarantine(contract), batch_id=sql.Literal(batch_id), **_names(contract))
        )
        if not one(cursor)[0]:
            return
    newest = sql.SQL(
        "_batch_id < {batch_id} and not exists (select from {raw} as newer where {same_key} and newer._batch_id > held._batch_id)"
        " and not exists (select from {quarantine} as newer where {same_key} and newer._batch_id > held._batch_id"
        " and newer._batch_id < {batch_id})"
    ).format(
        batch_id=sql.Literal(batch_id),
        raw=raw.parent(contract),
        quarantine=raw.quarantine(contract),
        same_key=raw.same_key(contract, "newer", "held"),
    )
    _refused(connection, contract, refusals, newest, again=False)


def _refused(
    connection: Connection, contract: Contract, refusals: Refusals, which: sql.Composable, again: bool
) -> None:
    """Enter the rows of the dataset's quarantine (`held`) for which `which` is true."""
    since, due = today(), terms().due
    severities = refusals.severities()
    of_severity = {
        severity: sorted(rule for rule, found in severities.items() if found is severity) for severity in Severity
    }
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                """
                with refused as (
                    select distinct on (key)
                        key, agency, reasons, batch_id,
                        case
                            when not reasons <@ {known} or reasons && {critical} then 'critical'
                            when reasons && {warning} then 'warning'
                            else 'info'
                        end as severity
                    from (
                        select
                            {key} as key, {agency} as agency, coalesce(_reasons, array[]::text[]) as reasons,
                            _batch_id as batch_id
                        from {quarantine} as held
                        where {which}
                    ) as row
                    order by key, batch_id desc
                ),
                entered as (
                    insert into quarantine.record as record (
                        sector, dataset, key, agency, reasons, severity, first_batch_id, last_batch_id, due_on
                    )
                    select
                        {sector}, {dataset}, key, agency, reasons, severity, batch_id, batch_id,
                        case severity when 'critical' then {due_critical} when 'warning' then {due_warning} else {due_info} end
                    from refused
                    on conflict (sector, dataset, key) where state <> 'corrected' do update set
                        agency = excluded.agency,
                        reasons = excluded.reasons,
                        severity = excluded.severity,
                        last_batch_id = excluded.last_batch_id,
                        last_seen = case when {again} then record.last_seen else clock_timestamp() end,
                        times = record.times + case when {again} then 0 else 1 end,
                        state = case when {again} and record.state = 'returned' then 'returned' else 'open' end,
                        waived_until = null,
                        closed_batch_id = null,
                        due_on = case when record.state = 'waived' then excluded.due_on else record.due_on end
                    returning record_id, last_batch_id
                )
                insert into quarantine.event (record_id, what, batch_id, note)
                select record_id, 'refused', last_batch_id, case when {again} then 'judged again' end
                from entered
                """
            ).format(
                key=raw.key_text(contract),
                agency=agency.code(contract),
                quarantine=raw.quarantine(contract),
                which=which,
                known=_texts(severities),
                critical=_texts(of_severity[Severity.CRITICAL]),
                warning=_texts(of_severity[Severity.WARNING]),
                due_critical=_date(due(Severity.CRITICAL, since)),
                due_warning=_date(due(Severity.WARNING, since)),
                due_info=_date(due(Severity.INFO, since)),
                again=sql.Literal(again),
                **_names(contract),
            )
        )


def _came_good(connection: Connection, contract: Contract, batch_id: int, fails: sql.Composable | None) -> None:
    """Close the records of the keys that the batch still holds; those that it holds by a waiver are noted and stay."""
    batch = raw.batch_table(contract, batch_id)
    with connection.cursor() as cursor:
        # (A comparison that finds no difference makes no table.)
        cursor.execute(
            "select to_regclass(%s) is not null and count(*) > 0, count(*) filter (where state = 'waived') > 0"
            " from quarantine.record where sector = %s and dataset = %s and state <> 'corrected'",
            (batch.as_string(connection), contract.sector, contract.dataset),
        )
        has_records, has_waivers = one(cursor)
        if not has_records:
            return
        spared_keys: sql.Composable = sql.SQL("select null::text where false")
        if fails is not None and has_waivers:
            spared_keys = sql.SQL(
                "select {key} from {batch} as batch"
                " where batch.ctid in (select _row from ({cleaned}) as cleaned where _op = 'U' and ({fails}))"
            ).format(
                key=raw.key_text(contract, "batch"),
                batch=batch,
                cleaned=cleaning.relation(contract, _waived_rows(contract, batch)),
                fails=fails,
            )
        cursor.execute(
            sql.SQL(
                """
                with spared (key) as ({spared}),
                let_pass as (
                    update quarantine.record as record
                    set closed_batch_id = {batch_id}
                    where
                        record.sector = {sector}
                        and record.dataset = {dataset}
                        and record.state = 'waived'
                        and record.key in (select key from spared)
                ),
                closed as (
                    update quarantine.record as record
                    set state = 'corrected', waived_until = null, closed_at = clock_timestamp(), closed_batch_id = {batch_id}
                    from {batch} as batch
                    where
                        record.sector = {sector}
                        and record.dataset = {dataset}
                        and record.state <> 'corrected'
                        and record.key = {key}
                        and record.key not in (select key from spared)
                    returning record.record_id, batch._op
                )
                insert into quarantine.event (record_id, what, batch_id)
                select record_id, case when _op = 'D' then 'deleted at source' else 'corrected' end, {batch_id} from closed
                """
            ).format(
                spared=spared_keys,
                batch=batch,
                batch_id=sql.Literal(batch_id),
                key=raw.key_text(contract, "batch"),
                **_names(contract),
            )
        )


def held_beside(connection: Connection, contract: Contract, rules: Sequence[str]) -> int:
    """How many held rows break other rules than these, or others besides."""
    with connection.cursor() as cursor:
        if not raw.is_there(cursor, raw.quarantine(contract)):  # nothing was ever loaded
            return 0
        # Rows whose key is empty, or the same nothing in other letters, share one record, which has the reasons of the newest only.
        cursor.execute(
            sql.SQL(
                """
                select greatest(
                    (
                        select count(*) from quarantine.record
                        where sector = {sector} and dataset = {dataset} and state <> 'corrected' and not {by_these}
                    ),
                    (
                        select count(*) from {quarantine} as held
                        where not coalesce({held_by_these}, false)
                            and ({keyless} or _reasons && {rules} and {key} in (
                                select key from quarantine.record
                                where sector = {sector} and dataset = {dataset} and state <> 'corrected'
                            ))
                    )
                )
                """
            ).format(
                by_these=_by(rules, "reasons"),
                held_by_these=_by(rules, "_reasons"),
                quarantine=raw.quarantine(contract),
                keyless=_keyless(contract),
                rules=_texts(rules),
                key=raw.key_text(contract, "held"),
                **_names(contract),
            )
        )
        return int(one(cursor)[0])


def forget_keyless(connection: Connection, contract: Contract, rules: Sequence[str]) -> None:
    """Take out the rows that were held because their key is empty, where another key is about to take its place.

    ``rules`` are those that say so, also of a key that is cleaned to nothing. The rows stand at the source, and the next load that
    reads it whole judges them by the new key: what is known of a row, it would not judge again.
    """
    with connection.cursor() as cursor:
        if not raw.is_there(cursor, raw.quarantine(contract)):
            return
        cursor.execute(
            sql.SQL("delete from {quarantine} where {by_these}").format(
                quarantine=raw.quarantine(contract), by_these=_by(rules, "_reasons")
            )
        )
        cursor.execute(
            sql.SQL(
                """
                with closed as (
                    update quarantine.record
                    set state = 'corrected', waived_until = null, closed_at = clock_timestamp()
                    where sector = {sector} and dataset = {dataset} and state <> 'corrected' and {by_these}
                    returning record_id
                )
                insert into quarantine.event (record_id, what, note)
                select record_id, 'corrected', 'the dataset has another key' from closed
                """
            ).format(by_these=_by(rules, "reasons"), **_names(contract))
        )


def _by(rules: Sequence[str], reasons: str) -> sql.Composable:
    """The condition that what is held breaks one of these rules, and no other. (Of old rows nobody knows why they are held.)"""
    return sql.SQL("({reasons} && {rules} and {reasons} <@ {rules})").format(
        reasons=sql.Identifier(reasons), rules=_texts(rules)
    )


def _keyless(contract: Contract) -> sql.Composable:
    """The condition, over `held`, that a part of the key is empty."""
    columns = (sql.SQL("held.{} is null").format(sql.Identifier(name)) for name in contract.key)
    return sql.SQL("({})").format(sql.SQL(" or ").join(columns))


def _waived_rows(contract: Contract, batch: sql.Composable) -> sql.Composed:
    """The rows of a batch whose key a waiver stands for, with their place: a key is what was sent, not what it is cleaned to."""
    return sql.SQL(
        "(select batch.ctid, batch.* from {batch} as batch where {key} in (select record.key from quarantine.record as record"
        " where record.sector = {sector} and record.dataset = {dataset} and record.state = 'waived')) as batch"
    ).format(batch=batch, key=raw.key_text(contract, "batch"), **_names(contract))


def _names(contract: Contract) -> dict[str, sql.Composable]:
    return {"sector": sql.Literal(contract.sector), "dataset": sql.Literal(contract.dataset)}


def _texts(values: object) -> sql.Composable:
    return sql.SQL("{}::text[]").format(sql.Literal(list(values)))  # type: ignore[call-overload]


def _date(value: object) -> sql.Composable:
    return sql.SQL("{}::date").format(sql.Literal(value))
