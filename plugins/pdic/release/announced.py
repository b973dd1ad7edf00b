"""Which shared tables readers see changed since it was last announced: by a publish or a rollback, of Airflow or of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdic import connections
from pdic.warehouse import Connect, transaction


@dataclass(frozen=True, slots=True)
class News:
    """The live release, and by changed table its `rows` and `checksum`. No table: nothing is to be announced."""

    release_id: int | None = None
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def take(run: str, connect_to: Connect = connections.uri) -> News:
    """What is to be announced, by a run of Airflow. Another run gets it no more; the same run does, where it is tried again.

    A table is as it is in the live release now, also where several releases came since.
    """
    with transaction(connect_to("pdic_warehouse_publisher"), "announce") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            """
            insert into control.announcement (publication_id, run)
            select publication_id, %s from control.publication
            where publication_id not in (select announcement.publication_id from control.announcement)
            on conflict do nothing
            """,
            (run,),
        )
        cursor.execute("select publication_id from control.announcement where run = %s", (run,))
        publications = [publication for (publication,) in cursor.fetchall()]
        cursor.execute(
            """
            select live.release_id, live.table_name, live.rows, live.digest
            from control.slot
            inner join control.release_content as live on slot.live_release_id = live.release_id
            where exists (
                select from control.publication
                inner join control.release_content as shown
                    on publication.release_id = shown.release_id and shown.table_name = live.table_name
                left join control.release_content as former
                    on publication.former_release_id = former.release_id and shown.table_name = former.table_name
                where
                    publication.publication_id = any(%s)
                    and (former.rows, former.checksum, former.columns) is distinct from (shown.rows, shown.checksum, shown.columns)
            )
            order by live.table_name
            """,
            (publications,),
        )
        found = cursor.fetchall()
    if not found:
        return News()
    return News(found[0][0], {table: {"rows": rows, "checksum": checksum} for _, table, rows, checksum in found})
