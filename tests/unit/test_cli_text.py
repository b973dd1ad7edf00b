"""What people read: it fits the screen, however long names, numbers and sentences are; what they copy is never broken."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner, Result

import pdic.cli
from pdic import (
    airflow_stack,
    connections,
    demo_service,
    embedded,
    held,
    history,
    load,
    onboard,
    reconcile,
    release,
    retry,
    settings,
    status,
    warehouse,
)
from pdic.cli import app as app_module
from pdic.cli import output
from pdic.cli.app import app
from pdic.containers import jobs, secret_files
from pdic.contracts import compile as compiling
from pdic.errors import LoadError, PdicError
from pdic.onboard import review, share, update
from pdic.problems import of_dataset
from pdic.quality import coverage, data_docs, score, trial
from pdic.quarantine import correction, desk
from pdic.release import comparison, notes
from pdic.sources.cdc import retire, watch
from pdic.warehouse import readers

SECTOR = "quan_ly_ho_so_mot_cua_cap_xa"
DATASET = "ket_qua_giai_quyet_thu_tuc_hanh_chinh_theo_tung_don_vi_hang_nam"
NAME = f"{SECTOR}.{DATASET}"
MANY = 1_234_567_890
COMMAND = f"pdic reconcile {NAME} --approve"
SENTENCE = (
    "Văn phòng Ủy ban nhân dân tỉnh chưa trả lời, và bảng nguồn đã đổi tên cột từ hôm qua: "
    f"hỏi cơ quan, rồi chạy `{COMMAND}` và xem lại kết quả."
)
NFD = unicodedata.normalize("NFD", SENTENCE)
PATH = "/srv/pdic/" + "thu_muc_rat_dai/" * 8 + "index.html"
READER = {
    "conn_type": "postgres",
    "login": "reader_analyst",
    "password": "p" * 60,
    "host": "127.0.0.1",
    "port": 5432,
} | {"schema": "warehouse"}
DSN = connections.to_uri(READER)
AT = datetime(2026, 11, 27, 5, 10, tzinfo=UTC)
TABLE = "mart_civil_registry__vital_events_by_commune_and_month_of_year"

BATCH = {
    "sector": SECTOR,
    "dataset": DATASET,
    "batch_id": 123_456,
    "capture": "snapshot",
    "status": "rejected",
    "rows_extracted": MANY,
    "rows_accepted": MANY,
    "rows_quarantined": 98_765_432,
    "rows_unchanged": MANY,
    "rows_deleted": MANY,
    "seconds": {"extract": 12_345.67},
    "drift": SENTENCE,
    "warning": NFD,
    "message": SENTENCE,
}
COMPARED = {
    "batch_id": 8,
    "status": "rejected",
    "held": True,
    "late": 5,
    "changed": 7,
    "deleted": MANY,
    "reconciled_at": AT,
}
STANDING = {
    "sector": SECTOR,
    "dataset": DATASET,
    "source_rows": MANY,
    "accepted": MANY,
    "quarantined": 98_765_432,
    "quarantined_percent": 7.4,
    "deleted": MANY,
    "balanced": False,
    "source_problem": None,
    "last_good_load": AT,
    "age_seconds": 400_000.0,
    "promised_seconds": 93_600.0,
    "late": True,
    "in_live_release": "older",
    "last_error": {"batch_id": 9, "at": AT.isoformat(), "seconds_ago": 60, "kind": "DriftError", "reason": SENTENCE},
    "last_reconcile": COMPARED,
}
SLOT = {
    "sector": SECTOR,
    "dataset": DATASET,
    "slot": f"pdic_1a2b3c_{DATASET}"[:63],
    "active": True,
    "lag": MANY,
    "retained": MANY,
    "wal_status": "unreserved",
    "safe": MANY,
    "warning": SENTENCE,
}
PIN = {"pinned_at": AT.isoformat(), "by_person": "root", "reason": SENTENCE} | {
    "taken_back_release_id": 123,
    "shown_release_id": 122,
}
STATUS = {
    "datasets": [STANDING],
    "release": {
        "live": 123,
        "live_since": AT.isoformat(),
        "former": 122,
        "data_docs": PATH,
        "newest": [{"release_id": 124, "status": "failed", "message": SENTENCE}],
        "pin": PIN,
        "warnings": [{"table": f"fct_{DATASET}", "rule": f"fct_{DATASET}.is_the_sum", "failed": MANY, "checked": MANY}],
    },
    "quality": [{"sector": SECTOR, "rules": MANY, "hold": MANY, "failures_quarantined": MANY, "failures_warned": MANY}],
    "quarantine": dict.fromkeys(desk.STANDINGS, MANY),
    "slots": [SLOT],
    "unreadable": [],
    "readers": {"problems": [SENTENCE], "ended": [SENTENCE]},
    "shared": [{"table": TABLE, "rows": MANY, "checksum": "9" * 30}],
}
STACK = {
    "home": "/srv/pdic",
    "postgres": {"running": True, "port": 5433},
    "airflow": {
        "running": False,
        "wanted": True,
        "url": "http://127.0.0.1:8080",
        "components": {"scheduler": "unhealthy"},
    },
    "one_stop": {"running": True},
}
RECORD = {
    "record_id": 123_456,
    "sector": SECTOR,
    "dataset": DATASET,
    "agency": "H50.12.03",
    "key": f"khoa={'1' * 40}",
    "severity": "critical",
    "standing": "returned",
    "due_on": AT,
    "waived_until": AT,
    "times": 12,
    "reasons": [f"{NAME}.so_dinh_danh.pattern", f"{NAME}.ngay_sinh.range"],
    "events": [{"happened_at": AT, "what": "returned", "batch_id": 12, "who": "Nguyễn Văn A", "note": SENTENCE}],
}
TRIAL = SimpleNamespace(
    raised=None,
    report=lambda: {
        "rule": f"{NAME}.so_dinh_danh.pattern",
        "batch_id": 12,
        "on_fail": "quarantine",
        "checked": MANY,
        "failed": MANY,
        "percent": 12.345,
        "held": MANY,
        "agencies": {"H50.12.03": 1200, "H50.12.04": 800},
        "keys": ["ma=1", "ma=2"],
        "raised": None,
    },
)
RELEASE = {
    "release_id": 12,
    "started_at": AT,
    "status": "failed",
    "full_refresh": True,
    "datasets": 1000,
    "rows": MANY,
    "seconds": 123.4,
    "published_at": AT,
    "rolled_back_at": AT,
    "live": True,
    "reason": SENTENCE,
}
FOUND = {
    "place": 1,
    "table": TABLE,
    "grouped_by": "commune_unit_key",
    "group_key": "xa:19333",
    "what": "rows",
    "column": "",
}
SHOWN = RELEASE | {
    "seconds": {"audit": 12_345.6},
    "findings": [
        FOUND | {"holds": True, "message": SENTENCE, "message_vi": NFD},
        FOUND | {"holds": False, "message": SENTENCE, "message_vi": NFD},
    ],
    "approvals": [
        {
            "approved_at": AT,
            "said_by": "Nguyễn Văn A",
            "os_user": "airflow",
            "db_role": "pdic_publisher",
            "reason": SENTENCE,
        }
    ],
    "batches": [BATCH],
}
DIFFERING = SHOWN | {
    "status": "held",
    "live": 11,
    "tables": [
        {
            "table": TABLE,
            "same": False,
            "rows_live": MANY,
            "rows": MANY,
            "keys_gone": MANY,
            "keys_new": MANY,
            "sums": {"disbursed_vnd_million": {"live": Decimal(MANY) ** 2, "now": Decimal(1)}},
            "nulls": {"so_dinh_danh": {"live": Decimal("0.1"), "now": Decimal("99.9")}},
            "groups": [{"grouped_by": "commune_unit_key", "group": "xa:19333", "rows_live": MANY, "rows": 1}],
        }
    ],
}
DRAFTED = {
    "sector": SECTOR,
    "datasets": [DATASET],
    "guesses": [{"dataset": DATASET, "column": "so_dinh_danh_ca_nhan", "what": "key", "value": "yes", "why": SENTENCE}],
    "skipped": [{"table": f"public.{DATASET}", "why": SENTENCE}],
    "refused": [{"table": f"public.{DATASET}", "why": SENTENCE}],
    "written": [PATH],
    "warnings": [SENTENCE],
    "changes": [SENTENCE],
    "then": [SENTENCE],
    "table": TABLE,
    "columns": ["so_dinh_danh_ca_nhan"] * 9,
    "kept_back": ["ho_va_ten_khai_sinh"] * 9,
}
TICKED = {"day": 3, "business_date": "2026-07-01", "changes": {"education.ketquahoctap": {"new": MANY, "resent": 2}}}
COVERED = coverage.Coverage(SECTOR, DATASET, 12, 30, ("ho_va_ten", "noi_o_hien_tai") * 9, "own history")
SCORE = {"scope": "agency_dataset", "sector": SECTOR, "dataset": DATASET, "agency_code": "H50.12.03"} | {
    "agency_name": "Văn phòng Ủy ban nhân dân tỉnh Quảng Trị",
    "rows_checked": MANY,
    **dict.fromkeys(score.MEASURES, 99.87),
}

COMMANDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("up",): (),
    ("down",): (),
    ("dsn",): ("warehouse",),
    ("load",): (),
    ("release",): (),
    ("release", "resume"): (),
    ("release", "notes"): (),
    ("release", "verify"): (),
    ("rollback",): (),
    ("status",): ("--checksums",),
    ("history",): (NAME,),
    ("release", "show"): ("12",),
    ("release", "diff"): (),
    ("release", "approve"): ("12", "--reason", "x"),
    ("releases",): (),
    ("reconcile",): (),
    ("onboard", "review"): (),
    ("onboard",): ("--connection", "pdic_source_x", "--schema", "public", "--yes"),
    ("share",): (NAME,),
    ("connection", "add"): ("pdic_source_x", "--host", "h", "--database", "d", "--user", "u"),
    ("contracts", "compile"): ("--check",),
    ("reader", "add"): ("an_nguyen",),
    ("reader", "list"): (),
    ("reader", "remove"): ("an_nguyen",),
    ("slot", "list"): (),
    ("slot", "drop"): (NAME,),
    ("slot", "renew"): (NAME,),
    ("quality", "approve"): (NAME, "--reason", "x"),
    ("quality", "coverage"): (),
    ("quality", "docs"): (),
    ("quality", "score"): (),
    ("quality", "try"): (NAME,),
    ("quarantine", "list"): ("--limit", "1"),
    ("quarantine", "show"): ("1",),
    ("quarantine", "summary"): (),
    ("quarantine", "return"): (),
    ("quarantine", "waive"): ("1", "--why", "x", "--until", "2026-12-31", "--by", "x"),
    ("quarantine", "retry"): (),
    ("demo", "seed"): (),
    ("demo", "tick"): (),
    ("demo", "run"): (),
    ("containers", "check"): (),
    ("containers", "init"): (),
    ("containers", "demo"): (),
}
WITHOUT_TEXT = {("airflow",), ("demo", "one-stop"), ("containers", "airflow-config")}
"""Airflow's own commands; a server that runs until it is stopped; a file that is printed for a machine."""

