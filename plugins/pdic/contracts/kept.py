"""What was worked out from the text of a contract, kept so that a contract that has not changed is not worked out again.

``PDIC_HOME/cache/contracts.sqlite`` holds each result under the digest of everything that it follows from: the file's path and
bytes, and the code and libraries that work it out. Nothing there can be out of date, and the file may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pdic import settings

FILE: Final = Path("cache", "contracts.sqlite")
MOST: Final = 50_000
"""Results that are kept. Beyond it the oldest half goes."""

_BUSY_S: Final = 5.0
_PACKAGE: Final = Path(__file__).resolve().parents[1]
_CODE: Final = (
    *sorted(Path(__file__).parent.glob("*.py")),
    *(_PACKAGE / f"{name}.py" for name in ("agency", "cleaning", "encodings", "patterns")),
)
_LIBRARIES: Final = ("open-data-contract-standard", "pydantic", "PyYAML")


class Kept:
    """Results by digest. Where the file cannot be opened, nothing is kept and everything is worked out."""

    def __init__(self, database: sqlite3.Connection | None) -> None:
        self._database = database
        self._new: dict[str, str] = {}

    def get(self, digest: str) -> str | None:
        """The result kept under ``digest``."""
        if digest in self._new:
            return self._new[digest]
        if self._database is None:
            return None
        try:
            found = self._database.execute("select value from kept where digest = ?", (digest,)).fetchone()
        except sqlite3.OperationalError:  # another process writes for longer than we wait
            return None
        return str(found[0]) if found else None

    def put(self, digest: str, value: str) -> None:
        """Keep a result. It is written when the file is closed."""
        self._new[digest] = value

    def write(self) -> None:
        """Write what is new, and let the oldest go where there is too much."""
        if self._database is None or not self._new:
            return
        with self._database:
            self._database.executemany("insert or replace into kept (digest, value) values (?, ?)", self._new.items())
            (count,) = self._database.execute("select count(*) from kept").fetchone()
            if count > MOST:
                self._database.execute(
                    "delete from kept where rowid in (select rowid from kept order by rowid limit ?)",
                    (count - MOST // 2,),
                )


@contextlib.contextmanager
def opened() -> Iterator[Kept]:
    """The results of this installation. A file that cannot be used (read-only, broken, locked) costs time, never an error."""
    database = _connected(settings.home() / FILE)
    kept = Kept(database)
    try:
        yield kept
        with contextlib.suppress(
            sqlite3.Error
        ):  # a disk that is full, another process that writes: worked out again next time
            kept.write()
    finally:
        if database is not None:
            database.close()


def digest(kind: str, path: Path, content: bytes) -> str:
    """The digest under which what ``kind`` makes of the file is kept."""
    hasher = hashlib.sha256(f"{_code()}\0{kind}\0{path.as_posix()}\0".encode())
    hasher.update(content)
    return hasher.hexdigest()


def _connected(path: Path) -> sqlite3.Connection | None:
    try:
        settings.home().mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return _prepared(path)
    except sqlite3.OperationalError:  # locked, or not to be written
        return None
    except sqlite3.DatabaseError:  # no database any more: made anew
        path.unlink(missing_ok=True)
        return None
    except OSError:
        return None


def _prepared(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        database.execute("create table if not exists kept (digest text primary key, value text not null)")
        database.execute("select value from kept limit 1").fetchone()
    except BaseException:
        database.close()
        raise
    return database


@lru_cache(maxsize=1)
def _code() -> str:
    """The digest of the code and the libraries that results follow from."""
    hasher = hashlib.sha256("".join(f"{name} {version(name)}\n" for name in _LIBRARIES).encode())
    for path in _CODE:
        hasher.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()
