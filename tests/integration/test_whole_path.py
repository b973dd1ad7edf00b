"""Seed, load, release, and again after days have passed: what readers see is a function of the sources, whole and proven.

One story in order, on one home: each step stands on the last.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pdic import settings
from pdic.release import dbt
from pdic.release import keys as keys_of_release
from tests.integration.province import Province, Refused

CITIZENS = "1500"
SEED = "7"
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def first(new_home: Callable[[], Path]) -> Province:
    """A seeded province, loaded and released once."""
    province = Province(new_home())
    province.pdic("demo", "seed", "--citizens", CITIZENS, "--seed", SEED)
    province.pdic("load")
    province.pdic("release")
    return province


@pytest.fixture(scope="module")
def days(first: Province) -> list[dict[str, str]]:
    """The same province on the three days that follow, each loaded and released; its checksums of each.

    The third day is the first that builds on what its own slot holds: three slots take turns.
    """
    found = []
    for _ in range(3):
        first.pdic("demo", "tick", "--days", "1")
        first.pdic("load")
        assert first.pdic("release")["status"] == "published"
        found.append(first.checksums())
    return found


@pytest.fixture(scope="module")
def later(days: list[dict[str, str]]) -> dict[str, str]:
    """The last of these days."""
    return days[-1]


def test_every_source_row_is_accepted_or_quarantined(first: Province) -> None:
    datasets = first.pdic("status")["datasets"]
    assert len(datasets) >= 24
    for dataset in datasets:
        assert dataset["source_rows"] == dataset["accepted"] + dataset["quarantined"], dataset
    assert sum(dataset["quarantined"] for dataset in datasets) > 0, "the profile plants defects that rules catch"


WEIGHT_OF_SEVERITY = {"critical": 4, "warning": 2, "info": 1}
WEIGHT_OF_DIMENSION = {
    "accuracy": 0.30,
    "completeness": 0.20,
    "cleanliness": 0.20,
    "freshness": 0.15,
    "consistency": 0.15,
}


def test_the_score_is_what_its_formula_says(first: Province) -> None:
    """Computed here once more from the ledger's counts: docs/score.md."""
    scores = {row["dataset"]: row for row in first.pdic("quality", "score", "--scope", "dataset")}
    assert set(scores) == {dataset["dataset"] for dataset in first.pdic("status")["datasets"]}
    results = first.query(
        "loader",
        "select dataset, dimension, severity, failed, checked from control.expectation_result"
        " where run_kind = 'batch' and checked > 0",
    )
    cleaned = first.query(
        "transformer",
        "select split_part(model, '__', 2), 'cleanliness', 'info', sum(repaired)::bigint, sum(rows)::bigint"
        " from staging.intake group by model",
    )
    by_dimension: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for dataset, dimension, severity, failed, checked in [*results, *cleaned]:
        score = 100 * (1 - failed / checked)
        by_dimension.setdefault((dataset, dimension), []).append((WEIGHT_OF_SEVERITY[severity], score))
    assert sum(failed for *_, failed, _ in cleaned) > 0, "the profile plants defects that cleaning repairs"
    for dataset, row in scores.items():
        assert row["freshness"] == 100, "it was loaded a moment ago"
        index = []
        for dimension, weight in WEIGHT_OF_DIMENSION.items():
            graded = by_dimension.get((dataset, dimension), [])
            if dimension != "freshness":
                wanted = sum(w * score for w, score in graded) / sum(w for w, _ in graded) if graded else None
                assert row[dimension] == (None if wanted is None else pytest.approx(wanted, abs=0.011)), (
                    dataset,
                    dimension,
                )
            if row[dimension] is not None:
                index.append((weight, row[dimension]))
        assert row["quality_index"] == pytest.approx(sum(w * s for w, s in index) / sum(w for w, _ in index), abs=0.02)
    (province,) = first.pdic("quality", "score", "--scope", "province")
    assert 90 < province["quality_index"] < 100


def test_the_score_by_agency_adds_up(first: Province) -> None:
    """What agencies sent and broke is what their dataset did, and none of it is a value of a person."""
    found = first.query(
        "loader",
        """
        select result.batch_id, rule_id, failed, checked,
            (select sum(failed) from control.agency_failure as f where f.batch_id = result.batch_id and f.rule_id = result.rule_id),
            (select sum(checked) from control.agency_check as c where c.batch_id = result.batch_id)
        from control.expectation_result as result
        where by_agency and failed > 0 and exists (select from control.agency_check as c where c.batch_id = result.batch_id)
        """,
    )
    assert found
    for _, rule, failed, checked, of_agencies, rows in found:
        assert (failed, checked) == (of_agencies or 0, rows), rule
    agencies = first.pdic("quality", "score", "health", "--scope", "agency")
    assert len(agencies) > 10
    assert any(agency["quality_index"] < 100 for agency in agencies)
    assert not any(re.search(r"\d{9}", agency["agency_code"]) for agency in agencies)


