"""A release that is too unlike the live one is held before readers see it, told in one sentence, and published once a person consents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from pdic import approval, connections, embedded, history, quality, release, status, warehouse
from pdic.cli import app as cli
from pdic.cli import release as cli_release
from pdic.errors import Busy, PdicError, ReleaseError, ReleaseFenced, ReleaseHeld, TableHeld
from pdic.problems import problems
from pdic.quality.results import ReleaseVerdict, RuleResult
from pdic.quality.rules import Dimension, OnFail, Origin, Reason, Rule, Severity
from pdic.release import broken_rules, code, comparison, content, profile, publishing, slots, state
from pdic.release import views as readers_views
from pdic.release.views import View
from pdic.warehouse import connect, locks

PAYMENT = View(
    name="fct_payment",
    types={
        "payment_key": "text",
        "commune_unit_key": "text",
        "paid_vnd": "numeric(18,2)",
        "funding_source": "text",
    },
    closed={},
    key=("payment_key",),
    comment="Payments",
    column_comments=dict.fromkeys(("payment_key", "commune_unit_key", "paid_vnd", "funding_source"), ""),
    required=frozenset({"payment_key"}),
    amounts=("paid_vnd",),
)
STILL = View("dim_still", {"still_key": "text"}, {}, ("still_key",), "Nothing changes here", {"still_key": ""})
CONSENT = approval.Approval("lan", "Nguyễn Thị Lan", "the agency closed these payments")


HAS_UNIT = Rule(
    id="fct_payment.commune.known",
    type="expect_column_values_to_not_be_null",
    kwargs={"column": "commune_unit_key"},
    severity=Severity.WARNING,
    dimension=Dimension.COMPLETENESS,
    on_fail=OnFail.WARN,
    reason=Reason(vi="Phải có xã", en="A payment belongs to a commune"),
    origin=Origin.TEXT,
    source="assumption: a test",
)


def judged(_uri: str, release_id: int, *_: Any, **__: Any) -> ReleaseVerdict:
    """The audit of a release by one rule that only warns, over the slot that is being built."""
    slot = slots_now().building
    ((failed, checked),) = ask(
        f"select count(*) filter (where commune_unit_key is null), count(*) from slot_{slot}.fct_payment"
    )
    result = RuleResult(HAS_UNIT, failed == 0, checked, failed)
    return ReleaseVerdict(release_id, (result,), {"fct_payment": (result,)}, passed=True, message="")


def slots_now() -> slots.Slots:
    with connect(connections.warehouse("publisher"), "test") as publisher:
        return slots.read(publisher)


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Path]) -> Iterator[Path]:
    """A warehouse of its own: releases are published in it."""
    found = new_home()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_HOME", str(found))
        embedded.start(found)
        warehouse.migrate(connections.warehouse("admin"))
        patch.setattr(readers_views, "views", lambda: (PAYMENT, STILL))
        patch.setattr(publishing, "_write_docs", lambda *_: "not asked for")
        patch.setattr(code, "digest", lambda *_: "x")
        patch.setattr(quality, "audit_release", judged)
        patch.setattr(broken_rules, "rules_for_release", lambda *_: (HAS_UNIT,))
        yield found
        embedded.stop(found)


def ask(statement: str, role: str = "publisher") -> list[tuple[Any, ...]]:
    with psycopg.connect(connections.warehouse(role)) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


def build(change: str = "", *, batch: int | None = None) -> int:
    """Open a release, bring its slot to what the live one holds, change it by `change` (`t` is the table), and end the build."""
    with connect(connections.warehouse("publisher"), "test") as publisher, publisher.cursor() as cursor:
        state.give_up_others(publisher, "a newer release began")
        cursor.execute("insert into control.release (status, code_digest) values ('built', 'x') returning release_id")
        ((release_id,),) = cursor.fetchall()
        slots.ensure_tables(publisher, [PAYMENT, STILL])
        now = slots.read(publisher)
        cursor.execute("update control.slot_content set release_id = %s where slot = %s", (release_id, now.building))
        if now.live is None:
            cursor.execute(
                f"insert into slot_{now.building}.fct_payment "
                "select %s, 'p' || n, 'xa:' || n %% 4, 100 + n %% 50, case when n %% 10 > 0 then 'oda' end, null, n, 1 "
                "from generate_series(1, 2000) as n",
                (now.building,),
            )
        else:
            for view in (PAYMENT, STILL):
                slots.copy_table(publisher, view, release_id)
            slots.copy_marks(publisher, release_id)
        if change:
            cursor.execute(change.replace(" t ", f" slot_{now.building}.fct_payment "))
        if change or now.live is None:
            cursor.execute(
                "insert into published.table_content values (%s, 'fct_payment', %s)"
                " on conflict (slot, model) do update set release_id = excluded.release_id",
                (now.building, release_id),
            )
        if now.live is None:
            cursor.execute(
                "insert into published.table_content values (%s, 'dim_still', %s)", (now.building, release_id)
            )
        return int(release_id)


def released(change: str = "") -> dict[str, Any]:
    """Build, audit, publish."""
    release_id = build(change)
    audited = release.audit(release_id)
    return audited if audited["status"] == "held" else release.publish(release_id)


def live() -> tuple[int, int]:
    """The release that readers see, and its rows in fct_payment."""
    ((number,),) = ask("select release_id from shared.release", "reader")
    ((rows,),) = ask("select count(*) from shared.fct_payment", "reader")
    return number, rows


@pytest.fixture
def whole(home: Path) -> Iterator[int]:
    """The live release holds 2,000 payments, whatever another test left."""
    if not ask("select 1 from control.slot where live is not null"):
        assert released()["status"] == "published"
    elif live()[1] != 2000 or ask("select 1 from shared.fct_payment where paid_vnd > 150"):
        raise AssertionError("a test left another release live")
    number, rows = live()
    assert rows == 2000
    yield number
    with connect(connections.warehouse("publisher"), "test") as publisher:
        state.give_up_others(publisher, "the test is over")


TOO_UNLIKE = [
    ("delete from t where _row_hash % 5 < 2", "fct_payment has 1,200 rows, and 2,000 in the live release (-40%)"),
    ("delete from t where _row_hash % 2 = 0", "fct_payment has 1,000 rows, and 2,000 in the live release (-50%)"),
    (
        "update t set paid_vnd = paid_vnd * 1000000 where payment_key = 'p7'",
        "fct_payment: paid_vnd adds up to",
    ),
    (
        "insert into t select _slot, payment_key || 'b', commune_unit_key, paid_vnd, funding_source, _source_key, -_row_hash, _release_id"
        " from t where _row_hash > 20",
        "fct_payment has 3,980 rows, and 2,000 in the live release (+99%)",
    ),
    ("update t set funding_source = null", "fct_payment: funding_source is empty in 100% of the rows"),
    ("update t set payment_key = 'q' || payment_key", "2,000 of the 2,000 keys of the live release are gone"),
    ("delete from t where commune_unit_key = 'xa:3'", "fct_payment, commune_unit_key xa:3, has 0 rows"),
]


@pytest.mark.parametrize(("change", "said"), TOO_UNLIKE)
def test_readers_keep_the_live_release_and_a_person_is_told_why(whole: int, change: str, said: str) -> None:
    report = released(change)
    assert report["status"] == "held"
    assert said in report["message"]
    assert live() == (whole, 2000)
    with pytest.raises(ReleaseHeld, match="is held, and readers keep release"):
        release.publish(report["release_id"])
    assert release.audit(report["release_id"])["message"] == report["message"], "the step may be tried again"
    (newest, *_) = history.releases(limit=1)
    assert (newest["status"], newest["reason"]) == ("held", report["message"])
    (problem,) = release_problems()
    assert problem == report["message"]


def release_problems() -> list[str]:
    report = {"datasets": [], "unreadable": [], "slots": [], "release": status.releases()}
    return [found["what"] for found in problems(report) if found["where"] == "release"]


def test_many_more_rows_that_break_a_rule_that_only_warns_hold_a_release(whole: int) -> None:
    """No table changed by more than its limits, and no rule stops a release: 1,692 sums that are wrong, after 5."""
    report = released("update t set commune_unit_key = null, _row_hash = -_row_hash where _row_hash % 10 = 0")
    assert report["status"] == "held"
    assert (
        "200 of 2,000 rows of fct_payment break rule fct_payment.commune.known (A payment belongs to a commune), and 0 of 2,000 in the "
        "live release"
    ) in report["message"]
    (finding,) = comparison.shown(report["release_id"])["findings"]
    assert (finding["what"], finding["rule"], finding["holds"]) == ("rule", "fct_payment.commune.known", True)
    assert "200 trong 2.000 dòng của fct_payment không đạt quy tắc" in finding["message_vi"]


def test_rules_that_warn_are_told_with_the_release_that_is_published(whole: int) -> None:
    few = released("update t set commune_unit_key = null, _row_hash = -_row_hash where _row_hash % 200 = 0")
    assert few["status"] == "published"
    assert few["message"] == "1 table changed, 1 is as before."
    warned = [{"table": "fct_payment", "rule": "fct_payment.commune.known", "failed": 10, "checked": 2000}]
    assert few["warnings"] == status.releases()["warnings"] == warned
    assert broken_rules.sentence(warned) == "1 rule that only warns is broken: fct_payment.commune.known (10 of 2,000)"
    release.rollback()
    release.resume()
    assert status.releases()["warnings"] == []


def test_what_a_stolen_credential_changes_in_the_open_slot_is_compared_although_nothing_notes_it(whole: int) -> None:
    release_id = build()
    with connect(connections.warehouse("publisher"), "test") as publisher:
        slot = slots.read(publisher).building
        slots.open_for_building(publisher, slot)
    ask(f"delete from slot_{slot}.fct_payment where _row_hash % 5 < 2", "transformer")
    ask(f"select published.remember_columns('fct_payment', null), count(*) from slot_{slot}.dim_still", "transformer")
    with connect(connections.warehouse("publisher"), "test") as publisher:
        slots.close(publisher)
    report = release.audit(release_id)
    assert report["status"] == "held"
    assert "fct_payment has 1,200 rows, and 2,000 in the live release" in report["message"]


def test_an_ordinary_change_goes_out(whole: int) -> None:
    report = released("update t set funding_source = 'state' where _row_hash % 20 = 0")
    assert report["status"] == "published"
    assert ask(f"select count(*) from control.release_finding where release_id = {report['release_id']}") == [(0,)]


def test_a_table_that_did_not_change_is_not_read_again(whole: int) -> None:
    first = ask("select min(release_id) from control.release_profile where table_name = 'dim_still'")[0][0]
    report = released("update t set funding_source = 'state' where payment_key = 'p20'")
    described = dict(
        ask(
            f"select table_name, profile_release_id from control.release_table where release_id = {report['release_id']}"
        )
    )
    assert described == {"fct_payment": report["release_id"], "dim_still": first}
    assert released()["status"] == "published"
    ((profiled,),) = ask("select max(release_id) from control.release_profile")
    assert profiled == report["release_id"], "nothing changed, and nothing was read"


def test_of_a_large_table_the_keys_that_are_gone_are_estimated(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "MANY", 500)
    monkeypatch.setattr(profile, "LOOKED_UP", 800)
    release_id = build("update t set payment_key = 'q' || payment_key where _row_hash % 10 < 4")
    assert "keys of the live release are gone (" in release.audit(release_id)["message"]
    ((gone,),) = ask(f"select keys_gone from control.release_table where release_id = {release_id} and keys_gone > 0")
    assert 700 < gone < 900


def test_profiles_hold_counts_and_sums_and_nothing_of_few_rows(whole: int) -> None:
    rows = ask(
        "select grouped_by, group_key, rows, nulls, sums from control.profile_of_release"
        f" where release_id = {whole} and table_name = 'fct_payment' order by 1, 2"
    )
    assert [(row[0], row[1], row[2]) for row in rows[:2]] == [("", "", 2000), ("commune_unit_key", "xa:0", 500)]
    assert rows[0][3]["paid_vnd"] == 0
    assert float(rows[0][4]["paid_vnd"]) == 249_000
    release_id = build("delete from t where commune_unit_key = 'xa:2' and payment_key <> 'p2'")
    release.audit(release_id)
    (few,) = ask(
        "select rows, nulls, sums, digits from control.release_profile"
        f" where release_id = {release_id} and group_key = 'xa:2'"
    )
    assert few == (1, {}, {}, {})


def test_approved_with_a_reason_it_goes_out_once_and_that_is_kept(whole: int) -> None:
    held = released(TOO_UNLIKE[0][0])["release_id"]
    with pytest.raises(PdicError, match="say why with --reason WHY"):
        approval.given("  ")
    assert release.approve(held, CONSENT)["status"] == "published"
    assert live() == (held, 1200)
    assert release.approve(held, CONSENT)["status"] == "published", "a second time changes nothing"
    kept = ask(f"select os_user, said_by, db_role, reason, findings from control.approval where release_id = {held}")
    assert [row[:4] for row in kept] == [("lan", "Nguyễn Thị Lan", "pdic_publisher", CONSENT.reason)]
    assert "fct_payment has 1,200 rows" in kept[0][4]
    shown = comparison.shown(held)
    assert (shown["status"], shown["reason"], shown["approvals"][0]["said_by"]) == ("published", None, "Nguyễn Thị Lan")
    release.rollback()
    release.resume()
    assert live() == (whole, 2000)


def test_what_is_approved_after_a_rollback_waits_and_approving_it_again_changes_nothing(whole: int) -> None:
    released("update t set funding_source = 'odb' where payment_key = 'p7'")
    release.rollback("wrong")
    held = released(TOO_UNLIKE[0][0])["release_id"]
    first = release.approve(held, CONSENT)
    before = ask("select count(*) from control.ledger_entry")
    again = release.approve(held, CONSENT)
    assert first["status"] == again["status"] == "ready"
    assert f"release {held}" in again["message"]
    assert ask("select count(*) from control.ledger_entry") == before
    assert ask(f"select count(*) from control.approval where release_id = {held}") == [(1,)]
    assert release.resume("mended")["status"] == "published"
    assert live() == (held, 1200)
    release.rollback()
    release.resume()
    assert live() == (whole, 2000)


@pytest.mark.parametrize("column", ["reason", "os_user"])
def test_an_approval_is_changed_by_nobody(whole: int, column: str) -> None:
    for role in ("publisher", "loader", "auditor", "transformer"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(f"update control.approval set {column} = 'x'", role)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(
            "insert into control.approval (release_id, os_user, said_by, reason, findings, db_role) values (1, 'a', 'b', 'c', 'd', 'e')"
        )


def test_of_two_approvals_at_once_the_second_changes_nothing(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asked before the first one was done, and got the release's turn after it: it counted the release against itself."""
    held = released("delete from t where _row_hash % 5 < 2")["release_id"]
    alone = publishing.step.alone

    @contextmanager
    def after_the_first(*words: Any, **named: Any) -> Iterator[None]:
        monkeypatch.setattr(publishing.step, "alone", alone)
        assert release.approve(held, CONSENT)["status"] == "published"
        with alone(*words, **named):
            yield

    monkeypatch.setattr(publishing.step, "alone", after_the_first)
    again = release.approve(held, CONSENT)
    assert again["message"].startswith(f"nothing changed: release {held} was published before")
    ((before, now),) = ask(
        f"select rows_before, rows from control.release_content where release_id = {held} and table_name = 'fct_payment'"
    )
    assert (before, now) == (2000, 1200)
    assert ask(f"select count(*) from control.approval where release_id = {held}") == [(1,)]
    release.rollback()
    release.resume()
    assert live() == (whole, 2000)