TO_COPY = re.compile(
    rf"\s*({re.escape(PATH)}|{re.escape(DSN)}|`pdic [^`]+`[.,;:]?|psql \"\$\([^)]+\)\"|git add [\w/ ]+)"
)
"""All that a line may be too long for: it holds this and nothing else, so that people copy it whole."""


@pytest.fixture(autouse=True)
def long_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that commands call answers at length, and nothing behind it is started."""

    def answers(where: Any, name: str, value: Any) -> None:
        monkeypatch.setattr(where, name, lambda *_, **__: value)

    for module in vars(pdic.cli).values():
        if hasattr(module, "ensure_warehouse"):
            answers(module, "ensure_warehouse", Path("/srv/pdic"))
    for name in ("app", "demo", "quality_reports", "quarantine", "reader", "slots", "status"):
        module = __import__(f"pdic.cli.{name}", fromlist=["x"])
        for function, value in (("ensure_warehouse", Path("/srv/pdic")), ("describe", STACK)):
            if hasattr(module, function):
                answers(module, function, value)
    for stack in (embedded, airflow_stack, demo_service):
        for name in ("start", "stop", "ensure", "up", "down"):
            monkeypatch.setattr(stack, name, lambda *_: None, raising=False)
    answers(warehouse, "migrate", None)
    answers(connections, "warehouse", DSN)
    answers(connections, "uri", DSN)
    answers(connections, "entry", READER)
    answers(pdic.cli.reader, "is_embedded", True)
    of_reader = {"reader": "a" * 40, "login": f"reader_{'a' * 40}", "connections": 1000}
    answers(readers, "add", of_reader)
    answers(readers, "remove", of_reader | {"sessions_ended": 1000, "waits": SENTENCE})
    answers(
        readers, "listed", [of_reader | {"open": 1000, "made_at": AT, "waits": waits} for waits in (None, SENTENCE)]
    )
    answers(load, "load", [BATCH])
    answers(release, "release", {"release_id": 12, "status": "published"})
    answers(release, "rollback", {"release_id": 12, "message": SENTENCE})
    answers(release, "resume", {"release_id": 12, "message": SENTENCE})
    wrong = [SENTENCE, f"shared.{TABLE} holds 1,234,567 rows, and release 12 was published with 1,234,568"]
    answers(
        release, "verify", {"release_id": 12, "entries": MANY, "tables": 60, "last_hash": "ab" * 32, "wrong": wrong}
    )
    line = {"topic": "table", "table": TABLE, "vi": SENTENCE, "en": SENTENCE}
    answers(notes, "of_release", {"release_id": 12, "published_at": AT.isoformat(), "notes": [line]})
    answers(status, "status", dict(STATUS))
    answers(history, "of_dataset", [BATCH | {"started_at": AT, "seconds": 1.5, "error_kind": "E", "reason": SENTENCE}])
    answers(history, "releases", [RELEASE])
    answers(comparison, "shown", SHOWN)
    answers(comparison, "difference", DIFFERING)
    answers(release, "approve", {"release_id": 12, "status": "published"})
    answers(held, "approve", BATCH)
    answers(held, "waiting", [BATCH])
    counts = {"source_rows": MANY, "late": MANY, "changed": MANY, "news": MANY, "deleted": MANY}
    answers(reconcile, "reconcile", [BATCH | counts | {"seconds": {"total": 1.5}}])
    answers(retry, "retry", [BATCH])
    answers(onboard, "onboard", DRAFTED)
    answers(
        review,
        "review",
        [review.Finding("guessed-keys", f"{SECTOR}.{DATASET}", "so_dinh_danh_ca_nhan", SENTENCE, PATH)],
    )
    answers(airflow_stack, "ensure_pools", None)
    answers(share, "share", DRAFTED)
    answers(update, "update", DRAFTED)
    answers(pdic.cli.connection, "_look", {"server_version": "18.4", "tables": MANY, "remarks": [SENTENCE, NFD]})
    answers(connections, "save", None)
    answers(
        compiling,
        "compile_all",
        [compiling.Difference(Path("a" * 70), "changed", "-x", f"contracts/{SECTOR}/{DATASET}.odcs.yaml")],
    )
    answers(watch, "slots", [SLOT])
    answers(retire, "end", {"slot": SLOT["slot"], "dropped": True})
    answers(coverage, "coverage", (COVERED,))
    answers(data_docs, "build", Path(PATH))
    answers(score, "scores", [SCORE])
    answers(trial, "trials", [TRIAL])
    answers(desk, "listed", [RECORD])
    answers(desk, "shown", RECORD)
    answers(desk, "waive", [RECORD])
    answers(desk, "summary", [RECORD | dict.fromkeys(desk.STANDINGS, MANY) | {"first_due": AT, "closed_percent": 99.9}])
    answers(correction, "hand_back", [RECORD | {"records": MANY, "personal_columns": 12, "files": [PATH]}])
    answers(secret_files, "check", None)
    monkeypatch.setattr(jobs, "initialise", lambda tell: tell(SENTENCE))
    monkeypatch.setattr(jobs, "fill_demo", lambda _citizens, _seed, tell: tell(SENTENCE))
    demo = pdic.cli.demo
    answers(demo, "seed_databases", {"already": False})
    answers(demo, "_demo", SimpleNamespace(tick=lambda *_, **__: TICKED))
    answers(demo, "_wait_for_release", None)
    answers(airflow_stack, "health", STACK["airflow"])
    answers(airflow_stack, "login", {"username": "admin", "password": DSN})
    answers(airflow_stack, "trigger_dag", "run")
    answers(airflow_stack, "wait_dag_run", "success")
    answers(settings, "home", Path("/srv/pdic"))


def commands() -> Iterator[tuple[str, ...]]:
    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        below = getattr(command, "commands", None)
        if below is None or (path and command.invoke_without_command):
            yield path
        for name, each in (below or {}).items():
            yield from walk(each, (*path, name))

    yield from walk(typer.main.get_command(app), ())


def run(*words: str, columns: int | None = None, monkeypatch: pytest.MonkeyPatch) -> Result:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", str(columns))
    return CliRunner().invoke(app, [*words], input="secret\n")


def too_wide(text: str, columns: int) -> list[str]:
    """Lines wider than the screen, but for a single word and for what is to be copied."""
    found = [line for line in text.splitlines() if cell_len(line) > columns and " " in line.strip()]
    return [line for line in found if not TO_COPY.fullmatch(line)]


def test_every_command_is_looked_at() -> None:
    assert set(commands()) == set(COMMANDS) | WITHOUT_TEXT


@pytest.mark.parametrize("columns", [None, 60, 200])
@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_text_fits_the_screen(path: tuple[str, ...], columns: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(*path, *COMMANDS[path], columns=columns, monkeypatch=monkeypatch)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.output.strip()
    assert too_wide(done.output, columns or 80) == []


@pytest.mark.parametrize("path", [(), *sorted(commands())], ids=" ".join)
def test_help_fits_the_screen(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(*path, "--help", monkeypatch=monkeypatch)
    assert done.exit_code == 0
    assert [line for line in done.output.splitlines() if cell_len(line) > 80] == []
    assert "..." not in done.output.partition("Commands:")[2], "a command's first sentence is short enough for the list"


def test_a_tick_says_what_happened_and_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    said = run("demo", "tick", monkeypatch=monkeypatch).output
    assert "1 day passed: it is 2026-07-01 in the sector databases" in said
    assert "education.ketquahoctap" in said
    assert "1,234,567,890" in said
    assert "`pdic load`" in said


@pytest.mark.parametrize("path", [("load",), ("status",), ("history",), ("reconcile",), ("quarantine", "summary")])
def test_numbers_are_neither_cut_nor_wrapped(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    text = run(*path, *COMMANDS[path], columns=40, monkeypatch=monkeypatch).output
    assert "1,234,567,890" in text
    assert "…" not in text
    assert re.findall(r"\d,$|^\s*,\d", text, re.MULTILINE) == []


def loaded(count: int, **other: Any) -> list[dict[str, Any]]:
    """Reports of `count` datasets of four sectors, all accepted; those of sector_0 with `other`."""
    sizes = {
        "rows_extracted": 1_234_567,
        "rows_accepted": 12_345,
        "rows_quarantined": 0,
        "rows_unchanged": 0,
        "rows_deleted": 0,
    }
    whole = (
        BATCH
        | sizes
        | {"status": "accepted", "message": None, "drift": None, "warning": None, "seconds": {"check": 1.5}}
    )
    return [
        whole
        | {"sector": f"sector_{n * 4 // count}", "dataset": f"giay_phep_xay_dung_{n}"}
        | (other if n * 4 < count else {})
        for n in range(count)
    ]


def test_a_load_of_few_datasets_is_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "load", lambda *_, **__: loaded(8, rows_quarantined=98_765, rows_deleted=1_234))
    said = run("load", monkeypatch=monkeypatch).output
    assert too_wide(said, 80) == []
    lines = [line.split() for line in said.splitlines() if "giay_phep" in line]
    assert lines[0] == ["giay_phep_xay_dung_0", "accepted", "1,234,567", "12,345", "98,765", "1,234", "1.5"]
    assert lines[7] == ["giay_phep_xay_dung_7", "accepted", "1,234,567", "12,345", "0", "0", "1.5"]
    assert len(said.splitlines()) == 4 + 8 + 4  # (title, header of two lines, rule)
    monkeypatch.setattr(load, "load", lambda *_, **__: loaded(8))
    assert "held" not in run("load", monkeypatch=monkeypatch).output


def test_a_load_of_many_datasets_is_a_line_a_sector(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {
        "status": "failed",
        "message": "sector_0.x: the source is away",
        "rows_extracted": None,
        "rows_accepted": None,
    }
    monkeypatch.setattr(load, "load", lambda *_, **__: loaded(1000, **failed, seconds={}))
    done = run("load", monkeypatch=monkeypatch)
    assert done.exit_code == 1
    assert too_wide(done.output, 80) == []
    lines = [line.split() for line in done.output.splitlines()]
    assert ["sector_0", "250", "250", "0", "0", "0", "0"] in lines
    assert ["sector_3", "250", "0", "250", "308,641,750", "3,086,250", "375.0"] in lines
    assert done.output.count("the source is away") == 20
    assert "and 230 more: `pdic status --problems`" in done.output
    assert len(lines) < 40


def test_what_a_load_says_once_is_said_of_every_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "load", lambda *_, **__: loaded(200, drift="the login may not read ten"))
    assert run("load", monkeypatch=monkeypatch).output.count("the login may not read ten") == 50


@pytest.mark.parametrize(
    ("path", "copied"),
    [
        (("dsn",), DSN),
        (("quality", "docs"), PATH),
        (("quarantine", "return"), PATH),
        (("status",), PATH),
        (("demo", "run"), DSN),  # (its password)
    ],
)
def test_what_is_copied_stands_alone_on_its_line(
    path: tuple[str, ...], copied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert copied in [line.strip() for line in run(*path, *COMMANDS[path], monkeypatch=monkeypatch).output.splitlines()]


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_command_in_a_sentence_stays_in_one_piece(columns: int) -> None:
    lines = output.wrapped(SENTENCE, columns)
    assert any(f"`{COMMAND}`" in line for line in lines)
    assert [line for line in lines if cell_len(line) > columns and COMMAND not in line] == []
    assert " ".join(lines) == SENTENCE


def test_a_refusal_is_wrapped_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise LoadError(NFD)

    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(app_module, "app", refuse)
    with pytest.raises(SystemExit) as ended:
        app_module.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert too_wide(said, 80) == []
    assert " ".join(said.split()) == f"pdic: {' '.join(NFD.split())}"


def test_a_review_says_where_to_correct_and_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    said = " ".join(run("onboard", "review", columns=200, monkeypatch=monkeypatch).output.split())
    assert f"1 guess in 1 contract: correct them in {PATH}, take the mark `guessed` out" in said
    assert "`pdic contracts compile`" in said


def test_the_version_is_told() -> None:
    said = CliRunner().invoke(app, ["--version"]).output
    assert re.fullmatch(r"pdic \d+\.\d+\.\d+( \([0-9a-f]{7,}(-dirty)?\))?\n", said)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("load edu", "education"),
        ("load education.l", "education.lop"),
        ("history educ", "education.lop"),
        ("status --sector he", "health"),
        ("share education.l", "education.lop"),
        ("quality score he", "health"),
        ("onboard --update education.l", "education.lop"),
        ("onboard review --sector he", "health"),
        ("dsn w", "warehouse"),
        ("dsn source he", "health"),
    ],
)
def test_the_shell_completes_names(words: str, offered: str) -> None:
    asked = {"_PDIC_COMPLETE": "complete_bash", "COMP_WORDS": f"pdic {words}", "COMP_CWORD": str(words.count(" ") + 1)}
    assert offered in CliRunner().invoke(app, env=asked, prog_name="pdic").output.split()


class TestStatus:
    """`pdic status` says first what is wrong, and stays readable however many datasets there are."""

    WELL: ClassVar[dict[str, Any]] = {
        "late": False,
        "last_error": None,
        "last_reconcile": None,
        "balanced": True,
        "in_live_release": "yes",
    }

    def report(self, monkeypatch: pytest.MonkeyPatch, datasets: list[dict[str, Any]], **others: Any) -> None:
        fine = {
            "slots": [],
            "readers": {"problems": [], "ended": []},
            "release": {**STATUS["release"], "newest": [], "pin": None, "warnings": []},
        }
        monkeypatch.setattr(status, "status", lambda *_, **__: STATUS | fine | {"datasets": datasets} | others)
        healthy = {
            "airflow": {
                "running": True,
                "wanted": True,
                "url": "http://127.0.0.1:8080",
                "components": {"scheduler": "healthy"},
            }
        }
        monkeypatch.setattr(pdic.cli.status, "describe", lambda *_: STACK | healthy)

    def many(self, late: int) -> list[dict[str, Any]]:
        return [
            STANDING
            | self.WELL
            | {"sector": f"nganh_{at // 50:02d}", "dataset": f"bang_{at:04d}", "late": at % 50 < late and at >= 950}
            for at in range(1000)
        ]

    def test_all_is_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.report(monkeypatch, [STANDING | self.WELL])
        done = run("status", monkeypatch=monkeypatch)
        assert (done.exit_code, "nothing is wrong" in done.output) == (0, True)

    def test_a_thousand_datasets_are_a_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.report(monkeypatch, self.many(late=30))
        done = run("status", monkeypatch=monkeypatch)
        lines = done.output.splitlines()
        assert done.exit_code == 1
        assert len(lines) < 130
        assert "30 problems:" in lines[:6]
        assert "and 10 more: `pdic status --problems`" in lines
        listed = [line.split()[0] for line in lines if line.startswith("nganh_")]
        assert listed == ["nganh_19", *(f"nganh_{at:02d}" for at in range(19))], "sectors with problems come first"

    def test_problems_alone_are_all_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.report(monkeypatch, self.many(late=30))
        said = run("status", "--problems", monkeypatch=monkeypatch).output
        assert said.count("- nganh_19.bang_") == 30
        assert "Shared tables" not in said

    def test_machines_get_the_same_problems_and_exit_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.report(monkeypatch, self.many(late=3))
        done = run("status", "--json", monkeypatch=monkeypatch)
        assert done.exit_code == 1
        assert [found["where"] for found in json.loads(done.stdout)["problems"]] == [
            f"nganh_19.bang_0{at}" for at in (950, 951, 952)
        ]

    @pytest.mark.parametrize(
        "words",
        [
            ("status", "--sector", "nowhere"),
            ("quality", "score", "nowhere"),
            ("onboard", "review", "--sector", "nowhere"),
        ],
    )
    def test_a_sector_that_is_not_there_is_refused(
        self, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(PdicError, match="no sector is called nowhere \\(there is civil_registry"):
            monkeypatch.setattr(settings, "home", lambda: Path("/srv/pdic"))
            typer.main.get_command(app).main([*words], standalone_mode=False)


def test_a_held_deletion_is_one_problem_and_says_no_class_name() -> None:
    held = {"batch_id": 9, "seconds_ago": 20, "kind": "SweepHeld", "reason": "66 of 133 known rows are gone"}
    standing = STANDING | {"late": False, "last_error": held, "last_reconcile": COMPARED | {"batch_id": 9}}
    assert list(of_dataset(standing)) == ["batch 9 came to nothing just now: 66 of 133 known rows are gone"]
    later = standing | {"last_error": held | {"batch_id": 10, "seconds_ago": 300}}
    assert len(list(of_dataset(later))) == 2, "another load failed since"
    assert next(iter(of_dataset(later))).startswith("batch 10 came to nothing 5 min ago: ")
