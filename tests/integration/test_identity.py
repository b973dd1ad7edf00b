"""A table is more than its name: a load by cursor compares everything once where its rows may have gone or come unseen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pdic import ledger, load, reconcile, warehouse
from pdic.connections import warehouse as warehouse_uri
from pdic.contracts.compile import compile_all
from pdic.errors import BatchRejected
from tests.conftest import Postgres
from tests.integration.sectors import CURSOR, Sector, own_sector

SECTOR = "danh_tinh"
FILL = """
insert into {0} (id, "Nhãn X", "sửa") select i, 'a' || i, now() - interval '1 day' from generate_series(1, 60) as i
"""


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector(SECTOR, postgres, tmp_path_factory.mktemp("identity")) as made:
        yield made


def filled(sector: Sector, dataset: str, *, table: str | None = None) -> str:
    """A cursor dataset of 60 rows, a day old, loaded; `table` makes the source's table where it is no plain one."""
    sector.add(dataset, capture=CURSOR)
    if table is not None:
        sector.source(f"drop table {dataset}; {table.format(dataset)}")
    sector.source(FILL.format(dataset))
    assert arrived(sector, dataset)["rows_accepted"] == 60
    quiet = arrived(sector, dataset)
    assert (quiet["rows_extracted"], quiet["warning"]) == (0, None)
    return dataset


def arrived(sector: Sector, dataset: str, *, full: bool = False) -> dict[str, Any]:
    """A load whose rules are not asked: they cost most of it, and are not what is tested."""
    batch = load.extract(sector.name, dataset, sector.connect_to, full=full)["batch_id"]
    with warehouse.transaction(warehouse_uri("loader"), "test") as loader:
        ledger.update(loader, batch, status="checked")
    return load.accept(sector.name, dataset, batch, sector.connect_to)


def living(sector: Sector, dataset: str) -> list[tuple[Any, ...]]:
    """The newest version of every key that is not gone."""
    return sector.warehouse(
        f"""
        select id, "Nhãn X" from (
            select distinct on (id) * from raw.{sector.name}__{dataset} order by id, _batch_id desc
        ) as newest where _op = 'U' order by id
        """
    )


