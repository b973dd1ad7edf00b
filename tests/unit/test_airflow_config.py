"""The configuration Airflow is given: its own words, no secrets, on this machine only."""

from __future__ import annotations

import configparser
import stat
import subprocess
from pathlib import Path

import pytest

from pdic import airflow_config, connections, settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home at an awkward path, with a connection to Airflow's database."""
    path = tmp_path / "we ird 100% thư mục's"
    path.mkdir()
    login = {"conn_type": "postgres", "host": "127.0.0.1", "port": 5, "login": "airflow", "password": "p@ss"}
    connections.save(path, {"airflow_db": {**login, "schema": "airflow"}})
    return path


def read(home: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()  # interpolates `%`, as Airflow does
    parser.read(home / "airflow" / "airflow.cfg", encoding="utf-8")
    return parser


def test_it_is_written_once_and_again_only_where_something_changed(home: Path) -> None:
    assert airflow_config.write(home, 20001, 4)
    assert not airflow_config.write(home, 20001, 4)
    assert airflow_config.write(home, 20002, 4)
    assert stat.S_IMODE((home / "airflow" / "airflow.cfg").stat().st_mode) == 0o600


def test_everything_is_on_this_machine_and_tasks_report_to_this_api_server(home: Path) -> None:
    airflow_config.write(home, 20001, 4)
    config = read(home)
    assert config["api"]["host"] == "127.0.0.1"
    assert config["core"]["execution_api_server_url"] == "http://127.0.0.1:20001/execution/"


def test_only_tasks_are_given_connections(home: Path) -> None:
    airflow_config.write(home, 20001, 4)
    config = read(home)
    assert config["workers"]["secrets_backend"] == "pdic.airflow_secrets.SecretFiles"
    assert not config.has_option("secrets", "backend")


def test_secrets_are_read_by_commands_that_work_at_any_path(home: Path) -> None:
    airflow_config.write(home, 20001, 4)
    text = (home / "airflow" / "airflow.cfg").read_text(encoding="utf-8")
    config = read(home)
    expected = {
        ("database", "sql_alchemy_conn_cmd"): "postgresql://airflow:p%40ss@127.0.0.1:5/airflow",
        ("core", "fernet_key_cmd"): settings.secret("airflow_fernet", of=home),
        ("api", "secret_key_cmd"): settings.secret("airflow_api", of=home),
        ("api_auth", "jwt_secret_cmd"): settings.secret("airflow_jwt", of=home),
    }
    for (section, option), secret in expected.items():
        assert secret not in text
        command = config[section][option]
        assert subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout == secret
    assert airflow_config.password(home) not in text


def test_secrets_stay_the_same_from_start_to_start(home: Path) -> None:
    airflow_config.write(home, 20001, 4)
    before = {path.name: path.read_text(encoding="utf-8") for path in (home / "secrets").iterdir()}
    airflow_config.write(home, 20002, 4)
    assert {path.name: path.read_text(encoding="utf-8") for path in (home / "secrets").iterdir()} == before


def test_the_environment_leaves_another_airflow_out_and_local_calls_unproxied(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://somebody.elses/database")
    monkeypatch.setenv("AIRFLOW_CONN_X", "y")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    environment = airflow_config.environment(home)
    assert [name for name in environment if name.startswith("AIRFLOW_")] == ["AIRFLOW_HOME"]
    assert environment["no_proxy"] == "example.org,127.0.0.1,localhost"
