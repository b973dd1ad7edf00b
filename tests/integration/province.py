"""A home driven through the command line, as a person would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

PDIC = Path(sys.executable).with_name("pdic")


class Refused(Exception):
    """The command ended with an error; the message is what it printed."""


@dataclass(frozen=True)
class Province:
    """One PDIC_HOME and the commands over it."""

    home: Path
    _uris: dict[str, str] = field(default_factory=dict)

    def pdic(self, *arguments: str, root: Path | None = None) -> Any:
        """Run `pdic … --json` and return what it printed. Raises `Refused` where it exits with another code than 0.

        `pdic status` ends with 1 where something is wrong, and prints what it found all the same.
        """
        environment = os.environ | {"PDIC_HOME": str(self.home)} | ({"PDIC_ROOT": str(root)} if root else {})
        done = subprocess.run(
            [PDIC, *arguments, "--json"], env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        told = arguments[0] == "status" and done.returncode == 1 and '"problems"' in done.stdout
        if done.returncode != 0 and not told:
            raise Refused(f"{done.stdout}\n{done.stderr}")
        return json.loads(done.stdout)

    def uri(self, role: str) -> str:
        """The warehouse's URI for one of its roles; the command is asked once, which costs a second."""
        if role not in self._uris:
            self._uris[role] = str(self.pdic("dsn", "warehouse", "--role", role)["uri"])
        return self._uris[role]

    def query(self, role: str, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a statement, as one of the warehouse's roles."""
        with psycopg.connect(self.uri(role)) as connection:
            return connection.execute(statement).fetchall()

    def checksums(self) -> dict[str, str]:
        """Shared table → checksum, as a reader sees them now."""
        tables = self.pdic("status", "--checksums")["shared"]
        return {table["table"]: table["checksum"] for table in tables}
