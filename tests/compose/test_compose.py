"""The stack of docker-compose.yml, built and booted: two Celery workers publish what the embedded way publishes, and lose nothing.

One story in order, on one project: each step stands on the last. Wants a Docker engine; `make test-compose` runs it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import release, settings, status
from pdic.generated.catalogue import SECTORS
from tests.compose.stack import ONE_SHOT, Refused, Stack, run, service_of, wait
from tests.integration.province import Province

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2400)]
CITIZENS, SEED = 2_000, 11
HEALTHY_SECONDS = 300
PUBLISHED_SECONDS = 480
BROKEN_SECRET = "airflow_jwt"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A project with its secrets made and its image built, and nothing started; gone with its volumes when the story ends."""
    folder = Path(tempfile.mkdtemp(prefix="pdic-compose-"))
    made = Stack(f"pdictest{uuid.uuid4().hex[:8]}", folder, CITIZENS, SEED)
    try:
        made.make_init()
        made("build", "--quiet", timeout=1800)
        yield made
    finally:
        made("down", "--volumes", "--remove-orphans", "--timeout", "20")
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def embedded_checksums(stack: Stack, new_home: Callable[[], Path]) -> dict[str, str]:
    """What the embedded way publishes for the same seed under the same key secret."""
    home = new_home()
    settings.make_private(home / "secrets")
    shutil.copy(stack.secrets / "identity_key", home / "secrets" / "identity_key")
    province = Province(home)
    province.pdic("demo", "seed", "--citizens", str(CITIZENS), "--seed", str(SEED))
    province.pdic("load")
    province.pdic("release")
    found = province.checksums()
    province.pdic("down")
    return found


def all_healthy(stack: Stack) -> bool:
    """Does every service that keeps running say it is well, and did every one-shot end well?"""
    found = stack.containers()
    assert_one_shots_ended_well(stack, found)
    states = [one["State"] for one in found if service_of(one) not in ONE_SHOT]
    return len(states) >= 10 and all(state.get("Health", {}).get("Status") == "healthy" for state in states)


def assert_one_shots_ended_well(stack: Stack, found: list[dict[str, Any]]) -> None:
    """Those that still run, or are tried again, may yet do so."""
    ended = [one for one in found if service_of(one) in ONE_SHOT and one["State"]["Status"] == "exited"]
    failed = sorted(service_of(one) for one in ended if one["State"]["ExitCode"] != 0)
    assert not failed, stack("logs", "--no-color", "--tail=100", *failed)


def published(stack: Stack) -> bool:
    """Does the live release hold every accepted batch of all sectors, with no run open?"""
    assert_one_shots_ended_well(stack, stack.containers())
    if any(one["State"]["Running"] for one in stack.containers("demo")):
        return False
    api = stack.api()
    loads = [found for sector in SECTORS for found in api.runs(f"load_{sector}")]
    runs = [*loads, *api.runs("release")]
    assert not [found for found in runs if found["state"] == "failed"], runs
    begun = {found["dag_id"] for found in loads} == {f"load_{sector}" for sector in SECTORS}
    return begun and not [found for found in runs if found["state"] != "success"] and release.is_current(stack.uri)


def checksums(stack: Stack) -> dict[str, str]:
    """Shared table → checksum, as the reader sees it from this host."""
    return {found["table"]: found["checksum"] for found in status.shared_tables(stack.uri, checksums=True)}


def test_it_refuses_an_empty_secret_and_names_it(stack: Stack) -> None:
    secret = stack.secrets / BROKEN_SECRET
    text = secret.read_text(encoding="utf-8")
    secret.write_text("", encoding="utf-8")
    try:
        with pytest.raises(Refused):
            stack("up", "-d")
        assert {service_of(found) for found in stack.containers()} == {"secrets"}
        assert f"the secret {BROKEN_SECRET} is empty" in stack("logs", "secrets")
    finally:
        secret.write_text(text, encoding="utf-8")


def test_the_first_up_works(stack: Stack) -> None:
    stack("up", "-d")
    wait("all services healthy", HEALTHY_SECONDS, lambda: all_healthy(stack))
    assert len(stack.containers("worker")) == 2


def test_celery_workers_publish_what_the_embedded_way_publishes(
    stack: Stack, embedded_checksums: dict[str, str]
) -> None:
    wait("a release", PUBLISHED_SECONDS, lambda: published(stack))
    assert checksums(stack) == embedded_checksums
    assert all(found["balanced"] for found in stack.pdic("status")["datasets"])


def test_a_reader_sees_the_schema_shared_alone(stack: Stack) -> None:
    with psycopg.connect(stack.uri("pdic_warehouse_reader")) as reader:
        seen = reader.execute(
            """
            select distinct relnamespace::regnamespace::text from pg_class
            where relkind in ('r', 'p', 'v', 'm') and relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
                and has_schema_privilege(relnamespace, 'usage') and has_table_privilege(oid, 'select')
            """
        ).fetchall()
    assert seen == [("shared",)]