def test_an_approval_that_dies_is_whole_or_not_there(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    held = released(TOO_UNLIKE[1][0])["release_id"]
    monkeypatch.setattr(slots, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        release.approve(held, CONSENT)
    monkeypatch.undo()
    assert live() == (whole, 2000)
    assert ask(f"select status from control.release where release_id = {held}") == [("held",)]
    assert ask(f"select count(*) from control.approval where release_id = {held}") == [(0,)]


def test_what_was_built_by_other_code_is_not_approved(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    held = released(TOO_UNLIKE[0][0])["release_id"]
    monkeypatch.setattr(code, "digest", lambda *_: "y")
    with pytest.raises(ReleaseError, match=f"release {held} was built before models"):
        release.approve(held, CONSENT)
    assert live() == (whole, 2000)
    assert ask(f"select status from control.release where release_id = {held}") == [("held",)]


def test_what_was_built_by_other_code_is_not_published(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade brings a table that the slot does not have, and then Airflow tries the publish of before again."""
    release_id = build("update t set funding_source = 'state' where payment_key = 'p10'")
    assert release.audit(release_id)["status"] == "audited"
    with monkeypatch.context() as upgraded:
        upgraded.setattr(code, "digest", lambda *_: "y")
        upgraded.setattr(readers_views, "views", lambda: (PAYMENT, STILL, replace(STILL, name="dim_later")))
        with pytest.raises(ReleaseError, match=f"release {release_id} was built before models.* run `pdic release`"):
            release.publish(release_id)
    assert live() == (whole, 2000)
    ((status, said),) = ask(f"select status, message from control.release where release_id = {release_id}")
    assert (status, "was built before models" in said) == ("failed", True)


def test_a_newer_release_overtakes_one_that_is_held(whole: int) -> None:
    first = released(TOO_UNLIKE[0][0])["release_id"]
    second = released(TOO_UNLIKE[1][0])["release_id"]
    with pytest.raises(ReleaseFenced, match=f"overtaken by release {second}, which is held: look"):
        release.approve(first, CONSENT)
    assert "a newer release began; before that: release" in comparison.shown(first)["reason"]


def test_a_release_that_cannot_be_shown_to_readers_is_told_until_it_can(
    whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_id = build("update t set funding_source = 'state' where payment_key = 'p30'")
    assert release.audit(release_id)["status"] == "audited"

    def refuse(error: Exception) -> None:
        monkeypatch.setattr(publishing, "_show", lambda *_: (_ for _ in ()).throw(error))

    refuse(TableHeld("shared.fct_payment is held by session 7"))
    with pytest.raises(TableHeld):
        release.publish(release_id)
    (problem,) = release_problems()
    assert problem.startswith(
        f"release {release_id} is built and audited, and readers see release {whole}: it was not published"
    )
    assert "held by session 7" in problem
    refuse(ReleaseError("shared.fct_payment would be taken from readers"))
    with pytest.raises(ReleaseError):
        release.publish(release_id)
    (problem,) = release_problems()
    assert problem.startswith(
        f"release {release_id} failed, and readers see release {whole}: shared.fct_payment would be taken"
    )
    monkeypatch.undo()
    assert live() == (whole, 2000)


def test_why_a_release_was_not_published_is_known_after_the_next_began(
    whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_id = build("update t set funding_source = 'state' where payment_key = 'p40'")
    release.audit(release_id)
    monkeypatch.setattr(publishing, "_show", lambda *_: (_ for _ in ()).throw(TableHeld("somebody holds a view")))
    with pytest.raises(TableHeld):
        release.publish(release_id)
    monkeypatch.undo()
    build()
    found = comparison.shown(release_id)
    assert found["status"] == "abandoned"
    assert found["reason"] == "a newer release began; before that: it was not published: somebody holds a view"


def test_a_publish_reads_no_table_that_its_audit_has_read(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    release_id = build("update t set funding_source = 'state', _row_hash = _row_hash + 10000 where payment_key = 'p70'")
    assert release.audit(release_id)["status"] == "audited"
    read: list[str] = []
    monkeypatch.setattr(content, "_read", lambda _, table, *__: read.append(table))
    assert release.publish(release_id)["status"] == "published"
    assert read == []
    kept = f"select rows, checksum, changed from control.release_content where release_id = {release_id} and table_name = 'fct_payment'"
    ((rows, checksum),) = ask(
        "select count(*), sum(_row_hash) from published.fct_payment where _slot = (select live from control.slot)"
    )
    assert ask(kept) == [(rows, checksum, 1)]
    assert rows == 2000


def test_a_release_is_held_against_what_readers_see_when_it_goes_out(whole: int) -> None:
    """A rollback and a resume came between its audit and its publish: what the audit found is of another release."""
    release_id = build("delete from t where _row_hash % 5 < 2")
    assert release.audit(release_id)["status"] == "held"
    ask(
        f"update control.release set status = 'audited', message = null, held_against = {whole - 1} where release_id = {release_id}"
    )
    report = release.publish(release_id)
    assert report["status"] == "held"
    assert "fct_payment has 1,200 rows, and 2,000 in the live release" in report["message"]
    assert live() == (whole, 2000)
    with pytest.raises(ReleaseHeld):
        release.publish(release_id)


def test_a_rollback_that_takes_a_view_away_meanwhile_keeps_a_release_from_going_out_without_it(
    whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_id = build("update t set funding_source = 'state' where payment_key = 'p60'")
    release.audit(release_id)
    up_to_date = readers_views.up_to_date

    def rolled_back_meanwhile(publisher: Any) -> Any:
        found = up_to_date(publisher)
        ask("drop view shared.dim_still; delete from control.shown_view where name = 'dim_still'")
        return found

    monkeypatch.setattr(readers_views, "up_to_date", rolled_back_meanwhile)
    with pytest.raises(Busy, match="a rollback changed the readers' views meanwhile"):
        release.publish(release_id)
    assert live()[0] == whole
    monkeypatch.setattr(readers_views, "up_to_date", up_to_date)
    assert release.publish(release_id)["status"] == "published"
    assert ask("select count(*) from shared.dim_still", "reader") == [(0,)]


def test_a_slot_is_closed_although_an_autovacuum_works_on_one_of_its_tables(whole: int) -> None:
    """What an autovacuum locks, and the row of the catalogue that it writes at its end."""
    build()
    with connect(connections.warehouse("publisher"), "test") as publisher:
        slot = slots.read(publisher).building
        slots.open_for_building(publisher, slot)
    place = f"slot_{slot}.fct_payment"

    def close() -> None:
        with connect(connections.warehouse("publisher"), "closing") as publisher:
            slots.close(publisher)

    with ThreadPoolExecutor(1) as pool:
        with connect(connections.warehouse("publisher"), "cleaning") as cleaner, cleaner.cursor() as cursor:
            cursor.execute(f"lock table {place} in share update exclusive mode")
            closing = pool.submit(close)
            while not ask(f"select 1 from pg_locks where relation = '{place}'::regclass and not granted"):
                assert not closing.done()
            cursor.execute(f"grant select on {place} to pdic_auditor")
        closing.result()
    assert ask(f"select has_table_privilege('pdic_transformer', '{place}', 'insert')") == [(False,)]


def test_a_release_whose_process_was_killed_is_told(whole: int) -> None:
    release_id = build("update t set funding_source = 'state' where payment_key = 'p50'")
    assert release_problems() == [], "its next step may be about to begin"
    with connect(connections.warehouse("publisher"), "test") as publisher, publisher.cursor() as cursor:
        cursor.execute(
            "update control.release set started_at = started_at - interval '1 hour' where release_id = %s",
            (release_id,),
        )
    with (
        connect(connections.warehouse("publisher"), "release 9 audit") as publisher,
        locks.hold(publisher, locks.RELEASE),
    ):
        assert release_problems() == [], "a process works on it"
    (problem,) = release_problems()
    assert problem.startswith(f"release {release_id} did not come to its end, and no process works on it any more")
    assert f"readers see release {whole}" in problem
    (newest, *_) = history.releases(limit=1)
    assert newest["reason"] in problem


def test_what_is_held_is_shown_on_a_screen_of_80_columns(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    held = released(TOO_UNLIKE[0][0])["release_id"]
    for module in (cli, cli_release):
        monkeypatch.setattr(module, "ensure_warehouse", lambda: None)
    run = CliRunner()
    shown = run.invoke(cli.app, ["release", "show", str(held)])
    assert shown.exit_code == 0, shown.output
    assert "status held" in shown.output
    assert "What holds it:" in shown.output
    assert run.invoke(cli.app, ["release", "show"]).output == shown.output, "without a number it is the newest"
    differing = run.invoke(cli.app, ["release", "diff"])
    assert differing.exit_code == 0, differing.output
    assert f"release {held} (held) against the live release {whole}" in differing.output
    assert "1,200" in differing.output
    (header,) = [line for line in differing.output.splitlines() if line.startswith("table") and "gone" in line]
    assert f"release {held}" in header
    itself = run.invoke(cli.app, ["release", "diff", str(whole)])
    assert f"release {whole} is the live one, and differs from itself in nothing" in " ".join(itself.output.split())
    assert "dim_still" not in differing.output
    long = [line for line in (shown.output + differing.output).splitlines() if len(line) > 80]
    assert [line for line in long if "`" not in line] == []
    found = json.loads(run.invoke(cli.app, ["release", "diff", str(held), "--json"]).stdout)
    payment = next(each for each in found["tables"] if each["table"] == "fct_payment")
    assert (payment["rows_live"], payment["rows"], payment["keys_gone"], payment["keys_new"]) == (2000, 1200, 800, 0)
    done = run.invoke(cli.app, ["release", "approve", str(held), "--reason", "closed by the agency", "--by", "Lan"])
    assert done.exit_code == 0, done.output
    assert "What had held it:" in run.invoke(cli.app, ["release", "show", str(held)]).output
    assert live() == (held, 1200)
    release.rollback()
    release.resume()