def at_source(sector: Sector, dataset: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(sector.source_uri) as connection:
        return connection.execute(f'select id, "Nhãn X" from {dataset} order by id').fetchall()  # type: ignore[call-overload,no-any-return]


PARTITIONED = """
create table {0} (id bigint, "Nhãn X" text, "sửa" timestamptz, primary key (id)) partition by range (id);
create table {0}_one partition of {0} for values from (0) to (100)
"""
VIEWED = """
create table {0}_behind (id bigint primary key, "Nhãn X" text, "sửa" timestamptz);
create view {0} as select id, "Nhãn X", "sửa" from {0}_behind
"""
OLD = "now() - interval '1 day'"

CHANGES: dict[str, tuple[str | None, str, str]] = {
    "replaced": (
        None,
        f"""create table {{0}}_new (like {{0}} including all);
        insert into {{0}}_new select id, 'mới ' || id, {OLD} from generate_series(2, 61) as id;
        alter table {{0}} rename to {{0}}_old; alter table {{0}}_new rename to {{0}}""",
        "another table than before",
    ),
    "made_anew": (
        None,
        f"""drop table {{0}}; create table {{0}} (id bigint primary key, "Nhãn X" text, "sửa" timestamptz);
        insert into {{0}} select id, 'b' || id, {OLD} from generate_series(1, 60) as id""",
        "another table than before",
    ),
    "columns_exchanged": (
        """create table {0} (id bigint primary key, "Nhãn X" text, khac text default 'khác', "sửa" timestamptz)""",
        """alter table {0} rename "Nhãn X" to tam; alter table {0} rename khac to "Nhãn X"; alter table {0} rename tam to khac""",
        "other columns than before are called Nhãn X",
    ),
    "column_made_anew": (
        None,
        """alter table {0} drop column "Nhãn X"; alter table {0} add column "Nhãn X" text default 'x'""",
        "other columns than before are called Nhãn X",
    ),
    "partition_attached": (
        PARTITIONED,
        f"""create table {{0}}_two (like {{0}} including all);
        insert into {{0}}_two select id, 'cũ', {OLD} from generate_series(100, 120) as id;
        alter table {{0}} attach partition {{0}}_two for values from (100) to (200)""",
        "has got a partition",
    ),
    "partition_detached": (
        PARTITIONED + "; create table {0}_two partition of {0} for values from (100) to (200);"
        "insert into {0} values (100, 'x', now() - interval '1 day')",
        "alter table {0} detach partition {0}_two",
        "has lost a partition",
    ),
    "view_redefined": (
        VIEWED,
        """create or replace view {0} as select id, "Nhãn X", "sửa" from {0}_behind where id > 2""",
        "the view public.view_redefined was defined anew",
    ),
    "behind_the_view": (
        VIEWED,
        """create table {0}_more () inherits ({0}_behind);
        insert into {0}_more select id, 'con', now() - interval '1 day' from generate_series(100, 120) as id""",
        "has got a partition, a child or a table that it reads",
    ),
    "emptied_and_filled": (
        None,
        f"truncate {{0}}; insert into {{0}} select id, 'lại ' || id, {OLD} from generate_series(1, 59) as id",
        "was emptied or written anew",
    ),
    "values_rewritten": (
        None,
        """alter table {0} alter "Nhãn X" type text using upper("Nhãn X")""",
        "was emptied or written anew",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_table_under_the_same_name_is_compared_at_once(sector: Sector, name: str) -> None:
    """Rows of each change are stamped a day back, or not at all: a load by cursor alone brings none of them."""
    table, change, said = CHANGES[name]
    dataset = filled(sector, name, table=table) if name != "partition_detached" else detached(sector, name, table or "")
    sector.source(change.format(dataset))
    report = arrived(sector, dataset)
    assert said in report["warning"], report
    assert "all rows were compared" in report["warning"]
    assert living(sector, dataset) == at_source(sector, dataset)
    # The comparison is done: the next load is an ordinary one, and goes on where this one ended.
    quiet = arrived(sector, dataset)
    assert (quiet["rows_extracted"], quiet["warning"]) == (0, None)
    sector.source(f'insert into {dataset} (id, "Nhãn X", "sửa") values (99, \'sau\', now())')
    assert arrived(sector, dataset)["rows_extracted"] == 1
    assert living(sector, dataset) == at_source(sector, dataset)


def detached(sector: Sector, name: str, table: str) -> str:
    """A table of two partitions, with one row in the second."""
    sector.add(name, capture=CURSOR)
    sector.source(f"drop table {name}; {table.format(name)}")
    sector.source(FILL.format(name))
    assert arrived(sector, name)["rows_accepted"] == 61
    return name


ORDINARY = {
    "new_column": "alter table {0} add column them text default 'x'",
    "comment_and_index": "comment on table {0} is 'x'; create index on {0} (\"Nhãn X\"); analyze {0}",
    "owner_and_grants": "grant select on {0} to public; alter table {0} set (fillfactor = 90)",
}
APART = {
    "vacuum_full": "vacuum (full, freeze) {0}",
    "cluster": "cluster {0} using {0}_pkey",
    "reindex": "reindex table {0}",
}


@pytest.mark.parametrize("name", [*ORDINARY, *APART])
def test_an_ordinary_change_costs_nothing(sector: Sector, name: str) -> None:
    dataset = filled(sector, name)
    with psycopg.connect(sector.source_uri, autocommit=True) as source:
        source.execute((ORDINARY | APART)[name].format(dataset))  # type: ignore[call-overload]
    report = arrived(sector, dataset)
    assert (report["capture"], report["rows_extracted"], report["warning"]) == ("cursor", 0, None)


@pytest.mark.parametrize("stamp", ["now()", None])
def test_a_new_partition_is_compared_only_where_rows_would_be_missed(sector: Sector, stamp: str | None) -> None:
    """An empty partition for next month, or one whose rows are all new, is nothing out of the ordinary."""
    dataset = filled(sector, f"next_month_{'filled' if stamp else 'empty'}", table=PARTITIONED)
    sector.source(f"create table {dataset}_two partition of {dataset} for values from (100) to (200)")
    if stamp:
        sector.source(f"insert into {dataset} select id, 'x', {stamp} from generate_series(100, 120) as id")
    report = arrived(sector, dataset)
    assert (report["capture"], report["warning"]) == ("cursor", None)
    assert living(sector, dataset) == at_source(sector, dataset)


def test_the_guard_holds_a_table_that_was_emptied_until_an_operator_agrees(sector: Sector) -> None:
    dataset = filled(sector, "emptied")
    sector.source(f"truncate {dataset}")
    for _ in range(2):  # held again, for as long as nobody has decided
        with pytest.raises(BatchRejected, match=r"was emptied \(TRUNCATE\), and the source is empty.*--approve"):
            load.extract(SECTOR, dataset, sector.connect_to)
    assert len(living(sector, dataset)) == 60
    (healed,) = reconcile.reconcile([f"{SECTOR}.{dataset}"], approve=True, connect_to=sector.connect_to)
    assert (healed["status"], healed["deleted"]) == ("accepted", 60)
    assert arrived(sector, dataset)["rows_extracted"] == 0
    assert living(sector, dataset) == []


def test_a_load_that_died_compares_again(sector: Sector) -> None:
    """Fault: the process is gone after the comparison, before acceptance. Invariant: the change is not forgotten."""
    dataset = filled(sector, "died")
    sector.source(CHANGES["made_anew"][1].format(dataset))
    load.extract(SECTOR, dataset, sector.connect_to)
    report = arrived(sector, dataset)
    assert "another table than before" in report["warning"]
    assert living(sector, dataset) == at_source(sector, dataset)


def test_positions_of_before_are_remembered_without_an_alarm(sector: Sector) -> None:
    """After an upgrade the ledger's positions have no identity: nothing is compared, and the next load has one."""
    dataset = filled(sector, "upgraded")
    with warehouse.transaction(warehouse_uri("loader"), "test") as loader, loader.cursor() as cursor:
        cursor.execute("update control.dataset set position = position - 'identity' where dataset = %s", (dataset,))
    report = arrived(sector, dataset)
    assert (report["rows_extracted"], report["warning"]) == (0, None)
    sector.source(CHANGES["made_anew"][1].format(dataset))
    assert "another table than before" in arrived(sector, dataset)["warning"]


def test_a_restored_source_is_compared_once(sector: Sector) -> None:
    """A dump restored elsewhere may have the very OIDs of before; the server's own identifier tells them apart."""
    dataset = filled(sector, "restored")
    with warehouse.transaction(warehouse_uri("loader"), "test") as loader, loader.cursor() as cursor:
        cursor.execute(
            "update control.dataset set position = jsonb_set(position, '{identity,server}', '\"1/1\"') where dataset = %s",
            (dataset,),
        )
    report = arrived(sector, dataset)
    assert "another server or database" in report["warning"]
    assert (report["rows_extracted"], report["rows_unchanged"]) == (60, 60)
    assert arrived(sector, dataset)["warning"] is None


GAINED = """\
      - name: added
        physicalName: them
        physicalType: text
        logicalType: string
        description: Thêm
        classification: internal
        customProperties: [{property: descriptionEn, value: Added}]
"""


def gain(sector: Sector, dataset: str) -> None:
    """The source's table and its contract get another column, filled for all rows."""
    sector.source(f"alter table {dataset} add column them text; update {dataset} set them = 'x' || id")
    path = sector.root / "contracts" / sector.name / f"{dataset}.odcs.yaml"
    path.write_text(path.read_text(encoding="utf-8").rstrip() + "\n" + GAINED, encoding="utf-8")
    compile_all(sector.root, check=False)


@pytest.mark.parametrize("full", [False, True])
def test_the_next_load_fills_a_column_that_the_contract_has_gained(sector: Sector, full: bool) -> None:
    """No stamp moved. Readers would take what no load has read for empty."""
    dataset = filled(sector, "gained_full" if full else "gained")
    gain(sector, dataset)
    report = arrived(sector, dataset, full=full)
    assert (report["rows_extracted"], report["rows_accepted"], report["rows_deleted"]) == (60, 60, 0)
    newest = f"select distinct on (id) id, them from raw.{SECTOR}__{dataset} order by id, _batch_id desc"
    assert sector.warehouse(newest) == [(number, f"x{number}") for number in range(1, 61)]
    assert arrived(sector, dataset)["rows_extracted"] == 0


def test_a_full_load_takes_only_what_differs_and_moves_the_watermark(sector: Sector) -> None:
    """A row changed without its stamp, one is gone, one came; a load that dies after the comparison changes nothing."""
    dataset = filled(sector, "full_exact")
    sector.source(
        f"""
        update {dataset} set "Nhãn X" = 'lặng lẽ' where id = 7; delete from {dataset} where id = 8;
        insert into {dataset} values (61, 'mới', now())
        """
    )
    before = living(sector, dataset)
    load.extract(SECTOR, dataset, sector.connect_to, full=True)  # and dies
    assert living(sector, dataset) == before
    report = arrived(sector, dataset, full=True)
    assert (report["rows_extracted"], report["rows_accepted"]) == (60, 2)
    assert (report["rows_unchanged"], report["rows_deleted"]) == (58, 1)
    assert living(sector, dataset) == at_source(sector, dataset)
    assert arrived(sector, dataset)["rows_accepted"] <= 1  # the newest stamp is read again: the bound is inclusive
    again = arrived(sector, dataset, full=True)
    assert (again["rows_accepted"], again["rows_unchanged"]) == (0, 60)


def test_the_guard_holds_a_full_load(sector: Sector) -> None:
    dataset = filled(sector, "full_held")
    sector.source(f"delete from {dataset} where id <= 30")
    with pytest.raises(BatchRejected, match=r"30 of 60 known rows .* --approve"):
        load.extract(SECTOR, dataset, sector.connect_to, full=True)
    (healed,) = reconcile.reconcile([f"{SECTOR}.{dataset}"], approve=True, connect_to=sector.connect_to)
    assert (healed["status"], healed["deleted"]) == ("accepted", 30)
    assert arrived(sector, dataset, full=True)["rows_unchanged"] == 30


def test_a_full_load_may_be_the_first(sector: Sector) -> None:
    sector.add("never", capture=CURSOR)
    sector.source(FILL.format("never"))
    report = arrived(sector, "never", full=True)
    assert (report["capture"], report["rows_accepted"]) == ("cursor", 60)
    assert arrived(sector, "never")["rows_extracted"] == 0