def test_nobody_comes_in_without_a_login_of_ours(stack: Stack) -> None:
    assert stack.status_code("GET", "/api/v2/dags") == 401
    for name, password in (("admin", "admin"), ("airflow", "airflow"), ("admin", ""), ("postgres", "postgres")):
        assert stack.status_code("POST", "/auth/token", json={"username": name, "password": password}) in (
            400,
            401,
            422,
        )
    for user in ("postgres", "pdic_reader", "pdic_admin"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=stack.reader_port, user=user, password=user, dbname="warehouse")


def test_services_are_locked_down_and_hold_no_secret_in_sight(stack: Stack) -> None:
    texts = [path.read_text(encoding="utf-8").strip() for path in stack.secrets.iterdir()]
    hidden = {found for text in texts for found in passwords_in(text)}
    assert len(hidden) > 20
    containers = stack.containers()
    for container in containers:
        name = service_of(container)
        shown = json.dumps(container)
        assert not [secret for secret in hidden if secret in shown], name
        assert container["HostConfig"]["ReadonlyRootfs"], name
        published = [
            port["HostIp"] for ports in (container["NetworkSettings"]["Ports"] or {}).values() for port in ports or ()
        ]
        assert set(published) <= {"127.0.0.1"}, name
        if name.endswith("postgres"):
            server = run("docker", "top", container["Id"], "-o", "pid,user,args").splitlines()[1:]
            assert server, name
            assert not [line for line in server if line.split()[1] in ("root", "0")], server
        else:
            assert container["Config"]["User"].split(":")[0] not in ("", "0", "root"), name
    image = next(found["Image"] for found in containers if service_of(found) == "worker")
    history = run("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    assert not [secret for secret in hidden if secret in history]
    worker = next(found for found in containers if service_of(found) == "worker")
    assert not [line for line in worker["Config"]["Env"] if "://" in line and "@" in line]


def passwords_in(text: str) -> list[str]:
    """The secrets of one file: its whole text, or the passwords of its connections."""
    if text.startswith("{"):
        return [str(entry["password"]) for entry in json.loads(text).values() if entry.get("password")]
    return [word for word in text.split() if len(word) >= 16]


def test_a_worker_killed_while_it_loads_costs_time_and_nothing_else(stack: Stack) -> None:
    stack("up", "-d", "--no-deps", "--no-recreate", "--scale", "worker=3", "worker")
    wait("three workers", HEALTHY_SECONDS, lambda: len(stack.containers("worker")) == 3 and all_healthy(stack))
    stack("run", "--rm", "-T", "demo", "pdic", "demo", "tick", "--days", "1")
    api = stack.api()
    started = {f"load_{sector}": api.trigger(f"load_{sector}") for sector in sorted(SECTORS)}
    killed = kill_a_worker(stack, started)
    for dag_id, run_id in started.items():
        assert api.wait(dag_id, run_id, 600) == "success", (dag_id, api.tasks(dag_id, run_id))
    wait("a release", PUBLISHED_SECONDS, lambda: published(stack))
    assert not [found for found in stack.containers("worker") if found["Id"] == killed and found["State"]["Running"]]
    assert all(found["balanced"] for found in stack.pdic("status")["datasets"])


def kill_a_worker(stack: Stack, started: dict[str, str]) -> str:
    """Kills the container of a worker that is running an extract, outright; returns the container's id."""
    api = stack.api()
    victim: list[str] = []

    def found() -> bool:
        tasks: list[dict[str, Any]] = [
            task
            for dag_id, run_id in started.items()
            for task in api.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)["task_instances"]
        ]
        running = {
            str(task["hostname"])
            for task in tasks
            if task["state"] == "running" and task["task_id"].startswith("extract.") and task["hostname"]
        }
        for worker in stack.containers("worker"):
            addresses = {network["IPAddress"] for network in worker["NetworkSettings"]["Networks"].values()}
            if running & {worker["Config"]["Hostname"], worker["Id"][:12], *addresses}:
                run("docker", "kill", "--signal", "KILL", worker["Id"])
                victim.append(worker["Id"])
                return True
        return False

    wait("an extract on a worker", 120, found)
    return victim[0]


def test_down_and_up_again_nothing_is_lost_or_begun_anew(stack: Stack) -> None:
    before = checksums(stack)
    live = stack.pdic("status")["release"]["live"]
    runs = len(stack.api().runs("release"))
    stack("down", timeout=300)
    assert stack.containers() == []
    stack("up", "-d")
    wait("all services healthy", HEALTHY_SECONDS, lambda: all_healthy(stack))
    assert checksums(stack) == before
    assert stack.pdic("status")["release"]["live"] == live
    assert len(stack.api().runs("release")) == runs
    assert "seeded already" in stack("logs", "demo")
    assert "everything is there; nothing changed" in stack.make_init()