def test_readers_see_what_is_held_and_what_no_rule_looks_at(first: Province) -> None:
    standing = first.pdic("quarantine", "summary")
    shown = first.query("reader", "select dataset, agency_code, open, corrected from shared.quality_quarantine")
    assert sorted(map(str, shown)) == sorted(
        str((row["dataset"], row["agency"], row["open"], row["corrected"])) for row in standing
    )
    coverage = {(row["sector"], row["dataset"]): row for row in first.pdic("quality", "coverage")}
    for sector, dataset, columns, without, freshness_by in first.query(
        "reader", "select sector, dataset, columns, columns_without_rule, freshness_by from shared.quality_coverage"
    ):
        assert (columns, without, freshness_by) == (
            coverage[sector, dataset]["columns"],
            len(coverage[sector, dataset]["without_rule"]),
            coverage[sector, dataset]["freshness"],
        )
    batches = first.query("reader", "select count(*), min(quality_index), max(quality_index) from shared.quality_trend")
    sent = [dataset for dataset in first.pdic("status")["datasets"] if dataset["source_rows"]]
    assert batches[0][0] >= len(sent) > 20  # (a dataset of so small a province may have no row)
    assert 0 < batches[0][1] <= batches[0][2] <= 100


def test_staging_holds_what_cleaning_left_and_raw_what_came(first: Province) -> None:
    padded = first.query(
        "transformer",
        """
        select raw."SO_CCCD", staging.personal_id
        from staging.stg_health__xml1 as staging
        inner join raw.health__xml1 as raw on raw."ID"::text = staging._key and raw._batch_id = staging._batch_id
        where 'SO_CCCD' = any(staging._repaired::text[])
        """,
    )
    assert padded, "the profile plants numbers that lost their zeros"
    assert [(sent, kept) for sent, kept in padded if sent == kept or kept != sent.zfill(12)] == []


def test_a_load_without_news_changes_nothing(first: Province) -> None:
    before = first.checksums()
    reports = first.pdic("load")
    cursors = [report for report in reports if report["capture"] == "cursor"]
    assert sum(report["rows_extracted"] for report in cursors) == 0
    assert all(report["rows_accepted"] == 0 and report["rows_quarantined"] == 0 for report in reports)
    assert first.pdic("release")["status"] == "unchanged"
    assert first.checksums() == before


def test_rollback_shows_the_former_release(first: Province, days: list[dict[str, str]]) -> None:
    ((building,),) = first.query("admin", "select building::text from control.slot")
    report = first.pdic("rollback", "--reason", "a trial")
    assert first.checksums() == days[-2] != days[-1]
    found = first.pdic("status")["release"]
    assert (found["live"], found["pin"]["reason"]) == (report["release_id"], "a trial")
    assert first.query("admin", "select building::text from control.slot") == [(building,)], "nothing was built"
    assert first.pdic("rollback")["status"] == "unchanged"
    assert first.checksums() == days[-2], "a second rollback changes nothing"
    assert first.pdic("release", "verify")["wrong"] == []


def test_a_release_after_a_rollback_waits_until_a_person_lets_it_go_out(
    first: Province, days: list[dict[str, str]]
) -> None:
    report = first.pdic("release")
    assert report["status"] == "ready"
    again = first.pdic("release")
    assert (again["release_id"], again["status"]) == (report["release_id"], "ready"), (
        "nothing is new: none is built again"
    )
    assert first.checksums() == days[-2]
    resumed = first.pdic("release", "resume", "--reason", "the trial is over")
    assert (resumed["release_id"], resumed["status"]) == (report["release_id"], "published")
    assert first.checksums() == days[-1]
    found = first.pdic("release", "notes")
    assert {line["table"] for line in found["notes"] if line["topic"] == "table"} >= {
        table for table in days[-1] if days[-1][table] != days[-2][table]
    }
    assert {"batches", "quality"} <= {line["topic"] for line in found["notes"]}
    assert first.pdic("release", "verify")["wrong"] == []


