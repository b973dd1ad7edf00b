"""Where things lie, and how secrets are kept."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pdic import connections, settings
from pdic.errors import PdicError, instead_of


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_home_is_in_the_checkout_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PDIC_HOME", raising=False)
    monkeypatch.delenv("PDIC_ROOT", raising=False)
    assert settings.home() == settings.project_root() / ".pdic"
    assert (settings.project_root() / "pyproject.toml").is_file()
    monkeypatch.setenv("PDIC_HOME", str(tmp_path / "x"))
    assert settings.home() == tmp_path / "x"


@pytest.mark.parametrize("said", ["soon", "-1", "nan", "inf", "30 s", "1e7", "1e300"])
def test_a_setting_that_is_no_number_of_seconds_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    assert settings.seconds("PDIC_SILENCE", 30.0) == 30.0
    monkeypatch.setenv("PDIC_SILENCE", "2.5")
    assert settings.seconds("PDIC_SILENCE", 30.0) == 2.5
    monkeypatch.setenv("PDIC_SILENCE", said)
    with pytest.raises(
        PdicError, match=f"^PDIC_SILENCE is '{said}', which is no number of seconds from 0 to 1,000,000: set it"
    ):
        settings.seconds("PDIC_SILENCE", 30.0)


def test_a_secret_is_private_made_once_and_the_same_for_all_who_ask_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(lambda _: settings.secret("key", create=True, of=tmp_path), range(64)))
    assert len(texts) == 1
    assert len(texts.pop()) == 2 * settings.SECRET_BYTES
    assert mode(tmp_path / "secrets") == 0o700
    assert mode(tmp_path / "secrets" / "key") == 0o600
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["key"]


def test_who_waits_for_a_lock_is_told_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settings, "_SILENT_S", 0.1)
    monkeypatch.setattr(settings.sys, "argv", ["/x/bin/pdic", "onboard", "--key", "secret"])
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with settings.locked(tmp_path, "onboard"):
            held.set()
            over.wait(30)

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            over.set()

    heard = Heard()
    logging.getLogger("pdic.settings").addHandler(heard)
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        assert held.wait(30)
        with settings.locked(tmp_path, "onboard"):
            pass
        holder.result()
    logging.getLogger("pdic.settings").removeHandler(heard)
    with settings.locked(tmp_path, "onboard"):  # free, so nothing more is said
        pass
    assert [record.getMessage() for record in caplog.records] == [
        f"waiting for process {os.getpid()} (pdic onboard), which holds {tmp_path}/onboard.lock"
    ]


def test_a_free_lock_is_taken_without_a_word_however_slow_the_machine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settings, "_SILENT_S", 0.0)
    with settings.locked(tmp_path, "onboard"):
        pass
    assert caplog.records == []


def test_a_secret_put_there_beforehand_is_kept(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "identity_key").write_text("ours\n", encoding="utf-8")
    assert settings.secret("identity_key", create=True, of=tmp_path) == "ours"


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_missing_or_empty_secret_is_an_error_that_names_the_file(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "secrets").mkdir()
    if content is not None:
        (tmp_path / "secrets" / "key").write_text(content, encoding="utf-8")
    with pytest.raises(PdicError, match="secrets/key"):
        settings.secret("key", of=tmp_path)


@pytest.mark.parametrize("name", ["", "../state.json", ".hidden", "a/b"])
def test_a_secret_cannot_be_read_from_elsewhere(name: str) -> None:
    with pytest.raises(ValueError, match="not a secret's name"):
        settings.secret_path(name)


def test_state_survives_half_written_files_and_keeps_other_sections(tmp_path: Path) -> None:
    settings.write_state(tmp_path, "postgres", {"port": 1})
    settings.write_state(tmp_path, "airflow", {"port": 2})
    assert settings.read_state(tmp_path, "postgres") == {"port": 1}
    (tmp_path / "state.json").write_text('{"postgres": ', encoding="utf-8")
    assert settings.read_state(tmp_path, "postgres") == {}
    settings.write_state(tmp_path, "postgres", {"port": 3})
    assert settings.read_state(tmp_path, "postgres") == {"port": 3}


def test_a_uri_escapes_what_needs_it() -> None:
    entry = {
        "host": "h",
        "port": 5,
        "login": "a b",
        "password": "p@:/ß",
        "schema": "d",
        "extra": {"sslmode": "require"},
    }
    assert connections.to_uri(entry) == "postgresql://a%20b:p%40%3A%2F%C3%9F@h:5/d?sslmode=require"
    assert connections.to_uri({**entry, "extra": '{"sslmode": "require"}'}) == connections.to_uri(entry)
    assert connections.to_uri({"host": "h", "schema": "d"}) == "postgresql://h/d"


def test_saving_connections_keeps_those_added_by_hand(tmp_path: Path) -> None:
    connections.save(tmp_path, {"mine": {"host": "elsewhere"}, "pdic_source_health": {"host": "old"}})
    connections.save(tmp_path, {"pdic_source_health": {"host": "new"}})
    assert connections.load(tmp_path) == {"mine": {"host": "elsewhere"}, "pdic_source_health": {"host": "new"}}
    assert mode(tmp_path / "secrets" / connections.FILE) == 0o600


def test_an_unknown_connection_says_which_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PDIC_HOME", str(tmp_path))
    with pytest.raises(PdicError, match="pdic up"):
        connections.source("health")
    connections.save(tmp_path, {"pdic_source_health": {"host": "h", "schema": "health"}})
    assert connections.source("health") == "postgresql://h/health"
    with pytest.raises(PdicError, match="there is pdic_source_health"):
        connections.source("education")
    with pytest.raises(ValueError, match="not a warehouse role"):
        connections.warehouse("superuser")


def test_connections_that_are_not_json_are_an_error_that_shows_no_content(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / connections.FILE).write_text(
        json.dumps({"a": {"password": "geheim"}})[:-1], encoding="utf-8"
    )
    with pytest.raises(PdicError) as raised:
        connections.load(tmp_path)
    assert "geheim" not in str(raised.value)


def test_a_wrong_name_is_answered_by_the_nearest_and_not_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PDIC_HOME", str(tmp_path))
    connections.save(tmp_path, {f"pdic_source_sector_{n}": {"conn_type": "postgres"} for n in range(300)})
    with pytest.raises(PdicError) as refused:
        connections.source("sektor_7")
    assert "of the 300 that there are, the nearest: pdic_source_sector_7" in str(refused.value)
    assert str(refused.value).count("pdic_source_sector_") <= 3
    for name, known, said in (
        ("lop", [], "there is none"),
        ("lop", ["hocsinh", "giaovien"], "there is giaovien, hocsinh"),
        ("zzzz", [f"column_{n}" for n in range(1600)], "none of the 1,600 that there are is like it"),
    ):
        assert instead_of(name, known) == said
