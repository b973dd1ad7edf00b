"""Where PDIC keeps its things, and its secrets.

`PDIC_HOME` (default `<project root>/.pdic`) holds everything one installation writes:

    pgdata/     the embedded PostgreSQL            airflow/   AIRFLOW_HOME
    secrets/    0700, every file 0600              dbt/       dbt's target and logs
    log/        what the processes say             state.json ports and process ids

`PDIC_SECRETS` moves secrets/ elsewhere: containers get theirs mounted.

Nothing here imports more than the standard library: DAG files and the CLI's start-up pay for this module.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets as _random
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from pdic import whole_files
from pdic.errors import PdicError

SECRET_BYTES = 32
_SILENT_S = 2.0
"""How long a lock of the home is waited for without a word."""
_POLL_S = 0.05
_log = logging.getLogger(__name__)


def project_root() -> Path:
    """The checkout (contracts/, dags/, dbt_project/ …): `PDIC_ROOT`, else the folder this package is installed from.

    Raises PdicError where the package was installed apart from a checkout and `PDIC_ROOT` is not set.
    """
    if root := os.environ.get("PDIC_ROOT"):
        return Path(root).resolve()
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / "pyproject.toml").is_file():
        raise PdicError(
            f"{checkout} is not a checkout of PDIC: set PDIC_ROOT to the folder that holds dags/ and contracts/"
        )
    return checkout


def home() -> Path:
    """The folder this installation writes to: `PDIC_HOME`, else `.pdic` in the checkout. It need not exist."""
    if path := os.environ.get("PDIC_HOME"):
        return Path(path).resolve()
    return project_root() / ".pdic"


def secret_path(name: str, of: Path | None = None) -> Path:
    """The file of one secret of the home `of` (default: this installation's)."""
    if not name or name.startswith(".") or "/" in name:
        raise ValueError(f"not a secret's name: {name!r}")
    return secrets_folder(of) / name


def secrets_folder(of: Path | None = None) -> Path:
    """Where the secrets of the home `of` are: its folder `secrets`. `PDIC_SECRETS` names another for this installation's."""
    if (of is None or of == home()) and (folder := os.environ.get("PDIC_SECRETS")):
        return Path(folder)
    return (of or home()) / "secrets"


def services_share(of: Path) -> bool:
    """Do several services share a home, so that what some may not know must not lie in it? (Containers: their secrets lie elsewhere.)"""
    return secrets_folder(of) != of / "secrets"


def secret(name: str, create: bool = False, of: Path | None = None) -> str:
    """One secret's text, without the line end; with `create`, a random one (256 bits, hex) is made when there is none.

    A file that exists is never replaced: put your own `identity_key` there beforehand and two homes share it.
    Two processes that create the same secret at once end up with the same text. Raises PdicError where it is missing or empty.
    """
    path = secret_path(name, of)
    if create and not path.exists():
        make_private(path.parent)
        _write_new(path, _random.token_hex(SECRET_BYTES))  # no line end: some readers (`cat`) hand it on
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise PdicError(
            f"the secret {path} is missing: start the stack once (`pdic up`), or put the file there"
        ) from None
    if not text:
        raise PdicError(f"the secret {path} is empty: delete the file to have a new one made, or fill it")
    return text


def make_private(folder: Path) -> None:
    """Makes `folder` (and its parents), and closes it and the files in it to everyone but their owner."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (folder, *folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # another process's temporary file, gone again
            mode = path.stat().st_mode
            if mode & 0o077:
                path.chmod(mode & ~0o077)


LONGEST_S: Final = 1_000_000.0
"""More than a setting in seconds may be: the system counts a wait in milliseconds, of which it has two thousand million."""


def seconds(name: str, default: float) -> float:
    """A setting of the environment, in seconds; `default` where it is not set. Raises PdicError where it is none up to `LONGEST_S`."""
    said = os.environ.get(name) or default
    try:
        found = float(said)
    except ValueError:
        found = -1.0
    if not 0 <= found <= LONGEST_S:
        raise PdicError(
            f"{name} is {said!r}, which is no number of seconds from 0 to {LONGEST_S:,.0f}: set it to one like {default:g}, or take it out"
        )
    return found


def number(name: str, default: int, *, least: int, most: int) -> int:
    """A setting of the environment that is a whole number; `default` where it is not set.

    Raises PdicError where it is none from `least` to `most`.
    """
    said = os.environ.get(name) or str(default)
    if not said.isascii() or not said.isdigit() or not least <= int(said) <= most:
        raise PdicError(
            f"{name} is {said!r}, which is no whole number from {least:,} to {most:,}: set it to one like {default}, or take it out"
        )
    return int(said)


def write_private(path: Path, text: str) -> None:
    """Replaces `path` by `text` in one step, readable by its owner only; a crash leaves the old or the new, never half."""
    whole_files.write(path, text)


def _write_new(path: Path, text: str) -> None:
    """Like write_private, but the first writer wins: an existing file stays."""
    with whole_files.written(path, text) as written:
        if not path.exists():
            written.rename(path)


@contextlib.contextmanager
def locked(of: Path, name: str) -> Iterator[None]:
    """Holds the lock `name` of the home `of` against other processes; the kernel lets go when the holder dies.

    The file says who holds it, for those who wait: after `_SILENT_S` they are told.
    """
    of.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (of / f"{name}.lock").open("a+", encoding="utf-8") as file:
        _wait_for(file)
        file.truncate(0)
        file.write(f"process {os.getpid()} ({' '.join([Path(sys.argv[0]).name, *sys.argv[1:2]])})")
        file.flush()
        yield


def _wait_for(file: TextIO) -> None:
    """Take the lock on a file; where that takes longer, say once whom it is waited for."""
    told_at = time.monotonic() + _SILENT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= told_at:
                break
            time.sleep(_POLL_S)
        else:
            return
    file.seek(0)
    _log.warning("waiting for %s, which holds %s", file.read() or "another process", file.name)
    fcntl.flock(file, fcntl.LOCK_EX)


def read_state(of: Path, section: str) -> dict[str, Any]:
    """What `state.json` says of `section` ('postgres', 'airflow'); {} where it says nothing or is unreadable.

    State is a hint that survives kill -9: whoever reads it checks it against the machine.
    """
    found = _read_json(of / "state.json").get(section)
    return found if isinstance(found, dict) else {}


def write_state(of: Path, section: str, state: Mapping[str, Any]) -> None:
    """Replaces `section` of `state.json`, leaving the others as they are."""
    with locked(of, "state"):
        path = of / "state.json"
        whole = _read_json(path)
        whole[section] = dict(state)
        write_private(path, json.dumps(whole, indent=2, sort_keys=True) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