def test_the_unit_tests_of_the_models_pass(first: Province, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDIC_HOME", str(first.home))
    results = dbt.unit_tests(first.uri("transformer"))
    assert {result.status for result in results if result.node.startswith("unit_test.")} == {"pass"}


def test_days_later_it_equals_a_full_refresh(first: Province, later: dict[str, str]) -> None:
    first.pdic("release", "--full-refresh")
    assert first.checksums() == later


def test_days_later_it_equals_a_fresh_build(first: Province, later: dict[str, str], fresh_home: Path) -> None:
    fresh = Province(fresh_home)
    settings.make_private(fresh.home / "secrets")
    shutil.copy(first.home / "secrets" / "identity_key", fresh.home / "secrets" / "identity_key")
    fresh.pdic("demo", "seed", "--citizens", CITIZENS, "--seed", SEED)
    fresh.pdic("demo", "tick", "--days", "3")
    fresh.pdic("load")
    fresh.pdic("release")
    assert fresh.checksums() == later


def test_rows_stay_accounted_for_after_days(first: Province, later: dict[str, str]) -> None:
    for dataset in first.pdic("status")["datasets"]:
        assert dataset["source_rows"] == dataset["accepted"] + dataset["quarantined"], dataset


def test_a_province_that_lives_is_not_called_stale(first: Province, later: dict[str, str]) -> None:
    """Its seed ends weeks before the clock of this machine, its days bear it: neither is a silence, nor lies ahead."""
    found = first.query(
        "loader",
        "select dataset, count(*), bool_and(success), sum(failed)::int from control.expectation_result"
        " where dimension = 'freshness' and batch_id is not null group by dataset",
    )
    judged = {dataset: (success, failed) for dataset, _, success, failed in found}
    assert set(judged.values()) == {(True, 0)}
    by_column = {
        row["dataset"] for row in first.pdic("quality", "coverage") if str(row["freshness"]).startswith("column")
    }
    assert judged.keys() == by_column
    assert first.query("loader", "select dataset, warning from control.batch where warning is not null") == []
    scores = first.pdic("quality", "score", "--scope", "dataset")
    assert {row["freshness"] for row in scores} == {100}


def test_dossiers_in_time_are_those_of_the_source(first: Province, later: dict[str, str]) -> None:
    """The mart against the one-stop system's own database, counted here in another way, without what quarantine holds."""
    held = [key for (key,) in first.query("loader", 'select "IdBanGhi" from quarantine.one_stop__hoso')]
    with psycopg.connect(first.pdic("dsn", "source", "one_stop", "--role", "owner")["uri"]) as source:
        dossiers = source.execute(
            """
            select "DonViXuLy", "MaTTHC", "KenhThucHien", "TrangThaiHoSo", "NgayTiepNhan"::date, "NgayHenTra"::date,
                "NgayKetThucXuLy"::date, "DanhSachHoSoBoSung"
            from hoso where "SuKien" <> 'CANCEL' and "IdBanGhi" <> all(%s)
            """,
            [held],
        ).fetchall()
    today = max(row[4] for row in dossiers)
    expected: dict[tuple[str, str, str], Counter[str]] = {}
    for agency, procedure, channel, status, _, promised, finished, supplements in dossiers:
        waited = sum(
            (date.fromisoformat(wait["NgayBoSung"][:10]) - date.fromisoformat(wait["NgayYeuCau"][:10])).days
            for wait in supplements
            if wait["NgayBoSung"]
        )
        if status in ("3", "7", "8"):
            outcome = "without_result"
        elif finished:
            outcome = "on_time" if finished <= promised + timedelta(waited) else "late"
        elif status == "5":
            outcome = "waiting"
        else:
            outcome = "overdue" if promised + timedelta(waited) < today else "not_due"
        where = (agency, procedure, {"1": "direct", "2": "online", "3": "post"}[channel])
        expected.setdefault(where, Counter())[outcome] += 1
    assert sum(counts["late"] for counts in expected.values()) > 0
    assert sum(counts["not_due"] for counts in expected.values()) > 0
    names = ("on_time", "late", "overdue", "not_due", "waiting", "without_result")
    found = first.query(
        "reader",
        f"""
        select agency_code, procedure_code, channel, {", ".join(names)}, dossiers, on_time_percent, as_of_date
        from shared.mart_one_stop__on_time_by_agency inner join shared.dim_agency using (agency_key)
        """,
    )
    assert {row[:3]: row[3:9] for row in found} == {
        where: tuple(counts[name] for name in names) for where, counts in expected.items()
    }
    for row in found:
        due = row[3] + row[4] + row[5]
        assert row[9] == sum(row[3:9])
        assert row[10] == (round(Decimal(100 * row[3]) / due, 2) if due else None)
        assert row[11] == today


def test_the_one_stop_service_comes_back(first: Province) -> None:
    """Fault: the service was killed. Invariant: the next command starts it again, where it was, and every record is there."""
    state = json.loads((first.home / "state.json").read_text(encoding="utf-8"))["one_stop"]
    os.kill(state["pid"], signal.SIGKILL)
    reports = first.pdic("load", "one_stop")
    assert [report["status"] for report in reports] == ["accepted", "accepted"]
    again = json.loads((first.home / "state.json").read_text(encoding="utf-8"))["one_stop"]
    assert again["pid"] != state["pid"]


def test_a_failed_audit_keeps_the_former_release(first: Province, later: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "project"
    ours = settings.project_root()
    root.mkdir()
    for part in ("pyproject.toml", "contracts", "dbt_project", "expectations", "plugins"):
        if (ours / part).is_dir():
            shutil.copytree(ours / part, root / part)
        else:
            shutil.copy(ours / part, root / part)
    rules = root / "expectations" / "release" / "fct_birth.yaml"
    text = rules.read_text(encoding="utf-8") if rules.exists() else "rules:\n"
    rules.write_text(
        text
        + "  - id: planted\n    type: expect_table_row_count_to_be_between\n    kwargs: {max_value: 1}\n"
        + "    severity: critical\n    dimension: consistency\n    on_fail: halt\n"
        + "    reason: {vi: 'Thử', en: 'A planted failure'}\n    origin: text\n    source: 'assumption: planted'\n",
        encoding="utf-8",
    )
    before = first.checksums()
    with pytest.raises(Refused, match=r"fct_birth.*planted") as refusal:
        first.pdic("release", "--force", root=root)
    assert re.search(r"\d+", str(refusal.value))
    assert first.checksums() == before
    status = first.pdic("status")["release"]
    assert status["newest"][0]["status"] == "failed"
    assert first.pdic("rollback")["release_id"] == status["former"], "a failed audit takes nothing away"
    first.pdic("release")
    first.pdic("release", "resume")
    assert first.checksums() == before


def test_a_reader_reaches_shared_and_nothing_else(first: Province) -> None:
    with psycopg.connect(first.uri("reader"), autocommit=True) as reader:
        reader.execute("set default_transaction_read_only = off")
        tables = reader.execute(
            """
            select nspname, relname
            from pg_class inner join pg_namespace on pg_namespace.oid = relnamespace
            where relkind in ('r', 'p', 'v') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
            """
        ).fetchall()
        schemas = {schema for schema, _ in tables}
        assert {
            "raw",
            "staging",
            "vault",
            "candidate",
            "published",
            "slot_a",
            "quarantine",
            "control",
            "shared",
        } <= schemas
        for schema, name in tables:
            table = sql.Identifier(schema, name)
            if schema == "shared":
                reader.execute(sql.SQL("select * from {} limit 1").format(table))
                with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)):
                    reader.execute(sql.SQL("delete from {}").format(table))
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(sql.SQL("select * from {} limit 1").format(table))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("create table shared.mine (a int)")


