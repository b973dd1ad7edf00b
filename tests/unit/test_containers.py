"""The containers' secrets, configuration and Compose file, before anything boots."""

from __future__ import annotations

import configparser
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pdic import connections, embedded, logins
from pdic.containers import jobs, secret_files
from pdic.errors import PdicError
from pdic.reach import Runner
from tests.conftest import change_time

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DIFFER = {
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "shared_buffers",
    "effective_cache_size",
    "maintenance_work_mem",
    "work_mem",
    "dynamic_shared_memory_type",
    "max_connections",
}
"""What a machine's size, and the way in, decide; results do not depend on them."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    secret_files.make(made)
    return made


def test_every_secret_is_made_once_for_its_owner_alone(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(secret_files.NAMES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert secret_files.make(folder) == []
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    secret_files.check(folder)


def test_a_secret_that_was_lost_is_made_again_and_fits_the_others(folder: Path) -> None:
    (folder / "airflow_database").unlink()
    (folder / "celery_broker").unlink()
    assert set(secret_files.make(folder)) == {"airflow_database", "celery_broker", "celery_result", "redis.conf"}
    known = json.loads((folder / secret_files.ADMIN_CONNECTIONS).read_text(encoding="utf-8"))
    assert (folder / "airflow_database").read_text(encoding="utf-8") == connections.to_uri(known["airflow_db"])
    password = re.search(r"^requirepass (.+)$", (folder / "redis.conf").read_text(encoding="utf-8"), re.M)
    assert password is not None
    assert f":{password[1]}@" in (folder / "celery_broker").read_text(encoding="utf-8")


def _without_password(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    found["pdic_source_health"]["password"] = ""
    path.write_text(json.dumps(found), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("airflow_jwt", lambda path: path.write_text(" \n"), "airflow_jwt is empty"),
        ("identity_key", Path.unlink, "identity_key is missing"),
        ("airflow_admin", lambda path: path.write_text("admin"), "airflow_admin is shorter than 16 characters"),
        ("connections.json", lambda path: path.write_text("{"), r"connections\.json is not JSON"),
        ("connections.json", lambda path: path.write_text("[]"), r"connections\.json must hold an object"),
        ("connections.json", _without_password, r"connections\.json has no password for pdic_source_health"),
    ],
)
def test_a_secret_that_will_not_do_is_named(folder: Path, name: str, spoil: Callable[[Path], None], said: str) -> None:
    spoil(folder / name)
    with pytest.raises(PdicError, match=said):
        secret_files.check(folder)


def test_airflow_reads_every_secret_from_a_file(folder: Path) -> None:
    config = configparser.ConfigParser()
    config.read_string(jobs.airflow_config())
    named = {
        value.removeprefix("cat /run/secrets/")
        for section in config.sections()
        for option, value in config[section].items()
        if option.endswith("_cmd")
    }
    assert named == {
        "airflow_fernet",
        "airflow_database",
        "airflow_api",
        "airflow_jwt",
        "celery_broker",
        "celery_result",
    }
    assert config["core"]["executor"] == "CeleryExecutor"
    assert config["core"]["auth_manager"].endswith("FabAuthManager")


def test_every_service_is_locked_down() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not [key for key in service.get("environment", {}) if "PASSWORD" in key or "SECRET" in key], name
        if not name.endswith("postgres"):
            assert service["user"].startswith("${PDIC_UID:?"), name
        for port in service.get("ports", []):
            assert port.startswith("${PDIC_ADDRESS:-127.0.0.1}:"), name


def test_what_can_wait_waits_for_its_secrets_and_databases() -> None:
    """Nothing starts before `secrets` has ended well, be it through others."""
    services = COMPOSE["services"]

    def waits(name: str) -> bool:
        after = services[name].get("depends_on", {})
        return name == "secrets" or any(waits(other) for other in after)

    assert [name for name in services if name != "pdic" and not waits(name)] == []
    given = {
        entry if isinstance(entry, str) else entry.get("target", entry["source"])
        for entry in services["secrets"]["secrets"]
    }
    assert given == set(secret_files.NAMES)


def test_a_worker_is_given_no_more_than_it_needs() -> None:
    given = {entry if isinstance(entry, str) else entry["source"] for entry in COMPOSE["services"]["worker"]["secrets"]}
    assert given == {"airflow_api", "celery_broker", "celery_result", "identity_key", "connections", *STEPS}


def test_no_worker_sees_the_passwords_of_readers() -> None:
    given = {
        name
        for name, service in COMPOSE["services"].items()
        if "readers:/var/lib/pdic/secrets" in service.get("volumes", [])
    }
    assert given == {"init", "pdic"}, "what makes readers' logins, and what tells their passwords"


ROLES = {f"connections_{role}" for role in logins.SERVICE_ROLES}
STEPS = {f"connections_{role}" for role in logins.STEP_ROLES}


@pytest.mark.parametrize(
    ("service", "roles"),
    [
        *(
            (service, set())
            for service in ("api-server", "scheduler", "dag-processor", "triggerer", "demo", "one-stop")
        ),
        ("worker", STEPS),
        *((service, ROLES) for service in ("pdic", "init", "secrets")),
    ],
)
def test_logins_of_the_warehouse_are_given_to_what_runs_its_steps_and_makes_them(service: str, roles: set[str]) -> None:
    given = {entry if isinstance(entry, str) else entry["source"] for entry in COMPOSE["services"][service]["secrets"]}
    assert given & (ROLES | {"connections_admin"}) == roles | (
        {"connections_admin"} if service in ("init", "secrets") else set()
    )
    assert ("connections" in given) == (service in ("worker", "pdic", "secrets", "demo")), "the sources' logins"


def test_each_role_of_the_warehouse_has_a_file_with_its_own_login_alone(folder: Path) -> None:
    for role, name in connections.ROLE_FILES.items():
        assert set(json.loads((folder / name).read_text(encoding="utf-8"))) == {f"pdic_warehouse_{role}"}
    together = json.loads((folder / connections.FILE).read_text(encoding="utf-8"))
    assert {name.partition("_warehouse_")[0] for name in together} == set(together)


def test_logins_that_lie_together_get_files_of_their_own_and_keep_their_passwords(folder: Path) -> None:
    """A stack of a former version; killed half-way, it is done again."""
    logins_of = {
        name: entry
        for file in connections.ROLE_FILES.values()
        for name, entry in json.loads((folder / file).read_text(encoding="utf-8")).items()
    }
    path = folder / connections.FILE
    sources = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(sources | logins_of), encoding="utf-8")
    for file in list(connections.ROLE_FILES.values())[1:]:
        (folder / file).unlink()
    assert set(secret_files.make(folder)) == set(list(connections.ROLE_FILES.values())[1:])
    assert json.loads(path.read_text(encoding="utf-8")) == sources
    for role, file in connections.ROLE_FILES.items():
        name = f"pdic_warehouse_{role}"
        assert json.loads((folder / file).read_text(encoding="utf-8")) == {name: logins_of[name]}


def test_the_server_decides_results_as_the_embedded_one_does(tmp_path: Path) -> None:
    def settings_of(text: str) -> dict[str, str]:
        lines = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip().strip("'") for name, _, value in lines if name.strip() not in DIFFER}

    (tmp_path / "PG_VERSION").write_text("18\n", encoding="ascii")
    embedded._configure(tmp_path, 5555, Runner(None))
    own = settings_of((tmp_path / "postgresql.conf").read_text(encoding="utf-8"))
    assert own["timezone"] == "Asia/Ho_Chi_Minh"
    assert settings_of((ROOT / "deploy" / "postgres.conf").read_text(encoding="utf-8")) == own


def test_the_demo_is_asked_of_a_stack_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused login is tried again until Airflow is up, then the loads that never ran are asked for, and only those."""
    asked: list[str] = []
    answers = iter([PdicError("not yet"), None])
    api = SimpleNamespace(
        wait_for_dag=lambda *_: None,
        runs=lambda dag_id: [{"state": "success"}] if dag_id == "load_health" else [{"state": "failed"}],
        trigger=asked.append,
    )

    def log_in(*_: object) -> object:
        if error := next(answers):
            raise error
        return api

    monkeypatch.setattr(jobs.airflow_api, "log_in", log_in)
    change_time(monkeypatch, jobs, sleep=lambda _: None)
    monkeypatch.setattr(jobs.connections, "load", lambda _: {})
    monkeypatch.setattr(jobs.settings, "secret", lambda _: "x")
    monkeypatch.setattr(jobs.accounts, "provide_demo", lambda *_: None)
    monkeypatch.setattr(jobs, "_seed", lambda *_: None)
    jobs.fill_demo(500, 1, lambda _: None)
    assert "load_health" not in asked
    assert set(asked) == {f"load_{sector}" for sector in jobs.SECTORS} - {"load_health"}
