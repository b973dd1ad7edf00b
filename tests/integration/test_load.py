"""A load of one dataset, against a real source: nothing lost at the seams, nothing doubled, bad rows set aside with reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from pdic import connections, load, memory
from pdic.contracts.compile import compile_all
from pdic.errors import BatchFenced, BatchRejected, DriftError, LoadError, PdicError
from pdic.sources import parts
from tests.conftest import Postgres
from tests.integration.sectors import CURSOR, SNAPSHOT, Sector, own_sector


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("thu", postgres, tmp_path_factory.mktemp("project")) as made:
        yield made


@pytest.fixture
def table(sector: Sector, request: pytest.FixtureRequest) -> Callable[..., str]:
    def make(**options: Any) -> str:
        name = request.node.name.removeprefix("test_").replace("[", "_").replace("]", "")[:30].rstrip("_")
        sector.add(name, **options)
        return name

    return make


def test_first_load_brings_every_row(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"insert into {name} select i, 'nhãn ' || i from generate_series(1, 1000) as i")
    report = sector.load(name)
    assert (report["status"], report["rows_extracted"], report["rows_accepted"]) == ("accepted", 1000, 1000)
    assert sector.raw(name) == [(i, f"nhãn {i}") for i in range(1, 1001)]
    assert {"bytes", "digest", "rows_deleted", "warning"} <= report.keys()
    assert set(report["seconds"]) == {"extract", "check", "accept"}
    assert all(seconds > 0 for seconds in report["seconds"].values())
    assert 10_000_000 < report["peak_memory_bytes"] <= memory.peak()


def test_second_load_brings_what_changed(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"insert into {name} select i, 'a', now() - interval '1 day' from generate_series(1, 100) as i")
    sector.load(name)
    sector.source(f"""update {name} set "Nhãn X" = 'b', "sửa" = clock_timestamp() where id = 7""")
    report = sector.load(name)
    assert report["rows_extracted"] == 1
    assert sector.raw(name)[-1] == (7, "b")


@pytest.mark.parametrize(
    "schema, capture",
    [("raw", CURSOR), ("raw", SNAPSHOT), ("quarantine", CURSOR)],
    ids=["raw_cursor", "raw_snapshot", "quarantine"],
)
def test_gone_is_said(sector: Sector, table: Callable[..., str], schema: str, capture: str) -> None:
    """Its rows would be lost without a word: a load reads the news only. `--full` brings them all again."""
    name = table(capture=capture)
    cursor = ", now()" if capture == CURSOR else ""
    sector.source(f"insert into {name} select i, 'a'{cursor} from generate_series(1, 100) as i")
    sector.load(name)
    with psycopg.connect(connections.warehouse("loader")) as somebody:
        somebody.execute(f"drop table {schema}.thu__{name}")  # type: ignore[call-overload]
    report = sector.load(name)
    assert report["status"] == "failed"
    assert f"{schema}.thu__{name} is gone, with all rows" in report["message"]
    assert f"run `pdic load thu.{name} --full`" in report["message"]
    (again,) = load.load([f"thu.{name}"], sector.connect_to, full=True)
    assert again["status"] == "accepted"
    assert sector.raw(name) == [(i, "a") for i in range(1, 101)]
    assert sector.load(name)["status"] == "accepted"


def test_a_row_committed_late_arrives(sector: Sector, table: Callable[..., str]) -> None:
    """Fault: a transaction stamps its row, then commits after a load has gone by. Invariant: the next load brings it."""
    name = table()
    with psycopg.connect(sector.source_uri) as slow:
        slow.execute(f"insert into {name} values (1, 'slow', now())")
        sector.source(f"insert into {name} select i, 'fast', clock_timestamp() from generate_series(2, 50) as i")
        sector.load(name)
        assert (1, "slow") not in sector.raw(name)
        slow.commit()
    sector.load(name)
    assert (1, "slow") in sector.raw(name)


AWKWARD = {
    "numeric": ["'NaN'", "'Infinity'", "-1.50", "12345678901234567890.0123456789"],
    "timestamp with time zone": ["'infinity'", "'-infinity'", "'0044-03-15 00:00 BC'", "'epoch'"],
    "date": ["'infinity'", "'4713-01-01 BC'", "'5874897-12-31'"],
    "text[]": ["array[null, '', '{x}', 'ạ']", "'{}'", "array['NULL']", "'{{a,b},{c,d}}'", "'[2:3]={a,b}'"],
    "jsonb": ["""'{"a": 1e400}'""", "'null'", "'[]'", """'"Đ"'"""],
    "json": ["""'{"a": 1,  "a": 2}'"""],
    "bytea": [r"'\x00ff'", "''", "null"],
    "interval": ["'2 years 3 days'", "'-1 mon'", "'24:00'"],
    "double precision": ["'NaN'", "'-0'", "'-Infinity'", "'1e-320'"],
    "character varying(5)": ["''", "' a '", "'ạ̣x'", "null"],
    "character(5)": ["'ab'", "''"],
    "int4range": ["'[1,5)'", "'empty'", "'(,)'"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'"],
    "time without time zone": ["'24:00'", "'12:34:56.789'"],
    "bit varying(9)": ["B'101'", "B''"],
    "inet": ["'10.0.0.1/8'", "'::1'"],
}


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_values_arrive_as_they_are(sector: Sector, kind: str) -> None:
    name = f"awkward_{list(AWKWARD).index(kind)}"
    sector.add(name, type_=kind, required=False)
    values = ", ".join(f"({number}, {value})" for number, value in enumerate(AWKWARD[kind]))
    sector.source(f"insert into {name} values {values}")
    assert sector.load(name)["rows_accepted"] == len(AWKWARD[kind])
    with psycopg.connect(sector.source_uri) as source:
        sent = source.execute(f"""select id, "Nhãn X"::text from {name} order by id""").fetchall()  # type: ignore[call-overload]
    assert sector.raw(name, """id, "Nhãn X"::text""") == sent


def test_bad_rows_go_to_quarantine_with_their_reason(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"insert into {name} values (1, 'good'), (2, null), (3, 'good'), (4, null)")
    report = sector.load(name)
    assert (report["rows_extracted"], report["rows_accepted"], report["rows_quarantined"]) == (4, 2, 2)
    assert [row[0] for row in sector.raw(name)] == [1, 3]
    held = sector.warehouse(f"select id, _reasons from quarantine.thu__{name} order by id")
    assert [key for key, _ in held] == [2, 4]
    assert all(len(reasons) == 1 and name in reasons[0] for _, reasons in held)


def test_rules_judge_what_cleaning_leaves_and_raw_keeps_what_came(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    path = sector.root / "contracts" / "thu" / f"{name}.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    label = "customProperties: [{property: descriptionEn, value: Label}"
    path.write_text(text.replace(label, f"{label}, {{property: cleaning, value: words}}"), encoding="utf-8")
    compile_all(sector.root, check=False)
    sector.source(f"insert into {name} values (1, '  hoà   bình '), (2, 'Không có thông tin'), (3, 'N/A'), (4, 'tốt')")
    report = sector.load(name)
    assert (report["rows_extracted"], report["rows_accepted"], report["rows_quarantined"]) == (4, 2, 2)
    assert sector.raw(name) == [(1, "  hoà   bình "), (4, "tốt")]
    held = sector.warehouse(f'select id, "Nhãn X", _reasons[1] from quarantine.thu__{name} order by id')
    reason = f"{name}.Nhãn_X.required"
    assert held == [(2, "Không có thông tin", reason), (3, "N/A", reason)]


def test_a_batch_that_lost_rows_before_its_check_is_held(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"insert into {name} values (1, 'a'), (2, 'b')")
    batch = sector.extract(name)
    with psycopg.connect(connections.warehouse("loader")) as loader:
        loader.execute(f"delete from raw_batch.thu__{name}__{batch}")  # type: ignore[call-overload]
    checked = load.check("thu", {name: batch}, sector.connect_to)[name]
    assert checked["status"] == "rejected"
    assert f"thu.{name}: batch {batch} held 2 rows after extract and 0 when it was checked" in checked["message"]
    with pytest.raises(BatchRejected):
        load.accept("thu", name, batch, sector.connect_to)
    assert sector.raw(name) == []
    assert sector.load(name)["rows_accepted"] == 2


def test_what_a_batch_holds_is_recorded_by_agency_and_column(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    path = sector.root / "contracts" / "thu" / f"{name}.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    found = text.replace("customProperties:\n", "customProperties:\n  - {property: agencyColumn, value: Nhãn X}\n", 1)
    path.write_text(found, encoding="utf-8")
    compile_all(sector.root, check=False)
    sector.source(f"insert into {name} values (1, 'T1'), (2, null), (3, 'T2'), (4, 'T1'), (5, '079300000001')")
    batch = sector.load(name)["batch_id"]
    sent = sector.warehouse(f"select agency, checked from control.agency_check where batch_id = {batch} order by 1")
    assert sent == [("?", 2), ("T1", 2), ("T2", 1)]
    failed = sector.warehouse(f"select agency, rule_id, failed from control.agency_failure where batch_id = {batch}")
    assert failed == [("?", f"{name}.Nhãn_X.required", 1)]
    profile = f"select column_name, value, rows from control.batch_profile where batch_id = {batch} order by 1"
    assert sector.warehouse(profile) == [("", None, 5), ("Nhãn X", None, 1), ("id", None, 0), ("sửa", None, 0)]


def test_a_batch_is_compared_with_those_before_it_once_there_are_enough(
    sector: Sector, table: Callable[..., str]
) -> None:
    name = table()
    results = f"select batch_id, rule_id, success from control.expectation_result where rule_id ~ '^{name}.history.' "

    def load_more(first: int, last: int) -> int:
        rows = f"""select id, 'a', clock_timestamp() from generate_series({first}, {last}) as id"""
        sector.source(f'insert into {name} (id, "Nhãn X", "sửa") {rows}')
        batch = int(sector.load(name)["batch_id"])
        sector.source(
            f"""update {name} set "sửa" = "sửa" - interval '1 day'"""
        )  # so that no later batch brings them again
        return batch

    load_more(1, 1000)  # from nothing: not of the kind of what follows
    for turn in range(1, 6):
        load_more(1000 * turn + 1, 1000 * turn + 100)
    usual, large = load_more(6001, 6120), load_more(7001, 7600)
    found = sector.warehouse(
        results + "and rule_id !~ '(quarantined_share|quarantined_jump|freshness)$' order by batch_id, rule_id"
    )
    named = [f"{name}.history.{what}" for what in ("Nhãn_X.null_share", "id.null_share", "rows", "sửa.null_share")]
    assert found == [(batch, rule, batch == usual or rule != named[2]) for batch in (usual, large) for rule in named]


def test_a_batch_of_which_most_would_be_refused_is_held_until_the_file_allows_it(
    sector: Sector, table: Callable[..., str]
) -> None:
    name = table()
    sector.source(
        f"""insert into {name} select id, case when id > 600 then 'a' end from generate_series(1, 1000) as id"""
    )
    batch = sector.extract(name)
    checked = load.check("thu", {name: batch}, sector.connect_to)[name]
    assert checked["status"] == "rejected"
    assert f"600 of 1000 rows would go to quarantine, by {name}.Nhãn_X.required (600)" in checked["message"]
    assert "history.yaml" in checked["message"]
    assert sector.raw(name) == []
    limits = sector.root / "expectations" / "history.yaml"
    limits.write_text(f"datasets: {{thu.{name}: {{max_quarantined_share: 0.6}}}}\n", encoding="utf-8")
    assert sector.load(name)["rows_quarantined"] == 600


def test_a_small_batch_may_be_bad_as_a_whole(sector: Sector, table: Callable[..., str]) -> None:
    """A few rows that are all wrong, such as a correction that went astray, go to quarantine like any others."""
    name = table()
    sector.source(f"insert into {name} select id from generate_series(1, 200) as id")
    report = sector.load(name)
    assert (report["status"], report["rows_accepted"], report["rows_quarantined"]) == ("accepted", 0, 200)


def test_a_batch_in_which_nothing_came_has_passed_no_rule(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"insert into {name} values (1, 'a')")
    first = sector.load(name)["batch_id"]
    sector.source(f"""update {name} set "sửa" = "sửa" - interval '1 day'""")
    second = sector.load(name)
    assert (second["status"], second["rows_extracted"]) == ("accepted", 0)
    results = sector.warehouse(
        f"select distinct batch_id, expectation_type <> 'pdic_history_freshness' from control.expectation_result"
        f" where dataset = '{name}' order by batch_id"
    )
    assert results == [(first, True), (second["batch_id"], False)], "only how long the source had been quiet was asked"


def test_a_first_load_of_nothing_is_held_unless_the_contract_says_it_may_be(
    sector: Sector, table: Callable[..., str]
) -> None:
    name = table()
    held = sector.load(name)
    assert held["status"] == "rejected"
    assert f"thu.{name}: batch {held['batch_id']} brought no row, and none came before" in held["message"]
    assert "minRows: 0" in held["message"]
    path = sector.root / "contracts" / "thu" / f"{name}.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("schema:", "  - {property: minRows, value: 0}\nschema:", 1), encoding="utf-8")
    compile_all(sector.root, check=False)
    assert sector.load(name)["status"] == "accepted"
    path.write_text(text, encoding="utf-8")
    compile_all(sector.root, check=False)
    sector.source(f"insert into {name} values (1, 'a')")
    assert sector.load(name)["rows_accepted"] == 1
    sector.source(f"delete from {name}")
    assert sector.load(name)["status"] == "accepted"


def test_a_changed_source_stops_that_dataset_alone(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.add("beside_drift")
    sector.source(f"insert into {name} values (1, 'a'); insert into beside_drift values (1, 'a')")
    sector.source(f'alter table {name} rename column "Nhãn X" to khac')
    with pytest.raises(DriftError, match="column Nhãn X is gone"):
        sector.extract(name)
    reports = {
        report["dataset"]: report for report in load.load(["thu.beside_drift", f"thu.{name}"], sector.connect_to)
    }
    assert reports["beside_drift"]["status"] == "accepted"
    assert reports[name]["status"] == "failed"
    assert sector.warehouse(f"select count(*) from pg_tables where tablename like 'thu\\_\\_{name}\\_\\_%'") == [(0,)]


def test_an_added_column_is_remarked(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"alter table {name} add column moi text; insert into {name} values (1, 'a')")
    remark = f"columns not in the contract: moi (`pdic onboard --update thu.{name}` drafts them)"
    assert sector.load(name)["drift"] == remark


def test_a_snapshot_keeps_the_difference(sector: Sector, table: Callable[..., str]) -> None:
    name = table(capture=SNAPSHOT)
    sector.source(f"insert into {name} values (1, 'a'), (2, 'b'), (3, 'c')")
    sector.load(name)
    again = sector.load(name)
    assert (again["rows_extracted"], again["rows_accepted"], again["rows_unchanged"]) == (3, 0, 3)
    sector.source(f"""delete from {name} where id = 1; update {name} set "Nhãn X" = 'B' where id = 2""")
    third = sector.load(name)
    assert (third["rows_accepted"], third["rows_unchanged"], third["rows_deleted"]) == (1, 1, 1)
    assert sector.raw(name, 'id, "Nhãn X", _op')[3:] == [(1, None, "D"), (2, "B", "U")]
    assert sector.load(name)["rows_deleted"] == 0


def test_an_abandoned_batch_leaves_nothing(sector: Sector, table: Callable[..., str]) -> None:
    """Fault: the process dies after extract. Invariant: the next load starts again, the orphan may not be accepted."""
    name = table()
    sector.source(f"insert into {name} values (1, 'a')")
    orphan = sector.extract(name)
    assert sector.load(name)["rows_accepted"] == 1
    newer = sector.warehouse(f"select max(batch_id) from control.batch where dataset = '{name}'")[0][0]
    checked = load.check("thu", {name: orphan}, sector.connect_to)[name]
    assert (checked["status"], checked["newer"]) == ("superseded", newer)
    with pytest.raises(BatchFenced):
        load.accept("thu", name, orphan, sector.connect_to)
    assert sector.raw(name) == [(1, "a")]
    assert sector.warehouse(f"select count(*) from pg_tables where tablename like 'thu\\_\\_{name}\\_\\_{orphan}'") == [
        (0,)
    ]


def test_accepting_twice_changes_nothing(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"insert into {name} values (1, 'a')")
    batch = sector.extract(name)
    load.check("thu", {name: batch}, sector.connect_to)
    first = load.accept("thu", name, batch, sector.connect_to)
    assert load.accept("thu", name, batch, sector.connect_to) == first
    assert sector.raw(name) == [(1, "a")]


def test_a_batch_must_be_checked_before_it_is_accepted(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    sector.source(f"insert into {name} values (1, 'a')")
    batch = sector.extract(name)
    with pytest.raises(LoadError, match="is extracted, not checked"):
        load.accept("thu", name, batch, sector.connect_to)


def test_a_halting_rule_holds_the_whole_batch(sector: Sector, table: Callable[..., str]) -> None:
    name = table()
    rules = sector.root / "expectations" / "batch" / "thu" / f"{name}.yaml"
    rules.parent.mkdir(parents=True, exist_ok=True)
    rules.write_text(
        "rules:\n- id: few\n  type: expect_table_row_count_to_be_between\n  kwargs: {max_value: 1}\n  severity: critical\n"
        "  dimension: completeness\n  on_fail: halt\n  reason: {vi: Ít, en: Few}\n  origin: text\n"
        "  source: 'assumption: asked for by this test'\n",
        encoding="utf-8",
    )
    sector.source(f"insert into {name} values (1, 'a'), (2, 'b')")
    batch = sector.extract(name)
    assert load.check("thu", {name: batch}, sector.connect_to)[name]["status"] == "rejected"
    with pytest.raises(BatchRejected, match="few"):
        load.accept("thu", name, batch, sector.connect_to)
    assert sector.raw(name) == []


def test_a_source_that_breaks_off_loses_nothing(
    sector: Sector, table: Callable[..., str], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: the source ends the session in the middle of the copy. Invariant: an error, no batch; the next load is whole."""
    name = table()
    sector.source(f"insert into {name} select i, repeat('x', 1000) from generate_series(1, 60000) as i")
    copy_to = parts.Part.copy_to
    taken: list[int] = []

    def breaking_off(part: parts.Part, stream: Any) -> int:
        class Stream:
            def write(self, block: bytes) -> int:
                if not taken:
                    with psycopg.connect(postgres.uri("thu"), autocommit=True) as killer:
                        killer.execute("select pg_terminate_backend(%s)", (part.connection.info.backend_pid,))
                taken.append(len(block))
                return int(stream.write(block))

        return copy_to(part, Stream())  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(parts.Part, "copy_to", breaking_off)
        with pytest.raises(PdicError, match="broke off"):
            sector.extract(name)
    assert 0 < sum(taken) < 60_000_000, "rows had come, and not all"
    assert sector.load(name)["rows_accepted"] == 60_000
    assert sector.warehouse(f"select count(*), count(distinct id) from raw.thu__{name}") == [(60_000, 60_000)]


def test_a_stamp_beyond_all_clocks_holds_no_later_row_back(sector: Sector, table: Callable[..., str]) -> None:
    """Where the next load starts is said by the source's clock, not by the largest stamp."""
    name = table()
    for number, stamp in enumerate(("infinity", "-infinity", "9999-12-31", "294270-01-01", "4000-01-01 BC"), start=1):
        sector.source(f"insert into {name} values ({number}, 'odd', '{stamp}')")
    assert sector.load(name)["rows_accepted"] == 5
    sector.source(f"""insert into {name} (id, "Nhãn X") values (6, 'b')""")
    assert sector.load(name)["status"] == "accepted"
    sector.source(f"""update {name} set "Nhãn X" = 'c', "sửa" = clock_timestamp() where id < 6""")
    assert sector.load(name)["status"] == "accepted"
    newest = f'select distinct on (id) id, "Nhãn X" from raw.thu__{name} order by id, _batch_id desc'
    assert sector.warehouse(newest) == [*((number, "c") for number in range(1, 6)), (6, "b")]


def test_an_unknown_target_is_named(sector: Sector) -> None:
    with pytest.raises(LoadError, match="nothing is called nosuch"):
        load.load(["nosuch"], sector.connect_to)
