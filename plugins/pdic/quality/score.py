"""The quality score as readers see it in the live release (`shared.quality_score`, docs/score.md)."""

from __future__ import annotations

from typing import Any, Final

import psycopg2.errors

from pdic import connections
from pdic.errors import ReleaseError
from pdic.warehouse import Connect, records, transaction

SCOPES: Final = ("province", "sector", "dataset", "agency", "agency_dataset")
MEASURES: Final = ("quality_index", "accuracy", "completeness", "cleanliness", "freshness", "consistency")


def scores(
    scope: str | None = None, sector: str | None = None, connect_to: Connect = connections.uri
) -> list[dict[str, Any]]:
    """Scores from 0 to 100 as floats, None where nothing was measured; the province first, then by sector, dataset, agency.

    `scope` None: province, sectors and datasets. Raises ReleaseError where no release has them yet.
    """
    scopes = [scope] if scope else list(SCOPES[:3])
    measures = ", ".join(f"{measure}::float" for measure in MEASURES)
    with (
        transaction(connect_to("pdic_warehouse_publisher"), "quality score") as publisher,
        publisher.cursor() as cursor,
    ):
        try:
            cursor.execute(
                f"""
                select scope, sector, dataset, agency_code, agency_name, {measures}, rows_checked
                from shared.quality_score
                where scope = any(%s) and (%s::text is null or sector = %s)
                order by sector nulls first, dataset nulls first, agency_code nulls first
                """,  # noqa: S608 (our own words)
                (scopes, sector, sector),
            )
        except psycopg2.errors.UndefinedTable:
            raise ReleaseError("no live release has quality scores: run `pdic release` first") from None
        return records(cursor)
