"""The scores that a release shows, read as any reader may. How they are made: docs/score.md."""

from __future__ import annotations

from typing import Any

from pdic import connections
from pdic.errors import PdicError
from pdic.quality.rules import Dimension
from pdic.warehouse import Connect, transaction


def scores(
    target: str | None = None, agency: str | None = None, connect_to: Connect = connections.uri
) -> list[dict[str, Any]]:
    """One row per sector, dataset and, where `agency` asks for them (a code, or `all`), agency of the live release.

    `target` is SECTOR or SECTOR.DATASET. Values are percent, None where a dimension was not measured. Raises PdicError
    where nothing has been released, or nothing is known by that name.
    """
    sector, _, dataset = (target or "").partition(".")
    with transaction(connect_to("pdic_warehouse_reader"), "quality score") as reader, reader.cursor() as cursor:
        cursor.execute("select to_regclass('shared.quality_score') is not null")
        if cursor.fetchone() != (True,):
            raise PdicError("there are no scores yet: run `pdic release` first")
        cursor.execute(
            """
            select sector, dataset, agency, dimension, score, measured_percent, checks, failures
            from shared.quality_score
            where
                (%(sector)s = '' or sector = %(sector)s)
                and (%(dataset)s = '' or dataset = %(dataset)s)
                and case when %(agency)s = 'all' then true else agency = %(agency)s end
            order by sector, dataset, agency
            """,
            {"sector": sector, "dataset": dataset, "agency": agency or ""},
        )
        found = cursor.fetchall()
    if not found and (target or agency):
        raise PdicError("the live release has no score by that name: `pdic quality score --agency all` lists them")
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for sector, dataset, agency, dimension, score, measured, checks, failures in found:
        names = {"sector": sector, "dataset": dataset or "(all)", "agency": agency}
        row = rows.setdefault((sector, dataset, agency), names | dict.fromkeys(Dimension))
        row[dimension] = None if score is None else float(score)
        if dimension == "index":
            row |= {"measured_percent": float(measured), "checks": checks, "failures": failures}
    return list(rows.values())
