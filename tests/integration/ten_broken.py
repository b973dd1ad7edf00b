"""Ten kinds of broken datasets among forty, and how each is broken and mended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pdic import connections
from pdic.contracts.compile import compile_all
from tests.integration.sectors import Sector, write_contract

SECTOR = "forty"
PLANTED = "791301000001"
GOOD = tuple(f"good_{number:02}" for number in range(30))
BROKEN = {
    "dropped_table": ("failed", "dropped_table"),
    "no_rights": ("failed", "no_rights"),
    "view_that_raises": ("failed", "view_that_raises"),
    "retyped_column": ("failed", "Nhãn X"),
    "unknown_connection": ("failed", "pdic_source_nowhere"),
    "unreadable_contract": ("failed", "unreadable_contract.odcs.yaml"),
    "undecodable_bytes": ("failed", "extract ended with UnicodeDecodeError in "),
    "unreadable_rules": ("failed", "unreadable_rules.yaml"),
    "rule_that_raises": ("rejected", "rule_that_raises.divides"),
    "quarantine_that_refuses": ("failed", "accept ended with CheckViolation"),
}
"""Dataset → how its load ends, and what its message names."""


def draft_forty(sector: Sector) -> None:
    """Contracts of the forty, and their tables with three rows each."""
    for dataset in (*GOOD, *BROKEN):
        write_contract(sector.root, SECTOR, dataset)
    compile_all(sector.root, check=False)
    for dataset in (*GOOD, *BROKEN):
        sector.source(
            f'create table {dataset} (id bigint primary key, "Nhãn X" text, "sửa" timestamptz default clock_timestamp());'
            f"insert into {dataset} select i, 'nhãn' from generate_series(1, 3) as i"
        )


@contextmanager
def breaking(sector: Sector) -> Iterator[Sector]:
    """The sector with the ten broken; whole again at the end, so that the same things can be broken once more."""
    contract = sector.root / "contracts" / SECTOR / "unreadable_contract.odcs.yaml"
    shape = sector.root / "expectations" / "batch" / SECTOR
    script = sector.root / "plugins" / "pdic" / "generated" / "raw" / f"{SECTOR}__undecodable_bytes.sql"
    elsewhere = sector.root / "contracts" / SECTOR / "unknown_connection.odcs.yaml"
    whole = {path: path.read_bytes() for path in (contract, script, elsewhere)}
    sector.source(
        """
        drop table dropped_table;
        revoke select on no_rights from current_user;
        alter table view_that_raises rename to below;
        alter table retyped_column alter column "Nhãn X" type bigint using 7;
        """
    )
    sector.source(
        f"""create view view_that_raises as
        select id, ('{PLANTED}' || "Nhãn X")::date::text as "Nhãn X", "sửa" from below"""
    )
    contract.write_text("schema: [", encoding="utf-8")
    script.write_bytes(b"-- \xff\xfe\n" + whole[script])
    text = whole[elsewhere].decode()
    place = "customProperties:\n"
    elsewhere.write_text(
        text.replace(place, place + "  - {property: connection, value: pdic_source_nowhere}\n", 1), encoding="utf-8"
    )
    shape.mkdir(parents=True, exist_ok=True)
    (shape / "unreadable_rules.yaml").write_text("rules: [", encoding="utf-8")
    (shape / "rule_that_raises.yaml").write_text(
        "rules:\n- id: rule_that_raises.divides\n  type: pdic_expect_query_to_return_no_rows\n"
        "  kwargs: {query: 'select id from {table} where 1 / (id - id) > 0'}\n"
        "  severity: critical\n  dimension: accuracy\n  on_fail: halt\n  reason: {vi: Chia, en: Divide}\n"
        "  origin: text\n  source: 'assumption: asked for by this test'\n",
        encoding="utf-8",
    )
    held = f"quarantine.{SECTOR}__quarantine_that_refuses"
    with psycopg.connect(connections.warehouse("loader")) as loader:
        if loader.execute("select to_regclass(%s)", (held,)).fetchone() == (None,):
            loader.execute((script.parent / f"{SECTOR}__quarantine_that_refuses.sql").read_text(encoding="utf-8"))  # type: ignore[call-overload]
        loader.execute(f"alter table {held} add constraint refuses check (id < 100) not valid")
    sector.source(f"insert into quarantine_that_refuses values ({PLANTED}, null)")
    yield sector
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute(f"alter table {held} drop constraint refuses")
    sector.source(
        f"""
        create table dropped_table (like good_00 including all);
        grant select on no_rights to current_user;
        drop view view_that_raises;
        alter table below rename to view_that_raises;
        alter table retyped_column alter column "Nhãn X" type text using 'nhãn';
        delete from quarantine_that_refuses where id = {PLANTED};
        insert into dropped_table select * from retyped_column;
        """
    )
    for path, content in whole.items():
        path.write_bytes(content)
    for name in ("unreadable_rules", "rule_that_raises"):
        (shape / f"{name}.yaml").unlink()
