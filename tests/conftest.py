"""One embedded PostgreSQL for each process that runs tests, in a home of its own, as root or not."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from pdic import accounts, airflow_stack, connections, demo_service, embedded

# Whoever imports Airflow gets files in AIRFLOW_HOME, which must not be the user's own ~/airflow.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="pdic-test-airflow-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

LONGEST = ("e2e/test_scheduler.py", "integration/test_whole_path.py")
ORDER = ("unit", "dags", "integration", "faults", "e2e")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What fails fastest comes first; where two processes share the files, the two that take minutes begin at once."""
    first = LONGEST if hasattr(config, "workerinput") else ()
    places = [Path(__file__).parent / place for place in (*first, *ORDER)]
    items.sort(key=lambda item: [not item.path.is_relative_to(place) for place in places])


@dataclass
class Postgres:
    """The session's server. Databases made here belong to one test module and admit only their owner."""

    home: Path
    port: int
    _passwords: dict[str, str] = field(default_factory=dict)

    @property
    def major(self) -> int:
        """The server's major version."""
        return int((self.home / "pgdata" / "PG_VERSION").read_text(encoding="ascii"))

    def create_database(self, name: str) -> str:
        """Makes an empty database with an owner login `<name>_owner`; returns the owner's URI."""
        owner = f"{name}_owner"
        self._passwords[owner] = accounts.new_password()
        with psycopg.connect(embedded.superuser_uri(self.home), autocommit=True) as server:
            accounts.create_login(server, owner, self._passwords[owner])
            accounts.create_database(server, name, owner)
        return self.uri(name, owner)

    def uri(self, dbname: str, user: str = embedded.SUPERUSER) -> str:
        """The URI of a login for a database: the superuser, a login of the home, or an owner made by create_database."""
        if user == embedded.SUPERUSER:
            return embedded.superuser_uri(self.home, dbname)
        known = {entry["login"]: entry["password"] for entry in connections.load(self.home).values()}
        login = {"host": embedded.HOST, "port": self.port, "login": user, "schema": dbname}
        return connections.to_uri({**login, "password": {**known, **self._passwords}[user]})


def put(path: Path, text: str) -> None:
    """Writes a file, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def change_time(monkeypatch: pytest.MonkeyPatch, module: Any, **instead: Callable[..., Any]) -> None:
    """Gives one module another `sleep` or `monotonic`. The `time` of all others stays: a thread of the product sleeps as well."""
    monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), **instead}))


def remove(home: Path) -> None:
    """Stops whatever runs in a home and deletes it with the folder made for it."""
    airflow_stack.down(home)
    demo_service.stop(home)
    embedded.stop(home)
    shutil.rmtree(home.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def new_home() -> Iterator[Callable[[], Path]]:
    """Makes paths for homes of a test's own; whatever runs in one is stopped at the end of the session.

    Not below pytest's own folder: every pytest that starts closes that one to others, and, where tests run as root, "others"
    is the account of a server that runs there.
    """
    folders: list[Path] = []

    def make() -> Path:
        folders.append(Path(tempfile.mkdtemp(prefix="pdic-test-")))
        return folders[-1] / "home"

    yield make
    for folder in folders:
        remove(folder / "home")


@pytest.fixture
def fresh_home(new_home: Callable[[], Path]) -> Iterator[Path]:
    """A home of one test's own, without a server yet; stopped and removed when the test ends."""
    home = new_home()
    yield home
    remove(home)


@pytest.fixture(scope="session")
def pdic_home(new_home: Callable[[], Path]) -> Iterator[Path]:
    """A home with its server up, all databases and logins made, and PDIC_HOME naming it."""
    home = new_home()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_HOME", str(home))
        embedded.start(home)
        yield home


@pytest.fixture(scope="session")
def postgres(pdic_home: Path) -> Postgres:
    """The session's server, for tests that want databases of their own."""
    server = embedded.status(pdic_home)
    assert server is not None
    return Postgres(pdic_home, server.port)


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port at which nobody listens, and which no other process gets meanwhile."""
    with socket.socket() as held:
        held.bind((embedded.HOST, 0))
        yield int(held.getsockname()[1])


@pytest.fixture
def since_18(postgres: Postgres) -> None:
    """Skips a test of what PostgreSQL 18 brought, where `PDIC_POSTGRES` names an older one."""
    if postgres.major < 18:
        pytest.skip("the server is older than PostgreSQL 18")
