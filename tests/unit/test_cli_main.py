"""What a command says when something fails: one sentence, a JSON answer, a trace for whoever mends it; never a value."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pdic import airflow_stack, demo_service, embedded, errors
from pdic.cli import app as cli
from pdic.cli import logs

VALUE = "079301000001 Nguyễn Thị Bí Mật"


class Ended:
    """How a command ended that raised `error`."""

    def __init__(self, error: Exception, monkeypatch: pytest.MonkeyPatch, home: Path, capsys: Any) -> None:
        def command() -> None:
            raise error

        monkeypatch.setattr(cli, "app", command)
        monkeypatch.setattr(sys, "argv", ["pdic", "load", "health", "--json"])
        monkeypatch.setenv("PDIC_HOME", str(home))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        self.code = ended.value.code
        self.out, shown = capsys.readouterr()
        self.err = " ".join(shown.split())
        log = home / "log" / logs.FILE
        self.log = log.read_text(encoding="utf-8") if log.exists() else ""


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"invalid literal: {VALUE}"),
        UnicodeDecodeError("utf-8", b"\xc3\x28", 0, 1, VALUE),
        psycopg2.errors.UniqueViolation(f"duplicate key ({VALUE})"),
        MemoryError(),
    ],
)
def test_what_nobody_foresaw_is_one_sentence_and_a_trace_without_values(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    error.__cause__ = KeyError(VALUE)
    ended = Ended(error, monkeypatch, tmp_path, capsys)
    assert ended.code == 1
    assert ended.err.startswith("pdic: PDIC did not foresee this: ")
    assert type(error).__name__ in ended.err
    assert str(tmp_path / "log" / logs.FILE) in ended.err
    assert json.loads(ended.out)["kind"] == "Unforeseen"
    assert " command" in ended.log
    assert "KeyError" in ended.log
    assert "pdic load" in ended.log
    for written in (ended.err, ended.out, ended.log):
        assert VALUE not in written
        assert "Traceback" not in written


def test_a_warehouse_that_went_away_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    hiding = psycopg2.InterfaceError("connection already closed")
    hiding.__context__ = psycopg2.OperationalError("server closed the connection unexpectedly")
    ended = Ended(hiding, monkeypatch, tmp_path, capsys)
    assert ended.code == 1
    assert json.loads(ended.out)["kind"] == "WarehouseUnavailable"
    assert "OperationalError" in ended.err
    assert "InterfaceError" not in ended.err
    assert "run the same command again" in ended.err


def test_a_refusal_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    ended = Ended(errors.LoadError("nothing is called lop"), monkeypatch, tmp_path, capsys)
    assert ended.err == "pdic: nothing is called lop"
    assert json.loads(ended.out) == {"error": "nothing is called lop", "kind": "LoadError"}
    assert ended.log == ""


def test_what_is_kept_of_a_command_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    former = os.umask(0o022)
    logger = logging.getLogger("pdic")
    handlers, propagate = logger.handlers, logger.propagate
    try:
        for there_before in (False, True):
            path = tmp_path / str(there_before) / "log" / logs.FILE
            if there_before:
                path.parent.mkdir(parents=True)
                path.write_text("before\n", encoding="utf-8")
            logs.begin(tmp_path / str(there_before))
            logger.info("x")
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(former)
        for handler in logger.handlers:
            handler.close()
        logger.handlers, logger.propagate = handlers, propagate


def test_down_stops_everything_although_a_part_cannot_be_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    """A full disk takes no word of what was stopped: it must not keep the rest running."""
    stopped: list[str] = []

    def stop(name: str) -> Any:
        def stopping(home: Path) -> None:
            stopped.append(name)
            if name != "postgres":
                raise OSError(errno.ENOSPC, "No space left on device", f"{home}/state.json")

        return stopping

    monkeypatch.setattr(airflow_stack, "down", stop("airflow"))
    monkeypatch.setattr(demo_service, "stop", stop("demo"))
    monkeypatch.setattr(embedded, "stop", stop("postgres"))
    monkeypatch.setenv("PDIC_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["pdic", "down", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert stopped == ["airflow", "demo", "postgres"]
    assert ended.value.code == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], f"the disk of {tmp_path}/state.json is full" in said["error"]) == ("DiskFull", True)


@pytest.mark.parametrize("moment", ["typer", "psycopg2", "pdic.contracts"])
def test_ctrl_c_while_libraries_are_imported_ends_it_without_a_word(moment: str) -> None:
    script = f"""
import sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
sys.argv = ["pdic", "status"]
from pdic.start import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
