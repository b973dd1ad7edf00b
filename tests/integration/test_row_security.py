"""Rows that a policy hides at the source are never taken for deleted: every read refuses with the policy's name, or it is agreed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pdic import reconcile
from pdic.cli.connection import _look
from pdic.contracts import Contract
from pdic.errors import DriftError, LoadError, OnboardError
from pdic.onboard.introspect import facts, open_source
from pdic.sources.postgres import count_rows_of
from pdic.warehouse.statements import StatementCursor
from tests.conftest import Postgres
from tests.integration.strange_sources import StrangeSector, sector_with_a_reader, warehouse_rows

SECTOR = "che"
COLUMNS = {"id": "bigint", "nhom": "text"}


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrangeSector]:
    with sector_with_a_reader(postgres, tmp_path_factory.mktemp("project"), SECTOR) as made:
        yield made


def _table(sector: StrangeSector, name: str, rows: int = 20) -> None:
    sector.run(
        f"create table {name} (id bigint primary key, nhom text, luc timestamptz not null default clock_timestamp());"
        f"insert into {name} select i, case when i % 2 = 0 then 'kín' else 'mở' end from generate_series(1, {rows}) as i"
    )


def _hide(sector: StrangeSector, name: str) -> None:
    sector.run(
        f"""create policy "chỉ mở" on {name} for select using (nhom = 'mở'); alter table {name} enable row level security"""
    )


def _living(sector: StrangeSector, dataset: str) -> int:
    return len(sector.newest(dataset, "id"))


def _refused(sector: StrangeSector, dataset: str, *words: str) -> None:
    """A load and a reconcile refuse in words, and nothing is deleted."""
    before = _living(sector, dataset)
    report = sector.load(dataset)
    assert report["status"] == "failed"
    with pytest.raises((LoadError, DriftError)) as raised:
        reconcile.one_dataset(SECTOR, dataset, sector.connect_to)
    for message in (report["message"], str(raised.value)):
        for word in words:
            assert word in message
    assert _living(sector, dataset) == before
    assert warehouse_rows(f"select 1 from raw.{SECTOR}__{dataset} where _op = 'D'") == []


@pytest.mark.parametrize("capture", ["snapshot", "cursor", "cdc"])
def test_a_policy_made_between_two_loads_deletes_nothing(sector: StrangeSector, capture: str) -> None:
    name = f"giua_{capture}"
    _table(sector, name)
    sector.run(f"create publication pdic_{SECTOR}__{name} for table {name}")
    more = {"cursorColumn": "luc", "deletes": "reconcile"} if capture == "cursor" else {}
    columns = COLUMNS | ({"luc": "timestamp with time zone"} if more else {})
    sector.contract(name, columns, capture=capture, maxDeletedShare=1.0, **more)
    sector.accepted(name)
    _hide(sector, name)
    _refused(sector, name, '"chỉ mở"', f"public.{name}", f"alter role {SECTOR}_reader bypassrls")
    sector.run(f"alter table {name} disable row level security")
    found = reconcile.one_dataset(SECTOR, name, sector.connect_to)
    assert (found["late"], found["changed"], found["deleted"]) == (0, 0, 0)
    assert _living(sector, name) == 20


def test_the_first_load_the_count_and_onboarding_refuse_by_name(sector: StrangeSector) -> None:
    _table(sector, "dau")
    _hide(sector, "dau")
    contract = sector.contract("dau", COLUMNS)
    report = sector.load("dau")
    assert report["status"] == "failed"
    assert '"chỉ mở"' in report["message"]
    assert "rowSecurity: agreed" in report["message"]
    counted = count_rows_of(sector.reader, [contract])[contract.id]
    assert isinstance(counted, LoadError)
    assert '"chỉ mở"' in str(counted)
    with open_source(sector.reader, f"pdic_source_{SECTOR}") as source, pytest.raises(OnboardError) as raised:
        facts(source, "public", "dau")
    assert '"chỉ mở"' in str(raised.value)
    assert "--hidden-rows" in str(raised.value)
    with open_source(sector.reader, f"pdic_source_{SECTOR}", hidden_rows=True) as source:
        assert set(facts(source, "public", "dau", hidden_rows=True).samples["nhom"]) == {"mở"}
    (remark,) = [words for words in _look(f"pdic_source_{SECTOR}", sector.reader)["remarks"] if "row level" in words]
    assert "public.dau" in remark


def test_a_login_is_known_by_its_name_whatever_letters_that_has(postgres: Postgres, sector: StrangeSector) -> None:
    """The name of a role is no SQL: `"CSDL-Đọc"` is neither folded nor cut."""
    _table(sector, "ten_login")
    sector.contract("ten_login", COLUMNS)
    with psycopg.connect(postgres.uri(SECTOR), autocommit=True) as admin:
        admin.execute(
            f"""create role "CSDL-Đọc" login password 'r'; grant connect on database {SECTOR} to "CSDL-Đọc" """
        )  # type: ignore[call-overload]
    sector.run("""grant usage on schema public to "CSDL-Đọc"; grant select on ten_login to "CSDL-Đọc" """)
    login = f"postgresql://CSDL-%C4%90%E1%BB%8Dc:r@127.0.0.1:{postgres.port}/{SECTOR}"
    other = StrangeSector(SECTOR, sector.root, sector.owner, login)
    assert other.accepted("ten_login")["rows_accepted"] == 20
    _hide(sector, "ten_login")
    _refused(other, "ten_login", 'alter role "CSDL-Đọc" bypassrls')


def test_row_security_without_a_policy_shows_nothing_and_is_refused(sector: StrangeSector) -> None:
    _table(sector, "trong")
    sector.contract("trong", COLUMNS)
    sector.accepted("trong")
    sector.run("alter table trong enable row level security")
    _refused(sector, "trong", "without any policy")


def test_the_owner_is_under_policies_only_by_force(sector: StrangeSector) -> None:
    _table(sector, "chu")
    _hide(sector, "chu")
    sector.contract("chu", COLUMNS)
    as_owner = StrangeSector(SECTOR, sector.root, sector.owner, sector.owner)
    assert as_owner.accepted("chu")["rows_accepted"] == 20
    sector.run("alter table chu force row level security")
    _refused(as_owner, "chu", '"chỉ mở"', f"alter role {SECTOR}_owner bypassrls")


def test_views_are_read_as_their_owner_or_as_the_invoker(sector: StrangeSector) -> None:
    _table(sector, "sau")
    _hide(sector, "sau")
    sector.run("create view nhin with (security_barrier) as select id, nhom from sau")
    sector.run("create view nhin_nhu_toi with (security_invoker) as select id, nhom from sau")
    sector.run("create view nhin_hai_lop as select id, nhom from nhin_nhu_toi")
    for view in ("nhin", "nhin_nhu_toi", "nhin_hai_lop"):
        sector.contract(view, COLUMNS)
    # The owner of the table sees past its policy, and so do those who read by its views.
    assert sector.accepted("nhin")["rows_accepted"] == 20
    sector.assert_quiet("nhin")
    for view in ("nhin_nhu_toi", "nhin_hai_lop"):
        report = sector.load(view)
        assert report["status"] == "failed"
        assert '"chỉ mở" of public.sau' in report["message"]
    sector.run("alter table sau force row level security")
    _refused(sector, "nhin", '"chỉ mở" of public.sau', f"alter role {SECTOR}_owner bypassrls")


def test_policies_of_partitions_do_not_hide_rows_of_the_whole(sector: StrangeSector) -> None:
    sector.run(
        "create table chia (id bigint primary key, nhom text) partition by range (id);"
        "create table chia_1 partition of chia for values from (1) to (11);"
        "create table chia_2 partition of chia for values from (11) to (21);"
        "insert into chia select i, 'mở' from generate_series(1, 20) as i;"
        "create policy khong on chia_1 using (false); alter table chia_1 enable row level security"
    )
    sector.contract("chia", COLUMNS)
    assert sector.accepted("chia")["rows_accepted"] == 20
    sector.assert_quiet("chia")
    sector.contract("chia_1", COLUMNS)
    assert "policy khong of public.chia_1" in sector.load("chia_1")["message"]


def test_agreed_rows_load_and_another_policy_asks_before_it_deletes(sector: StrangeSector) -> None:
    _table(sector, "thuan")
    _hide(sector, "thuan")
    contract: Contract = sector.contract("thuan", COLUMNS, rowSecurity="agreed", maxDeletedShare=1.0)
    assert sector.accepted("thuan")["rows_accepted"] == 10
    sector.assert_quiet("thuan")
    assert count_rows_of(sector.reader, [contract]) == {contract.id: 10}
    sector.run("""alter policy "chỉ mở" on thuan using (nhom = 'mở' and id < 5)""")
    _refused(sector, "thuan", "row level security is another", "pdic onboard --update")
    # The agreement is the contract's new version.
    path = sector.root / contract.path
    path.write_text(path.read_text(encoding="utf-8").replace("version: 1.0.0", "version: 2.0.0"), encoding="utf-8")
    assert sector.accepted("thuan")["rows_deleted"] == 8
    assert _living(sector, "thuan") == 2


def test_a_count_of_many_tables_asks_once_what_may_be_read_and_refuses_each_for_its_own_reason(
    sector: StrangeSector, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("dem_tot", "dem_an", "dem_kin", "dem_mat", "dem_trong", "dem_cung_tot")
    for name in names[:4]:
        _table(sector, name)
    _hide(sector, "dem_an")
    sector.run(
        "revoke select on dem_kin from public; drop table dem_mat;"
        "create materialized view dem_trong as select * from dem_tot with no data; create view dem_cung_tot as select * from dem_tot;"
        f"revoke select on dem_kin from {SECTOR}_reader; grant select on dem_trong, dem_cung_tot to {SECTOR}_reader"
    )
    contracts = [sector.contract(name, COLUMNS) for name in names]
    asked: list[str] = []
    execute = StatementCursor.execute

    def heard(self: StatementCursor, query: Any, vars: Any = None) -> None:  # noqa: A002 (the driver's name)
        asked.append(query if isinstance(query, str) else query.as_string(self))
        execute(self, query, vars)

    monkeypatch.setattr(StatementCursor, "execute", heard)
    found = {dataset.partition(".")[2]: count for dataset, count in count_rows_of(sector.reader, contracts).items()}
    assert sum("pg_class" in statement for statement in asked) == 2
    assert (found["dem_tot"], found["dem_cung_tot"]) == (20, 20)
    assert '"chỉ mở"' in str(found["dem_an"])
    assert f"grant select on public.dem_kin to {SECTOR}_reader" in str(found["dem_kin"])
    assert isinstance(found["dem_mat"], LoadError)
    assert "refresh materialized view public.dem_trong" in str(found["dem_trong"])