def test_nobody_can_be_found_in_what_readers_see(first: Province) -> None:
    with psycopg.connect(first.pdic("dsn", "source", "truth", "--role", "owner")["uri"]) as truth:
        people = truth.execute("select full_name, personal_id from person").fetchall()
    names = {name.casefold() for name, _ in people}
    with psycopg.connect(first.uri("reader")) as reader:
        for (table,) in reader.execute(
            "select table_name from information_schema.tables where table_schema = 'shared'"
        ).fetchall():
            columns = reader.execute(
                "select column_name, data_type from information_schema.columns where table_schema = 'shared' and table_name = %s",
                (table,),
            ).fetchall()
            for column, kind in columns:
                place = {"table": sql.Identifier("shared", table), "column": sql.Identifier(column)}
                found = reader.execute(
                    sql.SQL("select count(*) from {table} where {column}::text ~ %s").format(**place), (r"\d{12}",)
                ).fetchone()
                assert found == (0,), f"shared.{table}.{column} holds twelve digits in a row"
                if kind == "text" or "char" in kind:
                    values = reader.execute(
                        sql.SQL("select distinct lower({column}) from {table}").format(**place)
                    ).fetchall()
                    assert not names & {value for (value,) in values if value}, f"shared.{table}.{column} names people"


LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")


