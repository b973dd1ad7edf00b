"""One embedded PostgreSQL for the whole test session, in a home of its own, as root or not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from pdic import accounts, connections, embedded


@dataclass
class Postgres:
    """The session's server. Databases made here belong to one test module and admit only their owner."""

    home: Path
    port: int
    _passwords: dict[str, str] = field(default_factory=dict)

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


@pytest.fixture(scope="session")
def pdic_home() -> Iterator[Path]:
    """A home with its server up, all databases and logins made, and PDIC_HOME naming it."""
    # Not below pytest's own folder: every pytest that starts closes that one to others, the account of a server
    # that runs there among them.
    with tempfile.TemporaryDirectory(prefix="pdic-test-") as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_HOME", home)
        try:
            embedded.start(Path(home))
            yield Path(home)
        finally:
            embedded.stop(Path(home))


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    """A home of one test's own, without a server yet; whatever runs in it is stopped afterwards."""
    with tempfile.TemporaryDirectory(prefix="pdic-test-") as folder:
        home = Path(folder) / "home"
        try:
            yield home
        finally:
            embedded.stop(home)


@pytest.fixture(scope="session")
def postgres(pdic_home: Path) -> Postgres:
    """The session's server, for tests that want databases of their own."""
    server = embedded.status(pdic_home)
    assert server is not None
    return Postgres(pdic_home, server.port)
