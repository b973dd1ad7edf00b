"""What became of loads and releases, read from the ledger: by dataset, by release, and how each dataset stands now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pdic import connections, contracts, problems
from pdic.quarantine import AGAIN
from pdic.release import turn
from pdic.warehouse import Connect, records, transaction

Report = dict[str, Any]

STANDING: Final = (
    "last_good_load",
    "last_good_batch",
    "age_seconds",
    "last_error",
    "live_batch",
    "in_live_release",
)
"""What `standings` says of a dataset."""

NEVER: Final[Mapping[str, Any]] = dict.fromkeys(STANDING) | {"in_live_release": "no"}
"""How a dataset stands of which no load was begun."""


def of_dataset(sector: str, dataset: str, connect_to: Connect = connections.uri, limit: int = 20) -> list[Report]:
    """The newest batches of a dataset, newest first: when, how, rows, seconds, what became of it and why.

    Raises ContractError where neither the ledger nor a contract knows the dataset.
    """
    with transaction(connect_to("pdic_warehouse_publisher"), "history") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            select
                batch_id,
                started_at,
                accepted_at,
                capture,
                status,
                rows_extracted,
                rows_accepted,
                rows_quarantined,
                rows_unchanged,
                rows_deleted,
                (select round(sum(value::numeric), 1)::float8 from jsonb_each_text(seconds)) as seconds,
                error_kind,
                message as reason,
                warning
            from control.batch
            where sector = %s and dataset = %s
            order by batch_id desc
            limit %s
            """,
            (sector, dataset, limit),
        )
        batches = records(cursor)
    if not batches:
        contracts.get(sector, dataset)
    return batches


def releases(connect_to: Connect = connections.uri, limit: int = 20) -> list[Report]:
    """The newest releases, newest first: when, how far each came, what it brought, when readers saw it, why it failed.

    `datasets` and `rows` are those that are newer than in the release published before it. `live`: readers see it now.
    """
    with transaction(connect_to("pdic_warehouse_publisher"), "releases") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            with newest as (
                select release.*, former.release_id as former_id
                from control.release
                left join lateral (
                    select earlier.release_id
                    from control.release as earlier
                    where earlier.release_id < release.release_id and earlier.published_at is not null
                    order by earlier.release_id desc
                    limit 1
                ) as former on true
                order by release.release_id desc
                limit %s
            ),
            brought as (
                select
                    newest.release_id,
                    count(distinct (taken.sector, taken.dataset)) as datasets,
                    sum(coalesce(batch.rows_accepted, 0) + coalesce(batch.rows_deleted, 0))::bigint as rows
                from newest
                inner join control.release_batch as taken on newest.release_id = taken.release_id
                left join control.release_batch as had
                    on newest.former_id = had.release_id and taken.sector = had.sector and taken.dataset = had.dataset
                inner join control.batch
                    on
                        taken.sector = batch.sector and taken.dataset = batch.dataset and batch.status = 'accepted'
                        and batch.batch_id <= taken.batch_id and batch.batch_id > coalesce(had.batch_id, 0)
                group by newest.release_id
            )
            select
                newest.release_id,
                newest.started_at,
                newest.status,
                newest.full_refresh,
                coalesce(brought.datasets, 0) as datasets,
                coalesce(brought.rows, 0) as rows,
                (select round(sum(value::numeric), 1)::float8 from jsonb_each_text(newest.seconds)) as seconds,
                newest.published_at,
                (
                    select max(publication.published_at) from control.publication
                    where publication.kind = 'rollback' and publication.former_release_id = newest.release_id
                ) as rolled_back_at,
                coalesce((select slot.live_release_id = newest.release_id from control.slot), false)
                    as live,
                newest.message as reason
            from newest
            left join brought on newest.release_id = brought.release_id
            order by newest.release_id desc
            """,
            (limit,),
        )
        found = records(cursor)
        left = turn.left_behind(publisher)
    for release in found:
        if release["release_id"] == left:
            release["reason"] = release["reason"] or problems.left_behind(left)
    return found


def standings(connect_to: Connect = connections.uri) -> dict[tuple[str, str], Report]:
    """By sector and dataset, what `STANDING` names; one statement for all datasets, each found by the ledger's index.

    `last_good_load` is when the newest accepted batch began to be read, news or not: the data are as of then.
    `last_error` is of the newest batch that came to nothing since: when, kind and reason. `in_live_release`: yes, older or no.
    """
    with transaction(connect_to("pdic_warehouse_publisher"), "standings") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            select
                known.sector,
                known.dataset,
                good.started_at as last_good_load,
                good.batch_id as last_good_batch,
                extract(epoch from clock_timestamp() - good.started_at)::float8 as age_seconds,
                case when bad.batch_id is not null then jsonb_build_object(
                    'batch_id', bad.batch_id,
                    'at', bad.started_at,
                    'seconds_ago', extract(epoch from clock_timestamp() - bad.started_at),
                    'kind', coalesce(bad.error_kind, case bad.status when 'rejected' then 'BatchRejected' else 'Interrupted' end),
                    'reason', bad.message
                ) end as last_error,
                taken.batch_id as live_batch,
                case
                    when taken.batch_id is null then 'no'
                    when taken.batch_id = known.accepted_batch_id then 'yes'
                    else 'older'
                end as in_live_release
            from control.dataset as known
            left join lateral (
                select batch.batch_id, batch.started_at
                from control.batch
                where
                    batch.sector = known.sector and batch.dataset = known.dataset
                    and batch.status = 'accepted' and batch.capture <> %s
                order by batch.batch_id desc
                limit 1
            ) as good on true
            left join lateral (
                select batch.batch_id, batch.started_at, batch.status, batch.error_kind, batch.message
                from control.batch
                where
                    batch.sector = known.sector and batch.dataset = known.dataset
                    and batch.status in ('rejected', 'abandoned') and batch.batch_id > coalesce(good.batch_id, 0)
                order by batch.batch_id desc
                limit 1
            ) as bad on true
            left join control.release_batch as taken
                on
                    taken.sector = known.sector and taken.dataset = known.dataset
                    and taken.release_id = (select slot.live_release_id from control.slot)
            """,
            (AGAIN,),
        )
        return {(row.pop("sector"), row.pop("dataset")): row for row in records(cursor)}
