"""docker-compose.yml driven as an operator would: a project of the test's own, with secrets, ports and volumes of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from pdic import airflow_api, connections, ports

ROOT = Path(__file__).resolve().parents[2]
FILES = ("docker-compose.yml", "docker-compose.reader.yml")
ONE_SHOT = {"secrets", "init", "demo"}
"""These run once and end."""


class Refused(Exception):
    """docker or docker-compose ended with another code than 0; the message is what it printed."""


def run(*command: str, env: dict[str, str] | None = None, timeout: float = 900, codes: Sequence[int] = (0,)) -> str:
    """Standard output of a command. Raises Refused with all it printed where it ends with a code that is none of `codes`."""
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)
    if done.returncode not in codes:
        raise Refused(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def compose() -> list[str]:
    """The command of Compose v2, or of docker-compose 1.29."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    found = shutil.which("docker-compose")
    if found is None:
        raise Refused("there is neither `docker compose` nor docker-compose")
    return [found]


@dataclass
class Stack:
    """One Compose project."""

    project: str
    folder: Path
    citizens: int
    seed: int

    def __post_init__(self) -> None:
        self.port, self.reader_port = ports.keep_or_find(None), ports.keep_or_find(None)

    @property
    def secrets(self) -> Path:
        """The folder of the secrets' files."""
        return self.folder / "secrets"

    @property
    def environment(self) -> dict[str, str]:
        """What `make init` and docker-compose are told."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PDIC_")},
            "COMPOSE_PROJECT_NAME": self.project,
            "PDIC_SECRETS_DIR": str(self.secrets),
            "PDIC_ENV_FILE": str(self.folder / "env"),
            "PDIC_PORT": str(self.port),
            "PDIC_READER_PORT": str(self.reader_port),
            "PDIC_CITIZENS": str(self.citizens),
            "PDIC_SEED": str(self.seed),
        }

    def make_init(self) -> str:
        """What `make init` prints."""
        return run(sys.executable, "scripts/init", env=self.environment)

    def __call__(self, *arguments: str, timeout: float = 900, codes: Sequence[int] = (0,)) -> str:
        """`docker-compose …` with the demo."""
        files = [word for name in FILES for word in ("-f", name)]
        options = ["--env-file", str(self.folder / "env"), *files, "--profile", "demo"]
        return run(*self._compose, *options, *arguments, env=self.environment, timeout=timeout, codes=codes)

    @cached_property
    def _compose(self) -> Sequence[str]:
        return compose()

    def pdic(self, *arguments: str) -> Any:
        """`docker-compose run --rm pdic … --json`. `pdic status` ends with 1 where something is wrong, and says what."""
        codes = (0, 1) if arguments[0] == "status" else (0,)
        return json.loads(self("run", "--rm", "-T", "pdic", *arguments, "--json", codes=codes))

    def containers(self, service: str | None = None) -> list[dict[str, Any]]:
        """`docker inspect` of the project's containers, those that ended too."""
        filters = ["--filter", f"label=com.docker.compose.project={self.project}"]
        if service:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        found = run("docker", "ps", "--all", "--quiet", *filters).split()
        return list(json.loads(run("docker", "inspect", *found))) if found else []

    def api(self) -> airflow_api.Api:
        """Airflow's API, as its admin."""
        password = (self.secrets / "airflow_admin").read_text(encoding="utf-8")
        return airflow_api.log_in(f"http://{ports.HOST}:{self.port}", "admin", password)

    def uri(self, conn_id: str) -> str:
        """The URI of a warehouse login from this host, through the port that is published for readers."""
        file = connections.ROLE_FILES[conn_id.removeprefix("pdic_warehouse_")]
        entry = json.loads((self.secrets / file).read_text(encoding="utf-8"))[conn_id]
        return connections.to_uri(entry | {"host": ports.HOST, "port": self.reader_port})

    def status_code(self, method: str, path: str, **what: Any) -> int:
        """The status of one call to Airflow's pages, without a login."""
        with requests.Session() as session:
            session.trust_env = False
            url = f"http://{ports.HOST}:{self.port}{path}"
            return session.request(method, url, timeout=30, allow_redirects=False, **what).status_code


def service_of(container: dict[str, Any]) -> str:
    """The service that a container belongs to."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def wait(what: str, seconds: float, done: Callable[[], bool]) -> float:
    """Waits until `done`; returns the seconds it took. Raises AssertionError naming `what` after `seconds`."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:.0f} s"
        time.sleep(1)
    return time.monotonic() - began