def guesses(code: str, purpose: str) -> Iterator[str]:
    """Keys that somebody would try for a code who knows how keys look, and not the secret."""
    for message in (code, f"{purpose}|{code}"):
        for kind in ("md5", "sha256"):
            made = [hashlib.new(kind, message.encode())]
            made += [hmac.new(secret.encode(), message.encode(), kind) for secret in ("pdic", purpose)]
            for each in made:
                yield each.hexdigest()[:32]
                yield each.hexdigest()[:32].translate(LETTERS)


def test_no_key_is_found_again_by_trying_all_codes(first: Province) -> None:
    """Every key that a reader sees, against every code of the staged tables: 305 of 306 pupils' keys were once MD5 of their codes."""
    with psycopg.connect(first.uri("reader")) as reader:
        columns = reader.execute(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'shared' and column_name like '%\\_key' and data_type in ('text', 'character varying')"
        ).fetchall()
        keys: dict[str, set[str]] = {}
        for table, column in columns:
            query = sql.SQL("select distinct {} from {}").format(
                sql.Identifier(column), sql.Identifier("shared", table)
            )
            keys.setdefault(column.removesuffix("_key"), set()).update(key for (key,) in reader.execute(query) if key)
    assert {"student", "citizen"} <= set(keys)
    assert sum(map(len, keys.values())) > 500
    codes: set[str] = set()
    for table, column in first.query(
        "transformer",
        "select table_name, column_name from information_schema.columns where table_schema = 'staging'"
        " and table_name like 'stg%' and column_name ~ '(code|number|id)$' and data_type = 'text'",
    ):
        query = sql.SQL("select distinct {} from {}").format(sql.Identifier(column), sql.Identifier("staging", table))
        with psycopg.connect(first.uri("transformer")) as transformer:
            codes |= {code for (code,) in transformer.execute(query) if code}
    assert len(codes) > 1000
    everything = set().union(*keys.values())
    for purpose in ("student", "visit", "dossier", "event"):
        found = {guess for code in codes for guess in guesses(code, purpose)} & everything
        assert not found, f"{len(found)} keys are found again from codes ({purpose})"
    secret = (first.home / "secrets" / "identity_key").read_text(encoding="utf-8").strip().encode()
    with_secret = {keys_of_release.key_of(secret, "student", code) for code in codes}
    assert keys["student"] <= with_secret, "these are the codes, and only the secret was missing"


def test_a_province_that_stops_is_seen_in_the_score_and_in_data_docs(first: Province, later: dict[str, str]) -> None:
    """Fault: five days pass in which no source writes. Every load is accepted, and none is silent about it."""
    with psycopg.connect(first.uri("admin")) as admin:
        admin.execute(
            "update control.batch_freshness set read_at = read_at - interval '5 days',"
            " newest_at = newest_at - interval '5 days', quiet_since = quiet_since - interval '5 days'"
        )
    reports = {report["dataset"]: report for report in first.pdic("load")}
    assert {report["status"] for report in reports.values()} == {"accepted"}
    assert "health.xml1 batch" in reports["xml1"]["warning"]
    assert "no record was newer than 5 d" in reports["xml1"]["warning"]
    assert reports["lop"]["warning"] is None, "classes are made once a year"
    assert reports["co_so_kcb"]["warning"] is None, "a list rightly stands still"
    assert first.pdic("release", "--force")["status"] == "published"
    scores = {row["dataset"]: row["freshness"] for row in first.pdic("quality", "score", "--scope", "dataset")}
    assert (scores["lop"], scores["co_so_kcb"]) == (100, 100)
    held = first.query(
        "loader",
        "select count(*) filter (where success), count(*) from control.expectation_result"
        " where rule_id = 'xml1.history.THOI_GIAN_CAP_NHAT.freshness'",
    )
    ((fresh, judged),) = held
    assert judged - fresh == 1
    assert scores["xml1"] == pytest.approx((4 * 100 + 2 * 100 * fresh / judged) / 6, abs=0.011)
    pages = Path(str(first.pdic("status")["release"]["data_docs"]))
    page = (pages if pages.is_dir() else pages.parent) / "health.xml1.html"
    assert "xml1.history.THOI_GIAN_CAP_NHAT.freshness" in page.read_text(encoding="utf-8")
